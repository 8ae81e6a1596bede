"""What a run says about the code and the machine that made it."""

import re
import subprocess

import pytest

from lstm_ae.runs.provenance import SOURCE, git_state, provenance


@pytest.fixture
def checkout(tmp_path):
    """A checkout with a package and configs, all committed."""
    for file in ("lstm_ae/__init__.py", "conf/config.yaml", "README.md"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text("")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "All")
    git_state.cache_clear()
    return tmp_path


def git(path, *arguments):
    subprocess.run(["git", "-C", str(path), *arguments], check=True, capture_output=True)


def test_a_clean_checkout(checkout):
    commit, changed = git_state(checkout)
    assert re.fullmatch("[0-9a-f]{40}", commit)
    assert changed == []


def test_changed_and_new_files_of_the_code_count_and_others_do_not(checkout):
    (checkout / "lstm_ae/__init__.py").write_text("changed = True\n")
    (checkout / "lstm_ae/data").mkdir()
    (checkout / "lstm_ae/data/my sensors.py").write_text("")
    (checkout / "conf/dataset.yaml").write_text("")
    (checkout / "README.md").write_text("changed")
    (checkout / "outputs.txt").write_text("new")
    assert sorted(git_state(checkout)[1]) == ["conf/dataset.yaml", "lstm_ae/__init__.py", "lstm_ae/data/my sensors.py"]


def test_a_package_that_git_does_not_know_has_no_commit(checkout, tmp_path_factory):
    installed = checkout / ".venv"
    (installed / "lstm_ae").mkdir(parents=True)
    (installed / "lstm_ae/__init__.py").write_text("")
    assert git_state(installed) == (None, [])
    assert git_state(tmp_path_factory.mktemp("nowhere")) == (None, [])


def test_what_a_summary_gets(monkeypatch):
    monkeypatch.setenv("LSTM_AE_ALLOW", "my_models,my_data")
    found = provenance()
    assert set(found) == {"versions", "git_commit", "git_dirty", "processor", "allow"}
    assert all(re.match(r"\d+\.\d+", version) for version in found["versions"].values())
    assert found["allow"] == ["my_models", "my_data"]
    assert found["processor"]
    assert found["git_commit"] == git_state(SOURCE)[0]
