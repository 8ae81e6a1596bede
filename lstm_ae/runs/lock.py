"""Lock files: who is at work in a directory. The system lets go of a lock when its process dies, however it dies."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

POLL = 0.02  # seconds between two tries


@contextmanager
def hold(path: Path, wait: float = 1) -> Iterator[None]:
    """Hold the lock file `path` for this process; it is made if it is missing, and removed at the end.

    Args:
        path: the lock file; its folder must exist.
        wait: seconds to wait for another process that holds it; -1: as long as it takes. Waiting a moment keeps
            `is_locked`, which holds the lock for an instant, from stopping a process that starts.

    Raises:
        filelock.Timeout: another process still holds it.
    """
    with FileLock(path, timeout=wait, poll_interval=POLL):
        try:
            yield
        finally:
            with suppress(OSError):  # Windows removes no open file
                path.unlink()


def is_locked(path: Path) -> bool:
    """Whether a living process holds the lock file `path`."""
    if not path.is_file():
        return False
    try:
        with hold(path, wait=0):
            return False
    except Timeout:
        return True
