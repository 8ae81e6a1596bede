"""The runs that come with the repository: small, whole, and as good as they say."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import lstm_ae
from lstm_ae.config import build
from lstm_ae.models.inference import predict
from tests.commands import environment, run

ROOT = Path(__file__).parents[1]
KEPT = sorted(path.parents[1] for path in ROOT.glob("experiments/*/runs/*/.hydra/config.yaml"))
DIGITS = ROOT / "experiments/digits/runs/digits"
FILES = {".hydra/config.yaml", ".hydra/overrides.yaml", "checkpoints/best.pt", "metrics.csv", "summary.json"}


def tracked(folder: Path) -> dict[str, int]:
    """The files of a kept run, with their sizes; what `evaluate` adds is not of them."""
    added = {"figures", "evaluation.json", ".lock"}
    files = (path for path in folder.rglob("*") if path.is_file())
    names = {path.relative_to(folder): path.stat().st_size for path in files}
    return {str(name): size for name, size in names.items() if not added & set(name.parts)}


@pytest.mark.parametrize("folder", KEPT, ids=lambda folder: f"{folder.parents[1].name}/{folder.name}")
def test_a_kept_run_is_small_and_works(folder):
    files = tracked(folder)
    assert set(files) == FILES and sum(files.values()) <= 2_000_000
    loaded = lstm_ae.load_run(folder)
    assert json.loads((folder / "summary.json").read_text())["status"] == "completed"
    spec = loaded.spec
    contexts = loaded.encode(torch.rand(3, spec.length, spec.features))
    assert len(contexts) == 3 and torch.as_tensor(contexts).isfinite().all()
    assert str(folder.relative_to(ROOT)) in (ROOT / "README.md").read_text()


def test_there_are_some():
    assert len(KEPT) >= 4


@pytest.fixture
def copy(tmp_path):
    """A copy of the kept run of digits, since commands write beside what they read."""
    for name in FILES:
        (tmp_path / "run" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "run" / name).write_bytes((DIGITS / name).read_bytes())
    return tmp_path / "run"


def test_the_kept_run_of_digits_has_the_recorded_test(copy, tmp_path):
    done = run("evaluate", f"run={copy}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    recorded = json.loads((DIGITS / "summary.json").read_text())["test"]
    measured = json.loads((copy / "evaluation.json").read_text())["test"]
    assert measured == pytest.approx(recorded, rel=1e-4)


@pytest.mark.parametrize(
    "name", ["mnist_rows/runs/best", *(f"mnist_pixels/runs/{n}" for n in ("pyramid", "permuted", "flat"))]
)
def test_the_kept_runs_of_mnist_read_digits_and_draw_them(name, real_data):
    loaded = lstm_ae.load_run(ROOT / "experiments" / name)
    part = build.build_data(loaded.config, torch.device("cpu")).test[:1000]
    output = predict(loaded.model, part)
    recorded = json.loads((loaded.directory.path / "summary.json").read_text())["test"]
    assert (output.logits.argmax(1) == part.labels).double().mean() >= recorded["test/accuracy"] - 0.015
    error = (output.reconstruction - part.inputs).square().mean().item()
    assert error == pytest.approx(recorded["test/reconstruction"], rel=0.1)


def test_kept_weights_cannot_be_resumed_but_a_new_run_starts_from_them(copy, tmp_path):
    best = copy / "checkpoints" / "best.pt"
    best.with_name("last.pt").write_bytes(best.read_bytes())
    done = run("train", f"resume={copy}", "trainer.max_epochs=80", cwd=tmp_path)
    assert done.returncode != 0 and "Traceback" not in done.stderr and f"weights={copy}" in done.stderr
    done = run(
        "train", "experiment=digits", f"weights={copy}", "trainer.max_epochs=1", "optimizer.lr=1e-9", "threads=1",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    keep = [sys.executable, str(ROOT / "experiments/keep.py"), str(next(tmp_path.glob("outputs/*/*"))), "small"]
    subprocess.run(keep, cwd=tmp_path, env=environment(), check=True)
    assert set(tracked(tmp_path / "small")) == FILES
    assert lstm_ae.load_run(tmp_path / "small").encode(torch.rand(2, 8, 8)).isfinite().all()
