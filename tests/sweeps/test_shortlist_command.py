"""A shortlist as a command: killed, continued, and told by `compare`."""

import os
import signal
import sys

import pytest
from optuna.trial import TrialState

from lstm_ae import compare, train
from lstm_ae.runs.directory import RunDirectory
from lstm_ae.sweeps.claiming import counted
from lstm_ae.sweeps.storage import find_study, storage_url
from lstm_ae.training.schedules import OneCycle
from tests import commands
from tests.commands import TINY_SYNTHETIC, wait_for
from tests.sweeps.conftest import summary, workers_of

SHORTLIST = [
    "-m", "sweep=shortlist", "study_name=short", *TINY_SYNTHETIC, "trainer.max_epochs=5", "scheduler=one_cycle",
    "optimizer.lr=0.00001,0.0001,0.001,0.01", "pruner.rounds=[1,2]", "pruner.keep=[2,1]",
]  # fmt: skip


def test_a_killed_shortlist_goes_on_and_its_best_follows_the_schedule_of_a_full_run(tmp_path, monkeypatch, capsys):
    home = tmp_path / "50%41 what?"
    home.mkdir()
    directory = home / "multirun" / "short"
    first = commands.start(*SHORTLIST, cwd=home)
    wait_for(lambda: len(list(directory.glob("*/checkpoints/last.pt"))) >= 2)
    for pid in (first.pid, *workers_of(first.pid)):
        os.kill(pid, signal.SIGKILL)
    first.communicate()
    kept = {path: path.stat().st_mtime_ns for path in directory.glob("*/.hydra/config.yaml")}

    done = commands.run("train", *SHORTLIST, cwd=home)
    assert done.returncode == 0, done.stderr + (directory / "workers.log").read_text()
    told = "4 settings: all 4 train to epoch 1, the best 2 to epoch 2, the best 1 to the end: 9 epochs, 0.45 of the 20"
    assert told in done.stdout
    assert "cost: 9 epochs, 0.45 of the 20" in done.stdout
    assert all(path.stat().st_mtime_ns == written for path, written in kept.items())
    trials = counted(find_study(storage_url(None, directory), "short").trials)
    assert list(home.rglob("study.db")) == [directory / "study.db"]
    assert sorted(t.last_step for t in trials) == [1, 1, 2, 5]
    for trial in trials:
        run = RunDirectory(directory / trial.user_attrs["directory"])
        rows = run.read_metrics()
        assert [row["val/loss"] for row in rows] == list(trial.intermediate_values.values())
        best = trial.last_step == 5
        assert (trial.state, summary(run.path)["status"]) == (
            (TrialState.COMPLETE, "completed") if best else (TrialState.PRUNED, "pruned")
        )
        for row in rows:  # the rate at the last batch of an epoch: there are two of them
            rate = trial.params["optimizer.lr"] * OneCycle(0.3).factor((row["epoch"] - 1 + 0.75) / 5)
            assert row["lr"] == pytest.approx(rate)

    monkeypatch.chdir(home)
    monkeypatch.setattr(sys, "argv", ["command", *SHORTLIST, "--dry-run"])
    train.main()
    assert "of these 4 are finished by now" in capsys.readouterr().out
    compare.compare(["multirun/short", "--cost"])
    told = capsys.readouterr().out
    assert "2 after epoch 1, 1 after epoch 2" in told
    assert "4 runs: 3 pruned, 1 completed" in told
