"""A study shared by processes that come, go and die."""

import json
import multiprocessing
import os
import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
from optuna.trial import TrialState

from lstm_ae.errors import UserError
from lstm_ae.sweeps import claiming
from lstm_ae.sweeps.claiming import claim, counted, tidy
from lstm_ae.sweeps.liveness import SILENCE, Worker, alive_lock, machine
from lstm_ae.sweeps.storage import check_settings, exclusive

GRID = ["sweep=grid", "study_name=shared", "model.hidden_size=2,3,4,5", "optimizer.lr=0.1,0.2,0.3"]


def worker(lock):
    return Worker(machine(), os.getpid(), str(lock), str(lock))


@pytest.fixture
def me(tmp_path):
    with alive_lock(tmp_path) as lock:
        yield worker(lock)


@pytest.fixture
def dead(tmp_path):
    with alive_lock(tmp_path) as lock:
        pass
    return worker(lock)


def finish(study, trial, state=TrialState.COMPLETE, value=1.0):
    study.tell(trial, value if state == TrialState.COMPLETE else None, state=state)


def test_a_grid_is_tried_once_in_its_order(search, me):
    found = search(*GRID)
    study = found.open()
    tried = []
    while (trial := claim(study, found, me)) is not None:
        tried.append(trial.params)
        finish(study, trial)
        study = found.open()  # as a new process would
    assert tried == found.points
    assert claim(study, found, me) is None


def test_an_interrupted_search_draws_what_an_uninterrupted_one_does(search, me):
    def draws(name, reopen):
        found = search("sweep=synthetic_tpe", f"study_name={name}", "hydra.sweeper.n_trials=8")
        study, drawn = found.open(), []
        while (trial := claim(study, found, me)) is not None:
            drawn.append(trial.params)
            finish(study, trial, value=trial.params["optimizer.lr"])
            if reopen:
                study = found.open()
        return drawn

    straight = draws("one", reopen=False)
    assert straight == draws("two", reopen=True)
    assert len({json.dumps(point, sort_keys=True) for point in straight}) == 8


def test_an_orphan_is_queued_again_in_its_directory_and_not_counted(search, me, dead):
    found = search(*GRID, "hydra.sweeper.n_trials=3")
    study = found.open()
    finish(study, claim(study, found, me))
    orphan = claim(study, found, dead)
    again = claim(study, found, me)
    assert again.params == orphan.params
    assert again.user_attrs["directory"] == orphan.user_attrs["directory"] == "1"
    assert study.trials[orphan.number].state == TrialState.FAIL
    assert "queued again" in study.trials[orphan.number].user_attrs["reason"]
    finish(study, again, TrialState.PRUNED)
    finish(study, claim(study, found, me), TrialState.FAIL)
    assert claim(study, found, me) is None
    assert len(counted(study.trials)) == 3


def test_dying_while_orphans_are_queued_queues_none_twice(search, me, dead, monkeypatch):
    found = search(*GRID)
    study = found.open()
    claim(study, found, dead)

    def die(*_args, **_kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt), exclusive(found.storage):
        patch.setattr(claiming, "annotate", die)
        tidy(study, found)
    with exclusive(found.storage):
        tidy(study, found)
        tidy(study, found)
    assert [trial.state for trial in study.trials] == [TrialState.FAIL, TrialState.WAITING]


def test_a_trial_that_died_before_it_had_an_owner_is_an_orphan(search, me):
    found = search(*GRID, "hydra.sweeper.n_trials=2")
    study = found.open()
    study.ask()  # killed at once: no parameters, no directory
    tried = []
    while (trial := claim(study, found, me)) is not None:
        tried.append(trial.params)
        finish(study, trial)
    assert tried == found.points[:2]


def test_live_peers_are_left_alone(search, me, dead):
    found = search(*GRID)
    study = found.open()
    elsewhere = replace(dead, machine="another machine")
    here = claim(study, found, me)
    waiting_for_parent = claim(study, found, replace(dead, supervisor=me.lock))
    recent = claim(study, found, elsewhere)
    silent = claim(study, found, elsewhere)
    silent.set_user_attr("heartbeat", time.time() - SILENCE - 1)
    claim(study, found, me)
    states = {trial.number: trial.state for trial in study.trials}
    assert states[silent.number] == TrialState.FAIL
    for trial in (here, waiting_for_parent, recent):
        assert states[trial.number] == TrialState.RUNNING


