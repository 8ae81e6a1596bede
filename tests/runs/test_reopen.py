"""A reopened run in a notebook: what it says of itself, and what it makes of good and bad input."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

import lstm_ae
from lstm_ae.errors import UserError
from tests.commands import TINY_DIGITS, train

OWN_DATA = '''
import torch
from lstm_ae.data.sequence_data import SequenceData, Sequences
from lstm_ae.spec import DataSpec, part


@part
def waves(count: int, seed: int, batch_size: int):
    """Sequences that are each scaled by a rule of their own."""
    inputs = torch.rand(count, 6, 1, generator=torch.Generator().manual_seed(seed))
    parts = [Sequences(inputs[i::3], low=torch.zeros(len(inputs[i::3]), 1, 1), high=torch.ones(len(inputs[i::3]), 1, 1))
             for i in range(3)]
    return SequenceData(DataSpec("waves", 6, 1), None, *parts, batch_size=batch_size)
'''


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    directory = train(*TINY_DIGITS, "trainer.max_epochs=1", cwd=tmp_path_factory.mktemp("trained"))
    return lstm_ae.load_run(directory)


@pytest.fixture(scope="module")
def images():
    return load_digits().images[:7]


def test_it_says_in_a_few_lines_what_it_is(run):
    lines = repr(run).splitlines()
    assert len(lines) == 4
    assert lines[0] == f"Run {run.directory.path}"
    assert "sequences of 8 x 8, 10 classes" in lines[1]
    assert "context of 4" in lines[2]
    assert "best epoch 1: val/loss" in lines[3]


def test_probabilities_and_class_names(run, images):
    indices = run.classify(images)
    probabilities = run.classify(images, probabilities=True)
    assert probabilities.shape == (7, 10)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-6)
    assert (probabilities.argmax(1) == indices).all()
    assert np.array(run.spec.class_names)[indices].shape == (7,)


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_an_empty_batch_gets_an_empty_answer(run, images, kind):
    empty = kind(images)[:0]
    answers = [run.encode(empty), run.reconstruct(empty), run.classify(empty), run.classify(empty, probabilities=True)]
    assert [tuple(answer.shape) for answer in answers] == [(0, 4), (0, 8, 8), (0,), (0, 10)]
    assert all(type(answer) is type(empty) for answer in answers)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 1e300])
def test_values_that_are_no_numbers_are_named(run, images, wrong):
    broken = images.copy()
    broken[[2, 5], 3, 1] = wrong
    for use in (run.encode, run.reconstruct, run.classify):
        with pytest.raises(UserError, match=r"NaN or infinite.*2 of 7 sequences.*sequence 2, step 3, feature 1"):
            use(broken)


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize("shape", [(), (3,), (3, 7), (0, 7), (3, 8, 9)])
def test_input_of_another_shape_is_refused(run, shape):
    with pytest.raises(UserError, match=r"expected \(batch, 8, 8\)"):
        run.encode(np.zeros(shape))


def test_a_data_set_of_ones_own_with_a_scaling_per_sequence(tmp_path, monkeypatch):
    (tmp_path / "my_waves.py").write_text(OWN_DATA)
    monkeypatch.setenv("LSTM_AE_ALLOW", "my_waves")
    monkeypatch.syspath_prepend(tmp_path)
    directory = train(
        "~dataset", "+dataset._target_=my_waves.waves", "+dataset.count=60", "+dataset.seed=0", "+dataset.batch_size=8",
        "model.hidden_size=3", "trainer.max_epochs=1", "threads=1", cwd=tmp_path,
        PYTHONPATH=f"{tmp_path}:{lstm_ae.__path__[0]}/..",
    )  # fmt: skip
    run = lstm_ae.load_run(directory)
    with pytest.raises(UserError, match="waves, scales each sequence in a way that only it knows"):
        run.encode(np.zeros((2, 6, 1)))
