"""Go on where a run stopped: what `resume=RUN_DIR` on the command line becomes."""

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.types import Quote, QuotedString

from lstm_ae.errors import UserError
from lstm_ae.runs.directory import RunDirectory

HYDRA_FILES = {"config.yaml", "hydra.yaml", "overrides.yaml"}  # what Hydra writes into .hydra/
MAX_CONFIG = 1_000_000  # bytes; no config of ours comes near it
SETTING = re.compile(r"\+{0,2}(?!hydra\b)[A-Za-z_][\w.]*=")  # how an override of a job's own setting begins


def resumed(arguments: list[str]) -> list[str]:
    """The command line with `resume=RUN_DIR` in it replaced by what makes Hydra go on in that directory.

    The config is the one that the directory was started with, plus what earlier resumes changed, plus the further
    overrides in `arguments`.

    Raises:
        UserError: nothing there to resume, or a `.hydra/` that could make Hydra run something.
        SystemExit: the run is already complete.
    """
    given = [argument for argument in arguments if argument.startswith("resume=")]
    target = given[-1].removeprefix("resume=").strip("'\"") if given else "null"
    if target in ("null", ""):
        return arguments
    directory = RunDirectory(target)
    if not directory.config.is_file() or not directory.can_resume():
        raise UserError(
            f"resume={target}: nothing to resume: "
            + ("no checkpoints/last.pt" if directory.config.is_file() else "no .hydra/config.yaml")
            + " in that directory. A run can be resumed once its first epoch is done."
        )
    check_saved_config(directory)
    others = [argument for argument in arguments if argument not in given]
    summary = directory.read_summary()
    if summary.get("status") == "completed" and not others:
        print(
            f"{directory.path} is complete. To train it further: resume={target} trainer.max_epochs=...\n"
            f"To see its results again: python -m lstm_ae.evaluate run={target}"
        )
        sys.exit(0)

    return [
        f"--config-path={directory.config.parent}",
        "--config-name=config",
        f"hydra.run.dir={quoted(directory.path)}",
        "hydra.output_subdir=null",
        *(override for override in changes(summary) if key_of(override) not in map(key_of, others)),
        *others,
        f"resume={quoted(directory.path)}",
    ]


def quoted(value: str | Path) -> str:
    """A text or a path as the value of an override: Hydra takes it as it is, whatever it contains."""
    return QuotedString(str(value), Quote.single).with_quotes()


def check_saved_config(directory: RunDirectory) -> None:
    """Make sure that a run's `.hydra/` holds a job's config alone, for Hydra composes whatever lies there.

    Hydra's own settings in it (`hydra`, `defaults`, a package header) may start programs and write files.

    Raises:
        UserError: it holds more than Hydra writes there.
    """
    files = {path.name for path in directory.config.parent.iterdir()}
    try:
        if directory.config.stat().st_size > MAX_CONFIG:
            raise ValueError("larger than any config")
        text = directory.config.read_text(encoding="utf-8")
        content = yaml.safe_load(text)
        if not isinstance(content, dict):
            raise ValueError("no keys in it")
    except (ValueError, TypeError, RecursionError, yaml.YAMLError) as error:
        raise UserError(f"{directory.config}: not a config of this program ({str(error)[:200]})") from error
    ours = all(isinstance(key, str) and key != "defaults" and not key.startswith("hydra") for key in content)
    if files - HYDRA_FILES or not ours or text.lstrip().startswith("#"):
        raise UserError(f"resume={directory.path}: its .hydra/ holds more than Hydra writes there; not resumed")


def changes(summary: Mapping[str, Any]) -> list[str]:
    """The settings that earlier resumes changed, as overrides; of two for one key the later counts.

    What is no plain setting is left out: a run directory is data, and Hydra's own settings could start programs.
    """
    resumes = summary.get("resumes")
    found = {}
    for resume in resumes if isinstance(resumes, list) else []:
        overrides = resume.get("overrides") if isinstance(resume, dict) else None
        for override in overrides if isinstance(overrides, list) else []:
            if isinstance(override, str) and SETTING.match(override):
                found[key_of(override)] = override
    return list(found.values())


def further_overrides(directory: RunDirectory, given: Sequence[str]) -> list[str]:
    """The overrides in `given` that change something: what a resume asks for beyond what the run has by now."""
    file = directory.config.with_name("overrides.yaml")
    try:
        begun = yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else []
    except (ValueError, yaml.YAMLError):
        begun = []
    now = {key_of(str(override)): override for override in [*(begun or []), *changes(directory.read_summary())]}
    return [override for override in given if key_of(override) != "resume" and now.get(key_of(override)) != override]


def key_of(override: str) -> str:
    """The key that an override sets: `trainer.max_epochs` of `++trainer.max_epochs=9`."""
    return override.split("=", 1)[0].lstrip("+~")
