"""Files that are damaged in any way, and directories of strangers: refused or shown, never believed, never run."""

import json
import os
import random
import time
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from lstm_ae.compare import compare
from lstm_ae.errors import UserError
from lstm_ae.training import checkpoint
from tests.runs.made_runs import make_run

CASES = int(os.environ.get("LSTM_AE_SOAK_CASES", "3000"))
SOAK = settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck))
QUICK = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])


def state() -> dict:
    """A checkpoint as training makes it, in small."""
    model = torch.nn.LSTM(3, 8, num_layers=2)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.randn(5, 4, 3))[0].sum().backward()
    optimizer.step()
    history = [{"epoch": epoch, "val/loss": 1 / epoch} for epoch in range(1, 9)]
    return {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "history": history,
            "batch_generator": torch.Generator().get_state()}  # fmt: skip


def same(one: object, other: object) -> bool:
    """Whether two states are equal to the last bit."""
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    return one == other and type(one) is type(other)


def damaged(content: bytes, chance: random.Random) -> bytes:
    """`content` with one kind of damage at a random place."""
    place, length = chance.randrange(len(content)), chance.choice([1, 2, 16, 512, 4096])
    kind = chance.choice(["bit", "bit", "bits", "cut", "zeros", "noise", "missing", "twice", "swapped", "more"])
    changed = bytearray(content)
    if kind in ("bit", "bits"):
        for at in [place] if kind == "bit" else [chance.randrange(len(content)) for _ in range(length)]:
            changed[at] ^= 1 << chance.randrange(8)
    elif kind == "cut":
        changed = changed[:place]
    elif kind == "zeros":
        changed[place : place + length] = bytes(len(changed[place : place + length]))
    elif kind == "noise":
        changed[place : place + length] = chance.randbytes(len(changed[place : place + length]))
    elif kind == "missing":
        del changed[place : place + length]
    elif kind == "twice":
        changed[place:place] = changed[place : place + length]
    elif kind == "swapped":
        other = chance.randrange(len(content))
        changed[place : place + 64], changed[other : other + 64] = (
            changed[other : other + 64],
            changed[place : place + 64],
        )
    else:
        changed += chance.randbytes(length)
    return bytes(changed)


def damage_checkpoints(folder: Path, count: int) -> dict[str, int]:
    """Damage a checkpoint in `count` ways; each copy is refused, or loads as what was saved."""
    path, whole = folder / "last.pt", state()
    checkpoint.save(path, whole)
    content, chance, counts = path.read_bytes(), random.Random(0), {"refused": 0, "loads as it was saved": 0}
    for _ in range(count):
        path.write_bytes(damaged(content, chance))
        try:
            found = checkpoint.load(path)
        except UserError as error:
            assert len(str(error).splitlines()) <= 2 and str(path) in str(error)
            counts["refused"] += 1
        else:
            assert same({name: found[name] for name in whole}, whole), "other weights, silently"
            counts["loads as it was saved"] += 1
    return counts


def test_a_damaged_checkpoint_is_refused_or_loads_as_it_was_saved(tmp_path):
    counts = damage_checkpoints(tmp_path, 100)
    assert counts["refused"] > 60


@pytest.mark.soak
def test_two_thousand_damaged_checkpoints(tmp_path):
    print(f"\ncheckpoints damaged: {damage_checkpoints(tmp_path, 2000)}")


