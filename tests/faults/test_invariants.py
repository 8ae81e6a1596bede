"""What must hold of scaling, windows and splits, whatever the values and sizes."""

from itertools import pairwise

import numpy as np
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lstm_ae.data.panel import Panel
from lstm_ae.data.panel_scaling import known, measure_by, own_scaler, train_range
from lstm_ae.data.panel_splits import PARTS, SPLITS
from lstm_ae.data.panel_windows import cut, full_windows, thin, usable_windows, window_shape
from lstm_ae.data.splitting import split_all
from lstm_ae.errors import ConfigError
from lstm_ae.spec import Scaler

MAGNITUDE = st.integers(-12, 18).map(lambda exponent: 10.0**exponent)
EPSILON = np.finfo(np.float64).eps


@st.composite
def values(draw):
    """Rows of two features: of any magnitude, far from zero or not, some constant, some missing."""
    steps = draw(st.integers(1, 30))
    unit = draw(arrays(np.float64, (steps, 2), elements=st.floats(-1, 1)))
    spread = np.array([draw(st.just(0.0) | MAGNITUDE), draw(MAGNITUDE)])
    offset = np.array([draw(st.just(0.0) | MAGNITUDE), draw(MAGNITUDE)])
    found = offset + spread * unit
    found[draw(arrays(bool, (steps, 2), elements=st.booleans(), fill=st.just(False)))] = np.nan
    return found


@settings(max_examples=150)
@given(values(), st.booleans())
def test_scaling_can_be_undone_and_is_finite(rows, standardize):
    low, high = known(measure_by(standardize)(rows, (0, 1)))
    assert np.isfinite(low).all() and (high.astype(np.float32) > low.astype(np.float32)).all()
    there = ~np.isnan(rows)
    scaler = Scaler(torch.from_numpy(low), torch.from_numpy(high))
    scaled = scaler.transform(torch.from_numpy(rows))
    assert (torch.isfinite(scaled).numpy() == there).all()
    back = scaler.inverse(scaled).numpy()
    assert (np.abs(back - rows)[there] <= 4 * EPSILON * np.broadcast_to(np.abs(low) + np.abs(high), rows.shape)[there]
            ).all()  # fmt: skip
    if standardize:
        assert (np.abs(np.nanmean(np.where(there, scaled, 0), 0)) < 1e-2).all()
    else:
        found = scaled[there].numpy()
        assert found.min(initial=0) >= 0 and found.max(initial=1) <= 1


@settings(max_examples=50)
@given(values(), st.booleans())
def test_a_window_scaled_by_itself_knows_nothing_of_others(rows, standardize):
    inputs = torch.from_numpy(np.stack([rows, rows[::-1] * 3 + 1]))
    both, alone = own_scaler(inputs, (0, 1), standardize), own_scaler(inputs[:1], (0, 1), standardize)
    assert torch.equal(both.low[:1], alone.low) and torch.equal(both.high[:1], alone.high)


@st.composite
def panels(draw):
    """A panel with the number of each step as its values, some of them missing, and the shape of a window."""
    series, times, features = draw(st.integers(1, 4)), draw(st.integers(4, 60)), draw(st.integers(1, 3))
    counted = np.arange(series * times * features, dtype=np.float64).reshape(series, times, features)
    for _ in range(draw(st.integers(0, 3))):
        counted[draw(st.integers(0, series - 1)), draw(st.integers(0, times - 1))] = np.nan
    panel = Panel(np.arange(times), tuple(map(str, range(series))), tuple("abc"[:features]), counted)
    target = draw(st.sampled_from([None, "ahead", "shifted"]))
    horizon = draw(st.integers(1, 3)) if target == "ahead" else 1
    window = draw(st.integers(2, times - (horizon if target else 0)))
    return panel, window_shape(times, window, target, horizon), draw(st.sampled_from(["leave_out", "interpolate"]))


