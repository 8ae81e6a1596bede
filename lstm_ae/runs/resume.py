"""Go on where a run stopped, or train it again: what `resume=RUN_DIR` and `rerun=RUN_DIR` become."""

import math
import sys
from collections.abc import Sequence
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from lstm_ae.errors import ConfigError, UserError
from lstm_ae.runs.directory import RunDirectory
from lstm_ae.runs.lock import is_locked
from lstm_ae.runs.overrides import changes, key_of, quoted
from lstm_ae.runs.reading import PROBLEMS, from_yaml
from lstm_ae.runs.settings import flatten

HYDRA_FILES = {"config.yaml", "hydra.yaml", "overrides.yaml"}  # what Hydra writes into .hydra/
MACHINE = ("device", "threads", "backend")  # who computes; the results are the same but for rounding
# What may be set for a run that goes on; anything else would make another experiment of it.
ALLOWED = {"resume": ("trainer.max_epochs", "trainer.patience", *MACHINE), "rerun": MACHINE}
CLAIM = "+hydra.callbacks.claim._target_=lstm_ae.runs.claim.Claim"  # as in conf/config.yaml, which is not read


def reopened(arguments: list[str]) -> list[str]:
    """The command line with `resume=RUN_DIR` or `rerun=RUN_DIR` in it replaced by what makes Hydra do that.

    The config is the one that the run was started with, plus what earlier resumes changed, plus the further overrides
    in `arguments`. Everything about it is checked here, before anything is written.

    Raises:
        UserError: no run there, a `.hydra/` that could make Hydra run something, or an override that would make
            another experiment of it.
        SystemExit: there is nothing left to train.
    """
    asked = {kind: target for kind in ALLOWED if (target := target_of(arguments, kind)) is not None}
    if not asked:
        return arguments
    if len(asked) > 1:
        raise UserError("resume=... goes on in a run's directory, rerun=... trains it again in a new one; give one")
    ((kind, target),) = asked.items()
    if {"-m", "--multirun"} & {*arguments}:
        raise UserError(f"{kind}={target}: is for a single run; leave out -m (a search goes on with its own command)")
    directory = RunDirectory(target)
    saved = check_saved_config(directory, f"{kind}={target}")
    if kind == "resume" and not directory.can_resume():
        raise UserError(
            f"resume={target}: nothing to resume: no checkpoints/last.pt in that directory. A run can be resumed once "
            f"its first epoch is done; to train it from the start: rerun={target}"
        )
    others = [argument for argument in arguments if key_of(argument) not in ALLOWED]
    others = [f"+{override}" if override.partition("=")[0] in {*ALLOWED[kind]} - saved.keys() else override
              for override in others]  # older runs lack newer keys  # fmt: skip
    before = changes(directory.read_summary())
    config = checked(directory, kind, target, before, others)
    kept = [override for override in before if key_of(override) not in map(key_of, others)]
    inside = [f"--config-path={directory.config.parent}", "--config-name=config"]
    if kind == "rerun":
        return [*inside, CLAIM, *kept, *others, "++resume=null", f"++rerun={quoted(directory.path)}"]
    check_files(directory, target)
    if directory.read_summary().get("status") == "completed":
        stop_if_complete(directory, target, config)
    place = [f"hydra.run.dir={quoted(directory.path)}", "hydra.output_subdir=null"]
    return [*inside, *place, *kept, *others, f"resume={quoted(directory.path)}"]


def target_of(arguments: Sequence[str], kind: str) -> str | None:
    """The directory that the last `KIND=DIRECTORY` in `arguments` names; None if there is none."""
    given = [argument.removeprefix(f"{kind}=") for argument in arguments if argument.startswith(f"{kind}=")]
    target = given[-1].strip("'\"") if given else ""
    return None if target in ("null", "") else target


def check_saved_config(directory: RunDirectory, asked: str) -> dict[str, Any]:
    """Make sure that a run's `.hydra/` holds a job's config alone, for Hydra composes whatever lies there.

    Hydra's own settings in it (`hydra`, `defaults`, a package header) may start programs and write files.

    Args:
        directory: of the run.
        asked: what names it on the command line.

    Returns:
        the config as dotted keys, references as they are written.

    Raises:
        UserError: there is none, or it holds more than Hydra writes there.
    """
    if not directory.config.is_file():
        raise UserError(f"{asked}: no run there to go on with: no .hydra/config.yaml in that directory")
    files = {path.name for path in directory.config.parent.iterdir()}
    try:
        content = from_yaml(directory.config)
        if not isinstance(content, dict):
            raise ValueError("no keys in it")
        flat = flatten(content)
        begins = directory.config.read_text(encoding="utf-8").lstrip()[:1]
    except PROBLEMS as error:
        raise UserError(f"{directory.config}: not a config of this program ({str(error)[:200]})") from error
    ours = all(isinstance(key, str) and key != "defaults" and not key.startswith("hydra") for key in content)
    if files - HYDRA_FILES or not ours or begins == "#":
        raise UserError(f"{asked}: its .hydra/ holds more than Hydra writes there; not opened")
    return flat


