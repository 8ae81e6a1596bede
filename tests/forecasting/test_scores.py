"""Scores of forecasts: by hand, and tests of significance that are as often wrong as they say."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from lstm_ae.forecasting.baselines import naive_forecasts
from lstm_ae.forecasting.scores import diebold_mariano, right_direction, score
from tests.data.panels import made_data, make_panel


def test_scores_by_hand():
    """One series that rises by one a step: persistence is off by one, the truth is not."""
    panel = make_panel(series=1)
    panel.values[:] = np.arange(100, 160)[None, :, None]
    data = made_data(panel)
    naive = naive_forecasts(data)
    model, found = score(data.test.truth(), naive, data)
    assert found["forecast_unseen/persistence"] == pytest.approx(
        (1 / 4) ** 2, rel=1e-4
    )  # five steps span a range of four
    assert found["forecast_mae_metres/persistence"] == pytest.approx(1, rel=1e-4)
    assert found["forecast_mse_metres/moving_average"] == pytest.approx(9, rel=1e-4)
    assert found["forecast_mase/persistence"] == pytest.approx(1, rel=1e-4)
    assert found["forecast_mase/moving_average"] == pytest.approx(3, rel=1e-4)
    assert found["forecast_skill/drift"] == pytest.approx(1, abs=1e-4)
    assert found["forecast_skill/moving_average"] == pytest.approx(-8, rel=1e-3)
    assert found["forecast_direction/majority"] == found["forecast_direction/drift"] == 1
    assert found["forecast_direction/moving_average"] == 0
    assert "forecast_direction/persistence" not in found and "forecast_skill/persistence" not in found
    assert model["forecast_skill"] == 1 and model["forecast_direction"] == 1
    assert model["forecast_times"] == len(data.test)


def test_the_majority_is_the_training_part_s():
    panel = make_panel(series=1)
    up, down = np.arange(48), np.arange(12)
    panel.values[:] = (100 + np.concatenate([up, 47 - 2 * down]))[None, :, None]
    data = made_data(panel)
    _, found = score(data.test.truth(), naive_forecasts(data), data)
    assert found["forecast_direction/majority"] == 0


def test_steps_without_a_change_have_no_direction():
    last = torch.zeros(4, 1)
    truth = torch.tensor([[1.0], [-1], [0], [2]])
    assert right_direction(torch.tensor([[0.1], [0.1], [5], [0.1]]), truth, last) == pytest.approx(2 / 3)
    assert right_direction(last, truth, last) is None
    assert right_direction(truth, last, last) is None


def test_diebold_mariano_is_a_t_test_of_the_means_of_each_time():
    generator = torch.Generator().manual_seed(0)
    time = torch.arange(600) // 20  # 30 times of 20 series
    loss, baseline = torch.rand(2, 600, generator=generator)
    outcome = diebold_mariano(loss, baseline, time)
    expected = stats.ttest_1samp((baseline - loss).view(30, 20).mean(1), 0)
    assert outcome.statistic == pytest.approx(expected.statistic, rel=1e-6)
    assert outcome.p == pytest.approx(expected.pvalue, rel=1e-6)
    assert outcome.times == 30


def test_copies_of_a_series_add_no_evidence():
    generator = torch.Generator().manual_seed(0)
    time = torch.arange(40)
    loss, baseline = torch.rand(2, 40, generator=generator)
    one = diebold_mariano(loss, baseline, time)
    many = diebold_mariano(loss.repeat(50), baseline.repeat(50), time.repeat(50))
    assert many.statistic == pytest.approx(one.statistic) and many.times == one.times == 40


@pytest.mark.parametrize("horizon", [1, 5])
def test_equal_forecasts_are_called_different_as_rarely_as_the_level_says(horizon):
    """Losses of overlapping forecasts are correlated over horizon - 1 times; the test knows."""
    generator = torch.Generator().manual_seed(0)
    rejected = []
    for _ in range(400):
        shocks = torch.randn(200 + horizon - 1, generator=generator).unfold(0, horizon, 1).mean(1)
        rejected.append(diebold_mariano(shocks, torch.zeros(200), torch.arange(200), horizon).p < 0.05)
    assert 0.01 < np.mean(rejected) < (0.09 if horizon == 1 else 0.13)  # Bartlett weights are a little too sure


def test_no_test_without_times_or_differences():
    assert diebold_mariano(torch.rand(9), torch.rand(9), torch.arange(9) % 2) is None
    assert diebold_mariano(torch.ones(9), torch.ones(9), torch.arange(9)) is None


@pytest.mark.parametrize(
    "options",
    [
        {"scaling": "none"},
        {"scaling": "series", "features": ["level", "left", "flow"]},
        {"forecast_target": "shifted"},
        {"horizon": 3, "target": "flow"},
        {"window": None, "split": "by_series", "forecast_target": "shifted"},
    ],
)
def test_any_setting_is_scored_with_finite_numbers(options):
    panel = make_panel()
    panel.values[0] = 20.0  # constant windows
    data = made_data(panel, **options)
    naive = naive_forecasts(data)
    model, found = score(naive["ridge"], naive, data)
    assert all(math.isfinite(value) for value in (model | found).values())
    assert "forecast_mae_metres" in model and model["forecast_mase"] == found["forecast_mase/ridge"]


def test_without_a_unit_the_errors_are_in_original_ones():
    data = made_data(unit="")
    naive = naive_forecasts(data)
    model, found = score(naive["drift"], naive, data)
    assert model["forecast_mae_original"] == found["forecast_mae_original/drift"]


def test_sequences_without_a_time_are_a_sample_of_their_own():
    data = made_data()
    parts = {part: replace(getattr(data, part), time=None, series=None) for part in ("train", "val", "test")}
    data = replace(data, panel=None, **parts)
    naive = naive_forecasts(data)
    model, _ = score(naive["ridge"], naive, data)
    assert model["forecast_times"] == len(data.test) and "forecast_dm_persistence" in model
    assert "forecast_dm_ridge_time_effects" not in model
