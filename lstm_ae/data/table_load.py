"""All rows of a table's files in memory: sorted, without duplicates, and what was found on the way."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from lstm_ae.data.table_files import SERIES, Columns, line_of, read_chunks
from lstm_ae.errors import UserError
from lstm_ae.memory import require

# Labels of a step, in small letters; numbers are normal if they are 0.
NORMAL = {"", "false", "no", "none", "nan", "normal"}
ANOMALOUS = {"true", "yes", "anomaly", "anomalous", "abnormal"}
COPIES = 2  # of all rows, at the least, once they are read: in one piece, and in order
TOO_MANY_DUPLICATES = 0.1  # of a series' rows: then several series are in it that no column tells apart


@dataclass(frozen=True)
class Table:
    """Rows sorted by series and time. A series may have rows that train and, after them, rows that test."""

    paths: list[Path]
    file_starts: np.ndarray  # (files + 1,), where the rows of each file begin in the order in which they were read
    columns: Columns
    names: tuple[str, ...]  # of the series
    starts: np.ndarray  # (series + 1,), where the rows of each series begin
    times: np.ndarray  # (rows,), datetime64[ns] or float64; without a column of times the number of the step, int64
    values: np.ndarray  # (rows, features), NaN where missing
    labels: np.ndarray | None  # (rows,), positions in label_names; -1 where missing
    label_names: tuple[str, ...]
    order: np.ndarray  # (rows,), which row in the order of the files each is
    train_rows: int  # so many of those come from the files that train
    unsorted: int  # rows that came before an earlier time of their series
    duplicates: int  # rows left out, because their series already had their time

    @property
    def lengths(self) -> np.ndarray:
        """Rows of each series, (series,)."""
        return np.diff(self.starts)

    @cached_property
    def series(self) -> np.ndarray:
        """The series of each row, (rows,)."""
        return np.repeat(np.arange(len(self.names)), self.lengths)

    @cached_property
    def trained(self) -> np.ndarray:
        """The rows of each series from files that train; they come first in it, (series,)."""
        return np.bincount(self.series[self.order < self.train_rows], minlength=len(self.names))

    def place(self, row: int) -> str:
        """The file and line of a row, in words."""
        return place_of(self.paths, self.file_starts, int(self.order[row]))

    @cached_property
    def labels_steps(self) -> bool:
        """Whether the labels are of steps, not of whole series: they change within one, or all are of a normal step."""
        assert self.labels is not None
        changing = self.labels != self.labels[self.starts[:-1]][self.series]
        return bool(changing.any()) or {is_anomalous(name) for name in self.label_names} <= {False}


def place_of(paths: Sequence[Path], file_starts: np.ndarray, row: int) -> str:
    """The file and line of the row that was read as the `row`-th of all files."""
    file = int(np.searchsorted(file_starts, row, side="right")) - 1
    return f"{paths[file]}, {line_of(paths[file], row - int(file_starts[file]))}"


def load(paths: Sequence[Path], columns: Columns, test_paths: Sequence[Path] = ()) -> Table:
    """Read files whole.

    Args:
        paths: files that train.
        columns: which column is what.
        test_paths: files that test.

    Raises:
        UserError: a file or a row that cannot be used, rows that do not fit into memory, or a series that both trains
            and tests at the same time.
    """
    files = [*paths, *test_paths]
    names: dict[str, int] = {}
    kinds: dict[str, int] = {}
    parts: list[tuple[np.ndarray, ...]] = []
    counts: dict[Path, int] = dict.fromkeys(files, 0)
    held = 0  # bytes
    for path, chunk in _chunks(files, columns):
        series = _codes(chunk[columns.series or SERIES], names)
        time = np.arange(counts[path], counts[path] + len(chunk)) if columns.time is None else chunk[columns.time]
        label = _codes(chunk[columns.label], kinds) if columns.label in chunk else np.full(len(chunk), -1, np.int32)
        parts.append((series, np.asarray(time), chunk[list(columns.values)].to_numpy(), label))
        counts[path] += len(chunk)
        held += sum(array.nbytes for array in parts[-1])
        require(COPIES * held, "dataset.path", path, f"making a table of the first {sum(counts.values()):,} rows")
    series, times, values, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    del parts
    starts = np.concatenate([[0], np.cumsum(list(counts.values()))])
    train_rows = int(starts[len(paths)])
    order, unsorted = _sorted(series, times, np.arange(len(series)) >= train_rows)
    if (np.diff(order) != 1).any():  # else the copies are spared
        series, times, values, labels = (array[order] for array in (series, times, values, labels))
    again = np.zeros(len(series), bool)
    if columns.time is not None:
        again[1:] = (series[1:] == series[:-1]) & (times[1:] == times[:-1])
        _check_duplicates(again, series, list(names), times, lambda row: place_of(files, starts, int(order[row])))
        if again.any():
            series, times, values, labels, order = (a[~again] for a in (series, times, values, labels, order))
    begins = np.concatenate([[0], np.cumsum(np.bincount(series, minlength=len(names)))])
    if columns.time is None:
        times = np.arange(len(series)) - begins[series]
    table = Table(
        files, starts, columns, tuple(names), begins, times, values, None if columns.label is None else labels,
        tuple(kinds), order, train_rows, unsorted, int(again.sum()),
    )  # fmt: skip
    _check_parts(table)
    return table


def _chunks(files: Sequence[Path], columns: Columns) -> Iterator[tuple[Path, pd.DataFrame]]:
    """Chunks with the file that each is from; a chunk whose rows begin at 0 begins the next file."""
    following = iter(files)
    for chunk in read_chunks(files, columns):
        if chunk.index[0] == 0:
            path = next(following)
        yield path, chunk


def _codes(column: pd.Series, known: dict[str, int]) -> np.ndarray:
    """The position of each value among the `known` ones, to which new ones are added; -1 where it is missing."""
    codes, found = pd.factorize(column)
    places = np.array([known.setdefault(str(value), len(known)) for value in found] + [-1], np.int32)
    return places[codes]


def _sorted(series: np.ndarray, times: np.ndarray, tested: np.ndarray) -> tuple[np.ndarray, int]:
    """The order of rows by series and time, those that test last; and how many came before an earlier time."""
    order = np.arange(len(series)) if (np.diff(series) >= 0).all() else np.argsort(series, kind="stable")
    early = (np.diff(series[order]) == 0) & (times[order][1:] < times[order][:-1])
    if not early.any() or times.dtype.kind == "i":  # numbers of rows, which begin anew in each file
        return order, 0
    return np.lexsort((times, tested, series)), int(early.sum())


def _check_duplicates(
    again: np.ndarray, series: np.ndarray, names: list[str], times: np.ndarray, place: Callable[[int], str]
) -> None:
    """Refuse a series most of whose rows cannot be told apart; `again` says which rows repeat the time before them."""
    shares = np.bincount(series, again, len(names)) / np.bincount(series, minlength=len(names))
    worst = int(shares.argmax())
    if shares[worst] > TOO_MANY_DUPLICATES:
        row = int(np.flatnonzero(again & (series == worst))[0])
        raise UserError(
            f"{place(row)}: {shares[worst]:.0%} of the rows of series {names[worst]} repeat a time, this one "
            f"{times[row]}. If several series are in it, name the column that tells them apart (dataset.series=...)"
        )


def _check_parts(table: Table) -> None:
    """Refuse a series that trains and tests, unless it tests at later times."""
    both = np.flatnonzero((table.trained > 0) & (table.trained < table.lengths))
    for row in both:
        first = int(table.starts[row] + table.trained[row])
        if table.columns.time is None or table.times[first] <= table.times[first - 1]:
            raise UserError(
                f"{table.place(first)}: series {table.names[row]} is in a training file too, at the same times or "
                "without any; a series may test what comes after its training. Give it another name, or leave it out"
            )


def is_anomalous(label: str) -> bool | None:
    """What the label of a step says; None if it is neither a number nor one of the usual words."""
    word = label.strip().casefold()
    if word in NORMAL or word in ANOMALOUS:
        return word in ANOMALOUS
    try:
        return float(word) != 0
    except ValueError:
        return None


def unclear(label: str) -> str:
    """What is wrong with a label that says neither, in words."""
    return f"{label!r} says neither normal (0, false, no) nor anomalous (1, true, yes)"
