"""Lock files: who is at work in a directory. The system lets go of a lock when its process dies, however it dies."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

POLL = 0.02  # seconds between two tries
PATIENCE = 1.0  # seconds

_taken: dict[Path, FileLock] = {}  # locks that this process took before the work began


def take(path: Path) -> None:
    """Take the lock file `path` for this process now; the next `hold` of it, which does the work, lets go of it.

    Raises:
        filelock.Timeout: another process holds it.
    """
    lock = FileLock(path, timeout=PATIENCE, poll_interval=POLL)
    lock.acquire()
    _taken[path] = lock


def let_go(path: Path) -> None:
    """Let go of a lock that `take` took, and remove its file."""
    if path in _taken:
        _release(_taken.pop(path), path)


@contextmanager
def hold(path: Path, wait: float = PATIENCE) -> Iterator[None]:
    """Hold the lock file `path` for this process; it is made if it is missing, and removed at the end.

    Args:
        path: the lock file; its folder must exist.
        wait: seconds to wait for another process that holds it; -1: as long as it takes. Waiting a moment keeps
            `is_locked`, which holds the lock for an instant, from stopping a process that starts.

    Raises:
        filelock.Timeout: another process still holds it.
    """
    lock = _taken.pop(path, None) or FileLock(path, timeout=wait, poll_interval=POLL)
    if not lock.is_locked:
        lock.acquire()
    try:
        yield
    finally:
        _release(lock, path)


def is_locked(path: Path) -> bool:
    """Whether a living process holds the lock file `path`."""
    if not path.is_file():
        return False
    try:
        with hold(path, wait=0):
            return False
    except Timeout:
        return True


def _release(lock: FileLock, path: Path) -> None:
    """Remove the file while it is still ours, then let go."""
    with suppress(OSError):  # Windows removes no open file, and a disk may have become read-only
        path.unlink()
    lock.release()
