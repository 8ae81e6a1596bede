"""A worker of a search: take a trial, launch its job, record what became of it; and again until no trial is left."""

import logging
import math
import os
import time
from collections.abc import Sequence

import optuna
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from optuna.trial import TrialState

from lstm_ae.console import stop_on_signals
from lstm_ae.errors import Pruned, UserError
from lstm_ae.runs.directory import RunDirectory
from lstm_ae.runs.resume import quoted
from lstm_ae.sweeps.claiming import claim, is_unfinished
from lstm_ae.sweeps.cost import cpu_clock
from lstm_ae.sweeps.liveness import Heartbeat, Worker, alive_lock, machine
from lstm_ae.sweeps.search import Search, job_overrides
from lstm_ae.sweeps.trial import PRUNED, STUDY, TRIAL

WAIT = 1.0  # seconds between two looks for a trial that may go on

log = logging.getLogger(__name__)


def work(search: Search, launcher: Launcher, supervisor: str) -> None:
    """Work on the study of `search` until no trial is left.

    Args:
        search: what to work on.
        launcher: launches the jobs.
        supervisor: the lock file of the process that started this one.
    """
    stop_on_signals()
    study = search.open()
    counted = 0.0  # of this process's CPU seconds, those that a trial has been charged with
    with alive_lock(search.directory) as lock, Heartbeat() as heartbeat:
        worker = Worker(machine(), os.getpid(), str(lock), supervisor)
        while (trial := claim(study, search, worker)) is not None or is_unfinished(study, search):
            if trial is None:  # others are at work on the trials that decide which ones go on
                time.sleep(WAIT)
                continue
            heartbeat.trial = trial
            try:
                (result,) = launcher.launch([overrides_of(trial, search, launcher)], initial_job_idx=trial.number)
                before, counted = counted, cpu_clock()
                trial.set_user_attr("cpu_seconds", trial.user_attrs.get("cpu_seconds", 0.0) + counted - before)
                record(study, trial, result, len(search.metrics), pauses=search.shortlist is not None)
            except Exception as error:  # the launcher's own: its process died, or the queue refused the job
                fail(study, trial, f"the launcher: {type(error).__name__}: {error}")
            finally:
                heartbeat.trial = None


def overrides_of(trial: optuna.Trial, search: Search, launcher: Launcher) -> list[str]:
    """The overrides of a trial's job. Those that begin with `hydra.` stay out of the run's `overrides.yaml`."""
    directory = RunDirectory(search.directory / trial.user_attrs["directory"])
    overrides = job_overrides(trial.params, search.overrides)
    if search.config.get("threads", 0) is None and search.n_jobs > 1 and not sends_jobs_away(launcher):
        overrides.append(f"threads={max(1, (os.cpu_count() or 1) // search.n_jobs)}")
    if "resume" in search.config and directory.can_resume():
        overrides.append(f"resume={quoted(directory.path)}")
    if (directory.config.parent / "overrides.yaml").is_file():  # Hydra writes it last, so its other files are whole
        overrides.append("hydra.output_subdir=null")
    return [
        *overrides,
        f"hydra.sweep.dir={quoted(search.directory)}",
        f"hydra.sweep.subdir={quoted(trial.user_attrs['directory'])}",
        f"++hydra.job.env_set.{STUDY}={quoted(search.name)}",
        f"++hydra.job.env_set.{TRIAL}='{trial.number}'",
    ]


def sends_jobs_away(launcher: Launcher) -> bool:
    """Whether the jobs run on other machines, where the launcher knows how many cores they have."""
    try:
        from hydra_plugins.hydra_submitit_launcher.submitit_launcher import SlurmLauncher  # an optional package
    except ImportError:
        return False
    return isinstance(launcher, SlurmLauncher)


def record(study: optuna.Study, trial: optuna.Trial, result: JobReturn, count: int, pauses: bool = False) -> None:
    """Write the outcome of a trial into the study: its values, that it was pruned or paused, or why it failed.

    Args:
        study: of the trial.
        trial: the one that the job was launched for.
        result: of the job.
        count: how many values it must have returned.
        pauses: whether a job that a pruner has ended is only paused.
    """
    try:
        returned = result.return_value
    except (Pruned, optuna.TrialPruned):
        returned = PRUNED
    except Exception as error:
        fail(study, trial, str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}")
        return
    if isinstance(returned, str) and returned == PRUNED:
        if pauses:
            trial.set_user_attr("paused", True)
        else:
            study.tell(trial, state=TrialState.PRUNED, skip_if_finished=True)
        return
    try:
        values = [float(value) for value in (returned if isinstance(returned, Sequence) else [returned])]
    except (TypeError, ValueError):
        values = []
    if len(values) != count or not all(map(math.isfinite, values)):
        fail(study, trial, f"the job returned {returned}, not {count} finite number(s)")
        return
    study.tell(trial, values, skip_if_finished=True)


def fail(study: optuna.Study, trial: optuna.Trial, reason: str) -> None:
    """Write into the study that a trial failed, and why."""
    log.error("trial %d failed: %s", trial.number, reason)
    trial.set_user_attr("reason", reason)
    study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)