def checked(directory: RunDirectory, kind: str, target: str, before: list[str], others: list[str]) -> DictConfig:
    """The config that the run gets, every value of it validated.

    Args:
        directory: the run, its `.hydra/` checked.
        kind: `resume` or `rerun`.
        target: the directory as it was given.
        before: overrides of earlier resumes.
        others: further overrides and flags of Hydra.

    Raises:
        ConfigError: an override changes what may not be changed, or a value is refused.
        HydraException: an override that cannot be read, or of a key that the run does not have.
    """
    from lstm_ae.config.rules import validate_config

    own = [override for override in others if not override.startswith("-") and not key_of(override).startswith("hydra")]
    for override in others:
        if key_of(override) == "hydra.run.dir" and kind == "resume":
            raise UserError(f"{override}: a run goes on in its own directory; rerun={target} trains it in a new one")
    with initialize_config_dir(str(directory.config.parent)):
        was = compose("config", before)
        config = compose("config", [*before, *own])
    old, new = (flatten(as_dict(each)) for each in (was, config))
    changed = [key for key in new.keys() | old.keys() if new.get(key, ...) != old.get(key, ...)]
    foreign = sorted(key for key in changed if key not in ALLOWED[kind])
    if foreign:
        raise ConfigError(foreign[0], new.get(foreign[0], "(absent)"), refusal(directory, kind, target, own))
    try:
        validate_config(config)
    except ConfigError as error:
        if error.key in changed:
            raise
        raise UserError(f"{directory.config}: {error}") from error
    return config


def refusal(directory: RunDirectory, kind: str, target: str, own: list[str]) -> str:
    """Why an override is refused, and what to do instead."""
    from lstm_ae.runs.frame import read_run  # late: it is slow, and only needed here
    from lstm_ae.runs.retrain import reproducing_overrides, typed

    again = reproducing_overrides(read_run(directory, "")) or ["..."]
    others = [override for override in own if key_of(override) not in MACHINE]
    may = f"would make another experiment of it. With {kind}=... you may set {', '.join(ALLOWED[kind])}."
    return f"{may}\nFor a new run that starts from this run's weights:\n  {typed(*again, *others, f'weights={target}')}"


def check_files(directory: RunDirectory, target: str) -> None:
    """Make sure that a run's own files let it go on.

    Raises:
        UserError: a link among them, a checkpoint that cannot be read or holds weights alone, or another process at
            work.
    """
    from lstm_ae.training import checkpoint  # late: torch is only needed once all else is in order

    directory.refuse_links()
    if is_locked(directory.lock):
        raise UserError(f"resume={target}: another process is training in this directory")
    if not directory.folds.is_dir():
        state = checkpoint.load(directory.checkpoints / "last.pt")
        if "optimizer" not in state:
            raise UserError(
                f"resume={target}: checkpoints/last.pt holds weights alone, from which training cannot go on. "
                f"A new run can start from them: weights={target}"
            )


def stop_if_complete(directory: RunDirectory, target: str, config: DictConfig) -> None:
    """End the program if a completed run has nothing left to train, saying what would make it longer.

    Raises:
        SystemExit: it has not.
    """
    if directory.folds.is_dir():
        more = "A cross-validated run cannot be trained further; train a new one with another trainer.max_epochs."
    else:
        done, waited = progress(directory, config)
        patience = config.trainer.get("patience")
        longer = f"trainer.max_epochs={2 * done}" if done >= config.trainer.max_epochs else ""
        if patience is not None and waited >= patience:
            longer = f"trainer.patience=null {longer}".strip()
        if not longer:
            return
        more = f"To train it further: resume={target} {longer}"
    print(f"{directory.path} is complete. {more}\nTo see its results again: python -m lstm_ae.evaluate run={target}")
    sys.exit(0)


def progress(directory: RunDirectory, config: DictConfig) -> tuple[int, int]:
    """How many epochs a run has trained, and for how many of them its monitor has not improved."""
    history = directory.read_metrics()
    monitor = config.monitor if isinstance(config.monitor, str) else config.monitor[0]
    mode = config.mode if isinstance(config.mode, str) else config.mode[0]
    values = [row.get(monitor, math.nan) for row in history]
    if not values:
        return 0, 0
    return len(values), len(values) - 1 - values.index((min if mode == "min" else max)(values))


def as_dict(config: DictConfig) -> dict[str, Any]:
    """A config as plain values, references as they are written."""
    tree = OmegaConf.to_container(config)
    assert isinstance(tree, dict)
    return {str(key): value for key, value in tree.items()}


def further_overrides(directory: RunDirectory, given: Sequence[str]) -> list[str]:
    """The overrides in `given` that change something: what a resume asks for beyond what the run has by now."""
    file = directory.config.with_name("overrides.yaml")
    try:
        begun = from_yaml(file) if file.is_file() else []
    except PROBLEMS:
        begun = []
    begun = begun if isinstance(begun, list) else []
    now = {key_of(str(override)): str(override) for override in [*begun, *changes(directory.read_summary())]}
    return [
        override
        for override in given
        if key_of(override) != "resume" and now.get(key_of(override), "").lstrip("+") != override.lstrip("+")
    ]
