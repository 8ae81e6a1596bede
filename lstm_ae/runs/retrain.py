"""The command that trains a run's setting again, checked against the config that the run had."""

import json
import shlex
from typing import Any

import pandas as pd
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from lstm_ae.config import CONF
from lstm_ae.runs.directory import RunDirectory
from lstm_ae.runs.frame import Contents, canonical, read_run
from lstm_ae.runs.overrides import key_of
from lstm_ae.runs.settings import EXECUTION_KEYS, SEED_KEYS, flatten
from lstm_ae.runs.table import cell

# What belongs to the search that a run came from, or to the time that it was resumed.
NOT_AGAIN = ("sweep", "resume", "rerun", "study_name", "workers", "revalidate", "pruner")
PLAIN = (bool, int, float, str, type(None))


def command(runs: pd.DataFrame) -> str:
    """What to type to train again what `runs` trained: one setting, and a run for each of its seeds.

    The overrides that the first run was started with, if today's configs make its config of them but for options and
    values that are then added; otherwise `rerun=`, a line for each run, which reads a run's config as data and nothing
    else of the directory. Empty if there is no config that can be read.

    Args:
        runs: rows of `load_runs`, of one setting.
    """
    first = read_run(RunDirectory(runs["path"].iloc[0]), "")
    if not first.config or any(key.startswith(("hydra", "defaults")) for key in first.config):
        return ""  # none, or one that rerun= would refuse
    arguments = reproducing_overrides(first)
    if arguments is None:
        return "\n  ".join(typed(f"rerun={path}") for path in runs["path"].drop_duplicates())
    flags = []
    for key in SEED_KEYS:
        values = list(dict.fromkeys(map(cell, runs[key].dropna()))) if key in runs else []
        if len(values) > 1:
            arguments = [argument for argument in arguments if key_of(argument) != key]
            arguments.append(f"{key}={','.join(values)}")
            flags = ["-m"]
    return typed(*flags, *arguments)


def typed(*arguments: str) -> str:
    """The train command with these arguments, as a shell takes it."""
    return shlex.join(["python", "-m", "lstm_ae.train", *arguments])


def reproducing_overrides(run: Contents) -> list[str] | None:
    """Overrides that compose to the run's config today; None if none are found."""
    given = [override for override in run.fields["overrides"] if not key_of(override).startswith("hydra")]
    arguments = [override for override in given if key_of(override) not in NOT_AGAIN]
    try:
        _, options = composed(arguments)
        chosen = {g: option for g, option in run.choices.items() if options.get(g) != option and g not in NOT_AGAIN}
        arguments = [f"{group}={'null' if option is None else option}" for group, option in chosen.items()] + arguments
        values, _ = composed(arguments)
        changed = {key: value for key, value in run.config.items() if differs(key, values, run.config)}
        if not all(key in values and isinstance(value, (*PLAIN, list)) for key, value in changed.items()):
            return None
        arguments = [argument for argument in arguments if key_of(argument) not in changed]
        arguments += [f"{key}={json.dumps(value)}" for key, value in changed.items()]
        values, _ = composed(arguments)
    except (HydraException, OmegaConfBaseException):
        return None
    same = not any(differs(key, values, run.config) for key in values.keys() | run.config.keys())
    return arguments if same else None


def composed(arguments: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The flat config that `arguments` make of today's configs, and the options that the config groups are set to.

    Raises:
        HydraException, OmegaConfBaseException: they make none.
    """
    with initialize_config_dir(CONF):
        config = compose("config", arguments, return_hydra_config=True)
    tree = OmegaConf.to_container(config)
    assert isinstance(tree, dict)
    return flatten({key: value for key, value in tree.items() if key != "hydra"}), dict(config.hydra.runtime.choices)


def differs(key: str, today: dict[str, Any], then: dict[str, Any]) -> bool:
    """Whether a key that matters to a result has another value; how a run is carried out may be set by today's."""
    if key.split(".")[0] in NOT_AGAIN or (key in EXECUTION_KEYS and key not in then):
        return False
    return canonical(today.get(key, ...)) != canonical(then.get(key, ...))
