"""What a search is: its space, its study's name and place, and the settings that make it this search and no other."""

import hashlib
import itertools
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.utils import instantiate
from hydra_plugins.hydra_optuna_sweeper._impl import OptunaSweeperImpl, create_params_from_overrides
from omegaconf import DictConfig, ListConfig, OmegaConf
from optuna.distributions import BaseDistribution
from optuna.pruners import BasePruner, NopPruner
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import TrialState

from lstm_ae.config.rules import validate_config as check
from lstm_ae.errors import ConfigError, UserError
from lstm_ae.sweeps.study import find_study, open_study, storage_url

DIRECTIONS = {"min": "minimize", "max": "maximize"}
# What may change from one start of a study to the next: none of it changes what a trial measures.
OPERATION = {"threads", "workers", "device", "resume", "study_name"}
SAMPLERS = ("hydra_plugins.hydra_optuna_sweeper.*", "optuna.samplers.*", "optuna.pruners.*")

Point = dict[str, Any]  # a value for each key of the search space


@dataclass(frozen=True)
class Search:
    """A search, composed and checked."""

    config: DictConfig  # as composed by Hydra, its own part included
    name: str  # of the study
    storage: str  # its address
    directory: Path  # absolute; the trials' run directories lie in it
    monitors: list[str]
    directions: list[str]
    space: dict[str, BaseDistribution]
    overrides: list[str]  # that every job gets
    points: list[Point] | None  # the settings to try, where they are given and not sampled
    n_trials: int
    n_jobs: int
    max_failure_rate: float
    sampler: DictConfig
    pruner: BasePruner
    settings: dict[str, Any]  # flat; a study holds trials of one such dictionary only
    extend: Callable[[DictConfig, optuna.Trial], None] | None

    def sampler_for(self, count: int) -> BaseSampler:
        """The sampler for the next trial of a study that holds `count`.

        Its seed depends on `count`: a search that was interrupted, and workers side by side, never draw the same
        numbers again. The points of a quasi-random sequence are numbered by the study itself, under one seed.
        """
        if self.points is not None:
            return RandomSampler()  # has nothing to draw
        seed = self.sampler.seed
        if seed is not None and not self.sampler._target_.endswith(".QMCSampler"):
            seed = hash_seed(seed, count)
        return instantiate(self.sampler, seed=seed, _execution_whitelist_=SAMPLERS)

    @property
    def max_failures(self) -> int:
        """How many failed trials are put up with."""
        return math.floor(self.max_failure_rate * self.n_trials)

    def open(self) -> optuna.Study:
        """The study, made if there is none."""
        return open_study(self.storage, self.name, self.directions, self.pruner)

    def check_first_job(self, loader: ConfigLoader) -> None:
        """Compose the job of one point of the space and check it, so that a mistyped key fails before any trial.

        Raises:
            ConfigError: a value out of range.
            ConfigCompositionException: no such key.
        """
        first = (self.points or [{name: lowest(distribution) for name, distribution in self.space.items()}])[0]
        job = loader.load_sweep_config(self.config, job_overrides(first, self.overrides))
        check(without_hydra(job))


def build_search(
    config: DictConfig,
    arguments: list[str],
    *,
    sampler: DictConfig,
    direction: Any,
    storage: str | None,
    study_name: str | None,
    n_trials: int | None,
    n_jobs: int,
    max_failure_rate: float,
    custom_search_space: str | None,
    params: DictConfig | None,
) -> Search:
    """A search from the composed config, the command's overrides and the sweeper's keys.

    Raises:
        UserError: they do not make a search.
    """
    settings = without_hydra(config)
    check(settings)
    monitors, modes = as_list(config.monitor), as_list(config.mode)
    if len(monitors) != len(modes):
        raise ConfigError("mode", config.mode, f"must be given for each of monitor={config.monitor}")
    for monitor, mode in zip(monitors, modes, strict=True):
        best = "max" if monitor.endswith("accuracy") else "min"
        if mode != best:
            raise ConfigError("mode", config.mode, f"the best {monitor} is the {best}; add mode={best}")
    if as_list(direction) not in (modes, [DIRECTIONS[mode] for mode in modes]):
        raise ConfigError("hydra.sweeper.direction", direction, f"follows mode={config.mode}; set that one")
    if study_name is None:
        raise ConfigError("study_name", None, "a search needs a name: study_name=my_search")

    given = [f"{key}={value}" for key, value in (params or {}).items()]
    space, fixed, others = parse_overrides([*given, *arguments])
    if not space and custom_search_space is None:
        raise UserError(
            "the search has nothing to vary. Say what, for example model.hidden_size=8,16,32 "
            "'optimizer.lr=tag(log,interval(0.001,0.1))'"
        )
    if "objective.reconstruction_weight" in space:
        for monitor in monitors:
            if monitor.endswith("/loss"):
                raise ConfigError(
                    "monitor",
                    monitor,
                    "depends on objective.reconstruction_weight, which this search varies, so its runs would not "
                    "compare; use monitor=val/reconstruction, or monitor=val/accuracy mode=max",
                )
    pruner = instantiate(config.pruner, _execution_whitelist_=SAMPLERS)
    if len(monitors) > 1 and not isinstance(pruner, NopPruner):
        raise ConfigError("pruner", type(pruner).__name__, "Optuna prunes for one objective only; use pruner=none")

    directory = Path(config.hydra.sweep.dir).absolute()
    url = storage_url(storage, directory)
    points = None
    if config.revalidate is not None:
        points = best_points(url, study_name, config.revalidate, space, config)
        suffix = f"_top{config.revalidate}"
        study_name, directory = study_name + suffix, directory.with_name(directory.name + suffix)
        url = storage_url(storage, directory)
    elif sampler._target_.endswith(".GridSampler"):
        points = grid(space)
    if points is not None:
        n_trials = len(points) if n_trials is None or config.revalidate is not None else min(n_trials, len(points))
    if n_trials is None:
        raise ConfigError("hydra.sweeper.n_trials", None, "a search that is no grid needs a whole number >= 1")

    described = flatten(OmegaConf.to_container(settings, resolve=True))
    described |= {key: fixed[key] for key in (params or {}) if key in fixed}
    described = {key: value for key, value in described.items() if key not in OPERATION and key not in space}
    described |= {f"space: {key}": str(value) for key, value in space.items()}
    described |= {f"hydra.sweeper.sampler.{key}": value for key, value in flatten(plain(sampler)).items()}
    return Search(
        config=config,
        name=study_name,
        storage=url,
        directory=directory,
        monitors=monitors,
        directions=[DIRECTIONS[mode] for mode in modes],
        space=space,
        overrides=[f"{key}={value}" for key, value in fixed.items()] + others,
        points=points,
        n_trials=n_trials,
        n_jobs=n_jobs,
        max_failure_rate=max_failure_rate,
        sampler=sampler,
        pruner=pruner,
        settings=described,
        extend=instantiate({"_target_": custom_search_space, "_partial_": True}) if custom_search_space else None,
    )


