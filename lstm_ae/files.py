"""Write files so that whoever looks sees the old file or the new one, never a part of it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write a file through a function of your own: `with replacing(path) as temporary: torch.save(state, temporary)`.

    Yields a path in the same folder and with the same suffix. It replaces `path` when the block ends; when the block
    raises, it is removed and `path` stays as it was.
    """
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file in one step: text (as UTF-8) or bytes."""
    encoded = content.encode() if isinstance(content, str) else content
    with replacing(path) as temporary:
        temporary.write_bytes(encoded)