def test_every_bit_of_the_weights_is_guarded(tmp_path):
    path, whole = tmp_path / "last.pt", {"model": {"weight": torch.arange(4.0)}}
    checkpoint.save(path, whole)
    content = path.read_bytes()
    begin = content.index(whole["model"]["weight"].numpy().tobytes())
    for bit in range(8 * 16):
        changed = bytearray(content)
        changed[begin + bit // 8] ^= 1 << bit % 8
        path.write_bytes(bytes(changed))
        with pytest.raises(UserError, match="checksum"):
            checkpoint.load(path)


def test_a_damaged_checkpoint_names_the_whole_one_beside_it(tmp_path):
    for name in ("last.pt", "best.pt"):
        checkpoint.save(tmp_path / name, state())
    (tmp_path / "last.pt").write_bytes(b"PK")
    with pytest.raises(UserError) as refusal:
        checkpoint.load(tmp_path / "last.pt")
    command = str(refusal.value).splitlines()[-1].partition(": ")[2]
    assert "epoch 8" in str(refusal.value) and command.startswith("cp ")
    assert os.system(command) == 0
    assert same(checkpoint.load(tmp_path / "last.pt")["model"], checkpoint.load(tmp_path / "best.pt")["model"])


# What strangers' directories hold, file by file.
BOMB = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12))
HOSTILE = {
    "an epoch of nan": {"metrics.csv": "epoch,val/loss\nnan,0.5\ninf,0.4\n"},
    "lists for numbers": {
        "summary.json": '{"status": "completed", "best": [[1]], "test": [1], "seconds": [], "data": {}}'
    },
    "deep yaml": {".hydra/config.yaml": "x: " + "[" * 900_000},
    "deep yaml, closed": {".hydra/config.yaml": "x: " + "[" * 450_000 + "]" * 450_000},
    "deep blocks": {".hydra/config.yaml": "- " * 400_000 + "x"},
    "deep keys": {".hydra/config.yaml": "? " * 400_000 + "x"},
    "deep json": {"summary.json": "[" * 1_000_000, ".hydra/config.yaml": "seed: 1\n"},
    "deep json object": {"summary.json": '{"a":' * 200_000},
    "an alias bomb": {".hydra/config.yaml": BOMB, ".hydra/overrides.yaml": "- " + BOMB.replace("\n", "\n  ")},
    "an alias of itself": {".hydra/config.yaml": "a: &a [*a]\n"},
    "a hundred thousand columns": {"metrics.csv": ",".join(f"val/{i}" for i in range(100_000)) + "\n"},
    "a hundred thousand keys": {".hydra/config.yaml": "".join(f"k{i}: {i}\n" for i in range(100_000))},
    "many keys": {".hydra/config.yaml": "".join(f"k{i}: {i}\n" for i in range(400))},
    "a long line": {".hydra/config.yaml": "x: 1" + ":1" * 400_000},
    "a huge number": {"summary.json": '{"parameters": 1' + "0" * 4000 + ', "seconds": 1e400}'},
    "nested resumes": {"summary.json": json.dumps({"resumes": [{"overrides": ["a=" + "[" * 500_000, "+run=1"]}]})},
    "columns of ours": {".hydra/config.yaml": "run: 1\npath: 2\nstatus: 3\nval/loss: 4\nsetting: [5]\n"},
    "escape sequences": {"summary.json": '{"status": "\\u001b[31mcompleted", "error": "\\u001b]0;x\\u0007"}'},
    "no text": {"summary.json": b"\xff\xfe\x00", ".hydra/config.yaml": b"\x00\x01", "metrics.csv": b"\xff,\x00\n"},
    "python objects": {".hydra/config.yaml": "x: !!python/object/apply:os.system ['touch harm']\n"},
    "a program in the overrides": {".hydra/overrides.yaml": "- hydra.job.env_set={A: b}\n- seed=${oc.env:HOME}\n"},
    "a resolver": {".hydra/overrides.yaml": "- seed=${unclaimed:harm}\n- dataset=${unclaimed:harm}\n"},
}


def add_hostile(folder: Path, files: dict) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content) if isinstance(content, bytes) else path.write_text(content)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_directory_costs_a_line_and_little_time(tmp_path, monkeypatch, capfd, name):
    monkeypatch.chdir(tmp_path)
    make_run(tmp_path / "runs/0", [0.5, 0.4])
    add_hostile(tmp_path / "runs/1", HOSTILE[name])
    started = time.process_time()
    compare(["runs", "--results"])
    assert time.process_time() - started < 12
    out = capfd.readouterr().out
    assert "2 runs: " in out and "\x1b" not in out
    assert "--config-path" not in out and not (tmp_path / "harm").exists()


def test_a_key_that_no_terminal_shows_is_a_column(tmp_path, capsys):
    for number in range(2):
        config = make_run(tmp_path / f"runs/{number}", [0.5, 0.4]) / ".hydra/config.yaml"
        config.write_text(config.read_text() + f'"m\\x7f": {number}\n')
    compare([str(tmp_path / "runs")])
    assert "m\N{REPLACEMENT CHARACTER}" in capsys.readouterr().out


def test_a_key_that_is_called_like_a_metric_is_no_result(tmp_path, capsys):
    for number in range(2):
        folder = make_run(tmp_path / f"runs/{number}", [0.5, 0.4])
        with (folder / ".hydra/config.yaml").open("a") as file:
            file.write(f'"val/loss": 0.{number}1\n')
    (folder / "metrics.csv").unlink()
    compare([str(tmp_path / "runs"), "--group-by-seed"])
    compare([str(tmp_path / "runs")])
    said = capsys.readouterr().out
    assert "0.4" in said and "0.01" not in said and "0.11" not in said


def test_links_and_pipes_in_a_hostile_directory(tmp_path, capsys):
    make_run(tmp_path / "runs/0", [0.5, 0.4])
    for i, name in enumerate(["summary.json", "metrics.csv", ".hydra/config.yaml", ".hydra/overrides.yaml"], 1):
        folder = make_run(tmp_path / f"runs/{i}", [0.5, 0.4])
        (folder / name).unlink()
        os.mkfifo(folder / name)
        folder = make_run(tmp_path / f"runs/{10 * i}", [0.5, 0.4])
        (folder / name).unlink()
        (folder / name).symlink_to("/dev/zero" if i % 2 else "/nowhere")
    own = make_run(tmp_path / "runs/50", [0.5])
    (own / "folds").mkdir()
    (own / "folds/0").symlink_to(own)
    (own / "folds/1").symlink_to(own)
    outside = tmp_path / "outside"
    outside.write_text("theirs")
    (own / ".lock").symlink_to(outside)
    (own / "summary.json").write_text('{"status": "running"}')
    compare([str(tmp_path / "runs")])
    assert "10 runs: " in capsys.readouterr().out
    assert outside.read_text() == "theirs"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FILES = ("summary.json", "metrics.csv", ".hydra/config.yaml", ".hydra/hydra.yaml", ".hydra/overrides.yaml")