@settings(max_examples=100)
@given(panels(), st.integers(1, 20))
def test_windows_are_consecutive_rows_of_one_series_at_every_stride(made, stride):
    panel, shape, missing = made
    count = len(panel.features) if shape.ahead else 0
    usable = usable_windows(panel, shape, count, missing)
    gone = np.isnan(panel.values).any(2)
    if not gone.any():
        assert usable.sum() == len(panel.series) * (len(panel.times) - shape.span + 1)
    mask = thin(usable, stride)
    assert mask.sum() >= usable.sum() // (stride + 1) * (not gone.any()) and not (mask & ~usable).any()
    assume(mask.any())
    unit = np.zeros((len(mask), len(panel.features)))
    columns = range(len(panel.features))
    made = cut(panel, mask, shape, count, (unit, unit + 1), columns, measure_by(False), False)
    assert len(made.inputs) == mask.sum() and made.inputs.shape[1] == shape.length
    assert torch.isfinite(made.inputs).all()
    for inputs, row, time in zip(made.inputs.numpy(), made.series, made.time, strict=True):
        own = panel.values[row, time : time + shape.length]
        assert len(own) == shape.length
        there = ~np.isnan(own)
        assert (inputs[there] == own[there]).all()
    if made.targets is not None:
        first, last = made.series[0], int(made.time[0]) + shape.first
        own = panel.values[first, last : int(made.time[0]) + shape.span]
        assert np.array_equal(made.targets[0].numpy(), own)


@settings(max_examples=150)
@given(st.data())
def test_no_step_is_in_two_parts_unless_the_split_says_leaky(data):
    """Steps of windows of two parts, targets included, are never the same; nor is anything random but the seed."""
    name = data.draw(st.sampled_from(["by_time", "by_series"]), "split")
    series = data.draw(st.integers(1 if name == "by_time" else 3, 30), "series")
    longest = data.draw(st.integers(8, 3000), "times")
    shared = data.draw(st.booleans(), "shared")
    lengths = np.array([longest if shared else data.draw(st.integers(2, longest)) for _ in range(series)])
    span, stride = data.draw(st.integers(2, longest), "span"), data.draw(st.integers(1, 50), "stride")
    begins = None
    if data.draw(st.booleans(), "test_start"):
        begins = np.minimum(lengths, data.draw(st.integers(1, longest), "begin"))
    folds = data.draw(st.none() | st.integers(2, 5), "folds")
    fold = 0 if folds is None else data.draw(st.integers(0, folds - 1), "fold")
    shares = [data.draw(st.floats(0.01, 0.6), share) for share in ("val", "test")]
    usable = full_windows(np.arange(longest) < lengths[:, None], span, 0)
    try:
        split = SPLITS[name](lengths, *shares, 3, begins, folds, fold, False, shared)
        masks = split.divide(usable, span, stride)
        again = SPLITS[name](lengths, *shares, 3, begins, folds, fold, False, shared).divide(usable, span, stride)
    except ConfigError:
        return
    used = {part: covered(masks[part], span) for part in PARTS}
    for one, other in (("train", "val"), ("train", "test"), ("val", "test")):
        assert not (used[one] & used[other]).any(), (one, other)
    assert all(np.array_equal(masks[part], again[part]) for part in PARTS)
    assert not any((masks[part] & ~usable).any() for part in PARTS)
    if name == "by_time":  # of each series, training comes before validation, and validation before the test
        for row in range(series):
            ends = [np.flatnonzero(used[part][row]) for part in PARTS]
            ends = [places for places in ends if len(places)]
            assert all(a[-1] < b[0] for a, b in pairwise(ends))


def covered(mask, span):
    """The steps that windows of so many steps hold."""
    change = np.zeros((len(mask), mask.shape[1] + span), int)
    change[:, : mask.shape[1]] += mask
    change[:, span:] -= mask
    return change.cumsum(1)[:, : mask.shape[1]] > 0


@settings(max_examples=40)
@given(st.integers(2, 6), st.integers(8, 40), st.integers(2, 5), st.integers(0, 2**16))
def test_what_is_fitted_on_training_windows_sees_nothing_else(series, times, span, seed):
    chance = np.random.default_rng(seed)
    panel = chance.normal(size=(series, times, 2))
    train = full_windows(np.ones((series, times), bool), span, 0) & (chance.random((series, times)) < 0.2)
    assume(train.any())
    outside = ~covered(train, span)
    changed = np.where(outside[..., None], 1e9, panel)
    for standardize in (False, True):
        then, now = (train_range(one, train, span, (0, 1), measure_by(standardize)) for one in (panel, changed))
        assert np.array_equal(then[0], now[0]) and np.array_equal(then[1], now[1])


@settings(max_examples=60)
@given(st.integers(3, 20_000), st.floats(0.001, 0.9), st.floats(0.001, 0.9), st.none() | st.integers(2, 10),
       st.integers(0, 2**32))  # fmt: skip
def test_every_sequence_is_in_one_part(count, val, test, folds, seed):
    try:
        parts = split_all(count, val, test, torch.Generator().manual_seed(seed), None, folds, 0)
    except ConfigError:
        return
    assert torch.equal(torch.cat(parts).sort().values, torch.arange(count))
    assert all(len(part) > 0 for part in parts) and len(parts[2]) == round(count * test)
