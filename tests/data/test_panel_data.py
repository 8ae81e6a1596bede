"""Windows of a panel: what is in them, what may not be, and that no part knows of a later one."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import TimeSeriesSplit

from lstm_ae.data.contract import validate_data
from lstm_ae.data.panel_splits import PARTS
from lstm_ae.errors import ConfigError
from tests.data.panels import FEATURES, made_data, make_panel


def original(part, values):
    return part.scaler.first(values.shape[2]).inverse(values)


def expected(data, part, first, count):
    """The values (n, count, features) that begin `first` steps into each window, straight from the panel."""
    times = part.time[:, None] + torch.arange(first, first + count)
    return torch.from_numpy(data.panel.values)[part.series[:, None], times]


@pytest.mark.parametrize("split", ["by_time", "by_series", "random_windows"])
@pytest.mark.parametrize("scaling", ["window", "series", "none", "series_full"])
@pytest.mark.parametrize(("forecast_target", "horizon"), [("ahead", 1), ("ahead", 3), ("shifted", 1), (None, 1)])
def test_windows_are_the_panel_s_values_and_scaling_can_be_undone(split, scaling, forecast_target, horizon):
    options = {"split": split, "scaling": scaling, "features": ["left", "level", "flow"]}
    if scaling == "series" and split != "by_time":
        with pytest.raises(ConfigError, match=r"^dataset\.scaling=series: .*dataset\.split="):
            made_data(**options)
        return
    data = made_data(**options, forecast_target=forecast_target, horizon=horizon)
    validate_data(data)
    assert data.spec.feature_names == ("level", "left", "flow")
    assert set(data.spec.leaky) == {
        f"{key}={value}"
        for key, value in (("split", split), ("scaling", scaling))
        if value in ("random_windows", "series_full")
    }
    for part in (data.train, data.val, data.test):
        torch.testing.assert_close(
            original(part, part.inputs).double(), expected(data, part, 0, 5), rtol=1e-4, atol=1e-3
        )
        if forecast_target is None:
            assert part.targets is None
            continue
        first, count = (1, 5) if forecast_target == "shifted" else (5, horizon)
        assert part.targets.shape == (len(part), data.spec.forecast_steps, 1) == (len(part), count, 1)
        torch.testing.assert_close(
            original(part, part.targets).double(),
            expected(data, part, first, count)[..., :1],
            rtol=1e-4,
            atol=1e-3,
        )


def test_window_scaling_is_the_target_s_range_for_features_that_share_it_and_its_own_for_others():
    data = made_data(features=list(FEATURES))
    inputs = data.test.inputs
    assert data.spec.own_range == (0, 0, 0, 0, 4)
    assert inputs[..., 0].amin(1).eq(0).all() and inputs[..., 0].amax(1).eq(1).all()
    assert inputs[..., 4].amin(1).eq(0).all() and inputs[..., 4].amax(1).eq(1).all()
    assert inputs[..., 2].amin() < 0  # a lower value below the lowest level
    assert (data.test.high[..., 1:4] == data.test.high[..., :1]).all()


def test_series_scaling_is_that_of_the_training_part():
    panel = make_panel()
    data = made_data(panel, scaling="series")
    train_end = 36  # 60 times, 12 to validate, 12 to test
    ranges = panel.values[:, :train_end, 1]
    rows = data.test.series
    assert data.spec.own_range == () and data.scaler is None
    assert np.allclose(data.test.low[:, 0, 0], ranges.min(1)[rows], rtol=1e-6)
    assert np.allclose(data.test.high[:, 0, 0], ranges.max(1)[rows], rtol=1e-6)


def test_only_unscaled_series_share_one_scaler():
    data = made_data(scaling="none", features=["level", "flow"])
    values = torch.rand(3, 4, 2)
    assert torch.equal(data.scaler.transform(values), values) and torch.equal(data.scaler.inverse(values), values)
    assert made_data().scaler is made_data(scaling="series").scaler is None


def test_a_late_series_is_scaled_by_its_values_before_the_test_or_left_out():
    panel = make_panel()
    panel.values[0, :40] = np.nan  # begins after the training times
    panel.values[1, :50] = np.nan  # begins after the start of the test
    data = made_data(panel, scaling="series")
    assert 1 not in data.test.series
    late = data.test.series == 0
    assert late.any() and np.allclose(data.test.low[late, 0, 0], panel.values[0, 40:48, 1].min(), rtol=1e-6)


@pytest.mark.parametrize("split", ["by_time", "by_series"])
def test_no_time_of_a_series_is_in_two_parts(split):
    data = made_data(split=split)
    held = []
    for part in (data.train, data.val, data.test):
        times = part.time[:, None] + torch.arange(6)
        held.append(
            set(zip(part.series[:, None].expand(-1, 6).flatten().tolist(), times.flatten().tolist(), strict=True))
        )
    assert not held[0] & held[1] and not held[0] & held[2] and not held[1] & held[2]


def test_expanding_folds_train_on_the_past_of_what_they_validate_on():
    seen = []
    for fold in range(3):
        data = made_data(num_folds=3, fold=fold)
        assert data.train.time.min() == 0
        assert data.train.time.max() + 6 <= data.val.time.min()
        seen.append((data.train.time.max().item() + 6, data.val.time.min().item(), data.val.time.max().item() + 6))
        assert data.test.time.min() == 48
    expected = [(train[-1] + 1, val[0], val[-1] + 1) for train, val in TimeSeriesSplit(3).split(range(48))]
    assert seen == expected
    with pytest.raises(ConfigError, match=r"^dataset\.fold=3"):
        made_data(num_folds=3, fold=3)
    with pytest.raises(ConfigError, match=r"^dataset\.num_folds=48: must be at most 47"):
        made_data(num_folds=48)


def test_folds_over_series_validate_each_once():
    folds = [made_data(split="by_series", num_folds=2, fold=fold) for fold in range(2)]
    sets = [set(data.val.series.tolist()) for data in folds]
    test = set(folds[0].test.series.tolist())
    assert not sets[0] & sets[1] and sets[0] | sets[1] | test == set(range(6))


@settings(max_examples=60)
@given(st.data())
def test_no_value_after_a_boundary_reaches_an_earlier_part(data):
    """Change any values from a boundary on: everything before it stays the same, bit by bit, its scaling included."""
    split = data.draw(st.sampled_from(["by_time", "by_series"]), "split")
    options = {
        "split": split,
        "scaling": data.draw(st.sampled_from(["window", "series", "none"]), "scaling"),
        "forecast_target": data.draw(st.sampled_from(["ahead", "shifted", None]), "forecast_target"),
        "window": data.draw(st.integers(2, 6), "window"),
        "stride": data.draw(st.integers(1, 3), "stride"),
        "features": data.draw(st.sampled_from([None, list(FEATURES)]), "features"),
    }
    if split == "by_series":
        options["test_start"] = "2014-02-10"
    elif data.draw(st.booleans(), "folds"):
        options |= {"num_folds": 2, "fold": data.draw(st.integers(0, 1), "fold")}
    panel = make_panel(seed=data.draw(st.integers(0, 3), "seed"))
    late = 45 if split == "by_time" else 35
    panel.values[2, :late] = np.nan  # a series that begins after most or all training times
    changed = replace(panel, values=panel.values.copy())
    before = made_data(panel, **options)
    part = data.draw(st.sampled_from(["val", "test"] if split == "by_time" else ["test"]), "part")
    boundary = int(getattr(before, part).time.min())
    if part == "test":
        boundary = {"by_time": 48, "by_series": 40}[split]
    noise = data.draw(st.floats(0.01, 100), "noise")
    changed.values[:, boundary:] *= noise * (1 + np.random.default_rng(1).random(changed.values[:, boundary:].shape))
    after = made_data(changed, **options)
    for earlier in PARTS[: PARTS.index(part)]:
        for field in fields(before.train):
            one, other = getattr(getattr(before, earlier), field.name), getattr(getattr(after, earlier), field.name)
            assert torch.equal(one, other) if torch.is_tensor(one) else one == other, (earlier, field.name)
    # and the later part's scaling by series was fitted before it
    if options["scaling"] == "series" and part == "test":
        assert torch.equal(before.test.low, after.test.low) and torch.equal(before.test.high, after.test.high)


def test_the_leaky_scaling_does_leak():
    """The property above does not hold under `series_full`: the test of it can fail."""
    panel = make_panel()
    before = made_data(panel, scaling="series_full")
    panel.values[:, 50:] *= 3
    assert not torch.equal(before.train.inputs, made_data(panel, scaling="series_full").train.inputs)


def test_windows_with_a_hole_are_left_out_and_no_others():
    def begins(part):
        return set(zip(part.series.tolist(), part.time.tolist(), strict=True))

    whole = made_data()
    panel = make_panel()
    panel.values[3, 10, 1] = np.nan
    lost = set(range(10 - 5, 11))
    assert begins(made_data(panel).train) == {(s, t) for s, t in begins(whole.train) if s != 3 or t not in lost}
    assert made_data(panel, complete=True).panel.series == ("S0", "S1", "S2", "S4", "S5")


def test_constant_windows_scale_and_come_back():
    panel = make_panel()
    panel.values[0] = 20.0
    data = made_data(panel, features=["level", "right", "flow"])
    constant = data.test.series == 0
    assert constant.any() and data.test.inputs.isfinite().all()
    assert (data.test.inputs[constant] == 0).all() and (data.test.targets[constant] == 0).all()
    assert (original(data.test, data.test.inputs)[constant] == 20).all()


def test_whole_series():
    panel = make_panel()
    panel.values[3, 10, 1] = np.nan
    plain = {"window": None, "split": "by_series", "forecast_target": None}
    data = made_data(panel, **plain)
    assert data.spec.length == 60 and len(data.train) + len(data.val) + len(data.test) == 5
    shifted = made_data(panel, **plain | {"forecast_target": "shifted"})
    assert shifted.train.inputs.shape[1] == shifted.train.targets.shape[1] == 59
    with pytest.raises(ConfigError, match=r"S3.*missing values"):
        made_data(panel, **plain, chosen=["S1", "S3"])


def test_strides_and_num_train():
    assert made_data(stride=4).train.time.unique().tolist() == list(range(0, 31, 4))
    shuffled = made_data(stride=4, split="random_windows")
    assert (torch.cat([getattr(shuffled, part).time for part in PARTS]) % 4 == 0).all()
    whole, part = made_data(), made_data(num_train=20)
    assert len(part.train) == 20 and torch.equal(part.test.inputs, whole.test.inputs)
    assert not torch.equal(made_data(num_train=20, seed=1).train.inputs, part.train.inputs)


def test_a_panel_of_one_series_and_one_feature():
    panel = make_panel(series=1).with_features(["level"])
    data = made_data(panel, scaling="series", horizon=2)
    validate_data(data)
    assert len(data.train) == 30 and data.panel.series == ("S0",)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"window": 58}, r"dataset\.window=58: leaves no window of 59 times in the train part"),
        ({"window": 60}, r"dataset\.window=60: must lie from 2 to 59"),
        ({"window": None}, r"dataset\.split=by_time: must be by_series for whole series"),
        ({"split": "by_series", "scaling": "series"}, r"dataset\.scaling=series: .*add dataset\.test_start or use"),
        ({"split": "random_windows", "scaling": "series"}, r"dataset\.scaling=series: .*; use dataset\.scaling=window"),
        ({"split": "random_windows", "test_start": "2014-02-01"}, r"dataset\.test_start"),
        ({"forecast_target": "shifted", "horizon": 2}, r"dataset\.horizon=2: must be 1"),
        ({"test_start": "2013-01-01"}, r"dataset\.test_start=2013-01-01: must lie from 2014-01-01"),
        ({"test_start": "2014-01-05"}, r"dataset\.val_fraction=0\.2: leaves 0 times"),
        ({"val_fraction": 0.6, "test_fraction": 0.5}, r"dataset\.test_fraction=0\.5: must be <"),
        ({"num_train": 10_000}, r"dataset\.num_train=10000: must be at most"),
    ],
)
def test_what_does_not_fit_is_named(options, words):
    with pytest.raises(ConfigError, match=words):
        made_data(**options)
