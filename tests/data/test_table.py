"""Tables as data sets: what is in the sequences, what is said of a table, and what cannot be used."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from lstm_ae.config import CONF
from lstm_ae.config.build import build_part
from lstm_ae.data.contract import validate_data
from lstm_ae.data.panel_windows import interpolated
from lstm_ae.errors import ConfigError, UserError


def made(series=3, rows=60, seed=0, lengths=None, start="2024-01-01", step="5min") -> pd.DataFrame:
    """Random walks `load` and `heat` of rooms A, B, ..., each `rows` long or as `lengths` say."""
    random = np.random.default_rng(seed)
    tables = []
    for room, count in zip("ABCDEFGHIJ", lengths or [rows] * series, strict=False):
        times = pd.date_range(start, periods=count, freq=step)
        values = random.normal(size=(count, 2)).cumsum(0) * [1, 100]
        tables.append(pd.DataFrame({"time": times, "room": room, "load": values[:, 0], "heat": values[:, 1]}))
    return pd.concat(tables, ignore_index=True)


def written(folder, table, name="log.csv"):
    table.to_csv(folder / name, index=False)
    return folder / name


def load(path, *overrides, time="time", series="room"):
    """The data set as `python -m lstm_ae.train dataset=table` has it, without the seconds that composing takes."""
    given = [f"path={path}", f"time={time}", f"series={series}", "window=8", "seed=0"]
    changes = OmegaConf.from_dotlist([override.removeprefix("dataset.") for override in (*given, *overrides)])
    config = OmegaConf.merge(OmegaConf.load(Path(CONF) / "dataset" / "table.yaml"), changes)
    data = build_part(config, "dataset")
    validate_data(data)
    return data


def original(data, part):
    return data.scaler_of(part).inverse(part.inputs).double().numpy()


def parts(data):
    return data.train, data.val, data.test


def test_windows_are_the_rows_of_their_series_in_order(tmp_path):
    table = made(lengths=[60, 40, 50], seed=1)
    shuffled = written(tmp_path, table.sample(frac=1, random_state=0))
    for data in (load(written(tmp_path, table, "sorted.csv")), load(shuffled)):
        assert data.spec.feature_names == ("load", "heat") and set(data.panel.series) == {"A", "B", "C"}
        for part in parts(data):
            for values, row, begin in zip(original(data, part), part.series, part.time, strict=True):
                own = table[table["room"] == data.panel.series[row]][["load", "heat"]].to_numpy()
                assert np.allclose(values, own[begin : begin + 8], atol=1e-3)


def test_series_with_times_of_their_own_are_each_divided_in_time(tmp_path):
    table = made(lengths=[100, 60])
    table.loc[table["room"] == "B", "time"] += pd.Timedelta("400D")
    data = load(written(tmp_path, table))
    assert not data.panel.shared
    for row, count in enumerate((100, 60)):
        inside = [part.time[part.series == row] for part in parts(data)]
        assert [int(times.max()) + 8 for times in inside] == [count - 2 * count * 15 // 100, count * 85 // 100, count]
        assert [int(times.min()) for times in inside[1:]] == [count * 70 // 100, count * 85 // 100]


def test_series_that_share_their_times_are_divided_at_one_moment(tmp_path):
    table = made(rows=60)
    table = table[(table["room"] != "B") | (table["time"] >= "2024-01-01 01:00")]  # begins 12 rows late
    data = load(written(tmp_path, table))
    assert data.panel.shared and len(data.panel.times) == 60
    assert data.train.time.max() + 8 == 42 and data.test.time.min() == 51
    assert data.train.time[data.train.series == 1].min() == 12


def test_training_never_sees_a_later_part(tmp_path):
    """Other values after the training rows change nothing in the training part, its scaling included."""
    table = made(rows=60)
    changed = table.copy()
    changed.loc[table.groupby("room").cumcount() >= 42, ["load", "heat"]] *= 3
    for scaling in ("train", "series", "window"):
        one, other = (load(written(tmp_path, t), f"dataset.scaling={scaling}").train for t in (table, changed))
        assert torch.equal(one.inputs, other.inputs) and torch.equal(one.low, other.low)


@pytest.mark.parametrize("scaling", ["train", "series", "window"])
@pytest.mark.parametrize("standardize", ["true", "false"])
def test_what_is_scaled_to_what(tmp_path, scaling, standardize):
    data = load(written(tmp_path, made()), f"dataset.scaling={scaling}", f"dataset.standardize={standardize}")
    train = data.train.inputs.double()
    groups = {
        "train": [train],
        "series": [train[data.train.series == row] for row in range(3)],
        "window": list(train[:20]),
    }[scaling]
    for values in groups:
        if standardize == "false":
            found = values.flatten(0, -2).amin(0), values.flatten(0, -2).amax(0)
            assert torch.allclose(found[0], torch.zeros(2).double(), atol=1e-6)
            assert torch.allclose(found[1], torch.ones(2).double(), atol=1e-6)
        elif scaling == "window":
            assert torch.allclose(values.mean(0), torch.zeros(2).double(), atol=1e-5)
            assert torch.allclose(values.std(0, correction=0), torch.ones(2).double(), atol=1e-5)
    rows = data.panel.values[:, :42].reshape(-1, 2)  # the training rows
    if scaling == "train" and standardize == "true":
        assert np.allclose(data.scaler.low, rows.mean(0), rtol=1e-4)
        assert np.allclose(data.scaler.high - data.scaler.low, rows.std(0), rtol=1e-4)
    assert (data.scaler is not None) == (scaling == "train")
    assert data.spec.own_standardized == (scaling == "window" and standardize == "true")


def test_whole_series_of_unequal_lengths(tmp_path):
    table = made(lengths=[9, 12, 7, 20, 5, 11, 8], series=7)
    table["kind"] = table["room"].isin(["A", "D"]).map({True: "walk", False: "run"})
    data = load(written(tmp_path, table), "dataset.window=null", "dataset.label=kind", "dataset.values=[heat,load]")
    assert data.spec.varying and data.spec.class_names == ("run", "walk")
    assert data.spec.length == data.train.lengths.max()
    seen = []
    for part in parts(data):
        for i, (row, count) in enumerate(zip(part.series, part.lengths, strict=True)):
            own = table[table["room"] == data.panel.series[row]]
            seen.append(data.panel.series[row])
            assert count == len(own) and data.spec.class_names[part.labels[i]] == own["kind"].iloc[0]
            assert np.allclose(original(data, part)[i, :count], own[["heat", "load"]], atol=1e-3)
            assert not part.inputs[i, count:].any()
    assert sorted(seen) == list("ABCDEFG")
    with pytest.raises(UserError, match=r"^dataset\.forecast_target=ahead: needs sequences of one length"):
        load(written(tmp_path, table), "dataset.window=null", "dataset.forecast_target=ahead")
    even = load(written(tmp_path, made(series=5, rows=9)), "dataset.window=null", "dataset.forecast_target=ahead")
    assert even.train.inputs.shape == (3, 8, 2) and not even.spec.varying


def test_files_say_what_tests(tmp_path):
    train, test = written(tmp_path, made(rows=60), "train.csv"), made(rows=40, seed=1)
    alone = written(tmp_path, test.assign(room="new " + test["room"]), "test.csv")
    data = load(train, f"dataset.test_path='{alone}'")
    names = [{data.panel.series[row] for row in part.series} for part in parts(data)]
    assert names == [{"A", "B", "C"}, {"A", "B", "C"}, {"new A", "new B", "new C"}]
    assert len(data.test) == 3 * 33 and data.train.time.max() + 8 == 51
    later = written(tmp_path, made(rows=40, seed=1, start="2024-01-01 05:00"), "later.csv")
    data = load(train, f"dataset.test_path='{later}'")
    assert set(data.panel.series) == {"A", "B", "C"} and len(data.test) == 3 * 33 and data.test.time.min() == 60
    with pytest.raises(UserError, match=r"train.csv, line 2: series A is in a training file too|test2"):
        load(train, f"dataset.test_path='{written(tmp_path, test, 'test2.csv')}'")


def test_labels_of_steps_flag_them_and_train_nothing(tmp_path):
    table = made(series=1).assign(wrong=0)
    table.loc[10:12, "wrong"] = 1
    data = load(written(tmp_path, table), "dataset.label=wrong")
    assert data.spec.num_classes == 0 and data.train.labels is None
    assert data.panel.flags.nonzero()[1].tolist() == [10, 11, 12]
    with pytest.raises(ConfigError, match=r"^dataset\.label=wrong: labels steps, and 'walking' says neither"):
        load(written(tmp_path, table.assign(wrong=np.where(table.index % 5, "walking", "0"))), "dataset.label=wrong")
    normal = load(written(tmp_path, table.assign(wrong=0)), "dataset.label=wrong")
    assert not normal.panel.flags.any()


@pytest.mark.parametrize("missing", ["interpolate", "mask"])
def test_missing_values_are_filled_within_a_window(tmp_path, missing):
    table = made(rows=60)
    random = np.random.default_rng(3)
    holes = random.random((len(table), 2)) < 0.3
    holed = table.assign(load=table["load"].mask(holes[:, 0]), heat=table["heat"].mask(holes[:, 1]))
    data = load(written(tmp_path, holed), f"dataset.missing={missing}", "dataset.stride=3")
    for part in parts(data):
        values = original(data, part)
        for i, (row, begin) in enumerate(zip(part.series, part.time, strict=True)):
            own = holed[holed["room"] == data.panel.series[row]][["load", "heat"]].iloc[int(begin) : int(begin) + 8]
            expected = (
                own.interpolate(limit_direction="both").to_numpy() if missing == "interpolate" else own.to_numpy()
            )
            there = ~np.isnan(expected)
            assert np.allclose(values[i][there], expected[there], atol=1e-3)
            if missing == "mask":
                assert np.array_equal(part.mask[i], own.notna())
    assert data.spec.masked == (missing == "mask") and (data.train.mask is None) == (missing == "interpolate")


def test_a_missing_value_never_tells_of_another_part(tmp_path):
    """A hole at the end of the training rows is filled from the training rows alone."""
    table = made(series=1)
    table.loc[38:41, "load"] = np.nan  # the last training rows
    changed = table.assign(load=table["load"].where(table.index < 42, 1e6))
    one, other = (load(written(tmp_path, t), "dataset.missing=interpolate").train for t in (table, changed))
    assert torch.equal(one.inputs, other.inputs) and len(one) > 0


@settings(max_examples=30)
@given(st.data())
def test_interpolation_is_that_of_pandas(data):
    steps = data.draw(st.integers(1, 9))
    value = st.floats(-9, 9) | st.just(float("nan"))
    values = np.array(data.draw(st.lists(st.lists(value, min_size=2, max_size=2), min_size=steps, max_size=steps)))
    expected = pd.DataFrame(values).interpolate(limit_direction="both").to_numpy()
    assert np.allclose(interpolated(values[None])[0], expected, equal_nan=True)


def test_a_forecast_never_reads_what_it_forecasts(tmp_path):
    """A hole at the end of an input is filled from the input, and a window without a target is left out."""
    table = made(series=1)
    table.loc[20, "load"] = np.nan
    options = (
        "dataset.forecast_target=ahead",
        "dataset.horizon=2",
        "dataset.val_fraction=0.2",
        "dataset.test_fraction=0.2",
        "dataset.missing=interpolate",
    )
    data = load(written(tmp_path, table), *options)
    begins = data.train.time.tolist()
    assert not {11, 12} & set(begins)  # whose targets, rows 19 and 20 or 20 and 21, are not all there
    i = begins.index(13)  # reads rows 13 to 20
    assert np.isclose(original(data, data.train)[i, -1, 0], table["load"][19], atol=1e-4)


def test_a_stride_keeps_windows_in_bounds(tmp_path, monkeypatch):
    monkeypatch.setattr("lstm_ae.data.panel_data.MANY_WINDOWS", 40)
    data = load(written(tmp_path, made()))
    assert 20 < len(data.train) <= 40 and len(load(written(tmp_path, made()), "dataset.stride=1").train) == 105
    monkeypatch.setattr("lstm_ae.memory.available", lambda: 30_000)
    with pytest.raises(UserError, match=r"^dataset\.window=8: is too large: with dataset.stride=1, .* windows would"):
        load(written(tmp_path, made()), "dataset.stride=1")


def test_what_does_not_fit_into_memory_is_refused_before_it_is_made(tmp_path, monkeypatch):
    table = made(series=1)
    rest = table.iloc[:2].assign(room="B")  # a series of two rows, which would be padded to the length of the other
    monkeypatch.setattr("lstm_ae.memory.available", lambda: 1000)
    with pytest.raises(UserError, match=r"log\.csv: is too large: making a table of the first 62 rows would need"):
        load(written(tmp_path, pd.concat([table, rest])))
    monkeypatch.setattr("lstm_ae.data.table_load.require", lambda *_: None)
    many = [table, *(rest.assign(room=str(i)) for i in range(50))]
    with pytest.raises(UserError, match=r"its 51 series as long as the longest, 60 rows, would need"):
        load(written(tmp_path, pd.concat(many)))


def test_what_was_understood_is_said(tmp_path, caplog):
    table = made(series=2).assign(kind="a")
    table.loc[table["room"] == "B", "kind"] = "b"
    table.loc[4, "heat"] = np.nan
    table = pd.concat([table, table.iloc[[7]]]).drop(index=[20])
    with caplog.at_level(logging.INFO):
        load(written(tmp_path, table), "dataset.missing=mask", "dataset.label=kind")
    said = caplog.text
    for words in ("log.csv: 119 rows, 2 series (A, B) of 59 to 60 rows", "values: load, heat", "step 00:05:00",
                  "2024-01-01 to 2024-01-01 04:55:00", "1 gaps, the longest of 2 steps",
                  "1 rows were not in order and have been sorted", "1 rows left out, which repeat a time",
                  "missing: 0.0042 of the values (heat 0.0084)", "column kind, of a series: its class; a, b",
                  "trains: 70 sequences of all series, 2024-01-01 to 2024-01-01 03:25:00", "tests: "):  # fmt: skip
        assert words in said


@pytest.mark.parametrize(
    ("change", "overrides", "words"),
    [
        (lambda t: t.assign(load=t["load"].mask(t.index == 3)), [],
         r"log\.csv, line 5, column 'load': missing, as are 0\.28% of all values; dataset\.missing=interpolate"),
        (lambda t: t.drop(index=30), [], r"series A has no row at 2024-01-01T02:30:00, where others have one"),
        (lambda t: t, ["dataset.window=61"], r"^dataset\.window=61: asks for 61 rows, .* A, has 60 \(the shortest 60"),
        (lambda t: t[:1], [], r"^dataset\.window=8: asks for 8 rows, and the longest of 1 series, A, has 1 "),
        (lambda t: t, ["dataset.series=null"], r"log\.csv, line 62: 67% of the rows of series log repeat a time"),
        (lambda t: t.assign(kind="x"), ["dataset.label=kind"], r"^dataset\.label=kind: every row has the label 'x'"),
        (lambda t: t.assign(kind=t["room"].replace("B", "")), ["dataset.label=kind"], r"line 62, .*B has no label"),
        (lambda t: t[t["room"] < "C"], ["dataset.window=null"], r"^dataset\.window=null: .*takes three, .* are 2"),
        (lambda t: t, ["dataset.test_start=soon"], r"^dataset\.test_start=soon: must be a date"),
        (lambda t: t, ["dataset.path=other.csv"], r"other\.csv: there is no such file"),
        (lambda t: t, ["dataset.missing=drop"], r"^dataset\.missing=drop: must be one of error, interpolate, mask"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_named(tmp_path, change, overrides, words):
    with pytest.raises(UserError, match=words):
        load(written(tmp_path, change(made())), *overrides)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["dataset.scaling=series"], r"^dataset\.scaling=series: .* new A of the test files has none"),
        (["dataset.test_start='2024-01-01'"], r"^dataset\.test_start=2024-01-01: must be null: dataset\.test_path"),
    ],
)
def test_settings_that_do_not_go_with_test_files(tmp_path, overrides, words):
    other = made(seed=1)
    test = written(tmp_path, other.assign(room="new " + other["room"]), "test.csv")
    with pytest.raises(UserError, match=words):
        load(written(tmp_path, made()), f"dataset.test_path='{test}'", *overrides)


def test_numbers_as_times_and_no_times_at_all(tmp_path):
    table = made(series=1).drop(columns=["room"]).assign(time=np.arange(60) * 0.5)
    data = load(written(tmp_path, table), "dataset.test_start=20", series="null")
    assert data.test.time.min() == 40 and data.panel.times_of(0)[40] == 20
    data = load(written(tmp_path, table.drop(columns=["time"])), series="null", time="null")
    assert data.panel.times.dtype.kind == "i" and data.panel.series == ("log",)
    assert data.panel.times_of(0)[-1] == 59
