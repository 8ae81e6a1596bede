"""Sequences of one's own from a file, as a user trains on them: unequal, with missing values, labelled."""

import numpy as np
import pytest

import lstm_ae
from lstm_ae import train as train_command
from tests.commands import call, train


def save(file):
    """Rising and falling lines of 2 to 9 steps, a tenth of their values missing."""
    generator = np.random.default_rng(0)
    sequences, labels = [], []
    for i in range(60):
        slope = [1.0, -1.0][i % 2]
        values = 5 + slope * np.arange(generator.integers(2, 10))[:, None] + generator.normal(0, 0.1, (1, 2))
        values[1:][generator.random(values[1:].shape) < 0.1] = np.nan
        sequences.append(values)
        labels.append(["up", "down"][i % 2])
    np.savez(file, *sequences, labels=labels)
    return sequences


def test_from_a_file_to_contexts_classes_and_reconstructions(tmp_path):
    sequences = save(tmp_path / "lines.npz")
    directory = train(
        "dataset=arrays", "dataset.path=lines.npz", "dataset.missing=mask", "dataset.batch_size=8", "model=classifier",
        "model/decoder=initial_state", "model.hidden_size=8", "optimizer.lr=0.02", "trainer.max_epochs=20", "threads=1",
        cwd=tmp_path,
    )  # fmt: skip
    run = lstm_ae.load_run(directory)
    assert "sequences of up to 9 x 2, 2 classes" in repr(run)
    assert run.encode(sequences).shape == (60, 8)
    classes = np.array(run.spec.class_names)[run.classify(sequences)]
    assert (classes == ["up", "down"] * 30).mean() > 0.9
    rebuilt = run.reconstruct(sequences)
    errors = np.concatenate([(one - other).ravel() for one, other in zip(rebuilt, sequences, strict=True)])
    assert np.sqrt(np.nanmean(errors**2)) < np.nanstd(np.concatenate(sequences))
    summary = run.directory.read_summary()
    assert all(np.isfinite(value) for value in (summary["test"] | summary["baselines"]).values())
    assert {file.stem for file in (directory / "figures").iterdir()} >= {"samples", "reconstructions", "contexts"}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("dataset.path=line.npz", "line.npz: there is no such file; did you mean lines.npz?"),
        ("dataset.path=lines.npz", "values are missing, the first at sequence"),
    ],
)
def test_a_mistake_is_a_message(tmp_path, monkeypatch, setting, message):
    save(tmp_path / "lines.npz")
    monkeypatch.chdir(tmp_path)
    code, words = call(train_command.main, ["dataset=arrays", setting, "threads=1"], monkeypatch)
    assert code == 1 and message in words and len(words.splitlines()) <= 4
