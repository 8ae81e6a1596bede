"""The files of a run: whole, readable, and honest about how it ended."""

import json
import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_ae.errors import Stopped, UserError
from lstm_ae.runs.directory import RunDirectory
from lstm_ae.runs.provenance import git_commit, versions

HISTORY = [
    {"epoch": 1, "seconds": 0.5, "lr": 0.01, "train/loss": 0.1, "val/loss": 0.30000000000000004},
    {"epoch": 2, "seconds": 0.6, "lr": 0.005, "train/loss": 1e-300, "val/loss": 1 / 3},
]


@pytest.fixture
def directory(tmp_path):
    return RunDirectory(tmp_path)


def test_layout(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    directory = RunDirectory("runs/1")
    names = ("config", "checkpoints", "figures", "summary", "metrics")
    found = [getattr(directory, name).relative_to(tmp_path / "runs" / "1").as_posix() for name in names]
    assert found == [".hydra/config.yaml", "checkpoints", "figures", "summary.json", "metrics.csv"]


def test_metrics_come_back_as_they_were(directory):
    assert directory.read_metrics() == []
    directory.write_metrics(HISTORY)
    assert directory.read_metrics() == HISTORY
    assert directory.metrics.read_text().splitlines()[0] == "epoch,seconds,lr,train/loss,val/loss"
    directory.write_metrics(HISTORY[:1])
    assert directory.read_metrics() == HISTORY[:1]
    assert os.listdir(directory.path) == ["metrics.csv"]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_metrics_keep_every_digit(tmp_path_factory, values):
    directory = RunDirectory(tmp_path_factory.mktemp("run"))
    history = [{"epoch": epoch, "val/loss": value} for epoch, value in enumerate(values, start=1)]
    directory.write_metrics(history)
    assert directory.read_metrics() == history


def test_summary_is_updated_field_by_field(directory):
    assert directory.read_summary() == {}
    directory.update_summary(status="running", seconds=1.5)
    directory.update_summary(status="completed", test={"test/loss": 0.25})
    expected = {"status": "completed", "seconds": 1.5, "test": {"test/loss": 0.25}}
    assert directory.read_summary() == json.loads(directory.summary.read_text()) == expected
    assert os.listdir(directory.path) == ["summary.json"]


@pytest.mark.parametrize("text", ["", "{", '{"status": "runn'])
def test_a_broken_summary_is_named(directory, text):
    directory.summary.write_text(text)
    with pytest.raises(UserError) as refusal:
        directory.read_summary()
    assert str(directory.summary) in str(refusal.value)


def test_status_while_running_and_after(directory):
    with directory.recording():
        summary = directory.read_summary()
        assert summary["status"] == "running"
        assert {"python", "torch", "hydra-core", "lstm-ae"} <= set(summary["versions"])
        assert "git_commit" in summary
        directory.update_summary(status="completed")
    assert directory.read_summary()["status"] == "completed"


@pytest.mark.parametrize(
    ("exception", "status"),
    [
        (UserError("the loss became nan"), "failed"),
        (RuntimeError("out of memory"), "failed"),
        (Stopped(15), "stopped"),
        (KeyboardInterrupt(), "stopped"),
    ],
)
def test_status_says_how_it_ended_and_the_exception_goes_on(directory, exception, status):
    with pytest.raises(type(exception)), directory.recording():
        raise exception
    summary = directory.read_summary()
    assert summary["status"] == status
    if status == "failed":
        assert str(exception) in summary["error"]


def test_a_second_try_forgets_the_error_of_the_first(directory):
    with pytest.raises(RuntimeError), directory.recording():
        raise RuntimeError("out of memory")
    with directory.recording():
        pass
    assert directory.read_summary()["error"] is None


def test_versions_and_commit():
    assert all(re.match(r"\d+\.\d+", version) for version in versions().values())
    commit = git_commit()
    assert commit is None or re.fullmatch(r"[0-9a-f]{40}(-dirty)?", commit)
