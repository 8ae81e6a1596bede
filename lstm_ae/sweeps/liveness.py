"""Who is alive in a study: the signs that a worker gives, and how others read them."""

import logging
import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial

from lstm_ae.runs.directory import RunDirectory
from lstm_ae.runs.lock import hold, is_locked
from lstm_ae.sweeps.shortlist import is_paused

HEARTBEAT = 20  # seconds between two signs of life
SILENCE = 180  # seconds without one after which a worker on another machine counts as dead

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Worker:
    """The process that runs a trial, as the trial's attribute `worker` says."""

    machine: str
    pid: int
    lock: str  # path of the file that it keeps locked while it lives
    supervisor: str  # path of the file that the process which started it keeps locked


def machine() -> str:
    """A name for this machine since it was last booted."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        boot = ""
    return f"{socket.gethostname()} {boot}"


@contextmanager
def alive_lock(directory: Path) -> Iterator[Path]:
    """Keep a new file under `directory` locked during the block, or until this process dies."""
    folder = directory / ".workers"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
    with hold(path):
        yield path


def is_alive(trial: FrozenTrial, directory: Path) -> bool:
    """Whether the process of a running trial still lives. Call it only inside `exclusive`.

    Args:
        trial: a running one.
        directory: of the sweep.
    """
    if is_paused(trial):
        return True  # it needs none
    if "worker" not in trial.user_attrs:
        return False  # whoever created it died before it left `exclusive`
    worker = Worker(**trial.user_attrs["worker"])
    if is_locked(RunDirectory(directory / trial.user_attrs["directory"]).lock):
        return True  # the job itself, wherever its launcher sent it
    if worker.machine == machine():
        # While its supervisor lives, that one decides about a dead worker's trial: queued again, the trial might kill
        # the next worker as well.
        return is_locked(Path(worker.lock)) or is_locked(Path(worker.supervisor))
    return time.time() - trial.user_attrs.get("heartbeat", 0) < SILENCE


class Heartbeat(threading.Thread):
    """A thread that gives signs of life for the worker's trial and stops the worker when its supervisor is gone.

    Without the latter, a search whose supervisor was killed would go on unseen beside the one started in its place.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.trial: optuna.Trial | None = None  # the one that the worker is at
        self._supervisor = os.getppid()
        self._done = threading.Event()

    def __enter__(self) -> "Heartbeat":
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._done.set()
        self.join()

    def run(self) -> None:
        """Look around once a second until the block ends."""
        last = time.monotonic()
        while not self._done.wait(1):
            if os.getppid() != self._supervisor:
                os.kill(os.getpid(), signal.SIGTERM)
                return
            trial = self.trial
            if trial is not None and time.monotonic() - last > HEARTBEAT:
                last = time.monotonic()
                try:
                    trial.set_user_attr("heartbeat", time.time())
                except Exception as error:  # it has just finished, or the storage is busy: the next one will do
                    log.debug("no heartbeat: %s", error)
