"""Write files so that whoever looks sees the old file or the new one, never a part of it."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

HALF = re.compile(r"\.\d+\..")  # how the name of a file begins that is being written


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write a file through a function of your own: `with replacing(path) as temporary: image.save(temporary)`.

    Yields a path in the same folder and with the same suffix. When the block ends it is on the disk before it replaces
    `path`, so that a power cut cannot leave an empty file under that name; when the block raises, it is removed and
    `path` stays as it was. A symbolic link at `path` is replaced, not followed.
    """
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    temporary.unlink(missing_ok=True)  # a link that somebody has put there would be followed
    try:
        yield temporary
        _to_disk(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    with suppress(OSError):  # not every file system can do this for a folder
        _to_disk(path.parent)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file in one step: text (as UTF-8) or bytes."""
    encoded = content.encode() if isinstance(content, str) else content
    with replacing(path) as temporary:
        temporary.write_bytes(encoded)


def remove_halves(folder: Path) -> None:
    """Remove what a process that was killed had begun to write in or below `folder`; nobody may be writing there."""
    for path in folder.rglob(".*"):
        if HALF.match(path.name) and path.is_file():
            path.unlink(missing_ok=True)


def _to_disk(path: Path) -> None:
    """Wait until what was written to a file, or into a folder, is on the disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
