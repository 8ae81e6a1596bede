"""CSV and Parquet files of series over time, read a chunk of rows at a time and checked on the way.

A mistake in a file is an error that names the file, the line and the column.
"""

import csv
import gzip
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from glob import glob, has_magic
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd

from lstm_ae.data.array_files import SUFFIXES as ARRAYS
from lstm_ae.data.table_times import TimeReader, WrongValue
from lstm_ae.errors import ConfigError, UserError

PARQUET = (".parquet", ".pq")
SERIES = "series"  # the name of the series' column where each file is one series
MISSING = ["", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "none", "<NA>", "?"]
LOOKED_AT = 1000  # rows that say whether a column holds numbers


@dataclass(frozen=True)
class Columns:
    """Which column of a table is what."""

    time: str | None  # None: rows are steps in the order of the file
    series: str | None  # None: each file is one series
    values: tuple[str, ...]  # at least one; the first is what forecasts forecast
    label: str | None  # of a step or of a series


def expand(path: str | Sequence[str]) -> list[Path]:
    """The files that a path, a list of paths or a glob (`logs/*.csv`, `**` for folders at any depth) names, each once.

    Raises:
        UserError: there is no such file.
    """
    found: dict[Path, None] = {}
    for name in [path] if isinstance(path, str) else path:
        place = str(Path(name).expanduser())
        names = sorted(glob(place, recursive=True)) if has_magic(place) and not Path(place).exists() else [place]
        files = [Path(one) for one in names if Path(one).is_file()]
        if not files:
            if Path(place).is_dir():
                raise UserError(f"{name} is a folder; name its files, as {name.rstrip('/')}/*.csv")
            near = get_close_matches(Path(place).name, [p.name for p in _siblings(Path(place))], n=1)
            raise UserError(f"{name}: there is no such file" + (f"; did you mean {near[0]}?" if near else ""))
        found |= dict.fromkeys(files)
    return list(found)


def series_names(paths: Sequence[Path]) -> dict[Path, str]:
    """The name of each file's series: its stem, with the folders above it where two files share their stem."""
    stems = {path: path.name.removesuffix(".gz").rsplit(".", 1)[0] for path in paths}
    shared = [stem for stem in stems.values() if list(stems.values()).count(stem) > 1] if len(paths) > 1 else []
    return {path: f"{path.parent}/{stem}" if stem in set(shared) else stem for path, stem in stems.items()}


def find_columns(
    paths: Sequence[Path],
    time: str | None = None,
    series: str | None = None,
    values: Sequence[str] | None = None,
    label: str | None = None,
) -> Columns:
    """Which column is what, by the settings `dataset.time` and so on and the beginning of the first file.

    Args:
        paths: the files.
        time, series, label: names of columns, or None.
        values: names of the columns to read; None: every one that holds numbers and is nothing else.

    Raises:
        UserError: a file without such a column or without rows, or no column of numbers.
    """
    named = {"time": time, "series": series, "label": label}
    taken = [name for name in named.values() if name is not None]
    for key, name in named.items():
        if name is not None:
            _require(paths[0], [name], f"dataset.{key}")
    head = next(_frames(paths[0], None, LOOKED_AT), pd.DataFrame())
    if head.empty:
        raise UserError(f"{paths[0]}: a header and no rows")
    if values is None:
        values = [name for name in header(paths[0]) if name not in taken and _is_number(head[name])]
        if not values:
            raise UserError(f"{paths[0]}: no column of numbers is left to read; its columns are {_list(head.columns)}")
    _require(paths[0], values, "dataset.values")
    twice = [name for name in (*taken, *values) if [*taken, *values].count(name) > 1]
    if twice:
        raise ConfigError("dataset.values", twice[0], "one column cannot be two things")
    if series is None and SERIES in values:
        raise ConfigError("dataset.series", None, f"a column is called {SERIES}; name it here, or leave it out of "
                          "dataset.values")  # fmt: skip
    return Columns(time, series, tuple(values), label)


