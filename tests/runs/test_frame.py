"""load_runs: run directories as one DataFrame, whatever state and whoever's they are."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest

from lstm_ae.compare import compare
from lstm_ae.errors import UserError
from lstm_ae.runs.frame import FIELDS, load_runs, monitors
from lstm_ae.runs.lock import hold
from lstm_ae.runs.settings import flatten
from tests.commands import environment
from tests.runs.made_runs import make_run


def test_columns_and_values(tmp_path):
    for seed in (0, 1):
        make_run(tmp_path / str(seed), [0.5, 0.25, 0.3], seed=seed, hidden_size=8 * (seed + 1))
    runs = load_runs(tmp_path)
    assert list(runs.columns[: len(FIELDS)]) == list(FIELDS)
    first, second = runs.to_dict("records")
    expected = {
        "run": "0", "path": str(tmp_path / "0"), "trial": 0, "status": "completed", "monitor": "val/loss",
        "mode": "min", "epochs": 3, "best_epoch": 2, "seconds": 1.5, "git_commit": "c0ffee", "data": "123abc",
        "note": None,
        "optimizer": "adam", "seed": 0, "model.hidden_size": 8, "model.encoder.hidden_size": 8, "dataset.seed": 0,
        "optimizer.betas": "[0.9, 0.999]", "val/loss": 0.25, "val/accuracy": 0.75, "test/loss/mean": 0.9,
        "overrides": ("seed=0", "model.hidden_size=8", "optimizer.lr=0.01"),
    }  # fmt: skip
    assert {name: first[name] for name in expected} == expected
    assert second["model.encoder.hidden_size"] == 16
    assert runs.attrs["choices"] == ["optimizer"]
    assert {"val/loss", "test/loss", "test/loss/mean"} < set(runs.attrs["metrics"])
    assert "model.hidden_size" in runs.attrs["settings"]
    assert runs["model.hidden_size"].dtype == int
    assert runs.groupby("model.hidden_size")["val/loss"].mean().to_dict() == {8: 0.25, 16: 0.25}
    assert len(runs.query("`val/loss` < 0.3 and `model.hidden_size` == 16")) == 1


def test_runs_that_differ_in_seed_fold_or_execution_have_one_setting(tmp_path):
    make_run(tmp_path / "0", [0.5])
    make_run(tmp_path / "1", [0.5], seed=1, fold=2)
    other = make_run(tmp_path / "2", [0.5])
    config = other / ".hydra/config.yaml"
    config.write_text(config.read_text().replace("threads: 1", "threads: 2\nbackend: native\ndevice: cpu"))
    make_run(tmp_path / "3", [0.5], lr=0.02)
    a, b, c, d = load_runs(tmp_path)["setting"]
    assert a == b == c != d


def test_several_folders_and_a_run_that_is_in_two_of_them(tmp_path):
    for name in ("a/0", "a/10", "a/9", "b/x/0"):
        make_run(tmp_path / name, [0.5])
    assert list(load_runs(tmp_path / "a", tmp_path / "b", tmp_path / "a/9")["run"]) == ["a/0", "a/9", "a/10", "b/x/0"]


def test_no_run_and_no_folder(tmp_path):
    with pytest.raises(UserError, match="no run in or below"):
        load_runs(tmp_path)
    with pytest.raises(UserError, match="no such directory"):
        load_runs(tmp_path / "nowhere")


def test_a_run_in_progress_and_one_whose_process_is_gone(tmp_path):
    for name in ("alive", "dead"):
        make_run(tmp_path / name, [0.5], status="running")
    with hold(tmp_path / "alive/.lock"):
        notes = load_runs(tmp_path)["note"]
    assert list(notes.fillna("")) == ["", "no process on this machine is at work on it"]


HOSTILE = {
    "nan epoch": ("metrics.csv", "epoch,val/loss\nnan,0.5\n"),
    "wide": ("metrics.csv", ",".join(map(str, range(100_000))) + "\n"),
    "binary": ("metrics.csv", "\0\n\0\n"),
    "lists": ("summary.json", json.dumps({"status": [1], "seconds": [2], "best": {"a": 1}, "test": [3], "resumes": 4})),
    "deep json": ("summary.json", "[" * 100_000),
    "deep yaml": (".hydra/config.yaml", "a: " + "[" * 20_000),
    "bomb": (".hydra/config.yaml", "a0: &a0 {x: 1, y: 2}\n"
             + "".join(f"a{i}: &a{i} {{x: *a{i - 1}, y: *a{i - 1}}}\n" for i in range(1, 60))),
    "texts": (".hydra/overrides.yaml", "- 1\n- [2]\n- {a: b}\n"),
    "no list": (".hydra/overrides.yaml", "a: b\n"),
    "monitor": (".hydra/config.yaml", "monitor: {a: 1}\nmode: [3, null]\n"),
    "circle": (".hydra/config.yaml", "a: ${b}\nb: ${a}\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_one_bad_directory_costs_one_line(tmp_path, name):
    make_run(tmp_path / "0", [0.5])
    file, text = HOSTILE[name]
    (make_run(tmp_path / "1", [0.5]) / file).write_text(text)
    runs = load_runs(tmp_path)
    assert list(runs["run"]) == ["0", "1"]
    assert runs["val/loss"][0] == 0.5


def test_compare_shows_all_of_them(tmp_path, capsys):
    make_run(tmp_path / "good", [0.5])
    for name, (file, text) in HOSTILE.items():
        (make_run(tmp_path / name, [0.5]) / file).write_text(text)
    for options in ([], ["--group-by-seed"], ["--results", "--html", str(tmp_path / "page.html")], ["--figures"]):
        compare([str(tmp_path), *options])
        assert f"{len(HOSTILE) + 1} runs" in capsys.readouterr().out


def test_a_broken_link_is_a_missing_file(tmp_path):
    path = make_run(tmp_path / "0", [0.5])
    (path / "metrics.csv").unlink()
    (path / "metrics.csv").symlink_to(tmp_path / "nowhere")
    assert load_runs(tmp_path)["note"][0] == "no metrics.csv"


@pytest.mark.parametrize(
    ("names", "modes", "expected"),
    [
        ("val/loss", "min", {"val/loss": "min"}),
        (["val/loss", "val/accuracy"], ["min", "max"], {"val/loss": "min", "val/accuracy": "max"}),
        ("val/loss, val/accuracy", "min, max", {"val/loss": "min", "val/accuracy": "max"}),
        ("val/accuracy", None, {"val/accuracy": "max"}),
        (None, "min", {}),
        (math.nan, math.nan, {}),
        ({"a": 1}, 3, {}),
    ],
)
def test_monitors_in_any_form(names, modes, expected):
    assert monitors(names, modes) == expected


def test_flatten():
    assert flatten({"a": {"b": {"c": 1}, "d": [2]}, "e": {}}) == {"a.b.c": 1, "a.d": [2], "e": {}}
    with pytest.raises(ValueError, match="more than"):
        flatten({str(i): i for i in range(20_000)})


def test_missing_numbers_are_nan(tmp_path):
    make_run(tmp_path / "0", [0.5])
    make_run(tmp_path / "1", [], status="failed")
    runs = load_runs(tmp_path)
    assert np.isnan(runs["val/loss"][1])
    assert np.isnan(runs["epochs"][1])


def test_the_notebook_call(tmp_path):
    make_run(tmp_path / "0", [0.5])
    code = f"import lstm_ae; print(len(lstm_ae.load_runs({str(tmp_path)!r})), lstm_ae.__all__)"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1 ['LSTMAutoencoder', 'Run', 'load_run', 'load_runs']"
