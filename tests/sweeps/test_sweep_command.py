"""Searches as commands: pruned, killed, resumed, refused, launched elsewhere, cross-validated."""

import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from optuna.trial import TrialState

from lstm_ae import train
from lstm_ae.config import CONF
from lstm_ae.runs.reopen import load_run
from lstm_ae.sweeps.claiming import claim, counted
from lstm_ae.sweeps.liveness import Worker, alive_lock, machine
from lstm_ae.sweeps.storage import check_settings
from tests import commands
from tests.commands import TINY, wait_for
from tests.sweeps.conftest import summary, trials_of, workers_of

LONG = [
    "-m", "sweep=search", "study_name=long", *TINY, "threads=null", "dataset.num_sequences=3000", "workers=2",
    "model.num_layers=1", "trainer.max_epochs=8", "hydra.sweeper.n_trials=5", "model.hidden_size=2",
    "pruner.n_startup_trials=2", "optimizer.lr=tag(log,interval(0.00001,0.1))",
]  # fmt: skip


def test_a_killed_search_goes_on_prunes_and_says_when_it_is_complete(run, tmp_path, monkeypatch, capsys):
    directory = tmp_path / "multirun" / "long"
    first = commands.start(*LONG, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
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

    monkeypatch.chdir(tmp_path)  # the rest in this process: no worker starts any more
    monkeypatch.setattr(sys, "argv", ["command", *LONG])
    train.main()
    told = capsys.readouterr().out
    assert "is complete: 5 trials" in told
    assert "hydra.sweeper.n_trials=10" in told
    assert "study_name=" in told
    assert len(trials_of(directory)) == len(trials)
    code, refused = commands.call(train.main, [*LONG, "trainer.max_epochs=9"], monkeypatch)
    assert code == 1
    assert "trainer.max_epochs: 8 there, 9 here" in refused


def test_ctrl_c_in_a_wrapper_stops_the_workers_and_is_no_failure(tmp_path):
    (tmp_path / "wrapper.py").write_text("import lstm_ae.train\n\nlstm_ae.train.main()\n")
    directory = tmp_path / "multirun" / "long"
    process = subprocess.Popen(
        [sys.executable, "wrapper.py", *LONG, "trainer.max_epochs=500"], cwd=tmp_path, text=True,
        env=commands.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    wait_for(lambda: list(directory.glob("*/checkpoints/last.pt")))
    workers = workers_of(process.pid)
    assert all("wrapper.py" in Path(f"/proc/{pid}/cmdline").read_text() for pid in workers)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert "the same command continues the search" in output
    assert "Traceback" not in output
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]
    assert "stopped" in {summary(path.parent)["status"] for path in directory.glob("*/summary.json")}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-m", "sweep=grid", "model.hiden_size=2,3"], "model.hiden_size"),
        (["-m", "sweep=grid", "model.hidden_size=2,0"], "model.hidden_size=0: must be a whole number >= 1"),
        (["-m", "sweep=search"], "nothing to vary"),
        (["-m", "sweep=search", "optimizer.lr=interval(1,0.1)"], "optimizer.lr=interval(1,0.1): cannot be searched"),
        (["-m", "sweep=synthetic_tpe", "hydra.sweeper.n_trials=0"], "hydra.sweeper.n_trials=0: must be"),
        (["-m", "sweep=synthetic_tpe", "hydra.sweeper.max_failure_rate=x"], "max_failure_rate=x: must be"),
        (["-m", "sweep=synthetic_tpe", "hydra.sweeper.storage=foo"], "hydra.sweeper.storage=foo: must be"),
        (["-m", "sweep=synthetic_tpe", "monitor=[val/loss,val/accuracy]"], "mode=min"),
        (["-m", "sweep=synthetic_tpe", "study_name=../../else"], "study_name=../../else"),
        (["sweep=synthetic_tpe"], "start it with -m"),
        (
            ["-m", "sweep=search", "model.hidden_size=range(8,9,0)"],
            "model.hidden_size=range(8,9,0): cannot be searched",
        ),
        (["-m", "sweep=search", "optimizer=glob(*)"], "optimizer=glob(*): cannot be searched"),
        (["-m", "sweep=grid", "hydra/launcher=joblib", "seed=-1,-2"], "seed=-1: must be"),
        (
            ["-m", "sweep=synthetic_tpe", "hydra.sweeper.storage=postgresql+psycopg://u@127.0.0.1:9/d"],
            "cannot be reached",
        ),
        (["-m", "study_name=../../x", "model.hidden_size=2,3"], "study_name=../../x: must be"),
        (["-m", "sweep=grid", "trainer.max_epochs=1,x"], "trainer.max_epochs=x: must be a whole number"),
        (
            ["-m", "sweep=shortlist", "model.hidden_size=2,3", "trainer.max_epochs=4"],
            "pruner.rounds=[1, 2, 4]: must end",
        ),
        (["-m", "--dry-run", "model.hidden_size=2,3"], "add -m sweep="),
    ],
)
def test_a_mistake_fails_before_anything_is_written(tmp_path, monkeypatch, arguments, words):
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    code, told = commands.call(train.main, arguments, monkeypatch)
    assert code == 1
    assert words in told
    assert len(told.splitlines()) <= 8
    assert list(tmp_path.rglob("*")) == [tmp_path / "a", folder]


