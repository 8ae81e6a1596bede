"""Where a table may be written: into a new file, into one of ours, or through to a device; over nothing else."""

import re
import stat
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


def write_target(target: str, text: str) -> None:
    """Write to a file in one step, where a link leads to the file that it names; to a device or a pipe directly."""
    path = Path(target).resolve()
    if path.exists() and not stat.S_ISREG(path.stat().st_mode):
        with path.open("w", encoding="utf-8") as device:
            device.write(text)
    else:
        write_whole(path, text)
