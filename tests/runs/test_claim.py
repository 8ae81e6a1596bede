"""A run's directory is claimed before Hydra writes into it."""

import multiprocessing
import os

import pytest
from hydra import compose, initialize_config_dir

import lstm_ae.console  # noqa: F401  (it registers the resolver that conf/config.yaml uses)
from lstm_ae.config import CONF
from lstm_ae.errors import ConfigError
from lstm_ae.runs import claim
from lstm_ae.runs.directory import RunDirectory
from lstm_ae.runs.lock import let_go
from tests.runs.made_runs import make_run


def composed(*overrides):
    with initialize_config_dir(CONF):
        return compose("config", list(overrides), return_hydra_config=True)


def claimed(*overrides):
    """The directory that a run with these overrides gets."""
    config = composed(*overrides)
    config.hydra.run.dir = config.hydra.run.dir if overrides else "outputs/now"
    claim.Claim().on_run_start(config)
    let_go(RunDirectory(config.hydra.run.dir).lock)
    return config.hydra.run.dir


def test_the_second_run_of_a_moment_gets_the_next_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert [claimed() for _ in range(3)] == ["outputs/now", "outputs/now-2", "outputs/now-3"]


def test_a_directory_that_was_asked_for_is_taken_if_it_is_new_and_refused_if_it_was_used(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert claimed("hydra.run.dir=mine") == claimed("hydra.run.dir=mine") == "mine"
    (tmp_path / "mine/notes.txt").touch()
    assert claimed("hydra.run.dir=mine") == "mine"
    make_run(tmp_path / "used", [0.5])
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(claim.Refused) as refusal:
        claimed("hydra.run.dir=used")
    assert "resume=used" in str(refusal.value.__cause__) and "rerun=used" in str(refusal.value.__cause__)
    assert sorted(tmp_path.rglob("*")) == before


def hold_it(path, ready, done):
    claim.claim(path, "hydra.run.dir")
    ready.set()
    done.wait(60)
    os._exit(0)


def test_a_directory_that_another_process_has_claimed_is_refused(tmp_path):
    context = multiprocessing.get_context("fork")
    ready, done = context.Event(), context.Event()
    process = context.Process(target=hold_it, args=(tmp_path / "run", ready, done))
    process.start()
    assert ready.wait(60)
    with pytest.raises(ConfigError, match="another process is training"):
        claim.claim(tmp_path / "run", "hydra.run.dir")
    done.set()
    process.join(60)
    claim.claim(tmp_path / "run", "hydra.run.dir")
    let_go(RunDirectory(tmp_path / "run").lock)


def test_a_plain_multirun_claims_its_directory_for_all_of_its_jobs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = composed()
    config.hydra.sweep.dir = "multirun/now"
    (tmp_path / "multirun/now").mkdir(parents=True)
    claim.Claim().on_multirun_start(config)
    assert config.hydra.sweep.dir == "multirun/now-2"
    assert "hydra.sweep.dir='multirun/now-2'" in config.hydra.overrides.hydra
    make_run(tmp_path / "sweep/0", [0.5])
    with pytest.raises(claim.Refused):
        claim.Claim().on_multirun_start(composed("hydra.sweep.dir=sweep"))


def test_the_directory_of_a_search_is_its_own_business(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    claim.Claim().on_multirun_start(composed("sweep=synthetic_tpe", "workers=2"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("override", ["workers=2", "revalidate=3", "pruner=median"])
def test_what_only_a_search_looks_at_is_refused_elsewhere(tmp_path, monkeypatch, override):
    monkeypatch.chdir(tmp_path)
    for start in (claim.Claim().on_run_start, claim.Claim().on_multirun_start):
        with pytest.raises(claim.Refused) as refusal:
            start(composed(override))
        assert str(refusal.value.__cause__).startswith(f"{override}: is for searches only")
    assert list(tmp_path.iterdir()) == []
    claim.refuse_search_keys(composed(override, "+rerun=x"))


def test_resolvers_touch_no_disk(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = composed("study_name=x")
    assert config.hydra.sweep.dir == "multirun/x" and config.hydra.run.dir.startswith("outputs/")
    assert list(tmp_path.iterdir()) == []
