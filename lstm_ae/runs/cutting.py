"""The series of tables, cut into what a run reads, while the tables are read a chunk of rows at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from lstm_ae.data.table_files import SERIES, Columns, line_of, read_chunks
from lstm_ae.errors import UserError
from lstm_ae.runs.reopen import Run

CHUNK = 100_000  # rows in memory at a time, beside those of each series that wait for the rest of a window


@dataclass(frozen=True)
class Cut:
    """Rows of one series that a model reads together."""

    series: str
    values: np.ndarray  # (rows, features), original units, NaN where missing
    times: np.ndarray  # (rows,); without a column of times, the rows' numbers in their series
    fresh: int  # the rows from here on are in no cut before this one


def cut_tables(
    paths: Sequence[Path],
    columns: Columns,
    length: int | None,
    stride: int | None = None,
    missing: bool = False,
    chunk: int = CHUNK,
) -> Iterator[list[Cut]]:
    """Windows of all series, or the series as they are, as soon as their rows have been read.

    Args:
        paths: the tables.
        columns: which column is what.
        length: rows of a window; None: each series whole, which then waits in memory for its end.
        stride: rows from one window to the next; None: the length. The last window ends with its series.
        missing: whether values may be missing.
        chunk: rows in memory at a time.

    Raises:
        UserError: a missing value where none may be, times that go back, or no series as long as a window.
    """
    streams: dict[str, _Series] = {}
    files = iter(paths)
    path, longest, cuts = paths[0], 0, 0
    for frame in read_chunks(paths, columns, chunk):
        if frame.index[0] == 0:
            path = next(files)
            if columns.series is None:  # the series before ended with their files
                ended = [cut for stream in streams.values() for cut in stream.finish()]
                cuts += len(ended)
                yield ended
                streams = {}
        if not missing:
            refuse_missing(path, frame, columns)
        values = frame[list(columns.values)].to_numpy()
        times = None if columns.time is None else frame[columns.time].to_numpy()
        ready: list[Cut] = []
        for name, rows in frame.groupby(columns.series or SERIES, sort=False).indices.items():
            stream = streams.setdefault(str(name), _Series(str(name), length, stride or length))
            stream.add(values[rows], None if times is None else times[rows], f"{path}, column {columns.time}")
            longest = max(longest, stream.rows)
            ready += stream.windows()
        cuts += len(ready)
        yield ready
    ended = [cut for stream in streams.values() for cut in stream.finish()]
    if cuts + len(ended) == 0:
        raise UserError(f"{path}: the run reads windows of {length} rows, and the longest series has {longest}")
    yield ended


class _Series:
    """One series on its way: the rows that wait, and what has been cut."""

    def __init__(self, name: str, length: int | None, stride: int | None) -> None:
        self.name, self.length, self.stride = name, length, stride or 0
        self.values: list[np.ndarray] = []
        self.times: list[np.ndarray] = []
        self.first = 0  # the number of the first row that waits
        self.rows = 0  # read so far
        self.begin = 0  # of the next window
        self.covered = 0  # rows in a cut
        self.last_time: np.generic | None = None

    def add(self, values: np.ndarray, times: np.ndarray | None, where: str) -> None:
        """More rows; of several with one time the first is kept, as in training.

        Raises:
            UserError: times that go back.
        """
        if times is None:
            times = np.arange(self.rows, self.rows + len(values))
        elif len(times):
            known = np.concatenate([times[:1] if self.last_time is None else [self.last_time], times]).astype(
                times.dtype
            )
            back = np.flatnonzero(known[1:] < known[:-1])
            if len(back):
                before, after = pd.Series(known[back[0] : back[0] + 2])  # times without nanoseconds
                raise UserError(
                    f"{where}: series {self.name!r} goes back from {before} to {after}; sort the file by time"
                )
            new = known[1:] != known[:-1]
            new[0] |= self.last_time is None
            values, times, self.last_time = values[new], times[new], times[-1]
        self.values.append(values)
        self.times.append(times)
        self.rows += len(values)

    def windows(self) -> list[Cut]:
        """The windows that are complete."""
        if self.length is None or self.begin + self.length > self.rows:
            return []
        values, times = np.concatenate(self.values), np.concatenate(self.times)
        found = []
        while self.begin + self.length <= self.rows:
            found.append(self._cut(values, times, self.begin, self.begin + self.length))
            self.begin += self.stride
        kept = min(self.begin, self.rows - self.length) - self.first  # the last window may reach back so far
        self.values, self.times, self.first = [values[kept:].copy()], [times[kept:].copy()], self.first + kept
        return found

    def finish(self) -> list[Cut]:
        """What is left at the end of the series: all of it, or a last window that ends with it."""
        length = self.rows if self.length is None else self.length
        if self.covered == self.rows or self.rows < length:
            return []
        return [self._cut(np.concatenate(self.values), np.concatenate(self.times), self.rows - length, self.rows)]

    def _cut(self, values: np.ndarray, times: np.ndarray, begin: int, end: int) -> Cut:
        fresh, self.covered = max(self.covered - begin, 0), end
        here = slice(begin - self.first, end - self.first)
        return Cut(self.name, values[here], times[here], fresh)


def refuse_missing(path: Path, frame: pd.DataFrame, columns: Columns) -> None:
    """Refuse rows with missing values, for a run that was trained without any.

    Raises:
        UserError: the first of them.
    """
    gone = frame[list(columns.values)].isna().to_numpy()
    if gone.any():
        row, column = np.argwhere(gone)[0]
        raise UserError(
            f"{path}, {line_of(path, int(frame.index[row]))}, column {columns.values[column]!r}: missing, and the run "
            "was trained without missing values; fill it, or train with dataset.missing=mask or interpolate"
        )


def table_columns(run: Run, label: str | None = None) -> Columns:
    """Which column of a new table is what, as the run's data set understood its own.

    Args:
        run: that reads tables.
        label: the column of labels, if they are read.

    Raises:
        UserError: the run does not read tables.
    """
    dataset = run.config.dataset
    if not run.spec.feature_names or "series" not in dataset:
        raise UserError(
            f"{run.directory.path}: its data set, {run.spec.name}, reads no tables, so no table fits it; train with "
            "dataset=table"
        )
    return Columns(dataset.get("time"), dataset.get("series"), tuple(run.spec.feature_names), label)
