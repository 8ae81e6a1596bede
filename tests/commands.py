"""Run the project's commands as a user does, on tiny settings."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TINY = (
    "dataset.num_sequences=60",
    "dataset.length=8",
    "dataset.dip_length=2",
    "dataset.dip_center=[3,4]",
    "trainer.max_epochs=2",
    "threads=1",
)
TINY_SYNTHETIC = (*TINY, "model.hidden_size=3")
TINY_DIGITS = ("dataset=digits_rows", "model=classifier", "model.hidden_size=4", "dataset.num_train=64", "threads=1")


def environment(**extra: str) -> dict[str, str]:
    """The environment of a command: this checkout's package, whatever is installed, and one thread."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **extra}


def words(command: str, *arguments: str) -> list[str]:
    """`python -m lstm_ae.COMMAND ARGUMENTS` with the Python of these tests."""
    return [sys.executable, "-m", f"lstm_ae.{command}", *arguments]


def run(command: str, *arguments: str, cwd: Path, **extra: str) -> subprocess.CompletedProcess:
    """Run `python -m lstm_ae.COMMAND ARGUMENTS` in `cwd` to its end, its output captured."""
    return subprocess.run(
        words(command, *arguments), cwd=cwd, env=environment(**extra), capture_output=True, text=True, timeout=400
    )


def train(*arguments: str, cwd: Path, directory: str = "run", **extra: str) -> Path:
    """Train into `cwd`/`directory` and return it; the command must succeed."""
    done = run("train", *arguments, f"hydra.run.dir='{directory}'", cwd=cwd, **extra)
    assert done.returncode == 0, done.stderr
    return cwd / directory


def start(
    *arguments: str, cwd: Path, stdout: int = subprocess.DEVNULL, stderr: int = subprocess.PIPE, **extra: str
) -> subprocess.Popen:
    """Start `python -m lstm_ae.train ARGUMENTS` in `cwd` and leave it running."""
    return subprocess.Popen(
        words("train", *arguments), cwd=cwd, env=environment(**extra), stdout=stdout, stderr=stderr, text=True
    )


def wait_for(condition: Callable[[], bool], seconds: float = 240) -> None:
    """Poll until `condition()` holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def finish(process: subprocess.Popen, number: signal.Signals) -> tuple[int, str]:
    """Send a signal, wait for the end, and return the exit code and standard error."""
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors


def call(command: Callable[[], None], arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    """A command's `main` in this process, for mistakes: the exit code and its last words."""
    monkeypatch.setattr(sys, "argv", ["command", *arguments])
    with pytest.raises(SystemExit) as ended:
        command()
    return (ended.value.code, "") if isinstance(ended.value.code, int) else (1, str(ended.value.code))
