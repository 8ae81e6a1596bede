"""Scored rows that are read some at a time."""

import numpy as np
import pytest

from lstm_ae.anomalies import rows as module
from lstm_ae.anomalies.rows import ScoredRows


@pytest.fixture
def rows(monkeypatch):
    """Twenty rows of two series in turn, four rows to a block."""
    monkeypatch.setattr(module, "BLOCK", 4)
    values = np.stack([np.arange(20.0), np.full(20, np.nan)], axis=1)
    scores = np.abs(np.arange(20.0) - 13)[:, None] * -1
    scores[0] = np.nan
    series = np.arange(20) % 2.0
    return ScoredRows(scores, np.ones(20), None, series, None, values, ["a", "b"], {"a": 10, "b": 10})


def test_what_is_asked_of_all_rows_is_answered_block_by_block(rows):
    assert rows.highest() == 13 and rows.above(0, -2.5) == 5
    low, high = rows.ranges()
    assert (low[0], high[0]) == (0, 19) and np.isnan([low[1], high[1]]).all()
    assert rows.count(lambda block: np.isnan(rows.values[block])) == 20


@pytest.mark.parametrize(("row", "most", "places", "first"), [
    (13, 100, list(range(1, 20, 2)), 0), (13, 4, [9, 11, 13, 15], 4), (0, 4, [0, 2, 4, 6], 0), (18, 4, [14, 16, 18], 7),
])  # fmt: skip
def test_the_rows_of_a_series_around_one_of_them(rows, row, most, places, first):
    found, before = rows.around(row, most)
    assert found.tolist() == places and before == first
