"""What the commands share: where the configs are, and how a mistake is told."""

import logging
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from lstm_ae.config import ALLOW
from lstm_ae.errors import ConfigError, Stopped, UserError
from lstm_ae.stopping import forget, stop_if_asked, stop_on_signals

FULL_ERROR = "HYDRA_FULL_ERROR"


def sweep_directory(of_search: str | None, study_name: str | None, otherwise: str) -> str:
    """The directory of a sweep: a search's own, where the same command continues it, or that of a plain sweep."""
    if study_name is not None and not re.fullmatch(r"\w[\w.-]*", str(study_name)):
        raise ConfigError("study_name", study_name, "must be a name of letters, numbers, '_', '-' and '.'")
    return of_search or (otherwise if study_name is None else f"multirun/{study_name}")


# A name and no more: a saved config is read as well, and reading one must not touch the disk.
OmegaConf.register_resolver("sweep_directory", sweep_directory, use_cache=True, replace=True)


def run_command(command: Callable[[], object]) -> None:
    """Run a `hydra.main` function as a program: what the user can mend ends in a few lines and exit code 1.

    HYDRA_FULL_ERROR=1 shows the traceback instead.
    """
    asked = os.environ.get(FULL_ERROR)
    os.environ[FULL_ERROR] = "1"  # Hydra then raises instead of printing, and everything is told here, in one voice
    logging.raiseExceptions = False  # a full disk or a closed pipe is told once, not by each line of the log
    sys.argv[1:] = allow_user_code(sys.argv[1:])
    try:
        stop_on_signals()
        stop_if_asked()
        command()
        sys.stdout.flush()
    except KeyboardInterrupt as stopped:
        forget()
        print("stopped", file=sys.stderr)
        sys.exit(stopped.exit_code if isinstance(stopped, Stopped) else 130)
    except BrokenPipeError:  # whoever read our output (head, a pager) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (UserError, HydraException, OmegaConfBaseException, OSError, MemoryError, RecursionError) as error:
        if asked == "1":
            raise
        sys.exit(explain(error))
    except (ValueError, TypeError, AttributeError, KeyError, IndexError) as error:
        if asked == "1" or not in_composition(error):
            raise
        given = " ".join(sys.argv[1:])
        sys.exit(f"error: these overrides do not fit the configs ({type(error).__name__}: {error}): {given}"[:1000])
    except SystemExit as end:
        if isinstance(end.__cause__, Exception) and asked != "1":  # a refusal by a callback of Hydra's
            sys.exit(explain(end.__cause__))
        raise
    finally:
        if asked is None:
            del os.environ[FULL_ERROR]


def in_composition(error: Exception) -> bool:
    """Whether Hydra raised `error` while it was composing a config, from what the command line gave it."""
    frames = traceback.walk_tb(error.__traceback__)
    return any(Path(frame.f_code.co_filename).name == "config_loader_impl.py" for frame, _ in frames)


def explain(error: Exception) -> str:
    """The lines that a user gets to read for `error`."""
    if isinstance(error, UserError):
        return f"error: {error}"
    if isinstance(error.__cause__, UserError):
        return f"error: {error.__cause__}"
    if isinstance(error, MemoryError):
        return "error: the memory is full; a smaller model, data set or batch_size needs less"
    if isinstance(error, RecursionError):
        return "error: something in the config or on the command line is nested too deeply"
    if isinstance(error, OSError) and not isinstance(error, HydraException):
        return f"error: {error.filename or 'the output directory'} cannot be written or read: {error.strerror or error}"
    text = str(error).split("\nConfig search path:")[0]
    unsaid = ("To append to your config", "    object_type=")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith(unsaid)]
    cause = error.__cause__
    if isinstance(cause, OmegaConfBaseException):
        lines += [line for line in str(cause).splitlines() if "object_type" not in line]
        if cause.parent_node is not None and hasattr(cause.parent_node, "keys"):
            lines.append(f"Did you mean {' or '.join(near)}?" if (near := full_keys(cause)) else
                         "Accepted here: " + ", ".join(sorted(map(str, cause.parent_node.keys()))))  # fmt: skip
    return "error: " + "\n".join(lines)


def full_keys(error: OmegaConfBaseException) -> list[str]:
    """The keys further down in the config that end in the unknown key, the shortest first: model.hidden_size.

    Keys nearly like it among those beside it come first.
    """

    def below(node: Any, prefix: str) -> Iterator[str]:
        for name in map(str, node) if isinstance(node, DictConfig) else ():
            yield f"{prefix}{name}"
            yield from below(node._get_node(name), f"{prefix}{name}.")

    parent, unknown = error.parent_node, str(error.key)
    prefix = f"{parent._get_full_key('')}." if parent._get_full_key("") else ""
    found = [key for key in below(parent, prefix) if key.endswith(f".{unknown}")]
    near = [f"{prefix}{name}" for name in get_close_matches(unknown, map(str, parent), n=2, cutoff=0.8)]
    return [*near, *sorted(found, key=lambda key: key.count("."))][:3]


class TerminalFormatter(logging.Formatter):
    """What a person at a terminal reads: the message alone, or its shorter form if the record brings one."""

    def format(self, record: logging.LogRecord) -> str:
        """A record's `terminal` attribute in place of its message; the level in front from warnings on."""
        message = getattr(record, "terminal", None) or record.getMessage()
        return message if record.levelno < logging.WARNING else f"{record.levelname.lower()}: {message}"


def write_for_terminals() -> None:
    """From now on, log handlers that write to a terminal use `TerminalFormatter`; files and pipes stay as they are."""
    for handler in logging.getLogger().handlers:
        if type(handler) is logging.StreamHandler and handler.stream.isatty():
            handler.setFormatter(TerminalFormatter())


def allow_user_code(arguments: list[str]) -> list[str]:
    """Take `allow=MODULES` out of a command line and allow configs to name parts in these modules of the user's own.

    The permission is kept in the environment, where the processes of a sweep find it, and never in a run directory.
    Modules beside the command are found, as Python finds them for `python -m`.
    """
    given = [argument.removeprefix("allow=") for argument in arguments if argument.startswith("allow=")]
    if given:
        known = [os.environ[ALLOW]] if os.environ.get(ALLOW) else []
        os.environ[ALLOW] = ",".join([*known, *given])
    if os.environ.get(ALLOW) and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    return [argument for argument in arguments if not argument.startswith("allow=")]
