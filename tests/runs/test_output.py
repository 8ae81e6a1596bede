"""Where tables are written: over an earlier table, through a link, into a device, and over nothing else."""

import os

import pytest

from lstm_ae.compare import compare
from lstm_ae.errors import UserError
from tests.runs.made_runs import make_run

KINDS = ("csv", "json", "markdown", "html")


@pytest.fixture
def runs(tmp_path):
    return make_run(tmp_path / "runs/0", [0.5, 0.4]).parent


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("more", [[], ["--group-by-seed"]])
def test_a_table_of_ours_is_replaced(runs, tmp_path, kind, more):
    file = tmp_path / "table"
    compare([str(runs), f"--{kind}", str(file), *more])
    file.write_text(file.read_text() + " ")
    compare([str(runs), f"--{kind}", str(file), *more])
    assert not file.read_text().endswith(" ")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "theirs", ["mine\n", "epoch,seconds\n1,2\n", '{"path": 1}', "| a |\n", "<!doctype html><title>x</title>"]
)
def test_anything_else_needs_force(runs, tmp_path, kind, theirs):
    file = tmp_path / "table"
    file.write_text(theirs)
    with pytest.raises(UserError, match="--force"):
        compare([str(runs), f"--{kind}", str(file)])
    assert file.read_text() == theirs
    compare([str(runs), f"--{kind}", str(file), "--force"])
    assert file.read_text() != theirs


def test_an_empty_file_is_nobodys(runs, tmp_path):
    (tmp_path / "table").touch()
    compare([str(runs), "--csv", str(tmp_path / "table")])
    assert (tmp_path / "table").read_text().startswith("path,run,")


def test_a_link_leads_to_the_file_that_it_names_and_is_kept(runs, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "table")
    compare([str(runs), "--csv", str(tmp_path / "link")])
    assert (tmp_path / "link").is_symlink() and (tmp_path / "table").read_text().startswith("path,run,")
    (tmp_path / "other").symlink_to(runs / "0/metrics.csv")
    with pytest.raises(UserError, match="--force"):
        compare([str(runs), "--csv", str(tmp_path / "other")])


def test_a_device_is_written_through(runs):
    compare([str(runs), "--csv", "/dev/null"])
    assert os.path.exists("/dev/null") and not os.path.isfile("/dev/null")
