"""What a search is: its space, its study's name and place, and the settings that make it this search and no other."""

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, cast, get_type_hints

import optuna
from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, ListConfig, OmegaConf
from optuna.distributions import BaseDistribution
from optuna.pruners import BasePruner, NopPruner
from optuna.samplers import BaseSampler, GridSampler, QMCSampler, RandomSampler
from optuna.trial import TrialState
from pydantic import Field

from lstm_ae.config.values import validate_all
from lstm_ae.errors import ConfigError, UserError
from lstm_ae.metrics import Better, find, monitored
from lstm_ae.runs.settings import EXECUTION_KEYS, flatten
from lstm_ae.sweeps.foreign_parts import blamed_on, build_optuna_part, function_at
from lstm_ae.sweeps.shortlist import POPULATION, Shortlist
from lstm_ae.sweeps.space import ZIP, Point, ends, grid, parse_overrides, zipped_keys
from lstm_ae.sweeps.storage import Direction, find_study, open_study, storage_url

OPTUNA_WORDS: dict[Better, Direction] = {"min": "minimize", "max": "maximize"}
SAMPLER = "hydra.sweeper.sampler"
WEIGHT = "objective.reconstruction_weight"  # every loss depends on it


@dataclass(frozen=True)
class SweeperOptions:
    """The keys of `hydra.sweeper`; `conf/hydra/sweeper/study.yaml` says what they mean."""

    sampler: Any
    study_name: str | None
    direction: str | list[str] = "minimize"
    n_trials: Annotated[int, Field(ge=1)] | None = None
    n_jobs: Annotated[int, Field(ge=1)] = 1
    max_failure_rate: Annotated[float, Field(ge=0, le=1)] = 0.5
    storage: str | None = None
    params: dict[str, Any] | None = None
    custom_search_space: str | None = None
    check_job: str | None = None
    directory: str | None = None
    zip: (
        Annotated[list[Any], Field(description="a list of keys that vary together: [model.hidden_size,optimizer.lr]")]
        | None
    ) = None
    dry_run: bool = False


@dataclass(frozen=True)
class Search:
    """A search, composed and checked."""

    config: DictConfig  # as Hydra composed it, with its own part
    name: str  # of the study
    storage: str  # its address
    directory: Path  # absolute; the run directories of the trials lie in it
    metrics: dict[str, Better]  # what is optimized
    space: dict[str, BaseDistribution]
    overrides: list[str]  # that every job gets
    points: list[Point] | None  # the settings to try, if they are given and not sampled
    n_trials: int
    n_jobs: int
    max_failure_rate: float
    sampler: DictConfig
    pruner: BasePruner
    settings: dict[str, Any]  # dotted keys; all trials of a study have them in common
    extend: Callable[[DictConfig, optuna.Trial], None] | None  # adds to a trial what depends on its other values
    check_job: Callable[[DictConfig], None] | None  # refuses the config of a job that cannot run
    repeat_keys: list[str]  # keys of the space that only repeat a setting, such as the seed

    @property
    def directions(self) -> list[Direction]:
        """The direction of each metric, as Optuna calls it."""
        return [OPTUNA_WORDS[better] for better in self.metrics.values()]

    @property
    def max_failures(self) -> int:
        """How many trials may fail before the search ends."""
        return math.floor(self.max_failure_rate * self.n_trials)

    @property
    def shortlist(self) -> Shortlist | None:
        """The rounds that all trials share, if it has any."""
        return self.pruner if isinstance(self.pruner, Shortlist) else None

    def open(self) -> optuna.Study:
        """Open the study, or create it if there is none."""
        return open_study(self.storage, self.name, self.directions, self.pruner)

    def sampler_for(self, count: int) -> BaseSampler:
        """Build the sampler for the next trial of a study that holds `count`.

        Its seed depends on `count`, so that neither a search that was interrupted nor workers side by side draw the
        same numbers twice. Quasi-random sequences keep their seed: the study itself numbers their points.
        """
        if self.points is not None:
            return RandomSampler()  # has nothing to draw
        sampler = build_optuna_part(self.sampler, SAMPLER)
        seed = self.sampler.get("seed")
        if seed is None or isinstance(sampler, QMCSampler):
            return sampler
        return build_optuna_part(self.sampler, SAMPLER, seed=hash_seed(seed, count))

    def rehearse(self, loader: ConfigLoader) -> None:
        """Draw two trials in memory and compose two jobs, so that what is mistyped fails before anything starts.

        Optuna checks some options at their first use only, and imports some packages then. The second trial is there
        because many samplers draw the first one at random. The jobs are those at the two ends of the space.

        Raises:
            UserError: an option of the sampler or the pruner, or a value of the job, is refused.
            ConfigCompositionException: a key that the job does not have.
        """
        drawn: Point = {}
        study = optuna.create_study(directions=self.directions, sampler=self.sampler_for(0), pruner=self.pruner)
        for value in (0.0, 1.0) if self.points is None else ():
            with blamed_on(SAMPLER, self.sampler):
                trial = study.ask(self.space)
            if self.extend is not None:
                self.extend(self.config, trial)
            if len(self.metrics) == 1:
                with blamed_on("pruner", self.config.get("pruner")):
                    trial.report(value, step=1)
                    trial.should_prune()
            study.tell(trial, [value] * len(self.metrics))
            drawn = trial.params
        first, last = ends(self.space)
        for point in (drawn | first, drawn | last) if self.points is None else (self.points[0], self.points[-1]):
            job = loader.load_sweep_config(self.config, job_overrides(point, self.overrides))
            if self.check_job is not None:
                self.check_job(without_hydra(job))