def read_chunks(paths: Sequence[str | Path], columns: Columns, rows: int = 100_000) -> Iterator[pd.DataFrame]:
    """The rows of all files in their order, at most `rows` at a time.

    Yields:
        tables with a row number from 0 in each file as their index, and the columns `time` (datetime64[ns], in UTC
        where the file names a zone; or float64), `series` (str; called `series` and filled with the file's stem where
        each file is one series), the values (float64, NaN where missing) and the label (str, missing where it is), each
        by its name in the file. There is no label where a file has none.

    Raises:
        UserError: what `Columns` names is not there, or is not what it must be; with file and line.
    """
    files = [Path(path) for path in paths]
    names = series_names(files)
    read_time = TimeReader()
    for path in files:
        wanted = [name for name in (columns.time, columns.series, *columns.values) if name is not None]
        _require(path, wanted)
        if columns.label is not None and columns.label in header(path):
            wanted.append(columns.label)
        empty = True
        for frame in _frames(path, columns, rows, wanted):
            if frame.empty:
                continue
            made: dict[str, Any] = {}
            if columns.time is not None:
                with _told(path, frame.index, columns.time):
                    made[columns.time] = read_time(frame[columns.time])
            if columns.series is None:
                made[SERIES] = names[path]
            else:
                with _told(path, frame.index, columns.series):
                    made[columns.series] = _present(frame[columns.series]).astype(str)
            for name in columns.values:
                with _told(path, frame.index, name):
                    made[name] = _numbers(frame[name])
            if columns.label is not None and columns.label in frame:
                made[columns.label] = _labels(frame[columns.label])
            empty = False
            yield pd.DataFrame(made, index=frame.index)
        if empty:
            raise UserError(f"{path}: a header and no rows")


def _numbers(column: pd.Series) -> np.ndarray:
    """The values as float64, NaN where missing; finite."""
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(float, na_value=np.nan)
    _refuse(np.isnan(numbers) & column.notna().to_numpy(), column, "is no number (missing values are empty or NaN)")
    _refuse(np.isinf(numbers), column, "is infinite; leave it empty where the value is missing")
    return numbers


def _present(column: pd.Series) -> pd.Series:
    """The column, in which nothing may be missing."""
    _refuse(column.isna().to_numpy(), column, "is missing")
    return column


def _labels(column: pd.Series) -> pd.Series:
    """Labels as text; a whole number reads the same with and without `.0`."""
    texts = column.astype(object).where(column.notna(), None)
    kinds = {kind: str(kind).removesuffix(".0") for kind in texts.dropna().unique()}
    return texts.map(kinds)


def _refuse(wrong: np.ndarray, column: pd.Series, reason: str) -> None:
    if wrong.any():
        position = int(wrong.argmax())
        raise WrongValue(position, f"{str(column.iloc[position])!r} {reason}")


@contextmanager
def _told(path: Path, index: pd.Index, name: str) -> Iterator[None]:
    """Tell what is wrong in a column with its file and line."""
    try:
        yield
    except WrongValue as error:
        place = line_of(path, int(index[error.position]))
        raise UserError(f"{path}, {place}, column {name!r}: {error}") from error


def header(path: Path) -> list[str]:
    """The names of a file's columns.

    Raises:
        UserError: it is empty, or not a table.
    """
    if path.suffix in PARQUET:
        with _readable(path):
            return list(_parquet(path).schema_arrow.names)
    with _readable(path), _opened(path, mode="rt", encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file, delimiter=_separator(path))
        filled = (fields for fields in lines if any(fields))
        names, first = next(filled, []), next(filled, [])
        if any(first[len(names) :]):
            raise UserError(f"{path}, line {lines.line_num}: {len(first)} fields, and the header names {len(names)}")
    if not names:
        raise UserError(f"{path}: the file is empty")
    numbers = pd.to_numeric(pd.Series(names, dtype=object), errors="coerce")
    if numbers.notna().all():
        raise UserError(f"{path}: its first line holds numbers ({_list(names)}) where the names of the columns belong; "
                        "add a line with names above it")  # fmt: skip
    return names


