"""The command that trains a run's setting again, held against the config that the run had."""

import json
import shlex
from collections.abc import Sequence

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from lstm_ae.config import CONF
from lstm_ae.runs.records import SEED_KEYS, RunRecord, canonical, flatten


def command(runs: Sequence[RunRecord]) -> str:
    """What to type to train again what `runs` trained: one setting, and a run for each of its seeds.

    The overrides that the first run was started with, if today's `conf/` makes its config of them, but for plain
    values that are then added; otherwise the run's own config file, which does not depend on `conf/`.
    """
    run = runs[0]
    arguments = reproducing_overrides(run)
    if arguments is None:
        arguments = [f"--config-path={run.directory.config.parent}", "--config-name=config"]
    flags = []
    for key in SEED_KEYS:
        values = list(dict.fromkeys(str(run.values[key]) for run in runs if run.values.get(key) is not None))
        if len(values) > 1:
            arguments = [argument for argument in arguments if not argument.startswith(f"{key}=")]
            arguments.append(f"{key}={','.join(values)}")
            flags = ["-m"]
    return " ".join(["python -m lstm_ae.train", *flags, *map(shlex.quote, arguments)])


def reproducing_overrides(run: RunRecord) -> list[str] | None:
    """Overrides that compose to the run's config today; None if there are none."""
    arguments = [str(override) for override in run.overrides]
    try:
        with initialize_config_dir(CONF):
            composed = compose("config", arguments, return_hydra_config=True)
        if composed.hydra.mode == RunMode.MULTIRUN:
            arguments.append("hydra.mode=RUN")
        today = flatten({str(key): value for key, value in OmegaConf.to_container(composed).items() if key != "hydra"})
    except (HydraException, OmegaConfBaseException):
        return None
    changed = {
        key for key in today.keys() | run.config.keys() if canonical(today.get(key)) != canonical(run.config.get(key))
    }
    changed -= {"resume"}
    if any(key not in today or not isinstance(run.config.get(key, ""), bool | int | float | None) for key in changed):
        return None
    kept = [argument for argument in arguments if argument.split("=")[0] not in changed]
    return kept + [f"{key}={json.dumps(run.config[key])}" for key in sorted(changed)]
