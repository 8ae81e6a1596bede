"""Files of whole sequences: every form that is read, and every mistake with its place and its remedy."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays as drawn_arrays

from lstm_ae.data.array_files import read_arrays, read_parts
from lstm_ae.data.arrays import arrays
from lstm_ae.data.contract import validate_data
from lstm_ae.data.ragged import own_lengths, pad, to_sequences
from lstm_ae.errors import ConfigError, UserError
from lstm_ae.spec import Scaler

OPTIONS = {"batch_size": 4, "val_fraction": 0.2, "test_fraction": 0.2, "seed": 0}
HEADER = "#made\n@problemName made\n@timeStamps false\n@dimensions 2\n@classLabel true a b\n@data\n"
TS = HEADER + "1,2,3:4,5,6:a\n1,?:3,NaN:b\n-1e3:2:a\n"


def sequences(lengths=(3, 5, 4, 3, 6, 2, 5, 4, 3, 5), features=2):
    generator = np.random.default_rng(0)
    return [generator.normal(5, 2, (length, features)) for length in lengths]


def written(folder, name="some.npz", labels=True, **changes):
    """An .npz with an array for each sequence."""
    made = sequences(**changes)
    known = {"labels": np.arange(len(made)) % 2} if labels else {}
    np.savez(folder / name, *made, **known)
    return str(folder / name)


def existing(part):
    """The values of a part that exist, whatever their order."""
    exists = part.exists()
    return (part.inputs if exists is None else part.inputs[exists]).flatten()


# Reading


@pytest.mark.parametrize("shape", [(4, 5, 3), (4, 5)])
def test_npy_and_a_single_array_in_npz(tmp_path, shape):
    values = np.arange(np.prod(shape), dtype=np.int16).reshape(shape)
    np.save(tmp_path / "a.npy", values)
    np.savez(tmp_path / "a.npz", any_name=values, y=["one", "two", "one", "two"])
    plain, none = read_arrays(tmp_path / "a.npy")
    zipped, labels = read_arrays(tmp_path / "a.npz")
    assert none is None and labels.tolist() == ["one", "two", "one", "two"]
    assert plain.dtype == np.float64 and plain.shape == (*shape[:2], 1 if len(shape) == 2 else 3)
    np.testing.assert_array_equal(plain.reshape(shape), values)
    np.testing.assert_array_equal(zipped, plain)


def test_the_three_ragged_forms_of_npz_are_one(tmp_path):
    made = sequences()
    lengths = np.array([len(one) for one in made])
    padded = pad(made).numpy()
    np.savez(tmp_path / "each.npz", *made)
    np.savez(tmp_path / "joined.npz", values=np.concatenate(made), lengths=lengths)
    np.savez(tmp_path / "padded.npz", values=padded, lengths=lengths)
    for name in ("each", "joined", "padded"):
        read, _ = read_arrays(tmp_path / f"{name}.npz")
        assert len(read) == len(made)
        for one, other in zip(read, made, strict=True):
            np.testing.assert_array_equal(one, other)
    np.savez(tmp_path / "flat.npz", np.arange(3.0), np.arange(2.0))
    assert [one.shape for one in read_arrays(tmp_path / "flat.npz")[0]] == [(3, 1), (2, 1)]


def test_ts(tmp_path):
    (tmp_path / "a.ts").write_text(TS)
    read, labels = read_arrays(tmp_path / "a.ts")
    assert labels.tolist() == ["a", "b", "a"]
    np.testing.assert_array_equal(read[0], [[1, 4], [2, 5], [3, 6]])
    np.testing.assert_array_equal(read[1], [[1, 3], [np.nan, np.nan]])
    np.testing.assert_array_equal(read[2], [[-1000, 2]])
    (tmp_path / "b.ts").write_text("@classLabel false\n@data\n1,2\n3,4,5\n")
    read, labels = read_arrays(tmp_path / "b.ts")
    assert labels is None and [len(one) for one in read] == [2, 3]


def save_objects(folder):
    made = np.empty(2, dtype=object)
    made[:] = [np.zeros((3, 1)), np.zeros((4, 1))]
    np.save(folder / "a.npy", made)


def cut_short(folder):
    written(folder, "a.npz")
    whole = (folder / "a.npz").read_bytes()
    (folder / "a.npz").write_bytes(whole[: len(whole) // 2])


def saved(**arrays):
    return lambda folder: np.savez(folder / "a.npz", **arrays)


def ts(text):
    return lambda folder: (folder / "a.ts").write_text(text)


BAD_FILES = {
    "a pickle": (save_objects, r"a\.npy: holds Python objects.*never loaded.*np\.savez"),
    "cut short": (cut_short, r"not a readable NumPy file, or cut short"),
    "empty": (lambda folder: (folder / "a.npy").touch(), "the file is empty"),
    "text": (lambda folder: np.save(folder / "a.npy", np.array([["a", "b"]])), "holds <U1"),
    "four dimensions": (lambda folder: np.save(folder / "a.npy", np.zeros((2, 2, 2, 2))), r"\(2, 2, 2, 2\); expected"),
    "no steps": (lambda folder: np.save(folder / "a.npy", np.zeros((2, 0))), "holds no sequences"),
    "infinite": (saved(a=np.array([[0, 1], [2, np.inf]])), "sequence 1, step 1, feature 0"),
    "other features": (saved(a=np.zeros((2, 3)), b=np.zeros((2, 4))), "3 and 4 features"),
    "no sequences": (saved(labels=np.zeros(3)), "holds no sequences"),
    "lengths that do not add up": (saved(a=np.zeros(5), lengths=np.array([2, 2])), "add up to 4 steps"),
    "lengths of 0": (saved(a=np.zeros(5), lengths=np.array([5, 0])), "whole numbers >= 1"),
    "several stacks": (saved(x_train=np.zeros((3, 2, 1)), x_test=np.zeros((3, 2, 1))), "x_train, x_test.*any name"),
    "another kind": (lambda folder: (folder / "a.csv").write_text("1,2"), "dataset=table"),
    "ts with text": (ts(TS + "1,x:2,3:a\n"), r"a\.ts, line 10, value 2: 'x' is no number"),
    "ts cut in a line": (ts(TS[:-5]), r"line 9: ends in '-1e3'.*none of the classes a, b.*cut short"),
    "ts without a dimension": (ts(TS + "1,2:a\n"), "line 10: 1 dimensions, and there should be 2"),
    "ts cut in its header": (ts(HEADER[:40]), "no line @data"),
    "ts without sequences": (ts(HEADER), "no sequences after @data"),
    "ts with uneven dimensions": (ts(TS + "1,2:3:a\n"), "dimensions of 1 and 2 steps"),
    "ts with time stamps": (ts("@timeStamps true\n@data\n(0,1)\n"), "time stamps.*dataset=table"),
    "no ts": (ts("a,b\n1,2\n"), "line 1: 'a,b' before @data"),
}


@pytest.mark.parametrize("name", list(BAD_FILES))
def test_a_bad_file_is_named_with_place_and_remedy(tmp_path, name):
    make, message = BAD_FILES[name]
    make(tmp_path)
    (file,) = tmp_path.iterdir()
    with pytest.raises(UserError, match=message):
        read_arrays(file)


@pytest.mark.parametrize("shape", [(7, 4, 2), (7, 4)])
def test_an_npy_file_in_parts_is_the_whole_file(tmp_path, shape):
    file = tmp_path / "a.npy"
    np.save(file, np.random.default_rng(0).normal(size=shape).astype(np.float32))
    parts = list(read_parts(file, 3))
    assert [len(part) for part, _ in parts] == [3, 3, 1] and all(labels is None for _, labels in parts)
    np.testing.assert_array_equal(np.concatenate([part for part, _ in parts]), read_arrays(file)[0])


def test_parts_know_the_number_of_their_sequences_and_refuse_what_the_whole_does(tmp_path):
    values = np.zeros((7, 4, 2))
    values[5, 1, 0] = np.inf
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(UserError, match="infinite value at sequence 5, step 1, feature 0"):
        list(read_parts(tmp_path / "a.npy", 3))
    np.save(tmp_path / "b.npy", np.array([np.zeros(2), np.zeros(3)], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match="Pickles are code"):
        list(read_parts(tmp_path / "b.npy", 3))
    np.save(tmp_path / "c.npy", np.zeros(7))
    with pytest.raises(UserError, match=r"shape \(7,\); expected"):
        list(read_parts(tmp_path / "c.npy", 3))
    (tmp_path / "c.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:-8])
    with pytest.raises(UserError, match="cut short"):
        list(read_parts(tmp_path / "c.npy", 3))
    Path(written(tmp_path, "d.npz")).rename(tmp_path / "d.npy")
    with pytest.raises(UserError, match="rename it"):
        list(read_parts(tmp_path / "d.npy", 3))


def test_a_missing_file_is_told_its_neighbour(tmp_path):
    written(tmp_path, "gestures.npz")
    with pytest.raises(UserError, match=r"gesture\.npz: there is no such file; did you mean gestures\.npz\?"):
        read_arrays(tmp_path / "gesture.npz")


# The data set


def test_unequal_sequences_are_padded_and_scaled_by_what_trains(tmp_path):
    data = arrays(written(tmp_path), **OPTIONS)
    validate_data(data)
    assert data.spec.varying and not data.spec.masked and data.spec.class_names == ("0", "1")
    assert (len(data.train), len(data.val), len(data.test)) == (6, 2, 2)
    values = existing(data.train).view(-1, 2)
    torch.testing.assert_close(values.mean(0), torch.zeros(2), atol=1e-6, rtol=0)
    torch.testing.assert_close(values.std(0, correction=0), torch.ones(2))
    assert data.train.inputs.shape[1] == data.train.lengths.max() == data.spec.length
    originals = {one.sum().round(4): label for one, label in zip(sequences(), np.arange(10) % 2, strict=True)}
    for part in (data.train, data.val, data.test):
        back = data.scaler.inverse(part.inputs.double()).masked_fill(~part.exists(), 0)
        for one, label in zip(back, part.labels, strict=True):
            assert min(abs(one.sum().item() - total) for total in originals) < 1e-3
            nearest = min(originals, key=lambda total: abs(one.sum().item() - total))
            assert originals[nearest] == label


def test_equal_sequences_have_no_lengths_and_a_test_file_is_the_test(tmp_path):
    train = written(tmp_path, lengths=(4,) * 10, labels=False)
    test = written(tmp_path, "test.npz", lengths=(4,) * 3, labels=False)
    data = arrays(train, **OPTIONS, test_path=test, standardize=False)
    validate_data(data)
    assert not data.spec.varying and data.train.lengths is None and data.train.labels is None
    assert (len(data.train), len(data.val), len(data.test)) == (8, 2, 3)
    assert data.train.inputs.min() == 0 and data.train.inputs.max() == pytest.approx(1)
    assert arrays(train, **OPTIONS, scaling="none").scaler == Scaler(0.0, 1.0)
    longer = written(tmp_path, "longer.npz", lengths=(4, 9), labels=False)
    data = arrays(train, **OPTIONS, test_path=longer)
    validate_data(data)
    assert data.spec.varying and data.spec.length == 4 and data.test.inputs.shape[1] == 9


def test_sequences_may_be_scaled_each_by_its_own_values(tmp_path):
    for standardize in (True, False):
        data = arrays(written(tmp_path), **OPTIONS, scaling="sequence", standardize=standardize)
        validate_data(data)
        assert data.scaler is None and data.spec.own_range == (0, 1) and data.spec.own_standardized == standardize
        for row, length in zip(data.train.inputs, data.train.lengths, strict=True):
            values = row[:length]
            low, high = (values.mean(0), values.std(0, correction=0)) if standardize else values.aminmax(dim=0)
            torch.testing.assert_close(low, torch.zeros(2), atol=1e-6, rtol=0)
            torch.testing.assert_close(high, torch.ones(2))


def test_what_is_nan_at_the_end_is_padding_and_within_it_is_missing(tmp_path):
    values = np.stack([np.arange(40.0).reshape(10, 4)], axis=2)
    values[0, 2:], values[1, 1] = np.nan, np.nan
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(UserError, match=r"1 values are missing, the first at sequence 1, step 1, feature 0.*mask"):
        arrays(str(tmp_path / "a.npy"), **OPTIONS)
    for missing in ("mask", "interpolate"):
        data = arrays(str(tmp_path / "a.npy"), **OPTIONS, missing=missing, scaling="none")
        validate_data(data)
        assert data.spec.varying and data.spec.masked == (missing == "mask")
        parts = (data.train, data.val, data.test)
        assert sum(int(part.exists().sum()) for part in parts) == 40 - 2 - (missing == "mask")
        whole = {tuple(row[:length].flatten().tolist()) for part in parts
                 for row, length in zip(part.inputs, part.lengths, strict=True)}  # fmt: skip
        assert (0.0, 1.0) in whole and (4.0, 5.0, 6.0, 7.0) in whole  # filled in between its neighbours


def test_labels_may_be_text_numbers_of_any_kind_or_a_file_of_their_own(tmp_path):
    path = written(tmp_path, labels=False)
    for name, labels in {"a": [2.0, 10.0] * 5, "b": ["2", "10"] * 5, "c": [10, 2] * 5}.items():
        np.save(tmp_path / f"{name}.npy", np.array(labels))
        data = arrays(path, **OPTIONS, labels=str(tmp_path / f"{name}.npy"))
        assert data.spec.class_names == ("2", "10")  # in the order of numbers
    np.save(tmp_path / "d.npy", np.array(["run", "jump"] * 5))
    assert arrays(path, **OPTIONS, labels=str(tmp_path / "d.npy")).spec.class_names == ("jump", "run")
    assert arrays(written(tmp_path), **OPTIONS, labels=False).train.labels is None


def test_settings_that_do_not_fit_are_refused(tmp_path):
    path, unlabelled = written(tmp_path), written(tmp_path, "unlabelled.npz", labels=False)
    np.savez(tmp_path / "one_class.npz", *sequences(), labels=np.ones(10))
    np.savez(tmp_path / "few.npz", *sequences(), labels=np.arange(9))
    np.savez(tmp_path / "no_label.npz", *sequences(), labels=np.full(10, np.nan))
    np.savez(tmp_path / "wide.npz", *sequences(features=3), labels=np.arange(10))
    np.save(tmp_path / "two.npy", np.zeros((2, 2)))
    np.savez(tmp_path / "empty.npz", np.full((3, 2), np.nan), *sequences())
    for file, options, error, message in [
        ("one_class.npz", {}, UserError, "all 10 sequences have the label '1'.*labels=false"),
        ("few.npz", {}, UserError, r"10 sequences, and labels of shape \(9,\)"),
        ("no_label.npz", {}, UserError, "a label is missing"),
        ("empty.npz", {}, UserError, "sequence 0 .* no value at all"),
        ("some.npz", {"test_path": path}, ConfigError, "what trains cannot test"),
        ("some.npz", {"test_path": unlabelled}, UserError, "unlabelled.npz has no labels.*labels=false"),
        ("some.npz", {"test_path": str(tmp_path / "wide.npz")}, UserError, "wide.npz has 3 features.*some.npz 2"),
        ("some.npz", {"labels": str(tmp_path / "two.npy")}, UserError, r"two\.npy: labels have the shape \(n,\)"),
        ("some.npz", {"labels": "none"}, UserError, r"read from an \.npy file"),
        ("some.npz", {"test_labels": "a.npy"}, ConfigError, "goes with dataset.labels"),
        ("some.npz", {"labels": "a.npy", "test_path": unlabelled}, ConfigError, "dataset.test_labels"),
        ("two.npy", {}, ConfigError, "leaves"),
    ]:
        with pytest.raises(error, match=message):
            arrays(str(tmp_path / file), **OPTIONS | options)


# Filling


holey = drawn_arrays(
    np.float64,
    st.tuples(st.integers(1, 3), st.integers(1, 8), st.integers(1, 2)),
    elements=st.one_of(st.just(np.nan), st.integers(-9, 9).map(float)),
)


@settings(max_examples=40)
@given(holey)
def test_gaps_are_filled_as_numpy_interpolates(values):
    lengths = torch.full((len(values),), values.shape[1])
    filled = to_sequences(torch.from_numpy(values), lengths, Scaler(0.0, 1.0), False).inputs.numpy()
    time = np.arange(values.shape[1])
    for i, k in np.ndindex(values.shape[0], values.shape[2]):
        there = ~np.isnan(values[i, :, k])
        expected = np.interp(time, time[there], values[i, there, k]) if there.any() else np.zeros(len(time))
        np.testing.assert_allclose(filled[i, :, k], expected, atol=1e-5)


@settings(max_examples=40)
@given(holey, st.booleans())
def test_nothing_of_what_a_model_reads_is_nan_and_zeros_stay_zeros(values, masked):
    tensor = torch.from_numpy(values)
    lengths = own_lengths(tensor)
    kept = lengths > 0
    made = to_sequences(tensor[kept], lengths[kept], Scaler(0.0, 2.0), masked)
    assert made.inputs.isfinite().all()
    there = ~tensor[kept].isnan()
    torch.testing.assert_close(made.inputs[there], (tensor[kept][there] / 2).float())
    if masked:
        assert torch.equal(made.mask, there)
    for one, length in zip(values[kept.numpy()], lengths[kept], strict=True):
        assert np.isnan(one[length:]).all() and not math.isnan(np.nanmax(one[length - 1]))
