"""Signals: noted wherever they come, raised where that does no harm."""

import os
import signal
import sys

import pytest

from lstm_ae import stopping
from lstm_ae.errors import Stopped


@pytest.fixture(autouse=True)
def own_handlers(monkeypatch):
    """Every test begins without a note, and leaves the handlers as they were."""
    before = {name: signal.getsignal(getattr(signal, name)) for name in stopping.NAMES}
    monkeypatch.setattr(stopping, "_asked", None)
    monkeypatch.setattr(stopping, "_raised", -stopping.BURST)
    yield
    for name, handler in before.items():
        signal.signal(getattr(signal, name), handler)


def send(number):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_an_exception(number):
    stopping.stop_on_signals()
    with pytest.raises(Stopped) as stopped:
        send(number)
    assert stopped.value.exit_code == 128 + number


def test_in_an_import_it_is_only_noted(tmp_path, monkeypatch):
    text = "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\nwhole = True\n"
    (tmp_path / "slow_to_import.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    stopping.stop_on_signals()
    import slow_to_import

    assert slow_to_import.whole
    with pytest.raises(Stopped):
        stopping.stop_if_asked()
    stopping.stop_if_asked()  # once is enough
    del sys.modules["slow_to_import"]


def test_what_a_destructor_swallows_is_still_noted():
    class Slow:
        def __del__(self):
            send(signal.SIGTERM)

    stopping.stop_on_signals()
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        Slow()
    finally:
        sys.unraisablehook = hook
    with pytest.raises(Stopped):
        stopping.stop_if_asked()


def test_signals_that_come_together_are_one():
    stopping.stop_on_signals()
    with pytest.raises(Stopped):
        send(signal.SIGHUP)
    send(signal.SIGTERM)  # while the first one is being obeyed
    stopping.forget()
    stopping.stop_if_asked()


def test_before_anybody_would_catch_it_it_is_only_noted():
    stopping.stop_on_signals(at_once=False)
    send(signal.SIGINT)
    with pytest.raises(Stopped):
        stopping.stop_if_asked()


def test_nohup_is_respected():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    stopping.stop_on_signals()
    send(signal.SIGHUP)
    stopping.stop_if_asked()
