"""Locks: one holder at a time, let go when the holder dies, and asking about one disturbs nobody."""

import subprocess
import sys
import threading

import pytest
from filelock import Timeout

from lstm_ae.runs.lock import hold, is_locked

HOLDER = """
import sys, time
from pathlib import Path
from lstm_ae.runs.lock import hold
with hold(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_held_and_let_go(tmp_path):
    path = tmp_path / ".lock"
    assert not is_locked(path)
    with hold(path):
        assert is_locked(path)
        with pytest.raises(Timeout), hold(path, wait=0.05):
            pass
        assert is_locked(path)
    assert not is_locked(path)
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_a_killed_process_is_free(tmp_path):
    path = tmp_path / ".lock"
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"held\n"
    assert is_locked(path)
    process.kill()
    process.communicate()
    assert path.is_file()
    assert not is_locked(path)
    with hold(path, wait=0):
        pass


def test_a_start_succeeds_while_others_ask_whether_it_is_locked(tmp_path):
    path = tmp_path / ".lock"
    ended = threading.Event()

    def ask():
        while not ended.is_set():
            path.touch()
            is_locked(path)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for _ in range(200):
            with hold(path):
                pass
    finally:
        ended.set()
        asking.join()
