"""Checkpoints: whole or not at all, and never a program."""

import os

import pytest
import torch

from lstm_ae.errors import UserError
from lstm_ae.training.checkpoint import load, save

STATE = {"model": {"weight": torch.arange(6.0).view(2, 3)}, "history": [{"epoch": 1, "val/loss": 0.25}], "none": None}


class Bomb:
    """Makes a directory when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_what_is_saved_is_loaded(tmp_path):
    path = tmp_path / "checkpoints" / "last.pt"
    save(path, STATE)
    state = load(path)
    assert torch.equal(state["model"]["weight"], STATE["model"]["weight"])
    assert state["history"] == STATE["history"]
    assert state["none"] is None
    assert os.listdir(path.parent) == ["last.pt"]


def test_saving_again_replaces(tmp_path):
    path = tmp_path / "last.pt"
    save(path, STATE)
    save(path, STATE | {"history": []})
    assert load(path)["history"] == []
    assert os.listdir(tmp_path) == ["last.pt"]


@pytest.mark.parametrize("failure", ["pickling", "renaming"])
def test_a_save_that_fails_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, failure):
    path = tmp_path / "last.pt"
    save(path, STATE)
    before = path.read_bytes()
    state = STATE | {"more": torch.zeros(10)}
    if failure == "pickling":
        state["not plain"] = lambda: None
    else:

        def full(*arguments):
            raise OSError("no space left")

        monkeypatch.setattr(os, "replace", full)
    with pytest.raises(Exception, match=r"lambda|space"):
        save(path, state)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["last.pt"]


def refused(path):
    with pytest.raises(UserError) as refusal:
        load(path)
    assert str(path) in str(refusal.value)
    assert len(str(refusal.value).splitlines()) <= 3


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.99])
def test_a_file_that_is_cut_off_is_refused(tmp_path, share):
    path = tmp_path / "last.pt"
    save(path, STATE)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    refused(path)


@pytest.mark.parametrize(
    "foreign",
    [
        [1, 2, 3],
        torch.zeros(3),
        {"weight": torch.zeros(3)},
        {"format": 999, **STATE},
        "text",
        None,
    ],
    ids=["list", "tensor", "weights", "other format", "text", "none"],
)
def test_a_foreign_file_is_refused(tmp_path, foreign):
    torch.save(foreign, tmp_path / "last.pt")
    refused(tmp_path / "last.pt")


@pytest.mark.parametrize("content", [b"not a zip", b"\x80\x04.", b"PK\x03\x04"])
def test_a_file_that_torch_never_wrote_is_refused(tmp_path, content):
    (tmp_path / "last.pt").write_bytes(content)
    refused(tmp_path / "last.pt")


def test_no_file_and_a_directory_are_refused(tmp_path):
    refused(tmp_path / "last.pt")
    (tmp_path / "last.pt").mkdir()
    refused(tmp_path / "last.pt")


@pytest.mark.parametrize("zipped", [True, False])
def test_nothing_in_a_checkpoint_is_run(tmp_path, zipped):
    harm = tmp_path / "harm"
    path = tmp_path / "last.pt"
    torch.save({"format": 1, **STATE, "history": Bomb(harm)}, path, _use_new_zipfile_serialization=zipped)
    refused(path)
    assert not harm.exists()
    torch.load(path, weights_only=False)  # the bomb is a real one
    assert harm.exists()