def build_search(config: DictConfig, arguments: list[str], **keys: Any) -> Search:
    """Build a search from the composed config, the command line's overrides and the sweeper's keys.

    The root keys `monitor`, `mode`, `pruner` and `revalidate` are ours; in the config of another program they may be
    missing.

    Args:
        config: as Hydra composed it.
        arguments: the overrides.
        keys: those of `SweeperOptions`.

    Raises:
        UserError: they do not make a search.
    """
    options = SweeperOptions(**keys)
    check_job = function_at(options.check_job, "hydra.sweeper.check_job")
    if check_job is not None:
        check_job(without_hydra(config))
    validate_all(vars(options), get_type_hints(SweeperOptions, include_extras=True), "hydra.sweeper.")
    if options.study_name is None:
        raise ConfigError("study_name", None, "a search needs a name: study_name=my_search")
    metrics = metrics_of(config, options.direction)
    space, fixed, deletions = parse_overrides([*(f"{k}={v}" for k, v in (options.params or {}).items()), *arguments])
    check_space(space, metrics, options)
    directory = Path(config.hydra.sweep.dir).absolute()
    search = Search(
        config=config,
        name=options.study_name,
        storage=storage_url(options.storage, directory),
        directory=directory,
        metrics=metrics,
        space=space,
        overrides=[f"{key}={value}" for key, value in fixed.items()] + deletions,
        points=None,
        n_trials=options.n_trials or 0,
        n_jobs=options.n_jobs,
        max_failure_rate=options.max_failure_rate,
        sampler=options.sampler,
        pruner=pruner_of(config, metrics),
        settings=settings_of_study(config, options, space, fixed),
        extend=function_at(options.custom_search_space, "hydra.sweeper.custom_search_space"),
        check_job=check_job,
        repeat_keys=[],
    )
    if config.get("revalidate") is not None:
        return revalidation(search, config.revalidate, options.storage)
    sampler = build_optuna_part(options.sampler, SAMPLER)
    if isinstance(sampler, partial) and sampler.func is GridSampler:
        points = grid(space, zipped_keys(options.zip))
        search = replace(search, points=points, n_trials=min(options.n_trials or len(points), len(points)))
    elif options.zip:
        raise ConfigError("hydra.sweeper.zip", options.zip, "needs a grid: hydra/sweeper/sampler=grid")
    elif options.n_trials is None:
        raise ConfigError("hydra.sweeper.n_trials", None, "a search that is no grid needs a whole number >= 1")
    if search.shortlist is not None:  # its rounds are over the whole population, which cannot grow afterwards
        search = replace(search, settings=search.settings | {POPULATION: search.n_trials})
    return search


def metrics_of(config: DictConfig, direction: Any) -> dict[str, Better]:
    """What is optimized, and whether its best is the least or the greatest.

    Raises:
        ConfigError: `mode` does not fit `monitor`, or `direction` does not fit them.
    """
    modes = {word: mode for mode, word in OPTUNA_WORDS.items()}
    given = [modes.get(word, word) for word in as_list(direction)]
    if not set(given) <= OPTUNA_WORDS.keys():
        raise ConfigError("hydra.sweeper.direction", direction, "must be minimize or maximize, or a list of them")
    names = ["value"] if len(given) == 1 else [f"value {index}" for index in range(len(given))]
    ours = "monitor" in config  # else `mode` would mean something else as well
    metrics = monitored(config.monitor if ours else names, config.get("mode", given) if ours else given)
    if list(metrics.values()) != given:
        raise ConfigError("hydra.sweeper.direction", direction, f"follows mode={config.mode}; set that one")
    return metrics


