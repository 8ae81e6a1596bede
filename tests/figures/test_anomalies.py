"""Figures of a scoring: what is drawn of a long series, and which places are enlarged. The command's test draws all."""

import numpy as np

from lstm_ae.figures.anomalies import BINS, apart, enlarged, envelope


def test_a_long_line_is_drawn_as_the_range_of_what_shares_a_place():
    values = np.zeros(100 * BINS)
    values[12345], values[54321] = 7, -7
    place, low, high = envelope(np.arange(len(values)), values)
    assert len(place) == BINS and high.max() == 7 and low.min() == -7
    short = envelope(np.arange(9), np.arange(9))
    assert all(len(one) == 9 for one in short)


def test_the_worst_flagged_places_are_enlarged_and_nothing_twice():
    scores = np.zeros(1000)
    for step, height in ((100, 9), (105, 8), (400, 5), (600, 7), (900, 3)):
        scores[step] = height
    places = enlarged(scores, scores > 1, 20)
    assert [first <= step < end for (first, end), step in zip(places, (100, 400, 600), strict=True)] == [True] * 3
    assert enlarged(scores, scores > 99, 20) == []


def test_places_are_apart_and_unknown_scores_are_passed_over():
    order = np.array([np.nan, 1, 0, 1, 5, 6, 2, 9.0])
    assert apart(order, 3) == [2, 6]
