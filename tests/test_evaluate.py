"""Reopening runs: the same numbers, the notebook's call, and what a hostile directory gets."""

import json
import pickle
import shutil
import time

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

import lstm_ae
from lstm_ae import evaluate as evaluate_command
from lstm_ae import train as train_command
from lstm_ae.errors import UserError
from tests.commands import TINY_DIGITS, TINY_SYNTHETIC, call, run, train


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return train(*TINY_DIGITS, "trainer.max_epochs=3", cwd=tmp_path_factory.mktemp("trained"))


@pytest.fixture
def copy(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "copy")


def test_evaluate_reproduces_the_test_metrics_exactly(copy, tmp_path):
    before = (copy / "summary.json").read_text()
    shutil.rmtree(copy / "figures")
    done = run("evaluate", "run=copy", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    evaluation, recorded = json.loads((copy / "evaluation.json").read_text()), json.loads(before)
    assert list(evaluation) == ["best_epoch", "test", "baselines"]
    assert evaluation == {name: recorded[name] for name in evaluation}
    numbers = len(evaluation["test"]) + len(evaluation["baselines"])
    assert f"{numbers} of {numbers} numbers are exactly as recorded in summary.json" in done.stdout
    assert "logistic" in done.stdout  # the heading of a baseline
    assert (copy / "figures" / "confusion.png").stat().st_size > 1000
    assert (copy / "summary.json").read_text() == before
    assert {path.name for path in tmp_path.iterdir()} == {"copy"}


def test_evaluate_needs_neither_the_summary_nor_the_metrics(copy, tmp_path):
    recorded = json.loads((copy / "summary.json").read_text())
    for name in ("summary.json", "metrics.csv"):
        (copy / name).unlink()
    done = run("evaluate", "run=copy", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    evaluation = json.loads((copy / "evaluation.json").read_text())
    assert evaluation == {name: recorded[name] for name in evaluation}
    assert "could not be drawn" not in done.stdout and (copy / "figures" / "loss.png").is_file()


def test_evaluate_says_which_numbers_differ(copy, tmp_path):
    recorded = json.loads((copy / "summary.json").read_text())
    recorded["test"]["test/loss"] = 7.0
    del recorded["baselines"]["test/accuracy/logistic_regression"]
    (copy / "summary.json").write_text(json.dumps(recorded))
    done = run("evaluate", "run=copy", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "7 of 8 numbers are exactly as recorded" in done.stdout and "recorded: 7" in done.stdout
    assert "not in summary.json: test/accuracy/logistic_regression" in done.stdout


def test_evaluate_writes_where_it_is_told(copy, tmp_path):
    done = run("evaluate", "run=copy", "output=elsewhere", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "elsewhere" / "evaluation.json").exists()
    assert not (copy / "evaluation.json").exists()


def test_load_run_speaks_original_units(trained):
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    loaded = lstm_ae.load_run(trained)
    assert not loaded.model.training
    for values in (images[:20], images[:20].reshape(20, 8, 8), torch.from_numpy(images[:20])):
        rebuilt, classes, contexts = loaded.reconstruct(values), loaded.classify(values), loaded.encode(values)
        assert type(rebuilt) is type(classes) is type(contexts) is type(values)
        assert rebuilt.shape == values.shape and classes.shape == (20,) and contexts.shape == (20, 4)
    by_hand = loaded.model(torch.from_numpy(images[:20] / 16).float().view(20, 8, 8))
    np.testing.assert_allclose(loaded.reconstruct(images[:20]), by_hand.reconstruction.detach().view(20, 64) * 16,
                               rtol=1e-4, atol=1e-4)  # fmt: skip
    assert (loaded.classify(images[:20]) == by_hand.logits.argmax(1).numpy()).all()
    recorded = json.loads((trained / "summary.json").read_text())["test"]["test/accuracy"]
    assert abs((loaded.classify(images) == labels).mean() - recorded) < 0.1


def test_load_run_refuses_what_does_not_fit(trained, tmp_path):
    loaded = lstm_ae.load_run(trained)
    with pytest.raises(UserError, match=r"expected \(batch, 8, 8\)"):
        loaded.encode(np.zeros((3, 7)))
    plain = lstm_ae.load_run(train(*TINY_SYNTHETIC, cwd=tmp_path))
    with pytest.raises(UserError, match="model=classifier"):
        plain.classify(np.zeros((3, 8, 1)))


def test_not_a_run_directory(tmp_path):
    with pytest.raises(UserError, match="not a run directory"):
        lstm_ae.load_run(tmp_path)
    done = run("evaluate", "run=.", cwd=tmp_path)
    assert done.returncode == 1 and "not a run directory" in done.stderr and "Traceback" not in done.stderr
    done = run("evaluate", cwd=tmp_path)
    assert done.returncode == 1 and "run" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("damage", ["missing", "truncated", "foreign", "other model", "empty"])
def test_broken_checkpoints_are_named(damage, copy, tmp_path):
    best = copy / "checkpoints" / "best.pt"
    if damage == "missing":
        best.unlink()
    elif damage == "truncated":
        best.write_bytes(best.read_bytes()[: best.stat().st_size // 2])
    elif damage == "foreign":
        torch.save([1, 2, 3], best)
    elif damage == "empty":
        best.write_bytes(b"")
    else:
        state = torch.load(best, weights_only=True)
        state["model"] = {name: torch.zeros(2) for name in state["model"]}
        torch.save(state, best)
    with pytest.raises(UserError, match=r"best\.pt"):
        lstm_ae.load_run(copy)


class Bomb:
    """Unpickling this writes a file: what a hostile checkpoint could do."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


def test_a_pickle_bomb_does_not_go_off(copy, tmp_path):
    proof = tmp_path / "proof"
    pickle.loads(pickle.dumps(Bomb(proof))).close()
    assert proof.exists()  # the bomb is a real one
    proof.unlink()
    for name in ("best.pt", "last.pt"):
        torch.save({"format": 1, "model": Bomb(proof)}, copy / "checkpoints" / name)
    with pytest.raises(UserError, match="nothing in it was run"):
        lstm_ae.load_run(copy)
    done = run("train", "resume=copy", "trainer.max_epochs=5", cwd=tmp_path)
    assert done.returncode == 1 and "not a readable checkpoint" in done.stderr
    assert not proof.exists()


@pytest.mark.parametrize("part", ["dataset", "model.encoder", "optimizer", "trainer", "objective"])
def test_a_config_cannot_call_out(part, copy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    proof = tmp_path / "proof"
    config = OmegaConf.load(copy / ".hydra" / "config.yaml")
    OmegaConf.update(config, part, {"_target_": "pathlib.Path.touch", "_args_": [str(proof)]}, merge=False)
    OmegaConf.save(config, copy / ".hydra" / "config.yaml")
    code, words = call(train_command.main, ["resume=copy", "threads=1"], monkeypatch)
    assert code == 1 and "is no part that a config may name" in words
    if part in ("model.encoder", "objective", "dataset"):
        code, words = call(evaluate_command.main, ["run=copy"], monkeypatch)
        assert code == 1 and "is no part that a config may name" in words
    assert not proof.exists()


def test_reopening_needs_no_data(real_data, tmp_path):
    directory = train("dataset=mnist_rows", "trainer=debug", "threads=1", cwd=tmp_path)
    started = time.monotonic()
    loaded = lstm_ae.load_run(directory)
    assert loaded.spec.image_shape == (28, 28) and time.monotonic() - started < 5