def test_no_sweep_chosen_is_a_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, told = commands.call(train.main, ["sweep=null", "experiment=null", "model.hidden_size=0"], monkeypatch)
    assert "model.hidden_size=0: must be a whole number >= 1" in told, "it got as far as any single run"


def made(found, values):
    """The study of a search whose first trials have these values, as if their jobs had run."""
    study = found.open()
    check_settings(study, found.settings, found.storage)
    with alive_lock(found.directory) as lock:
        for value in values:
            trial = claim(study, found, Worker(machine(), os.getpid(), str(lock), str(lock)))
            trial.report(value, step=1)
            study.tell(trial, value)


def test_trials_are_pruned_through_another_launcher(run, search, tmp_path):
    if not find_spec("hydra_plugins.hydra_joblib_launcher"):
        pytest.skip("hydra_joblib_launcher is not installed: pip install 'lstm-ae[dev]'")
    overrides = [
        "sweep=grid", "study_name=joblib", *TINY, "model.hidden_size=2", "pruner=median",
        "pruner.n_startup_trials=1", "pruner.n_warmup_steps=0", "optimizer.lr=0.05,1e-9",
    ]  # fmt: skip
    made(search(*overrides), [0.0])  # better than any second trial can be
    run("-m", *overrides, "hydra/launcher=joblib")
    directory = tmp_path / "multirun" / "joblib"
    good, bad = trials_of(directory)
    assert (good.state, bad.state) == (TrialState.COMPLETE, TrialState.PRUNED)
    assert summary(directory / "1")["status"] == "pruned"
    assert list(bad.intermediate_values) == [1]
    assert "hydra" not in (directory / "1" / ".hydra" / "overrides.yaml").read_text()


def test_the_best_of_a_search_is_cross_validated(run, search, tmp_path):
    overrides = ["sweep=grid", "study_name=folds", *TINY, "model.hidden_size=2,3"]
    made(search(*overrides), [0.2, 0.1])
    told = run("-m", *overrides, "cross_validation=2", "revalidate=1").stdout
    directory = tmp_path / "multirun" / "folds_top1"
    (again,) = trials_of(directory)
    assert again.params == {"model.hidden_size": 3}
    whole = summary(directory / "0")
    folds = [summary(path) for path in sorted((directory / "0" / "folds").iterdir())]
    assert len(folds) == len(whole["folds"]) == 2
    assert folds[0]["best"] != folds[1]["best"]
    assert again.value == whole["best"] == pytest.approx(sum(fold["best"] for fold in folds) / 2)
    assert "over 1 run(s): model.hidden_size=3" in told
    reopened = load_run(directory / "0" / "folds" / "1")
    assert reopened.config.dataset.fold == 1
    assert (reopened.config.dataset.num_folds, reopened.config.cross_validation) == (2, None)


def test_a_plain_sweep_gets_a_directory_of_its_own_and_a_search_the_one_of_its_study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def directory(*overrides):
        with initialize_config_dir(CONF):
            return compose("config", [*overrides], return_hydra_config=True).hydra.sweep.dir

    assert directory("study_name=plain") == "multirun/plain"
    assert directory().startswith("multirun/20")
    assert directory("sweep=grid", "study_name=mine") == "multirun/mine"
    assert not list(tmp_path.iterdir())  # reading a config touches no disk
