"""Whether somebody is at work in a run directory."""

import fcntl
from pathlib import Path


def is_locked(path: Path) -> bool:
    """Whether a living process holds the lock file `path`."""
    try:
        with path.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
