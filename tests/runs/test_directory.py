"""The files of a run: whole, readable, and honest about how it ended."""

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_ae.errors import Pruned, Stopped, UserError
from lstm_ae.runs.directory import RunDirectory

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


@pytest.mark.parametrize("text", ["", "{", '{"status": "runn', "[]", "[" * 100_000])
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


def train_an_epoch(directory):
    """What an epoch leaves, as far as a run directory looks at it."""
    directory.checkpoints.mkdir(exist_ok=True)
    (directory.checkpoints / "last.pt").write_bytes(b"weights")
    directory.write_metrics([*directory.read_metrics(), HISTORY[0]])


@pytest.mark.parametrize(
    ("exception", "status"),
    [
        (UserError("the loss became nan"), "failed"),
        (RuntimeError("out of memory"), "failed"),
        (Pruned("seen enough"), "pruned"),
        (Stopped(15), "stopped"),
        (KeyboardInterrupt(), "stopped"),
    ],
)
def test_status_says_how_it_ended_and_the_exception_goes_on(directory, exception, status):
    with pytest.raises(type(exception)), directory.recording():
        train_an_epoch(directory)
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


@pytest.fixture
def begun(tmp_path, monkeypatch):
    """A run as Hydra hands it over, in the working directory's outputs/2026-01-31/12-00-00."""
    monkeypatch.chdir(tmp_path)
    directory = RunDirectory("outputs/2026-01-31/12-00-00")
    directory.config.parent.mkdir(parents=True)
    for name in ("config.yaml", "hydra.yaml", "overrides.yaml"):
        (directory.config.parent / name).write_text("{}\n")
    (directory.path / "train.log").write_text("")
    return directory


def mistake(directory, trained=0, **options):
    """A run that ends on a user's mistake after so many epochs."""
    with pytest.raises(UserError), directory.recording(**options):
        for _ in range(trained):
            train_an_epoch(directory)
        raise UserError("model.hidden_size=0: must be a whole number >= 1")


def test_a_mistake_before_the_first_epoch_leaves_nothing(begun, tmp_path):
    mistake(begun)
    assert os.listdir(tmp_path) == []


def test_a_mistake_leaves_what_somebody_else_put_there(begun, tmp_path):
    (begun.path / "notes.txt").write_text("mine")
    mistake(begun)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["notes.txt"]


def test_a_mistake_in_a_sweep_or_after_an_epoch_is_kept(begun):
    mistake(begun, keep_failed=True)
    assert begun.read_summary()["status"] == "failed"
    mistake(begun, trained=1)
    assert begun.read_summary()["status"] == "failed"
    assert begun.config.is_file()


def test_a_crash_is_kept_even_before_the_first_epoch(begun):
    with pytest.raises(RuntimeError), begun.recording():
        raise RuntimeError("a bug")
    assert begun.read_summary()["error"] == "RuntimeError: a bug"


def test_a_mistake_on_resuming_leaves_the_run_as_it_was(begun):
    with begun.recording():
        train_an_epoch(begun)
        begun.update_summary(status="completed", test={"test/loss": 0.25})
    before = begun.summary.read_text()
    mistake(begun, resumed_with=["trainer.max_epochs=-1"])
    assert begun.summary.read_text() == before
    for exception in (RuntimeError("a bug"), Stopped(15)):
        with pytest.raises(type(exception)), begun.recording(resumed_with=["trainer.max_epochs=9"]):
            begun.update_summary(threads=1)
            assert begun.read_summary()["status"] == "running"
            raise exception
        assert begun.summary.read_text() == before
    mistake(begun, trained=1, resumed_with=["trainer.max_epochs=9"])
    assert begun.read_summary()["status"] == "failed"


def test_a_killed_run_that_is_resumed_in_vain_says_how_that_ended(begun):
    train_an_epoch(begun)
    begun.update_summary(status="running")
    with pytest.raises(Stopped), begun.recording(resumed_with=[]):
        raise Stopped(15)
    assert begun.read_summary()["status"] == "stopped"


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), OSError(30, "Read-only file system")])
def test_a_full_disk_is_told_once_and_keeps_the_last_summary(directory, error, monkeypatch):
    def fail(*_):
        raise error

    with pytest.raises(OSError, match=error.strerror), directory.recording():
        train_an_epoch(directory)
        monkeypatch.setattr("lstm_ae.files._to_disk", fail)
        directory.update_summary(status="completed")
    monkeypatch.undo()
    assert directory.read_summary()["status"] == "running"
    assert not list(directory.path.glob(".*.json")) and not directory.lock.exists()


@pytest.mark.parametrize("name", [".hydra", "figures", "train.log", "checkpoints/best.pt"])
def test_a_link_in_a_run_leads_nowhere(directory, tmp_path_factory, name):
    train_an_epoch(directory)
    outside = tmp_path_factory.mktemp("outside")
    (outside / "config.yaml").write_text("theirs")
    (directory.path / name).symlink_to(outside)
    with pytest.raises(UserError, match="is a symbolic link"), directory.recording(resumed_with=[]):
        pass
    with pytest.raises(UserError, match="is a symbolic link"):
        directory.output(None)
    assert (outside / "config.yaml").read_text() == "theirs"
    assert directory.output(str(outside / "new")).is_dir()


def test_resumes_are_recorded_and_outdated_results_dropped(directory):
    with directory.recording():
        train_an_epoch(directory)
        directory.update_summary(status="completed", data="123abc", best=0.3, test={"test/loss": 0.25})
    with directory.recording(resumed_with=["trainer.max_epochs=9"]):
        assert "best" in directory.read_summary()  # nothing is written before everything is checked
        directory.update_summary(threads=1)
        assert not {"best", "test"} & set(directory.read_summary())
        train_an_epoch(directory)
    with directory.recording(resumed_with=[]):
        directory.update_summary(threads=1)
    summary = directory.read_summary()
    assert summary["resumes"] == [{"epoch": 1, "overrides": ["trainer.max_epochs=9"]}, {"epoch": 2, "overrides": []}]
    assert summary["data"] == "123abc"


def test_a_new_run_keeps_nothing_of_an_older_one_in_the_same_place(directory):
    directory.update_summary(status="completed", test={"test/loss": 0.25}, resumes=[{"epoch": 1, "overrides": []}])
    with directory.recording():
        assert not {"test", "resumes"} & set(directory.read_summary())


def test_changed_data_is_refused_on_resuming(directory):
    directory.check_data("123abc", "resume")  # an older run, which wrote nothing down
    directory.update_summary(data="123abc")
    directory.check_data("123abc", "resume")
    with pytest.raises(UserError, match=r"resume=.*data set has changed.*123abc.*456def"):
        directory.check_data("456def", "resume")


def test_one_process_at_a_time(directory):
    with directory.recording():
        before = directory.summary.read_text()
        with pytest.raises(UserError, match="another process is training"), directory.recording():
            pass
        assert directory.summary.read_text() == before
    assert not directory.lock.exists()


def test_broken_metrics_are_named(directory):
    for text in ("epoch,val/loss\n1,\n", "epoch,val/loss\n1\n", "epoch,val/loss\n1,2,3\n", "epoch\nx\n"):
        directory.metrics.write_text(text)
        with pytest.raises(UserError, match=r"metrics\.csv: not a table of numbers"):
            directory.read_metrics()
