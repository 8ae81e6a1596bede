"""Contexts and reconstructions as tables: of tables larger than a chunk, of arrays, and of a run's own data."""

import numpy as np
import pandas as pd
import pytest
import torch
from hydra import compose, initialize_config_dir
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_ae.config import CONF
from lstm_ae.config.build import build_data, build_model
from lstm_ae.data.table_files import Columns
from lstm_ae.data.table_writing import writing
from lstm_ae.errors import UserError
from lstm_ae.runs.cutting import cut_tables, table_columns
from lstm_ae.runs.directory import RunDirectory
from lstm_ae.runs.encoding import Encoding
from lstm_ae.runs.reopen import Run

ROWS = 40
RANDOM = np.random.default_rng(0)


def write(path, series=("a",), rows=ROWS, **changes):
    """A long table whose series take turns, and the same as a data frame."""
    count = rows * len(series)
    table = pd.DataFrame({
        "when": np.repeat(pd.date_range("2024-01-01", periods=rows, freq="h"), len(series)),
        "who": list(series) * rows,
        "load": RANDOM.normal(100, 10, count).round(3),
        "heat": RANDOM.normal(5, 1, count).round(3),
    }).assign(**changes)  # fmt: skip
    table.to_csv(path, index=False)
    return table


def open_run(path, *overrides):
    """A run of an untrained model on the table at `path`, and its data."""
    with initialize_config_dir(CONF):
        config = compose("config", ["dataset=table", f"dataset.path={path}", "dataset.time=when", "dataset.series=who",
                                    "dataset.window=6", "model.hidden_size=3", *overrides])  # fmt: skip
    data = build_data(config, torch.device("cpu"))
    model = build_model(config, data.spec, None).eval()
    return Run(RunDirectory(path.parent), config, model, data.spec, data.scaler, []), data


def joined(parts):
    """Contexts and reconstructions of all parts."""
    contexts, rebuilt = zip(*parts, strict=True)
    return pd.concat(contexts, ignore_index=True), None if rebuilt[0] is None else pd.concat(rebuilt, ignore_index=True)


def test_windows_of_a_table_are_keyed_by_series_and_time(tmp_path):
    table = write(tmp_path / "log.csv", series=("a", "b"))
    run, _ = open_run(tmp_path / "log.csv")
    contexts, rebuilt = joined(Encoding(run, True).table([tmp_path / "log.csv"], table_columns(run), None))
    own = table[table.who == "b"].reset_index(drop=True)
    windows = [own[i : i + 6][["load", "heat"]].to_numpy() for i in (0, 6, 12, 18, 24, 30, 34)]  # the last ends with it
    found = contexts[contexts.who == "b"].sort_values("begin")
    assert list(found.begin) == list(own.when[[0, 6, 12, 18, 24, 30, 34]])
    assert list(found.end) == list(own.when[[5, 11, 17, 23, 29, 35, 39]])
    values = np.stack(windows).astype(np.float32)
    np.testing.assert_allclose(found[[f"context_{i}" for i in range(3)]], run.encode(values), atol=1e-5)
    steps = rebuilt[rebuilt.who == "b"]
    assert list(steps.when) == list(own.when)  # every row once
    expected = np.concatenate([*run.reconstruct(values)[:6], run.reconstruct(values)[6, 2:]])
    np.testing.assert_allclose(steps[["load", "heat"]], expected, rtol=1e-4)


