"""Panels whose series have times and lengths of their own: no row is in two parts, or from outside its series."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_ae.data.contract import validate_data
from lstm_ae.data.panel import Panel
from lstm_ae.data.panel_data import PanelOptions, panel_data
from lstm_ae.errors import ConfigError
from tests.data.panels import DEFAULTS


def ragged(lengths, seed=0) -> Panel:
    """Random values at steps 0, 1, ... of each series, with a first step of its own."""
    values = np.random.default_rng(seed).normal(size=(len(lengths), max(lengths), 2))
    for row, count in enumerate(lengths):
        values[row, count:] = np.nan
    times = np.arange(max(lengths)) + 1000 * np.arange(len(lengths))[:, None]
    return Panel(times, tuple(f"S{row}" for row in range(len(lengths))), ("level", "flow"), values)


def rows_of(part, span):
    places = part.time[:, None] + torch.arange(span)
    return set(zip(part.series[:, None].expand(-1, span).flatten().tolist(), places.flatten().tolist(), strict=True))


@settings(max_examples=60)
@given(st.data())
def test_no_row_is_in_two_parts(data):
    lengths = data.draw(st.lists(st.integers(5, 60), min_size=4, max_size=6), "lengths")
    options = PanelOptions(**DEFAULTS | {
        "window": data.draw(st.integers(2, 5), "window"),
        "stride": data.draw(st.none() | st.integers(1, 4), "stride"),
        "split": data.draw(st.sampled_from(["by_time", "by_series"]), "split"),
        "forecast_target": data.draw(st.sampled_from(["ahead", None]), "forecast_target"),
        "num_folds": data.draw(st.none() | st.just(2), "num_folds"),
    })  # fmt: skip
    begins = None
    if data.draw(st.booleans(), "files say what tests"):
        begins = np.array([data.draw(st.integers(0, count)) for count in lengths])
    panel = ragged(lengths)
    try:
        made = panel_data(panel, options, name="made", test_begin=begins)
    except ConfigError:
        return  # a part would be empty, and a message says so
    validate_data(made)
    span = options.window + made.spec.horizon
    held = [rows_of(part, span) for part in (made.train, made.val, made.test)]
    assert not held[0] & held[1] and not held[0] & held[2] and not held[1] & held[2]
    assert all(step < lengths[row] for rows in held for row, step in rows)
    if begins is not None:
        assert all((step >= begins[row]) == (rows is held[2]) for rows in held for row, step in rows)


def test_a_series_too_short_to_be_divided_is_left_out_and_the_others_are_not():
    options = PanelOptions(**DEFAULTS | {"forecast_target": None})
    made = panel_data(ragged([60, 3, 50]), options, name="made")
    assert {0, 2} == set(made.train.series.tolist()) == set(made.val.series.tolist()) == set(made.test.series.tolist())
    with pytest.raises(ConfigError, match=r"^dataset\.window=5: .*from 2 to 3|^dataset\.val_fraction"):
        panel_data(ragged([3, 2, 1]), options, name="made")
    assert made.panel.times_of(2)[[0, -1]].tolist() == [2000, 2049]


@pytest.mark.parametrize("split", ["by_time", "by_series"])
def test_a_first_time_of_the_test_is_one_for_all_series(split):
    panel = ragged([40, 40, 40, 40, 40])
    panel = replace(panel, times=np.arange(40) + 10 * np.arange(5)[:, None])
    options = PanelOptions(**DEFAULTS | {"test_start": 45, "forecast_target": None, "split": split})
    made = panel_data(panel, options, name="made")
    for part in (made.train, made.val, made.test):
        begins = panel.times[part.series, part.time]
        assert (begins >= 45).all() if part is made.test else (begins + 4 < 45).all()
    for wrong, words in ((200, "must lie from 0 to 79"), ("soon", "must be a number, as 0")):
        with pytest.raises(ConfigError, match=words):
            panel_data(panel, replace(options, test_start=wrong), name="made")
