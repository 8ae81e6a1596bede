"""The naive detectors on windows where it is plain what they must say."""

import numpy as np
import pytest
import torch

from lstm_ae.anomalies.naive import MovingZScore, NearestNeighbour, SubsequencePCA, naive_detectors
from lstm_ae.data.sequence_data import Sequences

GENERATOR = np.random.default_rng(0)
WAVES = np.sin(GENERATOR.uniform(0, 6, (300, 1)) + np.arange(20) / 3)[..., None]  # two dimensions of shapes


def test_principal_components_rebuild_what_they_know_and_only_that():
    pca = SubsequencePCA(WAVES, 2)
    assert np.abs(pca(WAVES)).max() < 1e-9
    broken = WAVES[:1].copy()
    broken[0, 7] += 1
    assert np.abs(pca(broken))[0].argmax() == 7


def test_as_many_components_as_values_leave_something_over():
    noise = GENERATOR.normal(size=(50, 4, 1))
    assert np.abs(SubsequencePCA(noise, 10)(noise)).max() > 0.01


def test_the_nearest_training_window_is_found():
    detector = NearestNeighbour(WAVES)
    assert np.abs(detector(WAVES[[5, 50]])).max() == 0
    moved = WAVES[:1] + np.eye(20)[3][None, :, None] * 0.5
    assert detector(moved)[0, 3] == pytest.approx(0.5)


def test_a_moving_z_score_measures_in_deviations_of_the_window_and_a_constant_window_is_no_alarm():
    detector = MovingZScore(WAVES)
    window = np.zeros((1, 20, 1))
    assert (detector(window) == 0).all()
    window[0, 4] = 1
    assert detector(window)[0, 4, 0] == pytest.approx((1 - 0.05) / window.std())


def test_all_of_them_are_fitted_on_training_windows_where_missing_values_are_filled():
    mask = torch.ones(300, 20, 1, dtype=torch.bool)
    found = naive_detectors(Sequences(torch.from_numpy(WAVES).float(), mask=mask), 2)
    assert list(found) == ["moving_z_score", "pca", "nearest_neighbour"]
    for detector in found.values():
        assert detector(WAVES[:3]).shape == (3, 20, 1)
