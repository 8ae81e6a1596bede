"""Read files that anybody may have written: bounded in size, depth and time, whatever they hold."""

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from lstm_ae.errors import UserError
from lstm_ae.runs.directory import MAX_FILE

MAX_YAML = 1_000_000  # bytes; no config of ours comes near it
MAX_LINE = 20_000  # characters of a line of YAML
MAX_DEPTH = 50
MAX_VALUES = 20_000  # aliases in a small file can stand for billions
NESTING = (b"[", b"{", b"-", b"?")  # what opens a level of YAML in a character or two
HARMLESS = 5_000  # so many levels do no harm to the parser, which is written in C and knows no limit of its own
YAML_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C one is ten times as fast
PROBLEMS = (UserError, OSError, ValueError, TypeError, RecursionError, OverflowError, yaml.YAMLError)


def read_or_note(notes: list[str], label: str, file: Path, read: Callable[[], Any], kind: type, needed: bool) -> Any:
    """What `read()` makes of `file`; where that is not a `kind`, an empty one, and `notes` gets the reason.

    Args:
        notes: of the run.
        label: what notes call the file.
        file: where it is.
        read: reads it.
        kind: dict or list.
        needed: whether it is worth a note if there is no such file.
    """
    try:
        found = file.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_FILE:  # reading a pipe or a device may never end
            raise ValueError("too large, or no file at all")
        content = read()
        if isinstance(content, dict):
            bounded(content)
    except FileNotFoundError:
        if needed or file.is_symlink():
            notes.append(f"no {label}")
        return kind()
    except PROBLEMS:
        content = None
    if not isinstance(content, kind):
        notes.append(f"{label} is broken")
        return kind()
    return content


def from_yaml(file: Path) -> Any:
    """What a YAML file holds, as plain values; see `from_yaml_text`."""
    with file.open("rb") as opened:
        return from_yaml_text(opened.read(MAX_YAML + 1))


def from_yaml_text(text: bytes) -> Any:
    """What a YAML text says, as plain values.

    Raises:
        ValueError: it is larger or nested more deeply than any of ours.
        yaml.YAMLError: it is no YAML.
    """
    if len(text) > MAX_YAML or max(map(len, text.splitlines()), default=0) > MAX_LINE:
        raise ValueError("larger than any of ours")
    if any(text.count(sign) > HARMLESS for sign in NESTING):
        refuse_deep_yaml(text)
    return bounded(yaml.load(text, YAML_LOADER))


def refuse_deep_yaml(text: bytes) -> None:
    """Look how deeply a YAML text is nested without building anything.

    Raises:
        ValueError: too deeply.
    """
    depth = 0
    for event in yaml.parse(text, YAML_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise ValueError("nested too deeply")


def bounded(tree: Any) -> Any:
    """`tree`, if it is of a size that people make.

    Raises:
        ValueError: lists and dictionaries in it are nested too deeply, or stand for too many values.
    """
    waiting, count = [(tree, 0)], 0
    while waiting:
        value, depth = waiting.pop()
        if isinstance(value, dict | list):
            count += len(value)
            if depth > MAX_DEPTH or (count > MAX_VALUES and depth > 1):
                raise ValueError("nested too deeply, or too many values")
            waiting += [(child, depth + 1) for child in (value.values() if isinstance(value, dict) else value)]
    return tree


def printable(text: str) -> str:
    """`text` without what would move a terminal's cursor or change its colours."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
