"""Naive forecasts, against numbers worked out by hand and against scikit-learn."""

from dataclasses import replace

import pytest
import torch
from sklearn.linear_model import Ridge as Reference

from lstm_ae.data.sequence_data import Sequences
from lstm_ae.forecasting import baselines
from lstm_ae.forecasting.baselines import Ridge, drift, moving_average, naive_forecasts, persistence
from tests.data.panels import made_data, make_panel

INPUTS = torch.tensor([[1.0, 2, 3, 4, 5, 9], [6, 6, 6, 6, 6, 6]])[..., None].expand(-1, -1, 2)


def test_by_hand():
    assert persistence(INPUTS, 3).tolist() == [[9, 9, 9], [6, 6, 6]]
    torch.testing.assert_close(drift(INPUTS, 3), torch.tensor([[10.6, 12.2, 13.8], [6, 6, 6]]))
    torch.testing.assert_close(moving_average(INPUTS, 2), torch.tensor([[4.6, 4.6], [6, 6]]))


def linear_part(count, seed, noise=0.0):
    """Windows whose next two changes are linear in their values, up to noise."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.rand(count, 4, 2, generator=generator)
    weights = torch.linspace(-1, 1, 16).view(8, 2)
    change = inputs.flatten(1) @ weights + 0.3 + noise * torch.randn(count, 2, generator=generator)
    return Sequences(inputs, targets=(inputs[:, -1:, 0] + change)[..., None], horizon=2)


def test_ridge_finds_a_linear_rule():
    ridge = Ridge(linear_part(300, 0), linear_part(100, 1))
    test = linear_part(50, 2)
    assert (ridge(test.inputs) - test.truth()).abs().max() < 1e-4
    assert ridge.penalty == min(baselines.PENALTIES)


def test_ridge_is_scikit_learn_s_and_chunks_change_nothing(monkeypatch):
    train, val, test = linear_part(60, 0, noise=3.0), linear_part(40, 1, noise=3.0), linear_part(50, 2)
    ridge = Ridge(train, val)
    assert ridge.penalty > min(baselines.PENALTIES)  # so much noise asks for shrinking
    assert ridge.steps == 4
    flat = train.inputs.flatten(1).double()
    mean, std = flat.mean(0), flat.std(0, correction=0)
    reference = Reference(alpha=ridge.penalty * len(flat)).fit(
        (flat - mean) / std, train.truth() - train.inputs[:, -1:, 0]
    )
    expected = torch.from_numpy(reference.predict((test.inputs.flatten(1) - mean) / std)) + test.inputs[:, -1:, 0]
    torch.testing.assert_close(ridge(test.inputs).double(), expected.double(), rtol=1e-4, atol=1e-4)
    monkeypatch.setattr(baselines, "CHUNK", 7)
    torch.testing.assert_close(Ridge(train, val)(test.inputs), ridge(test.inputs), rtol=1e-4, atol=1e-5)


def test_ridge_reads_no_more_steps_than_help():
    def part(count, seed):
        generator = torch.Generator().manual_seed(seed)
        inputs = torch.rand(count, 60, 1, generator=generator)
        change = inputs[:, -8:-7, 0] - inputs[:, -2:-1, 0] + 0.5 * torch.randn(count, 1, generator=generator)
        return Sequences(inputs, targets=(inputs[:, -1:, 0] + change)[..., None], horizon=1)

    ridge = Ridge(part(300, 0), part(5000, 1))
    assert ridge.steps == 10 and (ridge.weights[:50] == 0).all()


def test_ridge_with_time_effects_is_a_regression_of_quasi_demeaned_values(monkeypatch):
    weight = 0.09
    train, val, test = (
        replace(linear_part(count, seed, noise=3.0), time=torch.arange(count) % 7)
        for seed, count in enumerate((90, 40, 9))
    )
    ridge = Ridge(train, val, weight)
    values = (train.inputs.flatten(1).double() - ridge.mean) / ridge.std
    both = torch.cat([values, values.new_ones(90, 1), train.truth() - train.inputs[:, -1:, 0]], dim=1)
    shared = torch.stack([both[train.time == time].mean(0) for time in train.time])
    left, right = (both - (1 - weight**0.5) * shared).split([9, 2], dim=1)
    penalty = 90 * ridge.penalty * torch.eye(9).double()
    penalty[-1, -1] = 0
    chosen = slice(-(ridge.steps * 2 + 1), None)
    expected = torch.linalg.solve((left.T @ left + penalty)[chosen, chosen], (left.T @ right)[chosen])
    torch.testing.assert_close(ridge.weights[chosen], expected, rtol=1e-6, atol=1e-8)
    monkeypatch.setattr(baselines, "CHUNK", 7)
    torch.testing.assert_close(Ridge(train, val, weight)(test.inputs), ridge(test.inputs), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(Ridge(train, val, 1.0).weights, Ridge(train, val).weights)


@pytest.mark.parametrize(
    "options", [{}, {"forecast_target": "shifted"}, {"horizon": 3}, {"features": ["level", "flow"]}]
)
def test_every_baseline_forecasts_the_unseen_steps(options):
    data = made_data(**options)
    assert list(naive_forecasts(data)) == ["persistence", "drift", "moving_average", "ridge", "ridge_time_effects"]
    for forecast in naive_forecasts(data).values():
        assert forecast.shape == (len(data.test), data.spec.horizon) == data.test.truth().shape
        assert forecast.isfinite().all()


def test_the_test_part_changes_no_fit():
    panel = make_panel()
    before = made_data(panel)
    ridge = Ridge(before.train, before.val)
    panel.values[:, 48:] *= 3
    after = made_data(panel)
    torch.testing.assert_close(ridge.weights, Ridge(after.train, after.val).weights, rtol=1e-9, atol=1e-12)


def test_sequences_without_a_time_have_every_baseline_but_that_of_time_effects():
    data = made_data()
    parts = {part: replace(getattr(data, part), time=None, series=None) for part in ("train", "val", "test")}
    forecasts = naive_forecasts(replace(data, panel=None, **parts))
    assert forecasts.keys() == naive_forecasts(data).keys() - {"ridge_time_effects"}
