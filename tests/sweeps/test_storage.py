"""Where a study is stored, and that it belongs to one search."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import optuna
import pytest

from lstm_ae.errors import UserError
from lstm_ae.sweeps import storage
from lstm_ae.sweeps.storage import (
    annotate,
    check_database,
    check_settings,
    exclusive,
    find_study,
    open_storage,
    open_study,
    storage_url,
)
from lstm_ae.sweeps.supervisor import supervise

GRID = ["sweep=grid", "study_name=shared", "model.hidden_size=2,3,4,5", "optimizer.lr=0.1,0.2,0.3"]


def test_an_sqlite_address_means_the_same_from_everywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert storage_url("sqlite:///a/b.db", tmp_path) == f"sqlite:///{tmp_path}/a/b.db"
    assert storage_url(None, tmp_path / "study") == f"sqlite:///{tmp_path}/study/study.db"
    assert storage_url("postgresql+psycopg://u:p@h/d", tmp_path) == "postgresql+psycopg://u:p@h/d"


@pytest.mark.parametrize("folder", ["plain", "what?", "50%41", "a b#c"])
def test_a_study_lies_where_its_directory_says_whatever_its_name(tmp_path, folder):
    url = storage_url(None, tmp_path / folder)
    study = open_study(url, "mine", ["minimize"], optuna.pruners.NopPruner())
    assert [path.relative_to(tmp_path) for path in tmp_path.rglob("*.db")] == [Path(folder, "study.db")]
    study.ask()
    annotate(url, "mine", 0, reason="why", orphan=True)
    assert find_study(url, "mine").trials[0].user_attrs == {"reason": "why", "orphan": True}
    assert find_study(url, "other") is None
    assert find_study(storage_url(None, tmp_path / "nowhere"), "mine") is None
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("address", ["foo", "sqlite://", "nosuch://host/name"])
def test_a_storage_that_cannot_be_used_is_refused_in_a_line(tmp_path, address):
    with pytest.raises(UserError, match="storage"):
        open_storage(storage_url(address, tmp_path))


def test_a_study_refuses_other_settings_by_name(search):
    found = search(*GRID)
    study = found.open()
    check_settings(study, found.settings, found.storage)
    check_settings(study, search(*GRID, "workers=2").settings, found.storage)
    with pytest.raises(UserError, match=r"trainer\.max_epochs: 20 there, 7 here"):
        check_settings(study, search(*GRID, "trainer.max_epochs=7").settings, found.storage)
    with pytest.raises(UserError, match=r"space: optimizer\.lr"):
        check_settings(study, search(*GRID, "optimizer.lr=0.1,0.7").settings, found.storage)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda file: file.unlink(), "deleted, emptied or renamed"),
        (lambda file: file.write_bytes(b""), "deleted, emptied or renamed"),
        (lambda file: file.rename(file.with_name("renamed.db")), "deleted, emptied or renamed"),
        (lambda file: file.write_bytes(b"not a database" * 99), "damaged"),
        (lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]), "damaged"),
    ],
    ids=["deleted", "emptied", "renamed", "overwritten", "cut off"],
)
def test_a_study_that_was_lost_or_damaged_is_refused_before_anything_is_trained_again(search, damage, words):
    found = search(*GRID)
    study = found.open()
    study.ask(found.space)
    for number in range(12):
        study.set_user_attr(f"attribute {number}", "long enough to fill some pages " * 60)
    (found.directory / "0" / ".hydra").mkdir(parents=True)
    open_storage(found.storage).remove_session()
    damage(found.directory / "study.db")
    open_storage.cache_clear()
    with pytest.raises(UserError, match=words) as refused:
        supervise(found)
    assert "study_name=" in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1
    assert [path.name for path in found.directory.iterdir() if path.is_dir()] == ["0"]


def test_what_a_killed_process_left_half_written_is_rolled_back(search):
    found = search(*GRID)
    found.open().set_user_attr("kept", "whole")
    file = found.directory / "study.db"
    half = "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('PRAGMA cache_size = 1'); " \
           "c.execute('CREATE TABLE half (x)'); " \
           "c.executemany('INSERT INTO half VALUES (?)', [('x' * 3000,)] * 200); os._exit(1)"  # fmt: skip
    subprocess.run([sys.executable, "-c", half, str(file)], check=False)
    assert file.with_name("study.db-journal").stat().st_size > 0
    check_database(found.storage)
    open_storage.cache_clear()
    assert find_study(found.storage, "shared").user_attrs["kept"] == "whole"


def test_a_lock_that_is_held_is_told(search, monkeypatch, caplog):
    found = search(*GRID)
    found.open()
    monkeypatch.setattr(storage, "LOCK_WAIT", 0.1)
    lock = threading.Event()

    def keep():
        with exclusive(found.storage):
            lock.set()
            time.sleep(0.5)

    other = threading.Thread(target=keep)
    other.start()
    lock.wait()
    with exclusive(found.storage):
        other.join()
    assert "waiting for it to let go" in caplog.text


def test_a_server_that_is_not_there_is_told_in_a_line(tmp_path):
    with pytest.raises(UserError, match="cannot be reached") as told, exclusive("postgresql+psycopg://u@127.0.0.1:9/d"):
        pass
    assert len(str(told.value).splitlines()) == 1