@settings(max_examples=25)
@given(st.lists(st.integers(1, 20), min_size=1, max_size=4), st.integers(1, 5), st.integers(1, 60))
def test_windows_do_not_depend_on_the_chunk(tmp_path_factory, lengths, stride, chunk):
    """Whatever the chunk, each series is cut into the same windows, and each of its rows is fresh in exactly one."""
    path = tmp_path_factory.getbasetemp() / "chunks.csv"
    order = np.random.default_rng(sum(lengths)).permutation(np.repeat(np.arange(len(lengths)), lengths))
    pd.DataFrame({"who": order, "load": np.arange(len(order))}).to_csv(path, index=False)
    columns = Columns(None, "who", ("load",), None)
    if max(lengths) < 5:
        with pytest.raises(UserError, match="the longest series has"):
            list(cut_tables([path], columns, 5, stride, chunk=chunk))
        return
    cuts = [cut for some in cut_tables([path], columns, 5, stride, chunk=chunk) for cut in some]
    for name, length in enumerate(lengths):
        own, rows = [cut for cut in cuts if cut.series == str(name)], np.flatnonzero(order == name)
        begins = list(range(0, length - 4, stride))
        begins += [length - 5] if length >= 5 and begins[-1] + 5 < length else []
        assert [cut.times[0] for cut in own] == begins
        for cut in own:
            np.testing.assert_array_equal(cut.values[:, 0], rows[cut.times])
        fresh = np.concatenate([cut.times[cut.fresh :] for cut in own] or [[]])
        np.testing.assert_array_equal(fresh, np.arange(length if length >= 5 else 0))


def test_what_waits_is_bounded(tmp_path):
    """Of a long series no more rows wait than a window and a chunk have."""
    write(tmp_path / "log.csv", rows=3000)
    columns = Columns("when", "who", ("load",), None)
    for cuts in cut_tables([tmp_path / "log.csv"], columns, 6, 6, chunk=100):
        assert all(len(cut.values.base) <= 106 for cut in cuts)


def test_whole_series_have_a_context_each(tmp_path):
    for name, rows in (("a", 5), ("b", 9), ("c", 7), ("d", 6), ("e", 8)):
        write(tmp_path / f"{name}.csv", rows=rows)
    run, _ = open_run(tmp_path / "a.csv", f"dataset.path='{tmp_path}/*.csv'", "dataset.window=null",
                      "dataset.series=null", "dataset.values=[load,heat]", "dataset.val_fraction=0.2",
                      "dataset.test_fraction=0.2")  # fmt: skip
    contexts, rebuilt = joined(Encoding(run, True).table(sorted(tmp_path.glob("*.csv")), table_columns(run), None))
    assert list(contexts.series) == ["a", "b", "c", "d", "e"] and len(rebuilt) == 35
    last = pd.read_csv(tmp_path / "e.csv")[["load", "heat"]].to_numpy(np.float32)
    np.testing.assert_allclose(contexts.iloc[4, 3:].to_numpy(float), run.encode([last])[0], atol=1e-5)


def test_the_runs_own_parts_are_keyed_likewise(tmp_path):
    table = write(tmp_path / "log.csv", rows=80)
    run, data = open_run(tmp_path / "log.csv", "dataset.missing=mask", "dataset.scaling=window")
    contexts, rebuilt = joined(Encoding(run, True).own(data, data.test))
    own = table.set_index("when")
    for begin, end, *context in contexts.drop(columns="series").itertuples(index=False):
        window = own.loc[begin:end, ["load", "heat"]].to_numpy(np.float32, copy=True)
        np.testing.assert_allclose(context, run.encode(window[None])[0], atol=1e-5)
    assert len(rebuilt) == 6 * len(contexts) and rebuilt.load.between(50, 150).all()


def test_a_series_scaled_by_its_own_past_is_scaled_alike_in_a_new_file(tmp_path):
    table = write(tmp_path / "log.csv", series=("a", "b"), rows=80)
    run, data = open_run(tmp_path / "log.csv", "dataset.scaling=series", "dataset.stride=1")
    encoding, columns = Encoding(run, True), table_columns(run)
    contexts, rebuilt = joined(encoding.table([tmp_path / "log.csv"], columns, 1))
    own, _ = joined(encoding.own(data, data.test))
    both = contexts.rename(columns={"who": "series"}).merge(own, on=["series", "begin", "end"])
    assert len(both) == len(own) and set(own.series) == {"a", "b"}
    np.testing.assert_allclose(both.context_0_x, both.context_0_y, atol=1e-5)
    assert rebuilt.load.between(50, 150).all()
    table[table.who == "a"].assign(who="z").to_csv(tmp_path / "new.csv", index=False)
    with pytest.raises(UserError, match="series 'z': the run scales each series by its own past"):
        list(encoding.table([tmp_path / "new.csv"], columns, None))


