"""Signals that end a run. They are noted at once, and a run looks at the note after every batch."""

import signal
import time
from types import FrameType

from lstm_ae.errors import Stopped

NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # Ctrl-C, a polite kill, and a connection that is dropped
BURST = 1.0  # seconds; signals that follow each other this closely ask for the same thing

_asked: int | None = None
_at_once = True
_raised = -BURST


def stop_on_signals(at_once: bool = True) -> None:
    """From now on SIGINT, SIGTERM and SIGHUP end what runs here with `Stopped`.

    An exception in the middle of an import leaves half a module behind, and one in a destructor is swallowed. So the
    signal is noted first, and raised at once only where nothing is being imported; `stop_if_asked` does the rest.
    A program that was started with nohup goes on when its terminal is closed.

    Args:
        at_once: False: note signals only, as long as nobody would catch the exception.
    """
    global _at_once
    _at_once = at_once
    for name in NAMES:
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and not (name == "SIGHUP" and signal.getsignal(number) == signal.SIG_IGN):
            signal.signal(number, _note)


def stop_if_asked() -> None:
    """Raise `Stopped` if a signal has asked for it: called where a run can stop without losing anything."""
    global _asked
    if _asked is not None:
        number, _asked = _asked, None
        raise Stopped(number)


def forget() -> None:
    """Drop the note: who asked has been obeyed."""
    global _asked
    _asked = None


def _note(number: int, frame: FrameType | None) -> None:
    """What the system calls."""
    global _asked, _raised
    _asked = number
    if _at_once and not _importing(frame) and time.monotonic() - _raised > BURST:
        _raised = time.monotonic()
        raise Stopped(number)


def _importing(frame: FrameType | None) -> bool:
    """Whether the signal came in the middle of an import."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
