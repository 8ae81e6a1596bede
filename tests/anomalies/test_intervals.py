"""Flagged intervals of series that arrive in pieces."""

import numpy as np
import pytest

from lstm_ae.anomalies.intervals import Intervals

FLAGS = np.array([1, 0, 1, 1, 1, 0, 0, 1], bool)
SCORES = np.column_stack([np.arange(8.0), [5, 0, 1, 1, 1, 0, 0, 0], [0, 0, 0, 0, 4, 0, 0, 2]])


@pytest.mark.parametrize("pieces", [[], [3], [4, 4], [1, 2, 3, 4, 5, 6, 7]])
def test_an_interval_may_go_on_in_the_next_piece(pieces):
    intervals = Intervals(("load", "heat"))
    for part in np.split(np.arange(8), pieces):
        intervals.push("pump", part + 100, SCORES[part], FLAGS[part])
        intervals.push("fan", part, SCORES[part], np.zeros(len(part), bool))
    assert intervals.table().to_numpy().tolist() == [
        ["pump", 100, 100, 1, 0.0, 100, "load"],
        ["pump", 102, 104, 3, 4.0, 104, "heat"],
        ["pump", 107, 107, 1, 7.0, 107, "heat"],
    ]


def test_no_interval_is_a_table_too():
    table = Intervals(("load",)).table()
    assert table.empty and list(table) == ["series", "start", "end", "steps", "peak", "peak_at", "channel"]