def check_space(space: dict[str, BaseDistribution], metrics: dict[str, Better], options: SweeperOptions) -> None:
    """Check that there is something to vary, and that the trials will compare.

    Raises:
        UserError: there is not, or they will not.
    """
    if not space and options.custom_search_space is None:
        raise UserError(
            "the search has nothing to vary. Say what, for example model.hidden_size=8,16,32 "
            "'optimizer.lr=tag(log,interval(0.001,0.1))'"
        )
    for name in metrics if WEIGHT in space else ():
        if find(name).name == "loss":
            raise ConfigError(
                "monitor", name, f"depends on {WEIGHT}, which this search varies, so its runs would not compare; "
                "use monitor=val/reconstruction, or monitor=val/accuracy mode=max",
            )  # fmt: skip


def pruner_of(config: DictConfig, metrics: dict[str, Better]) -> BasePruner:
    """Build the pruner; a config without one prunes nothing.

    Raises:
        ConfigError: Optuna refuses its options, or there are two metrics.
    """
    pruner = build_optuna_part(config.get("pruner"), "pruner") or NopPruner()
    if len(metrics) > 1 and not isinstance(pruner, NopPruner):
        raise ConfigError("pruner", type(pruner).__name__, "Optuna prunes only where one metric is optimized; use "
                          "pruner=none")  # fmt: skip
    return pruner


def settings_of_study(
    config: DictConfig, options: SweeperOptions, space: dict[str, BaseDistribution], fixed: dict[str, str]
) -> dict[str, Any]:
    """The settings that all trials of a study have in common, as dotted keys and JSON values.

    Interpolations stay as they are written: what they refer to is a setting of its own.
    """
    settings = flatten(as_dict(without_hydra(config)))
    settings |= {key: fixed[key] for key in options.params or {} if key in fixed}
    settings = {key: value for key, value in settings.items() if key not in EXECUTION_KEYS and key not in space}
    settings |= {f"space: {key}": str(distribution) for key, distribution in space.items()}
    settings |= flatten({SAMPLER: as_dict(options.sampler)})
    if options.zip:
        settings[ZIP] = zipped_keys(options.zip)
    return json.loads(json.dumps(settings, default=str))


def revalidation(search: Search, count: int, storage: str | None) -> Search:
    """The search that trains the best `count` settings of a finished one again, on folds or seeds that are new to them.

    Args:
        search: the finished one, as today's command line composes it.
        count: how many of its settings.
        storage: the key `hydra.sweeper.storage`.

    Raises:
        UserError: there is no such study, nothing in it to validate again, or nothing new to validate it on.
    """
    study = find_study(search.storage, search.name)
    if study is None:
        raise ConfigError("revalidate", count, f"there is no study {search.name} yet; run the command without it first")
    if len(study.directions) > 1:
        best = sorted(study.best_trials, key=lambda trial: trial.number)
    else:
        sign = -1 if study.direction.name == "MAXIMIZE" else 1
        best = sorted(study.get_trials(states=(TrialState.COMPLETE,)), key=lambda trial: sign * trial.values[0])
    if not best:
        raise ConfigError("revalidate", count, f"no trial of {search.name} is complete yet")
    new = {key: distribution for key, distribution in search.space.items() if key not in best[0].params}
    known = study.user_attrs.get("settings", {})
    if not new and all(known.get(key) == value for key, value in search.settings.items()):
        raise ConfigError("revalidate", count, "needs new folds or seeds: add cross_validation=5, or seed=1,2,3")
    settings: list[Point] = []
    for trial in best:
        point = {key: value for key, value in trial.params.items() if key in search.space}
        if point not in settings:
            settings.append(point)
    points = [point | extra for point in settings[:count] for extra in grid(new)]
    directory = search.directory.with_name(f"{search.directory.name}_top{count}")
    if search.shortlist is not None:  # these train to their ends
        search = replace(search, pruner=NopPruner(), overrides=[*search.overrides, "pruner=none"])
    return replace(
        search,
        name=f"{search.name}_top{count}",
        storage=storage_url(storage, directory),
        directory=directory,
        points=points,
        n_trials=len(points),
        repeat_keys=list(new),
    )


def job_overrides(point: Point, overrides: list[str]) -> list[str]:
    """The overrides of one job."""
    return [*(f"{name}={value}" for name, value in point.items()), *overrides]


def hash_seed(*parts: Any) -> int:
    """A seed below 2**32 from any values, the same on every machine."""
    return int.from_bytes(hashlib.sha256(json.dumps(parts).encode()).digest()[:4], "little")


def without_hydra(config: DictConfig) -> DictConfig:
    """The job's part of a composed config."""
    return OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])


def as_dict(config: DictConfig) -> dict[str, Any]:
    """A config as plain values, interpolations as they are written."""
    return cast(dict[str, Any], OmegaConf.to_container(config))


def as_list(value: Any) -> list[Any]:
    """A list as it is, anything else as a list of one."""
    return list(value) if isinstance(value, ListConfig | list) else [value]
