"""What a worker makes of what a job returns, and which overrides a job gets."""

from dataclasses import replace

import numpy
import optuna
import pytest
from hydra.core.utils import JobReturn, JobStatus
from optuna.trial import TrialState

from lstm_ae.errors import ConfigError, Pruned
from lstm_ae.sweeps.worker import overrides_of, record


@pytest.mark.parametrize(
    ("status", "returned", "count", "state"),
    [
        (JobStatus.COMPLETED, 0.5, 1, TrialState.COMPLETE),
        (JobStatus.COMPLETED, numpy.float32(0.5), 1, TrialState.COMPLETE),
        (JobStatus.COMPLETED, [0.5, 2], 2, TrialState.COMPLETE),
        (JobStatus.COMPLETED, "pruned", 1, TrialState.PRUNED),
        (JobStatus.FAILED, Pruned("enough"), 1, TrialState.PRUNED),
        (JobStatus.FAILED, optuna.TrialPruned(), 1, TrialState.PRUNED),
        (JobStatus.COMPLETED, None, 1, TrialState.FAIL),
        (JobStatus.COMPLETED, float("nan"), 1, TrialState.FAIL),
        (JobStatus.COMPLETED, [0.5], 2, TrialState.FAIL),
        (JobStatus.COMPLETED, "0.5 or so", 1, TrialState.FAIL),
        (JobStatus.FAILED, ConfigError("x", 1, "must be 2"), 1, TrialState.FAIL),
    ],
)
def test_the_outcome_of_a_job_is_recorded(status, returned, count, state):
    study = optuna.create_study(directions=["minimize"] * count)
    job = JobReturn(status=status)
    job.return_value = returned
    record(study, study.ask(), job, count)
    assert study.trials[0].state == state
    if state == TrialState.FAIL:
        assert study.trials[0].user_attrs["reason"]


def test_jobs_side_by_side_share_the_cores_unless_they_run_elsewhere(search, monkeypatch):
    submitit = pytest.importorskip("hydra_plugins.hydra_submitit_launcher.submitit_launcher")
    monkeypatch.setattr("os.cpu_count", lambda: 12)

    def threads(found, launcher=None):
        trial = optuna.create_study().ask(found.space)
        trial.set_user_attr("directory", "0")
        given = [override for override in overrides_of(trial, found, launcher) if override.startswith("threads=")]
        return given[-1] if given else None

    grid = ["sweep=grid", "model.hidden_size=2,3"]
    assert threads(search(*grid)) is None
    assert threads(search(*grid, "workers=3")) == "threads=4"
    assert threads(search(*grid, "workers=3", "threads=2")) == "threads=2"
    assert threads(search(*grid, "workers=3"), submitit.SlurmLauncher()) is None
    assert threads(search(*grid, "workers=3"), submitit.LocalLauncher()) == "threads=4"
    foreign = search(*grid, "workers=3")
    foreign = replace(foreign, config=foreign.config.__class__({"x": 1}))
    assert threads(foreign) is None
