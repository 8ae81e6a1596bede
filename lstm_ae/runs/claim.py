"""Claim a run's directory before Hydra writes into it: no two runs share one, and none overwrites another."""

import itertools
from pathlib import Path
from typing import Any

from filelock import Timeout
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from lstm_ae.errors import ConfigError, UserError
from lstm_ae.runs.directory import RunDirectory
from lstm_ae.runs.lock import let_go, take
from lstm_ae.runs.overrides import key_of, quoted

STUDY = "lstm_ae.sweeps.plugin.StudySweeper"  # whose directory belongs to its study
# What only a search looks at, with the value that it has elsewhere.
SEARCH_KEYS = {"workers": 1, "revalidate": None, "pruner._target_": "optuna.pruners.NopPruner"}


class Refused(SystemExit):
    """A `UserError` in a callback: Hydra would turn any ordinary exception there into a warning, and go on."""

    def __init__(self, error: Exception) -> None:
        super().__init__(1)
        self.__cause__ = error


class Claim(Callback):
    """What Hydra calls with the composed config before it makes a directory; named in `conf/config.yaml`."""

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """Claim `hydra.run.dir`: the one that was asked for if nobody has used it, else the next that is free."""
        try:
            refuse_search_keys(config)
            place(config, "run", claim)
        except (UserError, OSError) as error:
            raise Refused(error) from error

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Claim `hydra.sweep.dir` of a plain multirun; that of a search belongs to the study, which guards it."""
        if config.hydra.sweeper._target_ == STUDY:
            return
        try:
            refuse_search_keys(config)
            place(config, "sweep", claim_sweep)
        except (UserError, OSError) as error:
            raise Refused(error) from error


def place(config: DictConfig, kind: str, claim_it: Any) -> None:
    """Let `hydra.KIND.dir` be a directory that is ours alone, for this process and for the jobs that it composes."""
    key, wanted = f"hydra.{kind}.dir", Path(config.hydra[kind].dir)
    if key in map(key_of, config.hydra.overrides.hydra):
        claim_it(wanted, key)
        return
    for number in itertools.count(1):
        free = wanted if number == 1 else wanted.with_name(f"{wanted.name}-{number}")
        free.parent.mkdir(parents=True, exist_ok=True)
        try:
            free.mkdir()
        except FileExistsError:
            continue
        break
    claim_it(free, key)
    with read_write(config), open_dict(config):
        config.hydra[kind].dir = str(free)
        config.hydra.overrides.hydra.append(f"{key}={quoted(free)}")


def claim(path: Path, key: str) -> None:
    """Take the lock of a run directory that nobody has used.

    Raises:
        ConfigError: somebody has.
    """
    directory = RunDirectory(path)
    directory.path.mkdir(parents=True, exist_ok=True)
    try:
        take(directory.lock)
    except Timeout as error:
        raise ConfigError(key, path, "another process is training in this directory; choose another one") from error
    if directory.is_used():
        let_go(directory.lock)
        raise ConfigError(
            key, path, f"holds a run already. To go on with it: resume={path}; to train it again in a new directory: "
            f"rerun={path}; or choose another directory"
        )  # fmt: skip


def claim_sweep(path: Path, key: str) -> None:
    """Make sure that a plain multirun's directory holds no runs.

    Raises:
        ConfigError: it does.
    """
    if (path / "multirun.yaml").exists() or any(RunDirectory(run).is_used() for run in path.glob("*/")):
        raise ConfigError(key, path, "holds runs already; choose another directory")


def refuse_search_keys(config: DictConfig) -> None:
    """Refuse what only a search looks at, in a command that is none; a rerun has them from the run that it repeats.

    Raises:
        ConfigError: such a key is set.
    """
    for key, without in SEARCH_KEYS.items() if config.get("rerun") is None else ():
        value = OmegaConf.select(config, key)
        if value not in (None, without):
            name = key.split(".")[0]
            shown = config.hydra.runtime.choices.get(name, value)
            raise ConfigError(name, shown, "is for searches only; add -m and sweep=search (or another sweep), or leave "
                              f"out {name}")  # fmt: skip
