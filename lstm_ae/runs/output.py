"""Where a table may be written: into a new file, into one of ours, or through to a device; over nothing else."""

import re
import stat
from collections.abc import Callable
from pathlib import Path

from lstm_ae.errors import UserError
from lstm_ae.files import write_whole

LOOK = 4096  # bytes at the start of a file that tell what it is
# How the files begin that compare writes.
OURS = {
    "csv": re.compile(rb"path,runs?,"),
    "json": re.compile(rb'\[\s*(\{\s*"path":|\]\s*$)'),
    "markdown": re.compile(rb"\| runs? \|"),
    "html": re.compile(rb"<!doctype html>.*<title>.*</title>", re.DOTALL | re.IGNORECASE),
}
OWN_PAGE = b"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"  # stands in every page of ours


def check_target(target: str, kind: str, force: bool) -> None:
    """Make sure that writing to `target` destroys nothing but an earlier table.

    Args:
        target: the path.
        kind: `csv`, `json`, `markdown` or `html`.
        force: replace any other file as well.

    Raises:
        UserError: there is something else at that path.
    """
    path = Path(target)
    if path.is_dir():
        raise UserError(f"--{kind}={target}: must be a file")
    if not path.parent.is_dir():
        raise UserError(f"--{kind}={target}: there is no folder {path.parent}")
    if path.is_file() and not force:
        with path.open("rb") as file:
            begins = file.read(LOOK)
        ours = OURS[kind].match(begins) and (kind != "html" or OWN_PAGE in begins)
        if begins and not ours:
            raise UserError(
                f"--{kind}={target}: holds something that compare did not write there; choose another file, or add "
                "--force to replace it"
            )


def refuse_foreign(path: Path, ours: Callable[[Path], bool]) -> None:
    """Make sure that writing to `path` destroys nothing but an earlier result of the same command.

    Args:
        path: what `output` names, or a file beside it.
        ours: whether a file with something in it is such a result.

    Raises:
        UserError: a link, a folder or a device is there, or a file of anybody else's.
    """
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise UserError(f"output={path}: is a link, a folder or a device; name a file")
    if path.is_file() and path.stat().st_size > 0 and not ours(path):
        raise UserError(
            f"output={path}: holds something that this command did not write; choose another file, or remove that one"
        )


def write_target(target: str, text: str) -> None:
    """Write to a file in one step, where a link leads to the file that it names; to a device or a pipe directly."""
    path = Path(target).resolve()
    if path.exists() and not stat.S_ISREG(path.stat().st_mode):
        with path.open("w", encoding="utf-8") as device:
            device.write(text)
    else:
        write_whole(path, text)
