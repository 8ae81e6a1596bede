"""Scores of forecasts: by hand, and tests of significance that are as often wrong as they say."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from lstm_ae.forecasting.baselines import naive_forecasts, unseen
from lstm_ae.forecasting.scores import diebold_mariano, direction, score
from tests.data.stocks import make_panel, stocks


def test_scores_by_hand(monkeypatch):
    """One company that rises by a dollar a day: persistence is a dollar off, the truth is not."""
    panel = make_panel(symbols=1)
    panel.values[:] = np.arange(100, 160)[None, :, None]
    data = stocks(monkeypatch, panel)
    naive = naive_forecasts(data)
    model, found = score(unseen(data.test), naive, data)
    assert found["forecast_unseen/persistence"] == pytest.approx((1 / 4) ** 2, rel=1e-4)  # five days span four dollars
    assert found["forecast_mae_dollars/persistence"] == pytest.approx(1, rel=1e-4)
    assert found["forecast_mse_dollars/moving_average"] == pytest.approx(9, rel=1e-4)
    assert found["forecast_mase/persistence"] == pytest.approx(1, rel=1e-4)
    assert found["forecast_mase/moving_average"] == pytest.approx(3, rel=1e-4)
    assert found["forecast_skill/drift"] == pytest.approx(1, abs=1e-4)
    assert found["forecast_skill/moving_average"] == pytest.approx(-8, rel=1e-3)
    assert found["forecast_direction/majority"] == found["forecast_direction/drift"] == 1
    assert found["forecast_direction/moving_average"] == 0
    assert "forecast_direction/persistence" not in found and "forecast_skill/persistence" not in found
    assert model["forecast_skill"] == 1 and model["forecast_direction"] == 1
    assert model["forecast_times"] == len(data.test)


def test_the_majority_is_the_training_part_s(monkeypatch):
    panel = make_panel(symbols=1)
    up, down = np.arange(48), np.arange(12)
    panel.values[:] = (100 + np.concatenate([up, 47 - 2 * down]))[None, :, None]
    data = stocks(monkeypatch, panel)
    _, found = score(unseen(data.test), naive_forecasts(data), data)
    assert found["forecast_direction/majority"] == 0


def test_direction_leaves_days_without_a_change_out():
    last = torch.zeros(4, 1)
    truth = torch.tensor([[1.0], [-1], [0], [2]])
    assert direction(torch.tensor([[0.1], [0.1], [5], [0.1]]), truth, last) == pytest.approx(2 / 3)
    assert direction(last, truth, last) is None
    assert direction(truth, last, last) is None


def test_diebold_mariano_is_a_t_test_of_daily_means():
    generator = torch.Generator().manual_seed(0)
    day = torch.arange(600) // 20  # 30 days of 20 companies
    loss, rival = torch.rand(2, 600, generator=generator)
    outcome = diebold_mariano(loss, rival, day)
    expected = stats.ttest_1samp((rival - loss).view(30, 20).mean(1), 0)
    assert outcome.statistic == pytest.approx(expected.statistic, rel=1e-6)
    assert outcome.p == pytest.approx(expected.pvalue, rel=1e-6)
    assert outcome.days == 30


def test_copies_of_a_company_add_no_evidence():
    generator = torch.Generator().manual_seed(0)
    day = torch.arange(40)
    loss, rival = torch.rand(2, 40, generator=generator)
    one = diebold_mariano(loss, rival, day)
    many = diebold_mariano(loss.repeat(50), rival.repeat(50), day.repeat(50))
    assert many.statistic == pytest.approx(one.statistic) and many.days == one.days == 40


@pytest.mark.parametrize("horizon", [1, 5])
def test_equal_forecasts_are_called_different_as_rarely_as_the_level_says(horizon):
    """Losses of overlapping forecasts are correlated over horizon - 1 days; the test knows."""
    generator = torch.Generator().manual_seed(0)
    rejected = []
    for _ in range(400):
        shocks = torch.randn(200 + horizon - 1, generator=generator).unfold(0, horizon, 1).mean(1)
        rejected.append(diebold_mariano(shocks, torch.zeros(200), torch.arange(200), horizon).p < 0.05)
    assert 0.01 < np.mean(rejected) < (0.09 if horizon == 1 else 0.13)  # Bartlett weights are a little too sure


def test_no_test_without_days_or_differences():
    assert diebold_mariano(torch.rand(9), torch.rand(9), torch.arange(9) % 2) is None
    assert diebold_mariano(torch.ones(9), torch.ones(9), torch.arange(9)) is None


@pytest.mark.parametrize(
    "options",
    [
        {"scaling": "none"},
        {"scaling": "series", "features": ["high", "open", "volume"]},
        {"forecast_target": "shifted"},
        {"horizon": 3, "target": "volume"},
        {"window": None, "split": "by_series", "forecast_target": "shifted"},
    ],
)
def test_any_setting_is_scored_with_finite_numbers(monkeypatch, options):
    panel = make_panel()
    panel.values[0] = 20.0  # constant windows
    data = stocks(monkeypatch, panel, **options)
    naive = naive_forecasts(data)
    model, found = score(naive["ridge"], naive, data)
    assert all(math.isfinite(value) for value in (model | found).values())
    unit = "shares" if options.get("target") == "volume" else "dollars"
    assert f"forecast_mae_{unit}" in model and model["forecast_mase"] == found["forecast_mase/ridge"]
