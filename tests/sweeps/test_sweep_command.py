"""Searches as commands: pruned, killed, resumed, failing, launched elsewhere, cross-validated."""

import json
import os
import signal
import subprocess
from importlib.util import find_spec
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from lstm_ae.sweeps.study import counted
from tests.commands import TINY, start, wait_for
from tests.commands import run as run_command

LONG = [
    "-m", "sweep=search", "study_name=long", *TINY, "threads=null", "dataset.num_sequences=3000", "workers=2",
    "trainer.max_epochs=8", "hydra.sweeper.n_trials=5", "model.hidden_size=2", "pruner.n_startup_trials=2",
    "optimizer.lr=tag(log,interval(0.00001,0.1))",
]  # fmt: skip


def trials_of(directory: Path):
    study = optuna.load_study(study_name=directory.name, storage=f"sqlite:///{directory}/study.db")
    return study.trials


def summary(directory: Path):
    return json.loads((directory / "summary.json").read_text())


def workers_of(parent: int) -> list[int]:
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(parent)], capture_output=True, text=True).stdout
    return [int(pid) for pid in listed.split()]


def test_a_killed_search_goes_on_prunes_and_says_when_it_is_complete(run, tmp_path):
    directory = tmp_path / "multirun" / "long"
    first = start(*LONG, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    wait_for(lambda: len(list(directory.glob("*/checkpoints/last.pt"))) >= 2)
    workers = workers_of(first.pid)
    assert len(workers) == 2
    for pid in (first.pid, *workers):
        os.kill(pid, signal.SIGKILL)
    first.communicate()
    finished = {t.number for t in trials_of(directory) if t.state in (TrialState.COMPLETE, TrialState.PRUNED)}
    configs = {path: path.stat().st_mtime_ns for path in directory.glob("*/.hydra/config.yaml")}
    epochs = {path.parent: len(path.read_text().splitlines()) - 1 for path in directory.glob("*/metrics.csv")}

    run(*LONG)
    trials = trials_of(directory)
    assert all(trials[number].state in (TrialState.COMPLETE, TrialState.PRUNED) for number in finished)
    assert len(counted(trials)) == 5
    assert all(path.stat().st_mtime_ns == written for path, written in configs.items())
    orphans = [trial for trial in trials if trial.user_attrs.get("orphan")]
    assert orphans
    for orphan in orphans:
        (again,) = [trial for trial in trials if trial.user_attrs.get("replaces") == orphan.number]
        assert again.params == orphan.params
        where = directory / again.user_attrs["directory"]
        log = (where / "train.log").read_text()
        assert log.count("epoch 1/8 ") == 1, "it went on from its checkpoint and did not start again"
        assert len(again.intermediate_values) >= epochs[where]
    pruned = [trial for trial in trials if trial.state == TrialState.PRUNED]
    assert pruned
    for trial in pruned:
        where = directory / trial.user_attrs["directory"]
        assert summary(where)["status"] == "pruned"
        assert len((where / "metrics.csv").read_text().splitlines()) - 1 == len(trial.intermediate_values) < 8
    for trial in trials:
        if trial.state == TrialState.COMPLETE:
            assert summary(directory / trial.user_attrs["directory"])["best"] == trial.value

    told = run(*LONG).stdout
    assert "is complete: 5 trials" in told
    assert "hydra.sweeper.n_trials=10" in told
    assert "study_name=" in told
    assert len(trials_of(directory)) == len(trials)
    refused = run(*LONG, "trainer.max_epochs=9", code=1).stderr
    assert "trainer.max_epochs: 8 there, 9 here" in refused
    assert "Traceback" not in refused


def test_two_commands_work_on_one_study_and_a_dead_worker_costs_its_trial(tmp_path):
    overrides = ["-m", "sweep=grid", "study_name=both", *TINY, "dataset.num_sequences=3000", "trainer.max_epochs=6",
                 "model.hidden_size=2,3,4,5"]  # fmt: skip
    directory = tmp_path / "multirun" / "both"
    both = [start(*overrides, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for _ in range(2)]
    wait_for(lambda: len(list(directory.glob("*/checkpoints/last.pt"))) >= 2)
    (victim,) = workers_of(both[0].pid)
    os.kill(victim, signal.SIGKILL)
    for process in both:
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output
    trials = trials_of(directory)
    assert sorted(trial.params["model.hidden_size"] for trial in trials) == [2, 3, 4, 5]
    (failed,) = [trial for trial in trials if trial.state == TrialState.FAIL]
    assert "signal 9" in failed.user_attrs["reason"]
    assert summary(directory / failed.user_attrs["directory"])["status"] == "failed"
    assert len({trial.user_attrs["worker"]["parent"] for trial in trials}) == 2
    assert (directory / "optimization_results.yaml").is_file()


def test_ctrl_c_stops_the_workers_and_is_no_failure(tmp_path):
    directory = tmp_path / "multirun" / "long"
    process = start(*LONG, "trainer.max_epochs=500", cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    wait_for(lambda: list(directory.glob("*/checkpoints/last.pt")))
    workers = workers_of(process.pid)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert "the same command goes on" in output
    assert "Traceback" not in output
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]
    assert "stopped" in {summary(path.parent)["status"] for path in directory.glob("*/summary.json")}


def test_a_search_in_which_all_fail_says_why(run, tmp_path):
    told = run(
        "-m", "sweep=grid", "study_name=bad", *TINY, "model.hidden_size=2", "optimizer=sgd", "optimizer.lr=1e30,1e31",
        "trainer.gradient_clip_norm=null", code=1,
    )  # fmt: skip
    assert "2 of 2 trials failed" in told.stderr
    assert "the loss became" in told.stderr
    assert "Traceback" not in told.stderr
    trials = trials_of(tmp_path / "multirun" / "bad")
    assert [trial.state for trial in trials] == [TrialState.FAIL] * 2
    assert all("the loss became" in trial.user_attrs["reason"] for trial in trials)


def test_a_mistyped_key_fails_before_anything_is_written(run, tmp_path):
    told = run("-m", "sweep=grid", "model.hiden_size=2,3", code=1)
    assert "model.hiden_size" in told.stderr
    assert not (tmp_path / "multirun").exists()


def test_a_search_without_multirun_says_what_is_missing(run, tmp_path):
    assert "start it with -m" in run("sweep=synthetic_tpe", code=1).stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("launcher", "package"), [("joblib", "hydra_joblib_launcher"), ("submitit_local", "submitit")])
def test_trials_are_pruned_through_other_launchers(run, tmp_path, launcher, package):
    if not find_spec(package) and not find_spec(f"hydra_plugins.{package}"):
        pytest.skip(f"{package} is not installed: pip install 'lstm-ae[dev]'")
    run(
        "-m", "sweep=grid", f"study_name={launcher}", *TINY, f"hydra/launcher={launcher}", "model.hidden_size=2",
        "pruner=median", "pruner.n_startup_trials=1", "pruner.n_warmup_steps=0", "optimizer.lr=0.05,1e-9",
    )  # fmt: skip
    directory = tmp_path / "multirun" / launcher
    good, bad = trials_of(directory)
    assert (good.state, bad.state) == (TrialState.COMPLETE, TrialState.PRUNED)
    assert summary(directory / "1")["status"] == "pruned"
    assert list(bad.intermediate_values) == [1]
    assert "hydra" not in (directory / "1" / ".hydra" / "overrides.yaml").read_text()


def test_cross_validation_is_a_mean_over_folds_and_the_best_are_validated_again(run, tmp_path):
    search = ["-m", "sweep=grid", "study_name=folds", *TINY, "model.hidden_size=2,3", "cross_validation=2"]
    run(*search)
    directory = tmp_path / "multirun" / "folds"
    for trial in trials_of(directory):
        whole = summary(directory / trial.user_attrs["directory"])
        folds = [summary(path) for path in sorted((directory / trial.user_attrs["directory"] / "folds").iterdir())]
        assert len(folds) == len(whole["folds"]) == 2
        assert folds[0]["best"] != folds[1]["best"]
        assert trial.value == whole["best"] == pytest.approx(sum(fold["best"] for fold in folds) / 2)
    fold = directory / "0" / "folds" / "1"
    reopened = run_command("evaluate", f"run={fold}", cwd=tmp_path)
    assert reopened.returncode == 0, reopened.stderr
    assert json.loads((fold / "evaluation.json").read_text())["test"] == summary(fold)["test"]

    told = run(*search, "revalidate=1", "seed=1,2").stdout
    best = min(trials_of(directory), key=lambda trial: trial.value)
    again = trials_of(directory.with_name("folds_top1"))
    assert [trial.params for trial in again] == [best.params | {"seed": seed} for seed in (1, 2)]
    assert "over 2 run(s)" in told


def test_a_plain_sweep_gets_a_directory_of_its_own(run, tmp_path):
    for _ in range(2):
        run("-m", *TINY, "trainer.max_epochs=1", "model.hidden_size=2", "seed=0", "study_name=plain")
    assert sorted(path.name for path in (tmp_path / "multirun").iterdir()) == ["plain", "plain-2"]