def _frames(
    path: Path, columns: Columns | None, rows: int, wanted: Sequence[str] | None = None
) -> Iterator[pd.DataFrame]:
    """The wanted columns as they are in the file, at most `rows` rows at a time; None: all of them."""
    if path.suffix in PARQUET:
        with _readable(path):
            start = 0
            for batch in _parquet(path).iter_batches(batch_size=rows, columns=wanted):
                frame = batch.to_pandas()
                frame.index = pd.RangeIndex(start, start + len(frame))
                start += len(frame)
                yield frame
        return
    names = header(path)
    text = [] if columns is None else [name for name in (columns.series, columns.label) if name in names]
    with _readable(path):
        yield from pd.read_csv(  # without usecols, which would pass over surplus fields
            path, chunksize=rows, sep=_separator(path), encoding="utf-8-sig", low_memory=False,
            keep_default_na=False, na_values=dict.fromkeys(names, MISSING), dtype=dict.fromkeys(text, str),
            index_col=False,
        )  # fmt: skip


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Tell in a line what keeps a file from being read."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}, {_undecodable(path)}: not UTF-8; save it as UTF-8 (iconv -f latin1 -t utf-8)"
        ) from error
    except pd.errors.EmptyDataError as error:
        raise UserError(f"{path}: the file is empty") from error
    except pd.errors.ParserError as error:
        reason = str(error).removeprefix("Error tokenizing data. C error: ").strip()
        raise UserError(f"{path}: not a table: {reason}") from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{path}: damaged gzip file ({error})") from error


def _parquet(path: Path) -> Any:
    """The file, open.

    Raises:
        UserError: pyarrow is not installed, or the file is not Parquet.
    """
    try:
        from pyarrow import ArrowInvalid
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise UserError(f"{path}: Parquet needs pyarrow: pip install 'lstm-ae[parquet]'; or save it as CSV") from error
    try:
        return ParquetFile(path)
    except ArrowInvalid as error:
        raise UserError(f"{path}: not a Parquet file ({str(error).splitlines()[0]})") from error


def _opened(path: Path, **options: Any) -> IO[Any]:
    return gzip.open(path, **options) if path.suffix == ".gz" else path.open(**options)


def _separator(path: Path) -> str:
    """What separates the fields of the first line: a comma, a semicolon or a tab."""
    if path.suffix in ARRAYS:
        raise UserError(f"{path}: not a table; dataset=arrays reads {', '.join(ARRAYS)}")
    with _opened(path, mode="rb") as file:
        line = file.readline()
    return max(",;\t", key=lambda mark: line.count(mark.encode()))


def line_of(path: Path, row: int) -> str:
    """Where a row (from 0, the header not counted) is in a file, in words."""
    if path.suffix in PARQUET:
        return f"row {row + 1}"
    with _opened(path, mode="rt", encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file, delimiter=_separator(path))
        filled = (lines.line_num for fields in lines if any(fields))  # blank lines are no rows
        return f"line {next(line for number, line in enumerate(filled) if number == row + 1)}"


def _undecodable(path: Path) -> str:
    with _opened(path, mode="rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return f"line {number}"
    return "somewhere"


def _require(path: Path, names: Sequence[str], key: str | None = None) -> None:
    """Refuse a file that lacks a column; `key` is the setting that named it."""
    known = header(path)
    for name in names:
        if name not in known:
            near = get_close_matches(name.casefold(), {one.casefold(): one for one in known}, n=1)
            hint = next((f"; did you mean {one}?" for one in known if near and one.casefold() == near[0]), ".")
            said = f"{path} has no column {name!r}{hint} Its columns are {_list(known)}"
            raise UserError(said) if key is None else ConfigError(key, name, said)


def _is_number(column: pd.Series) -> bool:
    """Whether most values are numbers; the others are then mistakes, which reading the column will tell."""
    if pd.api.types.is_datetime64_any_dtype(column) or column.isna().all():
        return False
    return bool(pd.to_numeric(column.dropna(), errors="coerce").notna().mean() > 0.5)


def _siblings(path: Path) -> list[Path]:
    return list(path.parent.iterdir()) if path.parent.is_dir() else []


def _list(names: Sequence[str] | pd.Index) -> str:
    """The first names, in words."""
    shown = ", ".join(map(str, names[:12]))
    return shown + (f" and {len(names) - 12} more" if len(names) > 12 else "")
