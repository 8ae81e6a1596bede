"""A reopened run on sequences of unequal length and with missing values: lists and padded arrays, good and bad."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from lstm_ae.errors import UserError
from lstm_ae.runs.directory import RunDirectory
from lstm_ae.runs.reopen import Run
from lstm_ae.spec import DataSpec, Scaler
from tests.models.parts import make_autoencoder

LENGTHS = (4, 1, 7, 3)


def reopened(varying=True, missing="error", features=2):
    """A run that was never trained, of sequences of 5 steps at most."""
    torch.manual_seed(0)
    masked = missing == "mask"
    model = make_autoencoder(head="context", length=5, features=features, num_classes=3, varying=varying, masked=masked)
    spec = DataSpec("made", 5, features, ("a", "b", "c"), varying=varying, masked=masked)
    scaler = Scaler(torch.tensor([10.0, -1.0])[:features].double(), torch.tensor([12.0, 1.0])[:features].double())
    config = OmegaConf.create({"dataset": {"missing": missing}})
    return Run(RunDirectory(Path("made")), config, model.eval(), spec, scaler, [])


def sequences(features=2, lengths=LENGTHS):
    generator = np.random.default_rng(0)
    return [generator.normal(10, 2, (length, features)) for length in lengths]


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
@pytest.mark.parametrize("missing", ["error", "mask"])
def test_a_list_is_answered_as_its_sequences_one_by_one(kind, missing):
    run, given = reopened(missing=missing), [kind(one) for one in sequences()]
    together = run.encode(given), run.reconstruct(given), run.classify(given, probabilities=True)
    assert together[0].shape == (4, 6) and together[2].shape == (4, 3)
    assert all(type(one) is type(given[0]) for one in (*together[1], together[0], together[2]))
    for i, one in enumerate(given):
        assert together[1][i].shape == one.shape
        for answer, alone in zip(together, (run.encode([one]), run.reconstruct([one]), run.classify([one], True)),
                                 strict=True):  # fmt: skip
            np.testing.assert_allclose(answer[i], alone[0], atol=1e-5)
    assert run.classify(given).tolist() == together[2].argmax(1).tolist()


def test_a_padded_array_is_a_list():
    run, given = reopened(), sequences()
    padded = np.full((4, 9, 2), np.nan)
    for row, one in zip(padded, given, strict=True):
        row[: len(one)] = one
    np.testing.assert_allclose(run.encode(padded), run.encode(given), atol=1e-6)
    rebuilt = run.reconstruct(padded)
    assert rebuilt.shape == padded.shape
    for row, one in zip(rebuilt, run.reconstruct(given), strict=True):
        np.testing.assert_allclose(row[: len(one)], one, atol=1e-5)
        assert np.isnan(row[len(one) :]).all()
    equal = np.stack([given[2], given[2]])
    np.testing.assert_allclose(run.encode(equal), run.encode(list(equal)), atol=1e-6)
    assert run.encode([]).shape == (0, 6) and run.reconstruct([]) == []
    assert run.encode(np.zeros((0, 5, 2))).shape == (0, 6)


def test_single_features_need_no_axis_and_equal_lists_no_lengths():
    run = reopened(features=1)
    assert [one.shape for one in run.reconstruct([np.arange(10.0, 13.0), np.arange(10.0, 18.0)])] == [(3,), (8,)]
    run, values = reopened(varying=False), np.stack(sequences(lengths=(5, 5)))
    np.testing.assert_allclose(run.encode(list(values)), run.encode(values), atol=1e-6)


@pytest.mark.parametrize("missing", ["mask", "interpolate"])
def test_missing_values_are_filled_as_in_training(missing):
    run, given = reopened(missing=missing), sequences()
    given[0][1:3, 0] = np.nan
    filled = [one.copy() for one in given]
    filled[0][:, 0] = np.interp(range(4), [0, 3], given[0][[0, 3], 0])
    same = np.allclose(run.encode(given)[0], run.encode(filled)[0], atol=1e-5)
    assert same == (missing == "interpolate")  # a mask says which ones
    assert all(np.isfinite(one).all() for one in run.reconstruct(given))


def test_what_cannot_be_read_is_named():
    run, given = reopened(), sequences()
    for wrong, use, message in [
        (
            [given[0], np.zeros((3, 4))],
            run,
            r"sequence 1 of the list.*shape \(3, 4\): expected \(batch, any length, 2\)",
        ),
        ([given[0], np.zeros((0, 2))], run, r"shape \(0, 2\)"),
        (given, reopened(varying=False), r"sequence 0 .*shape \(4, 2\): expected \(batch, 5, 2\)"),
        (np.zeros((2, 5, 3)), run, r"input of shape \(2, 5, 3\): expected \(batch, any length, 2\)"),
        ([given[0], np.full((3, 2), np.nan)], reopened(missing="mask"), "sequence 1 .* no value at all"),
        ([given[0], given[1] * np.inf], reopened(missing="mask"), "infinite.*sequence 1, step 0, feature 0"),
        ([given[0], np.array([[1, np.nan], [1, 1]])], run, "NaN or infinite.*sequence 1, step 0, feature 1"),
    ]:
        for method in (use.encode, use.reconstruct, use.classify, partial(use.classify, probabilities=True)):
            with pytest.raises(UserError, match=message):
                method(wrong)


@pytest.mark.parametrize("standardize", [False, True])
def test_sequences_scaled_by_their_own_values_are_scaled_within_their_lengths(standardize):
    run, given = reopened(missing="mask"), sequences(lengths=(4, 2, 7, 3))
    given[0][1, 0] = np.nan
    run = replace(
        run, scaler=None, spec=replace(run.spec, own_range=(0, 1), own_standardized=standardize), config=run.config
    )
    together, rebuilt = run.encode(given), run.reconstruct(given)
    moved = [3 * one + 7 for one in given]  # their own scaling takes that away again
    np.testing.assert_allclose(run.encode(moved), together, atol=1e-4)
    for one, other, context, alone in zip(
        rebuilt, run.reconstruct(moved), together, [run.encode([one]) for one in given], strict=True
    ):
        np.testing.assert_allclose(other, 3 * one + 7, atol=1e-3)
        np.testing.assert_allclose(context, alone[0], atol=1e-5)