def test_run_directories_of_an_older_study_are_not_written_to(search, me):
    found = search(*GRID)
    for name in ("0", "0-2", "1"):
        (found.directory / name).mkdir(parents=True)
        (found.directory / name / "summary.json").write_text("mine")
    study = found.open()
    assert [claim(study, found, me).user_attrs["directory"] for _ in range(3)] == ["0-3", "1-2", "2"]
    assert (found.directory / "0" / "summary.json").read_text() == "mine"


def test_the_failure_rate_ends_a_search(search, me):
    found = search(*GRID, "hydra.sweeper.max_failure_rate=0.25")
    study = found.open()
    for _ in range(4):
        finish(study, claim(study, found, me), TrialState.FAIL)
    assert claim(study, found, me) is None


def test_the_best_settings_of_a_search_are_validated_again_on_new_seeds(search, me):
    source = search(*GRID)
    study = source.open()
    check_settings(study, source.settings, source.storage)
    for value in range(12):
        finish(study, claim(study, source, me), value=(value - 5) ** 2)
    again = search(*GRID, "revalidate=2", "seed=1,2,3")
    assert again.name == "shared_top2"
    assert again.directory == source.directory.with_name("shared_top2")
    assert again.points == [source.points[n] | {"seed": seed} for n in (5, 4) for seed in (1, 2, 3)]
    assert again.n_trials == 6
    assert search(*GRID, "revalidate=1", "cross_validation=4").points == [source.points[5]]
    with pytest.raises(UserError, match="new folds or seeds"):
        search(*GRID, "revalidate=2")


def take_all(found, results):
    """A worker that only takes trials and finishes them."""
    study = found.open()
    with alive_lock(found.directory) as lock:
        while (trial := claim(study, found, worker(lock))) is not None:
            results.put((trial.params, trial.user_attrs["directory"]))
            study.tell(trial, 1.0)


def share_a_grid(found):
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    workers = [context.Process(target=take_all, args=(found, results)) for _ in range(3)]
    for worker in workers:
        worker.start()
    taken = [results.get(timeout=120) for _ in found.points]
    for worker in workers:
        worker.join(60)
    assert results.empty()
    assert sorted(map(json.dumps, (params for params, _ in taken))) == sorted(map(json.dumps, found.points))
    assert len({directory for _, directory in taken}) == len(taken)


def test_processes_share_a_grid_without_a_double(search):
    share_a_grid(search(*GRID))


@pytest.fixture(scope="module")
def postgresql():
    """The address of a PostgreSQL server of our own, from Debian's packages."""
    folders = [Path(found).resolve().parent for name in ("initdb",) if (found := shutil.which(name))]
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    binaries = next((folder for folder in folders if (folder / "postgres").is_file()), None)
    if binaries is None:
        pytest.skip("no PostgreSQL server here (Debian: apt-get install postgresql)")
    if find_spec("psycopg") is None:
        pytest.skip("no psycopg here: pip install 'lstm-ae[dev]'")
    home = tempfile.mkdtemp(prefix="postgresql-")
    user = "postgres" if os.getuid() == 0 else None  # it refuses to run as root
    if user:
        shutil.chown(home, user)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = {"user": user, "cwd": home, "check": True, "capture_output": True, "timeout": 120}
    subprocess.run([binaries / "initdb", "-D", f"{home}/data", "-A", "trust", "-U", "tester", "-N"], **options)
    server = subprocess.Popen(
        [binaries / "postgres", "-D", f"{home}/data", "-p", str(port), "-k", home, "-h", "127.0.0.1", "-F"],
        user=user, cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(120):
            ready = subprocess.run([binaries / "pg_isready", "-h", "127.0.0.1", "-p", str(port)], capture_output=True)
            if ready.returncode == 0:
                break
            time.sleep(0.5)
        yield f"postgresql+psycopg://tester@127.0.0.1:{port}/postgres"
    finally:
        server.terminate()
        server.wait(60)
        shutil.rmtree(home, ignore_errors=True)


def test_processes_share_a_grid_in_postgresql(search, postgresql):
    share_a_grid(search(*GRID, storage=postgresql))
