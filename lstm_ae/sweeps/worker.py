"""A worker of a search: take a trial, launch its job, tell the study what became of it; again until there is none."""

import logging
import math
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from optuna.trial import TrialState

from lstm_ae.console import stop_on_signals
from lstm_ae.errors import UserError
from lstm_ae.runs.directory import RunDirectory
from lstm_ae.sweeps.search import Search, job_overrides
from lstm_ae.sweeps.study import HEARTBEAT, alive_lock, claim, machine
from lstm_ae.sweeps.trial import PRUNED, STUDY, TRIAL

log = logging.getLogger(__name__)


def work(search: Search, launcher: Launcher, parent: str) -> None:
    """Work on the study of `search` until it needs no more trials; `parent` is the lock file of who started this."""
    stop_on_signals()
    study = search.open()
    with alive_lock(search.directory) as lock, watching() as pulse:
        owner = {"machine": machine(), "pid": os.getpid(), "lock": str(lock), "parent": parent}
        while (trial := claim(study, search, owner)) is not None:
            pulse.trial = trial
            try:
                (result,) = launcher.launch([overrides_of(trial, search)], initial_job_idx=trial.number)
                tell(study, trial, result, len(search.monitors))
            except Exception as error:  # the launcher's own: its process died, or the queue refused the job
                fail(study, trial, f"the launcher: {type(error).__name__}: {error}")
            finally:
                pulse.trial = None


def overrides_of(trial: optuna.Trial, search: Search) -> list[str]:
    """The overrides of a trial's job; those that begin with `hydra.` stay out of the run's `overrides.yaml`."""
    directory = RunDirectory(search.directory / trial.user_attrs["directory"])
    overrides = job_overrides(trial.params, search.overrides)
    # A launcher that sends jobs elsewhere knows how many cores they get there.
    if search.config.threads is None and search.n_jobs > 1 and "slurm" not in search.config.hydra.launcher._target_:
        overrides.append(f"threads={max(1, (os.cpu_count() or 1) // search.n_jobs)}")
    if directory.can_resume():
        overrides.append(f"resume={quoted(directory.path)}")
    if (directory.config.parent / "overrides.yaml").is_file():  # Hydra's last: the others are whole
        overrides.append("hydra.output_subdir=null")
    return [
        *overrides,
        f"hydra.sweep.dir={quoted(search.directory)}",
        f"hydra.sweep.subdir={quoted(trial.user_attrs['directory'])}",
        f"++hydra.job.env_set.{STUDY}={quoted(search.name)}",
        f"++hydra.job.env_set.{TRIAL}='{trial._trial_id}'",
    ]


def tell(study: optuna.Study, trial: optuna.Trial, result: JobReturn, objectives: int) -> None:
    """Record what a job returned: values, pruned, or a failure with its reason."""
    try:
        returned = result.return_value
    except Exception as error:
        fail(study, trial, str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}")
        return
    if returned == PRUNED:
        study.tell(trial, state=TrialState.PRUNED, skip_if_finished=True)
        return
    values = list(returned) if isinstance(returned, list | tuple) else [returned]
    if len(values) != objectives or not all(isinstance(v, int | float) and math.isfinite(v) for v in values):
        fail(study, trial, f"the job returned {returned}, not {objectives} finite number(s)")
        return
    study.tell(trial, values, skip_if_finished=True)


def fail(study: optuna.Study, trial: optuna.Trial, reason: str) -> None:
    """Record a failure."""
    log.error("trial %d failed: %s", trial.number, reason)
    trial.set_user_attr("reason", reason)
    study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)


class Pulse:
    """The trial that a worker is at, for the thread that gives signs of life."""

    trial: optuna.Trial | None = None


@contextmanager
def watching() -> Iterator[Pulse]:
    """Beside the block: signs of life for its trial, and an end to this process when the one that started it is gone.

    Without that end, a search whose parent was killed would go on unseen beside the one that is started in its place.
    """
    pulse, parent, done = Pulse(), os.getppid(), threading.Event()

    def watch() -> None:
        beat = time.monotonic()
        while not done.wait(1):
            if os.getppid() != parent:
                os.kill(os.getpid(), signal.SIGTERM)
                return
            trial = pulse.trial
            if trial is not None and time.monotonic() - beat > HEARTBEAT:
                beat = time.monotonic()
                try:
                    trial.set_user_attr("heartbeat", time.time())
                except Exception as error:  # finished meanwhile, or the storage is busy: the next one will do
                    log.debug("no heartbeat: %s", error)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield pulse
    finally:
        done.set()
        thread.join()


def quoted(value: str | Path) -> str:
    """A text as Hydra's overrides take it."""
    return QuotedString(str(value), Quote.single).with_quotes()


def describe(returncode: int) -> str:
    """How a worker ended, in words."""
    if returncode == -signal.SIGKILL:
        return "its process was killed (signal 9: out of memory, or kill -9)"
    if returncode < 0:
        return f"its process was ended by {signal.Signals(-returncode).name}"
    return f"its process ended with exit code {returncode}"
