"""What becomes of the trial of a worker that ends before it."""

import signal
from types import SimpleNamespace

import pytest
from optuna.trial import TrialState

from lstm_ae.runs.directory import RunDirectory
from lstm_ae.sweeps.claiming import claim
from lstm_ae.sweeps.liveness import Worker, alive_lock, machine
from lstm_ae.sweeps.supervisor import Workers

GRID = ["sweep=grid", "study_name=shared", "model.hidden_size=2,3"]


@pytest.mark.parametrize(
    ("ends", "deaths", "failed"),
    [
        ([-signal.SIGTERM, 128 + signal.SIGTERM, 128 + signal.SIGINT, -signal.SIGHUP], 0, False),
        ([-signal.SIGKILL, -signal.SIGKILL], 2, False),
        ([-signal.SIGKILL, 128 + signal.SIGTERM, 1, -signal.SIGSEGV], 3, True),
    ],
)
def test_a_worker_that_ends_gives_its_trial_back_unless_that_may_be_what_kills_workers(
    search, tmp_path, ends, deaths, failed
):
    found = search(*GRID)
    study = found.open()
    with alive_lock(tmp_path) as lock, (tmp_path / "workers.log").open("w") as output:
        workers = Workers(found, study, lock, output)
        for pid, code in enumerate(ends):
            trial = claim(study, found, Worker(machine(), pid, str(lock), str(lock)))
            assert trial.params == {"model.hidden_size": 2}
            workers._settle_trial_of(SimpleNamespace(pid=pid, returncode=code))
    last = study.trials[-1]
    if failed:
        assert (last.state, last.user_attrs.get("orphan")) == (TrialState.FAIL, None)
        assert last.user_attrs["reason"].endswith("the 3rd over these settings")
        assert RunDirectory(found.directory / "0").read_summary()["status"] == "failed"
    else:
        assert (last.state, last.user_attrs["deaths"]) == (TrialState.WAITING, deaths)
        assert {trial.state for trial in study.trials[:-1]} == {TrialState.FAIL}
