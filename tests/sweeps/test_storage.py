"""Where a study is stored, and that it belongs to one search."""

from pathlib import Path

import optuna
import pytest

from lstm_ae.errors import UserError
from lstm_ae.sweeps.storage import annotate, check_settings, find_study, open_storage, open_study, storage_url

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


@pytest.mark.parametrize("storage", ["foo", "sqlite://", "nosuch://host/name"])
def test_a_storage_that_cannot_be_used_is_refused_in_a_line(tmp_path, storage):
    with pytest.raises(UserError, match="storage"):
        open_storage(storage_url(storage, tmp_path))


def test_a_study_refuses_other_settings_by_name(search):
    found = search(*GRID)
    study = found.open()
    check_settings(study, found.settings, found.storage)
    check_settings(study, search(*GRID, "workers=2").settings, found.storage)
    with pytest.raises(UserError, match=r"trainer\.max_epochs: 20 there, 7 here"):
        check_settings(study, search(*GRID, "trainer.max_epochs=7").settings, found.storage)
    with pytest.raises(UserError, match=r"space: optimizer\.lr"):
        check_settings(study, search(*GRID, "optimizer.lr=0.1,0.7").settings, found.storage)
