"""The way from a stranger's file to everything else, as the README and the tour show it."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lstm_ae.train import main
from tests.commands import call, environment

ROOT = Path(__file__).parents[1]
TINY = ("trainer.max_epochs=1", "dataset.num_train=16", "dataset.window=12")

ONE_PROCESS = """
import json, runpy, sys
for sys.argv in json.loads(sys.argv[1]):  # `python -m` again and again, which imports everything once
    try:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code:
            raise
"""


def log(rows: int = 90) -> pd.DataFrame:
    """The README's table: three sensors."""
    draw = np.random.default_rng(0)
    times = pd.date_range("2024-01-01", periods=rows, freq="5min")
    values = {name: pd.DataFrame(draw.normal(size=(rows, 2)).cumsum(0), columns=["load", "heat"]) for name in "ABC"}
    return pd.concat(table.assign(time=times, sensor=name) for name, table in values.items())


def test_the_five_commands_run_as_printed(tmp_path):
    """On fewer rows, epochs and trials."""
    pytest.importorskip("onnxruntime")
    text = (ROOT / "README.md").read_text()
    section = text[text.index("## Your own data") :]
    lines = re.findall(r"^\$ (python .*)$", section[: section.index("\n## ", 5)], flags=re.MULTILINE)
    commands = [line.split()[2].removeprefix("lstm_ae.") for line in lines]
    assert commands == ["train", "train", "compare", "encode", "export"]
    log().to_csv(tmp_path / "log.csv", index=False)
    (train, sweep, *others) = (shlex.split(line)[2:] for line in lines)
    train, sweep = (
        [*train, *TINY],
        ["-m", *sweep, *TINY, "hydra.sweeper.n_trials=2"],
    )  # a search starts workers of its own
    for arguments in (sweep, ["-c", ONE_PROCESS, json.dumps([train, *others])]):
        done = subprocess.run([sys.executable, *arguments], cwd=tmp_path, env=environment(), capture_output=True,
                              text=True, timeout=500)  # fmt: skip
        assert done.returncode == 0, done.stderr
    contexts = pd.read_csv(tmp_path / "contexts.csv")
    assert {"A", "B", "C"} <= {str(value) for value in contexts.to_numpy().ravel()}
    assert list((tmp_path / "runs/log").rglob("*.onnx")) and list((tmp_path / "multirun/log").rglob("*.png"))


def test_the_tour_runs(monkeypatch, tmp_path):
    """The notebook's cells, one after another, with fewer epochs."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    cells = json.loads((ROOT / "experiments/own_data/tour.ipynb").read_text())["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    scope: dict = {}
    for source in code:
        exec(compile(source.replace("EPOCHS = 30", "EPOCHS = 3"), "tour.ipynb", "exec"), scope)
    assert scope["contexts"].shape == (90, 16) and len(scope["scores"]) == 90
    assert sorted(scope["comparison"]["model.hidden_size"]) == [4, 16]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace("00:10:00,A,", "00:10:00,A,warm", 1), "log.csv, line 4, column 'load': 'warm"),
        (lambda text: "", "log.csv: the file is empty"),
        (lambda text: text.replace("sensor", "senser", 1), "dataset.series=sensor: log.csv has no column 'sensor'"),
    ],
)
def test_a_broken_file_ends_in_a_few_lines_and_leaves_nothing(tmp_path, monkeypatch, change, words):
    monkeypatch.chdir(tmp_path)
    text = log().to_csv(index=False, columns=["time", "sensor", "load", "heat"])
    (tmp_path / "log.csv").write_text(change(text))
    names = ["dataset=table", "dataset.path=log.csv", "dataset.time=time", "dataset.series=sensor"]
    code, said = call(main, [*names, "hydra.run.dir=run"], monkeypatch)
    assert code == 1 and said.startswith(f"error: {words}") and len(said.splitlines()) < 4
    assert not (tmp_path / "run").exists()
