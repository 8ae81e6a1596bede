"""The verdict on a run that was trained again."""

import pytest

from lstm_ae.errors import UserError
from lstm_ae.runs.directory import RunDirectory
from lstm_ae.runs.rerun import told, verdict
from tests.runs.made_runs import make_run


def pair(path, losses, **options):
    """A run, and one that repeats it."""
    before = make_run(path / "before", [0.5, 0.4, 0.3])
    return RunDirectory(before), RunDirectory(make_run(path / "now", losses, **options))


def test_equal(tmp_path):
    found = verdict(*pair(tmp_path, [0.5, 0.4, 0.3]))
    assert (found["verdict"], found["first_difference"], found["circumstances"]) == ("equal to the last bit", None, {})


def test_equal_within_rounding_says_what_is_different_about_the_machine(tmp_path):
    summary = {"processor": "other", "versions": {"torch": "9"}, "git_dirty": list("abcd")}
    found = verdict(*pair(tmp_path, [0.5, 0.4, 0.30000001], summary=summary))
    assert found["verdict"] == "equal within rounding"
    assert found["first_difference"] == "train/loss in epoch 3: 0.3 then, 0.30000001 now"
    assert found["circumstances"]["processor"] == [None, "other"] and found["circumstances"]["torch"] == [None, "9"]
    assert "git_dirty: None then, 4 files now" in told(found)


def test_the_first_serious_difference_is_named(tmp_path):
    found = verdict(*pair(tmp_path, [0.50000001, 0.3, 0.3]))
    assert found["verdict"] == "different" and "epoch 2" in found["first_difference"]


def test_another_test_result_is_a_difference(tmp_path):
    found = verdict(*pair(tmp_path, [0.5, 0.4, 0.3], summary={"test": {"test/loss": 0.9}}))
    assert found["verdict"] == "different" and found["first_difference"].startswith("test/loss in the test")


def test_of_an_unfinished_run_what_there_is_is_compared(tmp_path):
    before, now = pair(tmp_path, [0.5, 0.4, 0.3, 0.2])
    before.update_summary(status="stopped")
    assert verdict(before, now)["verdict"] == "equal to the last bit"
    (before.path / "metrics.csv").unlink()
    with pytest.raises(UserError, match="no numbers there to compare with"):
        verdict(before, now)


def test_folds_are_compared_one_by_one(tmp_path):
    before, now = pair(tmp_path, [0.5, 0.4, 0.3])
    for run, loss in ((before, 0.2), (now, 0.1)):
        make_run(run.folds / "0", [0.5])
        make_run(run.folds / "1", [loss])
    assert verdict(before, now)["first_difference"].endswith("in fold 1, epoch 1: 0.2 then, 0.1 now")
