"""Files are written whole or not at all."""

import os

import pytest

from lstm_ae.files import remove_halves, replacing, write_whole


def test_text_is_utf8_and_bytes_are_themselves(tmp_path):
    write_whole(tmp_path / "text", "Zürich\n")
    write_whole(tmp_path / "bytes", b"\x00\xff\r\n")
    assert (tmp_path / "text").read_bytes() == b"Z\xc3\xbcrich\n"
    assert (tmp_path / "bytes").read_bytes() == b"\x00\xff\r\n"


@pytest.mark.parametrize("failure", ["encoding", "renaming"])
def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, failure):
    path = tmp_path / "summary.json"
    write_whole(path, "old")
    text = "new"
    if failure == "encoding":
        text = "new \ud800"  # half a surrogate pair has no encoding
    else:

        def full(*arguments):
            raise OSError("no space left")

        monkeypatch.setattr(os, "replace", full)
    with pytest.raises((UnicodeError, OSError)):
        write_whole(path, text)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["summary.json"]


def test_a_function_that_writes_gets_a_path_beside_the_file_with_its_suffix(tmp_path):
    path = tmp_path / "loss.png"
    with replacing(path) as temporary:
        assert (temporary.parent, temporary.suffix) == (tmp_path, ".png")
        temporary.write_text("half")
        assert not path.exists()
    assert path.read_text() == "half"
    assert os.listdir(tmp_path) == ["loss.png"]


def test_an_interrupted_function_leaves_the_old_file(tmp_path):
    path = tmp_path / "last.pt"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), replacing(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["last.pt"]


def test_what_a_killed_process_had_begun_to_write_is_removed(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    for name in (".123.summary.json", "checkpoints/.4.last.pt", ".hidden", "last.pt", ".5"):
        (tmp_path / name).touch()
    remove_halves(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [".5", ".hidden", "checkpoints", "last.pt"]
    assert os.listdir(tmp_path / "checkpoints") == []


def test_a_link_is_replaced_and_not_followed(tmp_path):
    (tmp_path / "theirs").write_text("theirs")
    for name in ("summary.json", f".{os.getpid()}.summary.json"):
        (tmp_path / name).symlink_to(tmp_path / "theirs")
    write_whole(tmp_path / "summary.json", "ours")
    assert (tmp_path / "theirs").read_text() == "theirs"
    assert not (tmp_path / "summary.json").is_symlink()
