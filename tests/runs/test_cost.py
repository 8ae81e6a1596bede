"""What runs have cost, read from their directories in whatever state these are."""

import math

import pytest

from lstm_ae.runs.cost import COST, costs, read_cost, trained
from lstm_ae.runs.directory import RunDirectory
from lstm_ae.runs.frame import load_runs


def make(path, epochs, status, **config):
    (path / ".hydra").mkdir(parents=True)
    lines = {"monitor": "val/loss", "mode": "min", **config}
    (path / ".hydra" / "config.yaml").write_text("".join(f"{key}: {value}\n" for key, value in lines.items()))
    rows = "".join(f"{epoch + 1},0.5,{1 / (epoch + 1)}\n" for epoch in range(epochs))
    (path / "metrics.csv").write_text("epoch,seconds,val/loss\n" + rows)
    (path / "summary.json").write_text(f'{{"status": "{status}"}}')


def test_a_folder_of_runs_is_held_against_all_of_them_trained_to_their_ends(tmp_path):
    full = {"trainer": "{max_epochs: 8}"}
    for name, epochs, status in (("0", 8, "completed"), ("1", 2, "pruned"), ("2", 1, "pruned"), ("3", 1, "pruned")):
        make(tmp_path / "a" / name, epochs, status, **full)
    make(tmp_path / "b" / "0", 4, "completed", trainer="{max_epochs: unknown}")
    (tmp_path / "a" / COST).write_text('{"cpu_seconds": 7.5, "wall_seconds": 9, "note": "text"}')
    first, second = costs(load_runs(tmp_path)).to_dict("records")
    assert (first["runs"], first["completed"], first["epochs"], first["of"], first["share"]) == (4, 1, 12, 32, 0.375)
    assert (first["seconds"], first["of seconds"]) == (6, 16)
    assert (first["CPU seconds"], first["wall seconds"]) == (7.5, 9)
    assert first["left"] == "2 after epoch 1, 1 after epoch 2"
    assert second["epochs"] == 4
    assert math.isnan(second["of"])


@pytest.mark.parametrize("content", ["", "[1]", "{", '{"cpu_seconds": "text"}', "[" * 9000, " " * 20_000])
def test_a_broken_cost_is_no_cost(tmp_path, content):
    (tmp_path / COST).write_text(content)
    assert read_cost(tmp_path) == {}


def test_folds_are_counted_and_broken_ones_are_not(tmp_path):
    for fold, text in enumerate(("epoch,seconds\n1,2\n2,2\n", "epoch,seconds\n1,3\n", "garbled\n\x00")):
        (tmp_path / "folds" / str(fold)).mkdir(parents=True)
        (tmp_path / "folds" / str(fold) / "metrics.csv").write_text(text)
    assert trained(RunDirectory(tmp_path)) == (3, 7.0)
