"""The same config and seed give the same numbers to the last bit: in fresh processes, after a kill, by any worker."""

import json
import signal
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from lstm_ae.runs.directory import RunDirectory
from tests.commands import TINY_DIGITS, TINY_SYNTHETIC, run

COMBINATIONS = {
    "native, dropout": ("backend=native", "model.num_layers=2", "model.dropout=0.3"),
    "torch": ("backend=torch",),
    "autoregressive, half taught": ("model/decoder=autoregressive", "model.decoder.teacher_forcing=0.5"),
    "initial state, reverse": ("model/decoder=initial_state", "model.decoder.reverse=true"),
    "bidirectional": ("model.encoder.bidirectional=true",),
    "pyramid": ("model/encoder=pyramidal", "model/decoder=pyramidal", "model.encoder.strides=[2,2]"),
    "sgd on a plateau": ("optimizer=sgd", "scheduler=plateau"),
    "one cycle, rmsprop": ("optimizer=rmsprop", "scheduler=one_cycle"),
    "two threads": ("threads=2", "dataset.num_sequences=600"),
    "classifier, augmentation": (*TINY_DIGITS, "dataset.augment.shift=1"),
    "separate classifier": (*TINY_DIGITS, "model=classifier_separate"),
    "folds": ("dataset.num_folds=3", "dataset.fold=1"),
}


def rows(directory: Path) -> list[dict[str, float]]:
    """metrics.csv without the time that the epochs took."""
    return [{k: v for k, v in row.items() if k != "seconds"} for row in RunDirectory(directory).read_metrics()]


def check(processes, folder, settings):
    """Train twice in processes of their own, once more with a kill in between, and let `rerun=` judge."""
    own = settings if settings[0].startswith("dataset=") else (*TINY_SYNTHETIC, *settings)
    own = [*own, "trainer.max_epochs=3"]
    for name in ("one", "other"):
        assert processes.run(*own, f"hydra.run.dir={name}", cwd=folder) == 0, (folder / "output").read_text()
    assert processes.run(*own, "hydra.run.dir=killed", cwd=folder, rename=8) == -signal.SIGKILL
    assert processes.run("resume=killed", cwd=folder) == 0, (folder / "output").read_text()
    assert rows(folder / "one") == rows(folder / "other") == rows(folder / "killed")
    tests = [json.loads((folder / name / "summary.json").read_text())["test"] for name in ("one", "other", "killed")]
    assert tests[0] == tests[1] == tests[2]


def test_killed_resumed_and_trained_again(processes, tmp_path):
    """`rerun=` of a run that was killed and resumed: equal to the last bit; of changed numbers: different."""
    own = [*TINY_SYNTHETIC, *COMBINATIONS["native, dropout"], "trainer.max_epochs=3"]
    assert processes.run(*own, "hydra.run.dir=killed", cwd=tmp_path, rename=8) == -signal.SIGKILL
    assert processes.run("resume=killed", cwd=tmp_path) == 0, (tmp_path / "output").read_text()
    assert processes.run("rerun=killed", "hydra.run.dir=again", cwd=tmp_path) == 0, (tmp_path / "output").read_text()
    found = json.loads((tmp_path / "again/summary.json").read_text())["rerun"]
    assert (found["verdict"], found["first_difference"]) == ("equal to the last bit", None)
    assert rows(tmp_path / "again") == rows(tmp_path / "killed")
    text = (tmp_path / "again/metrics.csv").read_text().splitlines()
    cells = text[2].split(",")
    cells[-1] = str(float(cells[-1]) * 1.5)
    (tmp_path / "again/metrics.csv").write_text("\n".join([*text[:2], ",".join(cells), *text[3:]]))
    assert processes.run("rerun=again", "hydra.run.dir=different", cwd=tmp_path) == 1
    said = (tmp_path / "output").read_text()
    assert "different" in said and "val/reconstruction in epoch 2" in said and "Traceback" not in said


@pytest.mark.soak
@pytest.mark.parametrize("name", list(COMBINATIONS))
def test_every_combination(processes, tmp_path, name):
    check(processes, tmp_path, COMBINATIONS[name])


@pytest.mark.soak
def test_one_worker_or_two(tmp_path):
    """A grid: its trials are the same whichever worker trains them."""
    command = ("-m", "sweep=synthetic_grid", *TINY_SYNTHETIC[:-1], "model.hidden_size=2,3", "optimizer.lr=0.01,0.02")
    for workers in (1, 2):
        done = run("train", *command, f"workers={workers}", f"study_name=by{workers}", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    found = []
    for workers in (1, 2):
        runs = [RunDirectory(path.parent) for path in (tmp_path / f"multirun/by{workers}").glob("*/summary.json")]
        tried = {run: OmegaConf.load(run.config) for run in runs}
        found.append({(config.model.hidden_size, config.optimizer.lr): rows(run.path) for run, config in tried.items()})
    assert len(found[0]) == 4
    assert found[0] == found[1]
