"""Stock windows: what is in them, what may not be, and that no part knows of a later one."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_ae.data import sp500 as module
from lstm_ae.data.sp500 import CSV, FEATURES, parse, read_prices
from lstm_ae.errors import ConfigError, UserError
from tests.data.stocks import DEFAULTS, make_panel
from tests.data.stocks import stocks as patched

PARTS = ("train", "val", "test")


@pytest.fixture
def stocks(monkeypatch):
    return lambda panel=None, **options: patched(monkeypatch, panel or make_panel(), **options)


@pytest.fixture(scope="module")
def real_market(real_stocks):
    return parse(CSV.read())


def dollars(part, values):
    return part.scaler.first(values.shape[2]).inverse(values)


def expected(data, part, first, count):
    """The prices (n, count, features) that begin `first` days into each window, straight from the panel."""
    days = part.time[:, None] + torch.arange(first, first + count)
    return torch.from_numpy(data.panel.values)[part.series[:, None], days]


@pytest.mark.parametrize("split", ["by_time", "by_series", "random_windows"])
@pytest.mark.parametrize("scaling", ["window", "series", "none", "series_full"])
@pytest.mark.parametrize(("forecast_target", "horizon"), [("last_day", 1), ("last_day", 3), ("shifted", 1), (None, 1)])
def test_windows_are_the_market_s_days_and_scaling_can_be_undone(stocks, split, scaling, forecast_target, horizon):
    options = {"split": split, "scaling": scaling, "features": ["open", "high", "volume"]}
    if scaling == "series" and split != "by_time":
        with pytest.raises(ConfigError, match=r"^dataset\.scaling=series"):
            stocks(**options)
        return
    data = stocks(**options, forecast_target=forecast_target, horizon=horizon)
    assert data.spec.feature_names == ("high", "open", "volume")
    assert set(data.spec.leaky) == {
        f"{key}={value}"
        for key, value in (("split", split), ("scaling", scaling))
        if value in ("random_windows", "series_full")
    }
    for part in (data.train, data.val, data.test):
        torch.testing.assert_close(
            dollars(part, part.inputs).double(), expected(data, part, 0, 5), rtol=1e-4, atol=1e-3
        )
        if forecast_target is None:
            assert part.targets is None
            continue
        first, count = (1, 5) if forecast_target == "shifted" else (5, horizon)
        assert part.targets.shape == (len(part), data.spec.forecast_steps, 1) == (len(part), count, 1)
        torch.testing.assert_close(
            dollars(part, part.targets).double(),
            expected(data, part, first, count)[..., :1],
            rtol=1e-4,
            atol=1e-3,
        )


def test_window_scaling_is_the_target_s_range_for_prices_and_its_own_for_volume(stocks):
    data = stocks(features=["open", "high", "low", "close", "volume"])
    inputs = data.test.inputs
    assert inputs[..., 0].amin(1).eq(0).all() and inputs[..., 0].amax(1).eq(1).all()
    assert inputs[..., 4].amin(1).eq(0).all() and inputs[..., 4].amax(1).eq(1).all()
    assert inputs[..., 2].amin() < 0  # a low below the lowest high
    assert (data.test.high[..., 1:4] == data.test.high[..., :1]).all()


def test_series_scaling_is_that_of_the_training_part(stocks):
    panel = make_panel()
    data = stocks(panel, scaling="series")
    train_end = 36  # 60 days, 12 to validate, 12 to test
    ranges = panel.values[:, :train_end, 1]
    rows = data.test.series
    assert np.allclose(data.test.low[:, 0, 0], ranges.min(1)[rows], rtol=1e-6)
    assert np.allclose(data.test.high[:, 0, 0], ranges.max(1)[rows], rtol=1e-6)


def test_a_late_company_is_scaled_by_its_days_before_the_test_or_left_out(stocks):
    panel = make_panel()
    panel.values[0, :40] = np.nan  # begins after the training days
    panel.values[1, :50] = np.nan  # begins after the first test day
    data = stocks(panel, scaling="series")
    assert 1 not in data.test.series
    late = data.test.series == 0
    assert late.any() and np.allclose(data.test.low[late, 0, 0], panel.values[0, 40:48, 1].min(), rtol=1e-6)


@pytest.mark.parametrize("split", ["by_time", "by_series"])
def test_no_day_of_a_company_is_in_two_parts(stocks, split):
    data = stocks(split=split)
    held = []
    for part in PARTS:
        stack = getattr(data, part)
        days = stack.time[:, None] + torch.arange(6)
        held.append(
            set(zip(stack.series[:, None].expand(-1, 6).flatten().tolist(), days.flatten().tolist(), strict=True))
        )
    assert not held[0] & held[1] and not held[0] & held[2] and not held[1] & held[2]


def test_expanding_folds_train_on_the_past_of_what_they_validate_on(stocks):
    seen = []
    for fold in range(3):
        data = stocks(num_folds=3, fold=fold)
        assert data.train.time.min() == 0
        assert data.train.time.max() + 6 <= data.val.time.min()
        seen.append((data.train.time.max().item(), data.val.time.min().item()))
        assert data.test.time.min() == 48
    assert seen == sorted(set(seen))
    with pytest.raises(ConfigError, match=r"^dataset\.fold=3"):
        stocks(num_folds=3, fold=3)


def test_folds_over_companies_validate_each_once(stocks):
    folds = [stocks(split="by_series", num_folds=2, fold=fold) for fold in range(2)]
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
        "forecast_target": data.draw(st.sampled_from(["last_day", "shifted", None]), "forecast_target"),
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
    panel.values[2, :late] = np.nan  # a company that begins after most or all training days
    changed = replace(panel, values=panel.values.copy())
    with pytest.MonkeyPatch.context() as monkeypatch:
        before = patched(monkeypatch, panel, **options)
        part = data.draw(st.sampled_from(["val", "test"] if split == "by_time" else ["test"]), "part")
        boundary = int(getattr(before, part).time.min())
        if part == "test":
            boundary = {"by_time": 48, "by_series": 40}[split]
        noise = data.draw(st.floats(0.01, 100), "noise")
        changed.values[:, boundary:] *= noise * (
            1 + np.random.default_rng(1).random(changed.values[:, boundary:].shape)
        )
        after = patched(monkeypatch, changed, **options)
    for earlier in PARTS[: PARTS.index(part)]:
        for field in fields(before.train):
            one, other = getattr(getattr(before, earlier), field.name), getattr(getattr(after, earlier), field.name)
            assert torch.equal(one, other) if torch.is_tensor(one) else one == other, (earlier, field.name)
    # and the later part's scaling by series was fitted before it
    if options["scaling"] == "series" and part == "test":
        assert torch.equal(before.test.low, after.test.low) and torch.equal(before.test.high, after.test.high)


def test_the_leaky_scaling_does_leak(stocks):
    """The property above would not hold under `series_full`: it can tell."""
    panel = make_panel()
    before = stocks(panel, scaling="series_full")
    panel.values[:, 50:] *= 3
    assert not torch.equal(before.train.inputs, stocks(panel, scaling="series_full").train.inputs)


def test_windows_with_a_hole_are_left_out_and_no_others(stocks):
    whole = stocks()
    panel = make_panel()
    panel.values[3, 10, 1] = np.nan
    holed = stocks(panel)
    lost = set(range(10 - 5, 11))
    kept = {(s, d) for s, d in zip(whole.train.series.tolist(), whole.train.time.tolist(), strict=True)}
    assert {(s, d) for s, d in zip(holed.train.series.tolist(), holed.train.time.tolist(), strict=True)} == {
        (s, d) for s, d in kept if s != 3 or d not in lost
    }
    assert stocks(panel, complete=True).panel.series == ("S0", "S1", "S2", "S4", "S5")


def test_constant_windows_scale_and_come_back(stocks):
    panel = make_panel()
    panel.values[0] = 20.0
    data = stocks(panel, features=["high", "close", "volume"])
    constant = data.test.series == 0
    assert constant.any() and data.test.inputs.isfinite().all()
    assert (data.test.inputs[constant] == 0).all() and (data.test.targets[constant] == 0).all()
    assert (dollars(data.test, data.test.inputs)[constant] == 20).all()


def test_whole_series(stocks):
    panel = make_panel()
    panel.values[3, 10, 1] = np.nan
    plain = {"window": None, "split": "by_series", "forecast_target": None}
    data = stocks(panel, **plain)
    assert data.spec.length == 60 and len(data.train) + len(data.val) + len(data.test) == 5
    shifted = stocks(panel, **plain | {"forecast_target": "shifted"})
    assert shifted.train.inputs.shape[1] == shifted.train.targets.shape[1] == 59
    with pytest.raises(ConfigError, match=r"S3.*missing days"):
        stocks(panel, **plain, symbols=["S1", "S3"])


def test_symbols_and_strides_and_num_train(stocks):
    assert stocks(symbols=["S4", "S1"]).panel.series == ("S1", "S4")
    drawn = stocks(symbols=3).panel.series
    assert len(drawn) == 3 and stocks(symbols=3).panel.series == drawn
    assert {stocks(symbols=3, seed=seed).panel.series for seed in range(5)} != {drawn}
    assert stocks(stride=4).train.time.unique().tolist() == list(range(0, 31, 4))
    shuffled = stocks(stride=4, split="random_windows")
    assert (torch.cat([getattr(shuffled, part).time for part in PARTS]) % 4 == 0).all()
    whole, part = stocks(), stocks(num_train=20)
    assert len(part.train) == 20 and torch.equal(part.test.inputs, whole.test.inputs)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"symbols": ["S1", "S9"]}, r"dataset\.symbols=S9: is none of the 6 companies.*S"),
        ({"symbols": 7}, r"dataset\.symbols=7: must be at most 6"),
        ({"window": 58}, r"dataset\.window=58: leaves no window of 59 days in the train part"),
        ({"window": 60}, r"dataset\.window=60: must lie from 2 to 59"),
        ({"window": None}, r"dataset\.split=by_time: whole series"),
        ({"split": "by_series", "scaling": "series"}, r"dataset\.scaling=series: .*test_start"),
        ({"split": "random_windows", "scaling": "series"}, r"dataset\.scaling=series: shuffled"),
        ({"split": "random_windows", "test_start": "2014-02-01"}, r"dataset\.test_start"),
        ({"forecast_target": "shifted", "horizon": 2}, r"dataset\.horizon=2: must be 1"),
        ({"start": "yesterday"}, r"dataset\.start=yesterday: must be a date"),
        ({"start": "2020-01-01"}, r"dataset\.start=2020-01-01: leaves no day"),
        ({"test_start": "2013-01-01"}, r"dataset\.test_start=2013-01-01: must lie from 2014-01-01"),
        ({"test_start": "2014-01-05"}, r"dataset\.val_fraction=0\.2: leaves 0 days"),
        ({"val_fraction": 0.6, "test_fraction": 0.5}, r"dataset\.test_fraction=0\.5: must be <"),
        ({"num_train": 10_000}, r"dataset\.num_train=10000: must be at most"),
        ({"features": ["close", "close"]}, r"dataset\.features=.*twice"),
    ],
)
def test_what_does_not_fit_is_named(stocks, options, words):
    with pytest.raises(ConfigError, match=words):
        stocks(**options)


def test_the_published_table(real_market):
    years = real_market.between("2014-01-02", "2017-12-29")
    assert real_market.values.shape == (505, 1259, 5) and len(years.times) == 1007
    assert years.complete().sum() == 477
    assert (~np.isnan(years.values[..., 3])).sum() == 497_472
    google = real_market.position("symbol", "GOOGL")
    first = real_market.values[google, real_market.time_of("start", "2016-01-04")]
    assert first.tolist() == [762.2, 762.2, 747.54, 759.44, 3369068.0]
    with pytest.raises(ConfigError, match="GOOGL"):
        real_market.position("symbol", "GOOGLE")


def test_the_yardstick_s_windows(real_market, stocks):
    """Tomorrow = today on the windows inside the last 15% of days: 48,654 windows, 0.01444."""
    data = stocks(real_market, window=50, start="2014-01-02", end="2017-12-29", complete=True, val_fraction=0.15,
                  test_fraction=0.15)  # fmt: skip
    assert len(data.test) == 48_654 and len(data.test.time.unique()) == 102
    assert (data.test.inputs[:, -1] - data.test.targets[:, -1]).square().mean().item() == pytest.approx(
        0.01444, abs=5e-6
    )


def test_the_parsed_table_is_kept_and_a_damaged_copy_is_replaced(tmp_path, monkeypatch, real_market):
    monkeypatch.setattr(module, "CACHE", tmp_path / "cache")
    assert np.array_equal(read_prices().values, real_market.values, equal_nan=True)
    (copy,) = (tmp_path / "cache").iterdir()
    monkeypatch.setattr(module, "parse", None)  # not asked again
    again = read_prices()
    assert again.series == real_market.series and (again.times == real_market.times).all()
    monkeypatch.undo()
    monkeypatch.setattr(module, "CACHE", tmp_path / "cache")
    copy.write_bytes(copy.read_bytes()[:1000])
    assert np.array_equal(read_prices().values, real_market.values, equal_nan=True)
    assert copy.stat().st_size > 1_000_000 and len(list(copy.parent.iterdir())) == 1


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path, monkeypatch, real_market):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(module, "CACHE", tmp_path / "file" / "cache")
    assert read_prices().series == real_market.series


def test_a_missing_table_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("LSTM_AE_DATA", str(tmp_path))
    monkeypatch.setattr(module, "CACHE", tmp_path)
    monkeypatch.setattr(module, "CSV", replace(CSV, addresses=()))
    with pytest.raises(UserError, match=r"all_stocks_5yr\.csv"):
        read_prices()


def test_defaults_match_the_yaml():
    from omegaconf import OmegaConf

    from lstm_ae.config import CONF

    assert DEFAULTS.keys() <= OmegaConf.load(f"{CONF}/dataset/sp500.yaml").keys()
