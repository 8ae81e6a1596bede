"""Overrides as texts: which key one sets, and those that a run was resumed with."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Quote, QuotedString

SETTING = re.compile(r"\+{0,2}(?!hydra\b)[A-Za-z_][\w.]*=")  # how an override of a job's own setting begins


def key_of(override: str) -> str:
    """The key that an override sets: `trainer.max_epochs` of `++trainer.max_epochs=9`."""
    return override.split("=", 1)[0].lstrip("+~")


def quoted(value: str | Path) -> str:
    """A text or a path as the value of an override: Hydra takes it as it is, whatever it contains."""
    return QuotedString(str(value), Quote.single).with_quotes()


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
