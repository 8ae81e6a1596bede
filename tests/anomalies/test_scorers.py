"""From errors to scores: hand-made errors, and channels whose relation breaks."""

import numpy as np
import pytest

from lstm_ae.anomalies.scorers import GaussianError, NormalisedError, SquaredError


def fitted(scorer, errors):
    scorer.fit(errors)
    return scorer


def test_squared_errors_and_their_mean():
    scores = SquaredError()(np.array([[[1.0, 3.0]]]))
    assert scores.tolist() == [[[5, 1, 9]]]


def test_channels_are_normalised_by_their_usual_error():
    held_out = np.array([[1.0, 10.0], [-1.0, -10.0]])
    assert fitted(NormalisedError(), held_out)(np.array([2.0, 10.0])).tolist() == [2.5, 4, 1]


def test_a_channel_without_errors_on_held_out_data_divides_by_no_zero():
    for scorer in (NormalisedError(), GaussianError()):
        scores = fitted(scorer, np.array([[0.0, 1.0], [0.0, -1.0]]))(np.array([0.0, 1.0]))
        assert np.isfinite(scores).all()


def test_a_gaussian_sees_channels_that_no_longer_err_alike():
    generator = np.random.default_rng(0)
    shared = generator.normal(size=(5000, 1))
    held_out = np.concatenate([shared, shared + 0.1 * generator.normal(size=(5000, 1))], axis=1)
    scorer = fitted(GaussianError(shrinkage=0.001), held_out)
    alike, opposite = scorer(np.array([[1.0, 1.0], [1.0, -1.0]]))
    assert opposite[0] > 50 * alike[0]
    assert opposite[1:] == pytest.approx(alike[1:], rel=0.2)
    mean, covariance = held_out.mean(0), np.cov(held_out.T, bias=True)
    expected = (np.ones(2) - mean) @ np.linalg.inv(covariance) @ (np.ones(2) - mean)
    assert fitted(GaussianError(shrinkage=0.0), held_out)(np.ones(2))[0] == pytest.approx(expected)


@pytest.mark.parametrize("make", [SquaredError, NormalisedError, GaussianError])
def test_an_error_that_is_not_known_counts_in_no_score(make):
    scorer = fitted(make(), np.random.default_rng(0).normal(size=(100, 2)))
    one, none = scorer(np.array([[2.0, np.nan], [np.nan, np.nan]]))
    assert one[0] == one[1] and np.isnan(one[2]) and np.isnan(none).all()
