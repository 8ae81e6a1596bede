"""Where roll-outs begin, what they read, and which series they are measured on."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lstm_ae.errors import ConfigError, UserError
from lstm_ae.forecasting.plan import make_plan
from lstm_ae.forecasting.tables import horizon_table, series_table
from tests.data.panels import made_data, make_panel


def plan(data=None, series=None, start=None, steps=3, growing=False, in_sample=False):
    return make_plan(data or made_data(), series, start, steps, growing=growing, in_sample=in_sample)


def shown(data, *names):
    return replace(data, spec=replace(data.spec, shown=names))


def test_the_default_series_is_the_first_shown_or_the_first_of_all():
    assert plan().row == 0
    assert plan(shown(made_data(), "S9", "S4", "S2")).row == 4


def test_the_default_start_is_the_first_time_that_the_model_was_not_trained_on():
    found = plan()
    assert (found.begin, found.start, found.in_sample) == (43, 48, False)
    assert plan(growing=True).begin == 0
    unseen = made_data(split="by_series")
    name = unseen.panel.series[int(unseen.test.series[0])]
    assert plan(unseen, name).start == 5  # all of its times are unseen; the model reads five before


def test_what_is_read_and_forecast():
    data = made_data()
    found = plan(data, "S2", "2014-02-20")
    assert found.rows.tolist() == list(range(6)) and found.row == 2
    assert np.array_equal(found.known, data.panel.values[:, 45:50])
    assert np.array_equal(found.truth, data.panel.values[:, 50:53, 0])
    assert [str(time) for time in found.times] == ["2014-02-20", "2014-02-21", "2014-02-22"]


def test_other_series_are_forecast_under_the_same_conditions():
    panel = make_panel()
    panel.values[1, 50] = np.nan  # missing where it would be forecast
    panel.values[4, :3] = np.nan  # and before what a sliding window reads
    assert plan(made_data(panel)).rows.tolist() == [0, 2, 3, 4, 5]
    assert plan(made_data(panel), growing=True).rows.tolist() == [0, 2, 3, 5]
    unseen = made_data(split="by_series")
    tested = sorted(set(unseen.test.series.tolist()))
    assert plan(unseen, unseen.panel.series[tested[0]]).rows.tolist() == tested


def test_a_series_without_a_window_has_no_range_to_be_scaled_by():
    panel = make_panel()
    panel.values[1, :50] = np.nan  # from there on it has windows of the test, but nothing to fit a range on
    data = made_data(panel, scaling="series")
    with pytest.raises(ConfigError, match=r"series=S1: .*no range to scale it by"):
        plan(data, "S1", "2014-02-25")
    assert plan(data).rows.tolist() == [0, 2, 3, 4, 5]
    assert plan(made_data(panel, scaling="none"), "S1", "2014-02-25").row == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"series": "s7"}, "series=s7: is none of the 6 series here; did you mean S"),
        ({"start": "2014-13-01"}, "start=2014-13-01: must be a date"),
        ({"start": "2015-01-01"}, "must lie from 2014-01-01 to 2014-03-01"),
        ({"start": "2014-01-03", "in_sample": True}, "start=2014-01-03: must be 2014-01-06 or later"),
        ({"start": "2014-01-20"}, "up to 2014-02-17; start at 2014-02-18 or later, or add in_sample=true"),
        ({"steps": 13}, "steps=13: must be at most 12: the data end at 2014-03-01"),
        ({"data": made_data(features=["level", "flow"])}, "steps=3: this model reads level, flow and forecasts only"),
        ({"data": made_data(split="random_windows")}, "start=null: the run was trained on all times of this series"),
    ],
)
def test_what_is_not_possible_is_named(options, words):
    with pytest.raises(ConfigError) as refusal:
        plan(**options)
    assert words in str(refusal.value)


def test_missing_values_of_the_series_asked_for_are_named():
    panel = make_panel()
    panel.values[1, 50] = np.nan
    with pytest.raises(ConfigError, match="series=S1: has missing values between 2014-02-13 and 2014-02-20"):
        plan(made_data(panel), "S1")


def test_data_without_a_panel_are_refused():
    with pytest.raises(UserError, match="no series over time"):
        plan(replace(made_data(), panel=None))


def test_tables_by_hand():
    """All series rise by one a step: persistence is off by the horizon, in units of a range of four."""
    panel = make_panel()
    panel.values[:] = np.arange(100.0, 160)[None, :, None] * np.arange(1, 7)[:, None, None]
    found = plan(made_data(panel), "S1")
    last = torch.from_numpy(found.known[:, -1:, 0]).expand(-1, 3)
    rolled = series_table(found, {"persistence": last}, ())
    assert rolled["truth"].tolist() == [296, 298, 300] and rolled["persistence"].tolist() == [294] * 3
    assert rolled["sample"].unique().tolist() == ["out-of-sample"]
    errors = horizon_table(found, {"persistence": last}, ("split=random_windows",), 5)
    assert errors["persistence"].tolist() == pytest.approx([(step / 4) ** 2 for step in (1, 2, 3)])
    assert errors["series"].tolist() == [6] * 3 and errors["horizon"].tolist() == [1, 2, 3]
    assert errors["sample"].unique().tolist() == ["out-of-sample, leaky: split=random_windows"]
