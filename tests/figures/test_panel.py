"""Forecasts of a panel at their times, in original units, beside the naive ones."""

import numpy as np
import pandas as pd
import pytest

from lstm_ae.figures.panel import panel_figures
from lstm_ae.figures.rollout import draw_rollout
from tests.figures.made_data import made_panel


@pytest.fixture
def forecast():
    """A panel and its figures by name."""
    data, output, naive = made_panel()
    return data, panel_figures(data, data.panel, data.test, output, naive)


def test_a_forecast_stands_at_the_time_that_it_is_of(forecast):
    data, figures = forecast
    top, bottom = figures["forecast"]().axes
    truth, persistence = top.lines[0], top.lines[2]
    values = data.panel.values[1, :, 0]  # sensor 1 is to be shown first
    np.testing.assert_allclose(truth.get_ydata(), values[6:10])
    assert truth.get_xdata().tolist() == data.panel.times[6:10].tolist()
    np.testing.assert_allclose(persistence.get_ydata(), values[5:9], rtol=1e-5)
    np.testing.assert_allclose(bottom.lines[1].get_ydata(), values[5:9] - values[6:10], atol=1e-5)
    assert top.get_ylabel() == "level (metres)" and top.get_title().startswith("sensor 1")


def test_the_next_step_is_a_change_in_its_unit_unless_all_values_are_positive(forecast):
    data, figures = forecast
    (axes,) = figures["next_step"]().axes
    values = data.panel.values[..., 0]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), values[:, 9] - values[:, 8])
    assert axes.get_ylabel() == "change of level (metres)"
    values += 100 - values.min()
    (axes,) = figures["next_step"]().axes
    np.testing.assert_allclose(axes.lines[0].get_ydata(), 100 * (values[:, 9] / values[:, 8] - 1))
    assert axes.get_ylabel() == "change of level (%)"


def test_the_window_is_drawn_in_full(forecast):
    data, figures = forecast
    (axes,) = figures["window"]().axes
    original, rebuilt, ahead, persistence, _ = axes.lines
    np.testing.assert_allclose(original.get_ydata(), data.panel.values[1, 3:11, 0])
    assert len(rebuilt.get_ydata()) == 6 and len(ahead.get_ydata()) == len(persistence.get_ydata()) == 2
    assert ahead.get_xdata().tolist() == persistence.get_xdata().tolist() == data.panel.times[9:11].tolist()


def test_baselines_are_dots_on_a_logarithmic_axis(forecast):
    _, figures = forecast
    axes = figures["baselines"]().axes[0]
    assert axes.get_xscale() == "log" and not axes.patches
    assert [label.get_text() for label in axes.get_yticklabels()] == ["drift", "persistence", "forecast"]
    assert all(len(line.get_xdata()) == 1 and line.get_xdata()[0] > 0 for line in axes.lines)


def test_windows_in_any_order_are_drawn_in_the_order_of_time():
    data, output, naive = made_panel()
    order = np.random.default_rng(0).permutation(len(data.test))
    shuffled = type(output)(output.context[order], output.reconstruction[order], forecast=output.forecast[order])
    naive = {name: values[order] for name, values in naive.items()}
    top, _ = panel_figures(data, data.panel, data.test[order], shuffled, naive)["forecast"]().axes
    times = top.lines[0].get_xdata()
    assert (np.diff(times) > np.timedelta64(0)).all()


def test_a_rollout_draws_two_figures(tmp_path, caplog):
    data, _, _ = made_panel()
    values = {name: np.arange(3.0) for name in ("truth", "forecast", "persistence", "drift")}
    rolled, errors = pd.DataFrame(values), pd.DataFrame({**values, "horizon": [1, 2, 3], "series": 3})
    files = [tmp_path / "one.png", tmp_path / "many.png"]
    assert draw_rollout(files, "a title", data.spec, data.panel, 1, (2, 6), rolled, errors) == files
    assert all(file.stat().st_size > 1000 for file in files) and not caplog.records
