"""Scores of steps from errors of windows: the same however the series arrives, and from the right windows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_ae.anomalies.overlap import Cut, Overlap, Smoothing, reduce

SPAN, COLUMNS = 7, 2
MIX = np.random.default_rng(0).normal(size=(SPAN * 2, SPAN * 2))


def errors_of(first):
    """Errors that depend on the whole window, as a network's do, by a product whose last bits depend on its size."""
    return lambda windows: ((windows.reshape(len(windows), -1) @ MIX) ** 2).reshape(-1, SPAN, COLUMNS)[:, first:]


def scored(values, cut, reduction="median", pieces=(), smooth=1):
    overlap = Overlap(errors_of(cut.first), cut, 2, COLUMNS, reduction)
    smoothing = Smoothing(smooth, COLUMNS + 1)
    parts = [smoothing.push(overlap.push(piece)) for piece in np.split(values, pieces)]
    return np.concatenate([*parts, smoothing.push(overlap.finish()), smoothing.finish()])


cuts = st.sampled_from([Cut(SPAN, 0, 1), Cut(SPAN, 0, 3), Cut(SPAN, 0, SPAN), Cut(SPAN, SPAN - 1, 1)])


@settings(max_examples=30, deadline=None)
@given(st.data(), cuts, st.sampled_from(["median", "mean"]), st.integers(1, 1200), st.sampled_from([1, 4, 9]))
def test_the_scores_are_equal_to_the_last_bit_however_the_series_is_cut_into_pieces(
    data, cut, reduction, steps, smooth
):
    values = np.random.default_rng(steps).normal(size=(steps, 2))
    pieces = sorted(data.draw(st.lists(st.integers(0, steps), max_size=6)))
    whole = scored(values, cut, reduction, smooth=smooth)
    assert whole.shape == (steps, COLUMNS + 1)
    np.testing.assert_array_equal(scored(values, cut, reduction, pieces, smooth), whole)


@settings(max_examples=20, deadline=None)
@given(cuts, st.sampled_from(["median", "mean"]), st.integers(SPAN, 900))
def test_a_step_is_scored_by_the_windows_that_cover_it(cut, reduction, steps):
    values = np.random.default_rng(steps).normal(size=(steps, 2))
    found = scored(values, cut, reduction)
    windows = range((steps - SPAN) // cut.stride + 1)
    for step in {0, SPAN - 1, steps // 2, steps - 1}:
        covering = [k for k in windows if k * cut.stride + cut.first <= step < k * cut.stride + SPAN]
        assert found[step, -1] == len(covering)
        if covering:
            each = [errors_of(cut.first)(values[None, k * cut.stride :][:, :SPAN])[0, step - k * cut.stride - cut.first]
                    for k in covering]  # fmt: skip
            np.testing.assert_allclose(found[step, :-1], getattr(np, reduction)(each, axis=0))


@settings(max_examples=20, deadline=None)
@given(st.integers(300, 900), st.integers(0, 2**32 - 1))
def test_a_step_does_not_depend_on_what_else_is_in_the_file(steps, seed):
    """Other values, as large as they may be, outside of the windows that cover a step, or a longer file."""
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(steps, 2))
    other = generator.normal(size=(steps + 300, 2)) * 1e6
    step = int(generator.integers(SPAN, steps - SPAN))
    other[step - SPAN + 1 : step + SPAN] = values[step - SPAN + 1 : step + SPAN]
    for cut in (Cut(SPAN, 0, 1), Cut(SPAN, 0, 3)):
        np.testing.assert_array_equal(scored(values, cut)[step], scored(other, cut)[step])


def test_steps_that_no_whole_window_covers():
    values = np.random.default_rng(0).normal(size=(16, 2))
    at_the_end = scored(values, Cut(SPAN, 0, 5))  # windows at 0 and 5; one more at 9 scores the last four
    assert at_the_end[:, -1].tolist() == [1] * 5 + [2] * 2 + [1] * 5 + [0] * 4
    np.testing.assert_allclose(at_the_end[12:, :-1], errors_of(0)(values[None, 9:])[0, 3:])
    at_the_start = scored(values, Cut(SPAN, SPAN - 1, 1))
    assert at_the_start[:, -1].tolist() == [0] * (SPAN - 1) + [1] * (17 - SPAN)
    assert (at_the_start[: SPAN - 1, :-1] == at_the_start[SPAN - 1, :-1]).all()
    too_short = scored(values[: SPAN - 1], Cut(SPAN, 0, 1))
    assert np.isnan(too_short[:, :-1]).all() and (too_short[:, -1] == 0).all()


@pytest.mark.parametrize("reduction", ["median", "mean"])
def test_what_is_not_known_is_left_out(reduction):
    values = np.array([[1.0, np.nan], [np.nan, np.nan], [2.0, np.nan], [6.0, np.nan]])
    assert reduce(values, reduction)[0] == {"median": 2, "mean": 3}[reduction]
    assert np.isnan(reduce(values, reduction)[1])


def test_smoothing_is_a_centred_mean_and_leaves_the_last_column():
    rows = np.column_stack([np.arange(6.0), np.arange(6.0)])
    smoothing = Smoothing(3, 2)
    smoothed = np.concatenate([smoothing.push(rows), smoothing.finish()])
    assert smoothed[:, 0].tolist() == [0.5, 1, 2, 3, 4, 4.5] and smoothed[:, 1].tolist() == rows[:, 1].tolist()
