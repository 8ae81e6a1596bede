"""What the commands share: where the configs are, and how a mistake is told."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from lstm_ae.errors import Stopped, UserError

CONF = str(Path(__file__).resolve().parents[1] / "conf")
FULL_ERROR = "HYDRA_FULL_ERROR"

_claimed: dict[str, str] = {}


def unclaimed(path: str) -> str:
    """`path`, made as a new directory; `path-2`, `path-3`, ... if somebody has it already.

    Making the directory is the claim: no two runs get the same one, however close they start. Within a process the
    answer for a path stays the same.
    """
    number = 1
    while path not in _claimed:
        candidate = path if number == 1 else f"{path}-{number}"
        Path(candidate).parent.mkdir(parents=True, exist_ok=True)
        try:
            Path(candidate).mkdir()
            _claimed[path] = candidate
        except FileExistsError:
            number += 1
    return _claimed[path]


def sweep_directory(of_search: str | None, study_name: str | None, otherwise: str) -> str:
    """The directory of a sweep: a search's own, where the same command continues it, or a new one for a plain sweep."""
    return of_search or unclaimed(otherwise if study_name is None else f"multirun/{study_name}")


OmegaConf.register_resolver("sweep_directory", sweep_directory, use_cache=True, replace=True)
OmegaConf.register_resolver("unclaimed", unclaimed, use_cache=True, replace=True)


def stop_on_signals() -> None:
    """From now on SIGINT and SIGTERM raise `Stopped`; files are written whole, so a run loses the epoch at most."""

    def stop(signal_number: int, frame: object) -> None:
        raise Stopped(signal_number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


def run_command(command: Callable[[], object]) -> None:
    """Run a `hydra.main` function as a program: what the user can mend ends in a few lines and exit code 1.

    HYDRA_FULL_ERROR=1 shows the traceback instead.
    """
    asked = os.environ.get(FULL_ERROR)
    os.environ[FULL_ERROR] = "1"  # Hydra then raises instead of printing, and everything is told here, in one voice
    try:
        command()
    except Stopped as stopped:
        sys.exit(stopped.exit_code)
    except BrokenPipeError:  # whoever read our output (head, a pager) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (UserError, HydraException, OmegaConfBaseException, OSError) as error:
        if asked == "1":
            raise
        sys.exit(explain(error))
    finally:
        if asked is None:
            del os.environ[FULL_ERROR]


def explain(error: Exception) -> str:
    """The lines a user gets to read for `error`."""
    if isinstance(error, UserError):
        return f"error: {error}"
    if isinstance(error.__cause__, UserError):
        return f"error: {error.__cause__}"
    if isinstance(error, OSError) and not isinstance(error, HydraException):
        return f"error: {error.filename or 'the output directory'} cannot be written or read: {error.strerror or error}"
    text = str(error).split("\nConfig search path:")[0]
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("To append to your config")]
    cause = error.__cause__
    if isinstance(cause, OmegaConfBaseException):
        lines += [line for line in str(cause).splitlines() if "object_type" not in line]
        if cause.parent_node is not None and hasattr(cause.parent_node, "keys"):
            lines.append("Accepted here: " + ", ".join(sorted(map(str, cause.parent_node.keys()))))
    return "error: " + "\n".join(lines)