def test_arrays_of_unequal_length_with_their_labels(tmp_path):
    arrays = [RANDOM.normal(size=(length, 2)) for length in (3, 5, 4, 6, 3, 4, 5, 6, 7, 3)]
    np.savez(tmp_path / "made.npz", *arrays, labels=np.array(list("xyxyxyxyxy")))
    with initialize_config_dir(CONF):
        config = compose("config", ["dataset=arrays", f"dataset.path={tmp_path}/made.npz", "model.hidden_size=3"])
    data = build_data(config, torch.device("cpu"))
    run = Run(RunDirectory(tmp_path), config, build_model(config, data.spec, None).eval(), data.spec, data.scaler, [])
    contexts, rebuilt = joined(Encoding(run, True).arrays(tmp_path / "made.npz"))
    np.testing.assert_allclose(contexts.iloc[:, 2:], run.encode(arrays), atol=1e-6)
    assert list(contexts.label) == list("xyxyxyxyxy") and len(rebuilt) == sum(map(len, arrays))
    own, _ = joined(Encoding(run, False).own(data, data.test))
    assert set(own.label) <= {"x", "y"} and len(own) == len(data.test)


MISTAKES = {
    "missing value": ({"heat": [np.nan, *[1.0] * (ROWS - 1)]}, "line 2, column 'heat': missing"),
    "text": ({"load": ["1"] * 9 + ["much"] * (ROWS - 9)}, "line 11, column 'load': 'much' is no number"),
    "times that go back": (
        {"when": pd.date_range("2024-01-01", periods=ROWS, freq="h")[::-1]},
        "series 'a' goes back from .*; sort the file by time",
    ),
}


@pytest.mark.parametrize(("changes", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_rows_that_the_run_cannot_read_are_told_with_their_place(tmp_path, changes, message):
    write(tmp_path / "log.csv")
    run, _ = open_run(tmp_path / "log.csv")
    write(tmp_path / "new.csv", **changes)
    with pytest.raises(UserError, match=message):
        list(Encoding(run, False).table([tmp_path / "new.csv"], table_columns(run), None))


def test_a_file_with_other_columns_or_too_few_rows(tmp_path):
    write(tmp_path / "log.csv")
    run, _ = open_run(tmp_path / "log.csv")
    encoding, columns = Encoding(run, False), table_columns(run)
    write(tmp_path / "new.csv").rename(columns={"load": "Lod"}).to_csv(tmp_path / "new.csv", index=False)
    with pytest.raises(UserError, match="has no column 'load'; did you mean Lod"):
        list(encoding.table([tmp_path / "new.csv"], columns, None))
    write(tmp_path / "short.csv", rows=5)
    with pytest.raises(UserError, match="reads windows of 6 rows, and the longest series has 5"):
        list(encoding.table([tmp_path / "short.csv"], columns, None))


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".npz"])
def test_tables_are_written_in_parts(tmp_path, suffix):
    parts = [
        pd.DataFrame({"who": ["a", "b"], "begin": pd.to_datetime(["2024-01-01", "2024-01-02"]), "context_0": [1.0, 2.0],
                      "context_1": [3.0, 4.0]}),
        pd.DataFrame({"who": ["c"], "begin": pd.to_datetime(["2024-01-03"]), "context_0": [5.0], "context_1": [6.0]}),
    ]  # fmt: skip
    path = tmp_path / f"contexts{suffix}"
    with writing(path) as append:
        for part in parts:
            append(part)
        assert not path.exists()
    whole = pd.concat(parts, ignore_index=True)
    if suffix == ".npz":
        with np.load(path) as found:
            np.testing.assert_array_equal(found["context"], [[1, 3], [2, 4], [5, 6]])
            assert list(found["who"]) == ["a", "b", "c"] and found["begin"].dtype.kind == "M"
        return
    found = pd.read_parquet(path) if suffix == ".parquet" else pd.read_csv(path, parse_dates=["begin"])
    pd.testing.assert_frame_equal(found, whole, check_dtype=False)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".npz"])
def test_a_table_that_breaks_off_is_not_there(tmp_path, suffix):
    with pytest.raises(UserError), writing(tmp_path / f"contexts{suffix}") as append:
        append(pd.DataFrame({"a": [1]}))
        raise UserError("the file ends here")
    assert list(tmp_path.iterdir()) == []
