"""Tables in files: every form that is read, and every mistake told with its file, line and column."""

import gzip

import numpy as np
import pandas as pd
import pytest

from lstm_ae.data.table_files import Columns, expand, find_columns, read_chunks, series_names
from lstm_ae.errors import UserError

LOG = "time,load,heat,room\n2024-01-01 00:00,1,2.5,a\n2024-01-01 00:05,,3,a\n2024-01-01 00:10,3,4,b\n"
COLUMNS = Columns("time", "room", ("load", "heat"), None)


def write(folder, text, name="log.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def read(path, columns=COLUMNS, rows=100_000):
    return pd.concat(read_chunks([path], columns, rows))


def test_a_table_comes_in_chunks_with_the_types_that_were_promised(tmp_path):
    path = write(tmp_path, LOG)
    chunks = list(read_chunks([path], COLUMNS, rows=2))
    assert [len(chunk) for chunk in chunks] == [2, 1]
    table = pd.concat(chunks)
    assert list(table.index) == [0, 1, 2] and list(table) == ["time", "room", "load", "heat"]
    assert table["time"].dtype == "datetime64[ns]" and table["time"].iloc[1] == pd.Timestamp("2024-01-01 00:05")
    assert list(table["room"]) == ["a", "a", "b"]
    assert np.array_equal(table["load"], [1, np.nan, 3], equal_nan=True) and table["heat"].dtype == "float64"


@pytest.mark.parametrize("name", ["log.csv.gz", "log.parquet", "semicolons.csv", "tabs.tsv", "bom.csv", "blank.csv"])
def test_the_same_table_in_other_files(tmp_path, name):
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
        pd.read_csv(write(tmp_path, LOG)).to_parquet(tmp_path / name)
    else:
        texts = {
            "log.csv.gz": gzip.compress(LOG.encode(), mtime=0),
            "semicolons.csv": LOG.replace(",", ";"),
            "tabs.tsv": LOG.replace(",", "\t"),
            "bom.csv": b"\xef\xbb\xbf" + LOG.encode(),
            "blank.csv": LOG.replace("\n2024", "\n\n2024"),
        }
        write(tmp_path, texts[name], name)
    found = read(tmp_path / name)
    pd.testing.assert_frame_equal(found, read(write(tmp_path, LOG, "plain.csv")))


@pytest.mark.parametrize(
    ("texts", "second"),
    [
        (["2024-01-02", "2024-01-03"], "2024-01-03"),
        (["2024-01-02T10:00:00+02:00", "2024-01-02T10:00:00.5+02:00"], "2024-01-02 08:00:00.5"),
        (["01/02/2024 10:00", "01/03/2024 10:00"], "2024-01-03 10:00"),
        (["01/02/2024", "13/02/2024"], "2024-02-13"),
        (["3 Jan 2024", "4 Jan 2024"], "2024-01-04"),
    ],
)
def test_the_usual_forms_of_time(tmp_path, texts, second):
    path = write(tmp_path, "t,x\n" + "".join(f"{text},1\n" for text in texts))
    times = read(path, Columns("t", None, ("x",), None), rows=1 if "13/" not in texts[1] else 2)["t"]
    assert times.iloc[1] == pd.Timestamp(second)


def test_numbers_are_times_too_and_there_may_be_none(tmp_path):
    path = write(tmp_path, "t,x,flag\n0.5,1,0\n1,2,0.0\n")
    table = read(path, Columns("t", None, ("x",), "flag"))
    assert list(table["t"]) == [0.5, 1.0] and list(table["flag"]) == ["0", "0"]
    assert list(read(path, Columns(None, None, ("x",), None))) == ["series", "x"]
    assert list(read(path, Columns(None, None, ("x",), "other"))) == ["series", "x"]  # a new file without labels


def test_files_are_a_path_a_list_or_a_glob_and_their_stems_name_their_series(tmp_path):
    for name in ("a/one.csv", "b/one.csv", "two.csv.gz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = expand([f"{tmp_path}/**/*.csv", f"{tmp_path}/two.csv.gz", f"{tmp_path}/a/one.csv"])
    assert [path.name for path in found] == ["one.csv", "one.csv", "two.csv.gz"]
    assert list(series_names(found).values()) == [f"{tmp_path}/a/one", f"{tmp_path}/b/one", "two"]


def test_columns_that_hold_numbers_are_the_values(tmp_path):
    path = write(tmp_path, "time,room,load,heat,note,nothing\n1,a,1,2.5,x,\n2,a,,3,,\n")
    assert find_columns([path], time="time", series="room") == COLUMNS
    assert find_columns([path], values=["heat"], label="room") == Columns(None, None, ("heat",), "room")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (LOG.replace("4,b", "warm,b"), r"log\.csv, line 4, column 'heat': 'warm' is no number"),
        ("\n\n" + LOG.replace("4,b", '"1,5",b'), r"line 6, column 'heat': '1,5' is no number"),
        (LOG.replace("4,b", "-inf,b"), r"line 4, column 'heat': '-inf' is infinite"),
        (LOG.replace("4,b", "4,"), r"line 4, column 'room': .* is missing"),
        (LOG.replace("2024-01-01 00:10", ""), r"line 4, column 'time': the time is missing"),
        (LOG.replace("2024-01-01 00:10", "noon"), r"line 4, column 'time': 'noon' is no time"),
        (LOG.replace("00:00,", "00:00+01:00,").replace("00:05,", "00:05+01:00,").replace("00:10,", "00:10Z,"),
         r"line 4, column 'time': '2024-01-01 00:10Z' is in another time zone"),
        (LOG.replace("00:10,", "00:10Z,"), r"line 4, column 'time': .* another time zone"),
        (LOG.replace("heat", "heta"), r"log\.csv has no column 'heat'; did you mean heta\?"),
        (LOG + "1,2,3,4,5,6\n", r"log\.csv: not a table: .*line 5"),
        (LOG.replace("1,2.5", "1,2,5"), r"log\.csv, line 2: 5 fields, and the header names 4"),
        ("", r"log\.csv: the file is empty"),
        ("time,load,heat,room\n", r"log\.csv: a header and no rows"),
        (LOG.replace("4,b", "4,é").encode("latin1"), r"log\.csv, line 4: not UTF-8"),
        ("1,2\n3,4\n", r"first line holds numbers \(1, 2\) where the names"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_file_is_named(tmp_path, text, words):
    path = write(tmp_path, text)
    for rows in (2, 100_000):  # in the first chunk, or in a later one
        with pytest.raises(UserError, match=words):
            read(path, rows=rows)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"time": "tiem"}, r"^dataset\.time=tiem: .*no column 'tiem'; did you mean time\?"),
        ({"values": ["heat", "Load"]}, r"^dataset\.values=Load: .*did you mean load\?"),
        ({"values": ["room"], "series": "room"}, r"^dataset\.values=room: one column cannot be two things"),
        ({"values": []}, None),
    ],
)
def test_settings_that_do_not_fit_the_file_are_named(tmp_path, options, words):
    if words is None:
        path, words = write(tmp_path, "room\na\n"), "no column of numbers"
        options = {}
    else:
        path = write(tmp_path, LOG)
    with pytest.raises(UserError, match=words):
        find_columns([path], **options)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("log.csv.gz", gzip.compress(LOG.encode(), mtime=0)[:-20], "damaged gzip file"),
        ("log.csv.gz", b"no gzip", "damaged gzip file"),
        ("log.parquet", b"no parquet", "not a Parquet file"),
        ("log.npy", b"", "not a table; dataset=arrays reads"),
    ],
)
def test_broken_and_foreign_files(tmp_path, name, content, words):
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    with pytest.raises(UserError, match=words):
        find_columns([write(tmp_path, content, name)])


def test_parquet_without_its_extra_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(UserError, match=r"needs pyarrow: pip install"):
        find_columns([write(tmp_path, b"", "log.parquet")])


def test_files_that_are_not_there(tmp_path):
    write(tmp_path, LOG)
    with pytest.raises(UserError, match=r"lgo\.csv: there is no such file; did you mean log\.csv\?"):
        expand(f"{tmp_path}/lgo.csv")
    with pytest.raises(UserError, match="is a folder; name its files"):
        expand(str(tmp_path))
    with pytest.raises(UserError, match="there is no such file"):
        expand([f"{tmp_path}/*.txt"])


def test_a_column_called_series_must_be_named(tmp_path):
    with pytest.raises(UserError, match=r"^dataset\.series=null: a column is called series"):
        find_columns([write(tmp_path, "series,x\n1,2\n")])