def parse_overrides(lines: list[str]) -> tuple[dict[str, BaseDistribution], dict[str, Any], list[str]]:
    """Overrides as (search space, fixed values, deletions); of two for one key, the later counts."""
    last = {}
    for override in OverridesParser.create().parse_overrides(lines):
        last[override.package, override.key_or_group] = override.input_line
    return create_params_from_overrides(list(last.values()))


def grid(space: dict[str, BaseDistribution]) -> list[Point]:
    """Every combination of the values in `space`, the last key varying fastest.

    Raises:
        ConfigError: a key has no end of values.
    """
    choices = {}
    for name, distribution in space.items():
        try:
            choices[name] = OptunaSweeperImpl._to_grid_sampler_choices(distribution)
        except ValueError as error:
            raise ConfigError(
                name, "an interval", "a grid needs values or a range: 8,16,32 or range(8,33,8)"
            ) from error
    points = [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]
    return [point for index, point in enumerate(points) if point not in points[:index]]


def best_points(
    url: str, study_name: str, count: int, space: dict[str, BaseDistribution], config: DictConfig
) -> list[Point]:
    """The settings of the best `count` trials of a finished search, each with every value of the keys it did not have.

    Raises:
        UserError: there is no such study, nothing in it to validate again, or nothing new to validate it on.
    """
    study = find_study(url, study_name)
    if study is None:
        raise ConfigError("revalidate", count, f"there is no study {study_name} yet; run the command without it first")
    known = study.user_attrs.get("settings", {})
    if "seed" not in space and all(known.get(key) == config[key] for key in ("seed", "cross_validation")):
        raise ConfigError("revalidate", count, "needs new folds or seeds: add cross_validation=5, or seed=1,2,3")
    if len(study.directions) > 1:
        best = sorted(study.best_trials, key=lambda trial: trial.number)
    else:
        finished = study.get_trials(states=(TrialState.COMPLETE,))
        sign = -1 if study.direction.name == "MAXIMIZE" else 1
        best = sorted(finished, key=lambda trial: sign * trial.value)
    if not best:
        raise ConfigError("revalidate", count, f"no trial of {study_name} is complete yet")
    settings: list[Point] = []
    for trial in best:
        point = {name: value for name, value in trial.params.items() if name in space}
        if point not in settings:
            settings.append(point)
    new = grid({name: value for name, value in space.items() if name not in best[0].params})
    return [point | extra for point in settings[:count] for extra in new]


def job_overrides(point: Point, overrides: list[str]) -> list[str]:
    """The overrides of one job."""
    return [*(f"{name}={value}" for name, value in point.items()), *overrides]


def lowest(distribution: BaseDistribution) -> Any:
    """Some value of a distribution: its first choice or its lower end."""
    return distribution.choices[0] if hasattr(distribution, "choices") else distribution.low


def hash_seed(*parts: Any) -> int:
    """A seed below 2**32 from any values, the same on every machine."""
    return int.from_bytes(hashlib.sha256(json.dumps(parts).encode()).digest()[:4], "little")


def flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested dictionary as one of dotted keys."""
    flat = {}
    for key, value in tree.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def plain(config: DictConfig) -> dict[str, Any]:
    """A config as resolved plain values."""
    return OmegaConf.to_container(config, resolve=True)


def without_hydra(config: DictConfig) -> DictConfig:
    """The job's part of a composed config."""
    return OmegaConf.masked_copy(config, [key for key in config if key != "hydra"])


def as_list(value: Any) -> list[Any]:
    """A list as it is, anything else as a list of one."""
    return list(value) if isinstance(value, ListConfig | list) else [value]