SUMMARY = ("status", "monitor", "best", "best_epoch", "test", "baselines", "parameters", "seconds", "git_commit",
           "data", "resumes", "error", "versions", "folds")  # fmt: skip
DAMAGE = st.one_of(
    st.tuples(st.just("delete"), st.sampled_from(FILES), st.none()),
    st.tuples(st.just("folder"), st.sampled_from(FILES), st.none()),
    st.tuples(st.just("cut"), st.sampled_from(FILES), st.floats(0, 1)),
    st.tuples(st.just("bytes"), st.sampled_from(FILES), st.binary(max_size=20)),
    st.tuples(st.just("text"), st.sampled_from(FILES), st.text(max_size=40)),
    st.tuples(st.just("json"), st.sampled_from(FILES), VALUES),
    st.tuples(st.just("field"), st.sampled_from(SUMMARY), VALUES),
    st.tuples(st.just("key"), st.sampled_from(["seed", "monitor", "mode", "trainer", "model", "run", "val/loss", ""]),
              VALUES),
    st.tuples(st.just("cell"), st.integers(0, 30), st.sampled_from(["nan", "inf", "-1", "1e999", "", "x", "1,2", '"'])),
)  # fmt: skip
OPTIONS = st.sampled_from(
    [[], ["--results"], ["--group-by-seed"], ["--group-by-seed", "--results"], ["--sort", "val/loss:max"],
     ["--filter", "seed == 0 or val/loss < 1"], ["--keys", "*"], ["--metrics", "*"], ["--html", "page.html"]]
)  # fmt: skip


def damage_run(run: Path, kind: str, where: object, what: object) -> None:
    """Damage a file of a run."""
    path = run / where if isinstance(where, str) and where in FILES else run / "metrics.csv"
    if path.is_dir() or not path.exists():
        return
    if kind == "delete":
        path.unlink()
    elif kind == "folder":
        path.unlink()
        path.mkdir()
    elif kind == "cut":
        path.write_bytes(path.read_bytes()[: int(len(path.read_bytes()) * what)])
    elif kind == "bytes":
        path.write_bytes(path.read_bytes()[:50] + what + path.read_bytes()[50:])
    elif kind == "text":
        path.write_text(what, encoding="utf-8", errors="surrogatepass")
    elif kind == "json":
        path.write_text(json.dumps(what))
    elif kind == "field" and (run / "summary.json").is_file():
        (run / "summary.json").write_text(json.dumps({"status": "completed", "monitor": "val/loss", where: what}))
    elif kind == "key" and (run / ".hydra/config.yaml").is_file():
        with (run / ".hydra/config.yaml").open("a") as file:
            file.write(json.dumps({where: what})[1:-1] + "\n")
    elif kind == "cell":
        cells = path.read_bytes().split(b",")  # which another damage may have left without a text
        cells[where % len(cells)] = what.encode()
        path.write_bytes(b",".join(cells))


def compare_damaged(folder: Path, damages: list, options: list[str]) -> None:
    """`compare` over three runs, two of them damaged, ends in a table or in a message."""
    import shutil

    shutil.rmtree(folder, ignore_errors=True)
    for i in range(3):
        make_run(folder / "runs" / str(i), [1.0, 0.5 + i], seed=i)
    for index, damage in enumerate(damages):
        damage_run(folder / "runs" / str(index % 2), *damage)
    options = [str(folder / option) if option.endswith(".html") else option for option in options]
    try:
        compare([str(folder / "runs"), *options])
    except UserError as error:
        assert len(str(error).splitlines()) <= 8


@pytest.fixture
def no_command(monkeypatch):
    """Leave out the search for a command that trains the best run again: it composes configs, which takes its time."""
    monkeypatch.setattr("lstm_ae.runs.retrain.reproducing_overrides", lambda _: None)


@QUICK
@given(st.lists(DAMAGE, min_size=1, max_size=4), OPTIONS)
def test_compare_shows_whatever_is_left_of_a_directory(no_command, tmp_path_factory, damages, options):
    compare_damaged(tmp_path_factory.getbasetemp() / "damaged", damages, options)


@pytest.mark.soak
@SOAK
@given(st.lists(DAMAGE, min_size=1, max_size=4), OPTIONS)
def test_compare_shows_whatever_is_left_of_three_thousand_directories(no_command, tmp_path_factory, damages, options):
    compare_damaged(tmp_path_factory.getbasetemp() / "damaged", damages, options)
