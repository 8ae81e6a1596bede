"""Public files: found, verified, downloaded from a server of the test's own, or asked for in one clear message."""

import gzip
import hashlib
import socket
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import NamedTuple

import pytest

from lstm_ae.data.files import PublicFile, data_root
from lstm_ae.errors import UserError

CONTENT = b"what was published, " * 500
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder; a file called *.broken-off is announced whole and sent by half."""

    def do_GET(self):
        self.server.requests.append(self.path)
        if not self.path.endswith(".broken-off"):
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[: len(CONTENT) // 2])
        return None

    def log_message(self, *arguments):
        pass


class Served(NamedTuple):
    """A folder and its address."""

    folder: Path
    address: str
    requests: list[str]


@pytest.fixture
def served(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "plain.csv").write_bytes(CONTENT)
    (folder / "zipped.csv.gz").write_bytes(gzip.compress(CONTENT))
    (folder / "other.csv").write_bytes(CONTENT + b"!")
    (folder / "cut.csv.gz").write_bytes(gzip.compress(CONTENT)[:-20])
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    server.requests = []
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield Served(folder, f"http://127.0.0.1:{server.server_port}", server.requests)
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def root(tmp_path, monkeypatch):
    """An empty place for public files."""
    monkeypatch.setenv("LSTM_AE_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def nobody():
    """An address where nobody answers."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused, and taken by nobody else meanwhile
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def public(*addresses):
    return PublicFile("set/file.csv", SHA256, addresses)


def files_in(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_the_root_is_the_variable_or_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("LSTM_AE_DATA", str(tmp_path))
    assert data_root() == tmp_path
    for unset in (lambda: monkeypatch.setenv("LSTM_AE_DATA", ""), lambda: monkeypatch.delenv("LSTM_AE_DATA")):
        unset()
        assert data_root() == Path.home() / ".cache" / "lstm_ae"


@pytest.mark.parametrize(("source", "place"), [("plain.csv", "set/file.csv"), ("zipped.csv.gz", "set/file.csv.gz")])
def test_a_missing_file_is_downloaded_once(served, root, source, place):
    file = public(f"{served.address}/{source}")
    assert file.read() == CONTENT
    assert files_in(root) == [place]
    assert (root / place).read_bytes() == (served.folder / source).read_bytes()
    assert file.read() == CONTENT
    assert served.requests == [f"/{source}"]


def test_a_downloaded_file_is_as_readable_as_any_new_file(served, root):
    public(f"{served.address}/plain.csv").read()
    beside = root / "beside"
    beside.touch()
    assert (root / "set/file.csv").stat().st_mode == beside.stat().st_mode


@pytest.mark.parametrize(
    ("name", "content"), [("file.csv", CONTENT), ("file.csv.gz", gzip.compress(CONTENT))], ids=["plain", "gzip"]
)
def test_a_file_that_is_there_is_used_and_never_touched(served, root, name, content, caplog):
    caplog.set_level("INFO")
    place = root / "set" / name
    place.parent.mkdir(parents=True)
    place.write_bytes(content)
    place.chmod(0o444)
    before = place.stat()
    assert public(f"{served.address}/plain.csv").read() == CONTENT
    assert f"read {place}" in caplog.text
    after = place.stat()
    assert served.requests == []
    assert files_in(root) == [f"set/{name}"]
    assert (after.st_mtime_ns, after.st_ino, after.st_mode) == (before.st_mtime_ns, before.st_ino, before.st_mode)


@pytest.mark.parametrize("name", ["file.csv", "file.csv.gz"])
@pytest.mark.parametrize(
    "content",
    [CONTENT + b"!", b"", gzip.compress(CONTENT)[:-20], gzip.compress(CONTENT)[:5], gzip.compress(CONTENT + b"!")],
    ids=["changed", "empty", "gzip cut off", "gzip of five bytes", "gzip of a changed one"],
)
def test_a_damaged_file_on_disk_is_named_and_kept(served, root, name, content):
    place = root / "set" / name
    place.parent.mkdir(parents=True)
    place.write_bytes(content)
    with pytest.raises(UserError) as refusal:
        public(f"{served.address}/plain.csv").read()
    assert str(place) in str(refusal.value) and "data set of your own" in str(refusal.value)
    assert place.read_bytes() == content
    assert served.requests == []


@pytest.mark.parametrize("source", ["other.csv", "cut.csv.gz", "absent.csv", "half.broken-off"])
def test_a_download_that_fails_leaves_nothing_behind(served, root, source):
    with pytest.raises(UserError) as refusal:
        public(f"{served.address}/{source}").read()
    assert files_in(root) == []
    assert f"{served.address}/{source}" in str(refusal.value)


def test_the_next_address_is_asked_when_one_fails(served, root, nobody):
    addresses = [f"{nobody}/plain.csv", f"{served.address}/absent.csv", f"{served.address}/other.csv"]
    assert public(*addresses, f"{served.address}/zipped.csv.gz").read() == CONTENT
    assert files_in(root) == ["set/file.csv.gz"]


def test_no_network_ends_in_one_message_that_says_what_to_do(root, nobody, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    addresses = [f"{nobody}/one.csv.gz", f"{nobody}/two.csv"]
    with pytest.raises(UserError) as refusal:
        public(*addresses).read()
    message = str(refusal.value)
    for said in ("set/file.csv", str(root / "set/file.csv.gz"), str(root), *addresses, "LSTM_AE_DATA", "synthetic"):
        assert said in message
    assert message.count("refused") == 2  # the reason, once for each address
    assert len(message.splitlines()) <= 6
    assert files_in(root) == []


def test_a_place_that_cannot_be_written_is_named(served, root):
    root.write_text("a file where the folder should be")
    with pytest.raises(UserError) as refusal:
        public(f"{served.address}/plain.csv").read()
    assert str(root) in str(refusal.value)
    assert root.read_text() == "a file where the folder should be"
