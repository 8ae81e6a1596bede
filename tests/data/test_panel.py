"""Selecting from a panel: by name, by date, at random; what is not there is named."""

import numpy as np
import pytest

from lstm_ae.data.panel import choose_series, target_first
from lstm_ae.errors import ConfigError
from tests.data.panels import make_panel


def names(panel, *arguments):
    return choose_series(panel, "dataset.series", *arguments).series


def test_times_between_dates():
    panel = make_panel()
    part = panel.between("2014-01-10", "2014-01-19")
    assert [str(time) for time in part.times[[0, -1]]] == ["2014-01-10", "2014-01-19"]
    assert np.array_equal(part.values, panel.values[:, 9:19])
    assert panel.between(None, None).values.shape == panel.values.shape


def test_features_in_the_order_asked_for_with_the_target_first():
    panel = make_panel().with_features(target_first("right", ["flow", "right", "left"]))
    assert panel.features == ("right", "flow", "left")
    assert np.array_equal(panel.values, make_panel().values[..., [3, 4, 0]])
    assert target_first("right", None) == ["right"]


def test_series_by_name_and_at_random():
    panel = make_panel()
    assert names(panel, ["S4", "S1"], False, 0) == ("S1", "S4")
    chosen = names(panel, 3, False, 0)
    assert len(chosen) == 3 and names(panel, 3, False, 0) == chosen
    assert {names(panel, 3, False, seed) for seed in range(5)} != {chosen}


def test_series_with_missing_values_are_left_out_only_where_all_must_be_complete():
    panel = make_panel()
    panel.values[3, 10, 1] = np.nan
    panel.values[5] = np.nan
    assert names(panel, None, True, 0) == ("S0", "S1", "S2", "S4")
    assert names(panel, None, False, 0) == ("S0", "S1", "S2", "S3", "S4")  # S5 has nothing at all


def test_a_time_is_the_first_at_or_after_a_date():
    panel = make_panel(times=3)
    assert [panel.time_of("start", f"2014-01-0{day}") for day in (1, 2, 3)] == [0, 1, 2]
    assert panel.time_of("start", "2014-01-01T12:00") == 1


@pytest.mark.parametrize(
    ("select", "words"),
    [
        (lambda panel: panel.between("yesterday", None), r"dataset\.start=yesterday: must be a date"),
        (lambda panel: panel.between("2020-01-01", None), r"dataset\.start=2020-01-01: leaves nothing"),
        (lambda panel: panel.with_features(["level", "depth"]), r"dataset\.features=depth: must be one of left"),
        (lambda panel: target_first("level", ["left", "left"]), r"dataset\.features=.*twice"),
        (lambda panel: panel.time_of("start", "2013-01-01"), r"start=2013-01-01: must lie from 2014-01-01"),
        (lambda panel: panel.position("series", "s4"), r"series=s4: is none of the 6 series.*did you mean S4"),
        (lambda panel: names(panel, ["S1", "S9"], False, 0), r"dataset\.series=S9: is none of the 6 series"),
        (lambda panel: names(panel, 7, False, 0), r"dataset\.series=7: must be at most 6"),
    ],
)
def test_what_is_not_there_is_named(select, words):
    with pytest.raises(ConfigError, match=words):
        select(make_panel())


def test_a_named_series_with_missing_values_is_refused_where_all_must_be_complete():
    panel = make_panel()
    panel.values[3, 10, 1] = np.nan
    with pytest.raises(ConfigError, match=r"S3.*missing values"):
        names(panel, ["S1", "S3"], True, 0)
