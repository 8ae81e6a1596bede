"""Score the rows of tables in bounded memory: results wait on disk until the rows before them are ready too.

Rows of several series may be mixed in a file, and a step's score is known only when the windows that cover it are, so
scores come in another order than rows. They go to their places in an array on disk, beside what metrics and figures
need; whoever writes the results reads the table and the array together once more.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from lstm_ae.anomalies.detectors import Detectors, Stream
from lstm_ae.anomalies.overlap import Reduction
from lstm_ae.data.table_files import SERIES, Columns, read_chunks
from lstm_ae.data.table_load import is_anomalous, unclear
from lstm_ae.errors import UserError

GROWTH = 1_000_000  # rows that the array grows by
BLOCK = 100_000  # rows that are read at a time


@dataclass
class ScoredRows:
    """The rows of a table with their scores, in the order of the table.

    The arrays lie on disk. What is asked of every row reads them by `blocks`, because a copy may not fit into memory.
    """

    scores: np.ndarray  # (rows, columns of the detectors)
    windows: np.ndarray  # (rows,): whole windows that cover the step; 0: it was scored by the first or the last one
    labels: np.ndarray | None  # (rows,), bool
    series: np.ndarray  # (rows,): positions in `names`, as floats
    times: np.ndarray | None  # (rows,), datetime64[ns] or numbers; None: the table has none
    values: np.ndarray  # (rows, features), in original units
    names: list[str]  # of the series
    lengths: dict[str, int]  # rows of each series

    def blocks(self) -> Iterator[slice]:
        """All rows, `BLOCK` at a time."""
        return (slice(begin, begin + BLOCK) for begin in range(0, len(self.scores), BLOCK))

    def count(self, condition: Callable[[slice], np.ndarray]) -> int:
        """For how many rows (or values) `condition`, called with a block, is true."""
        return sum(int(condition(block).sum()) for block in self.blocks())

    def above(self, column: int, threshold: float) -> int:
        """For how many rows a score is above a threshold."""
        return self.count(lambda block: self.scores[block, column] > threshold)

    def ranges(self) -> tuple[np.ndarray, np.ndarray]:
        """The lowest and the highest value of each feature, (features,); NaN where it has none."""
        blocks = [self.values[block] for block in self.blocks()]
        low, high = ([limit.reduce(block, axis=0) for block in blocks] for limit in (np.fmin, np.fmax))
        return np.fmin.reduce(low), np.fmax.reduce(high)

    def highest(self) -> int:
        """The row with the highest score of the network."""
        best = (-np.inf, 0)
        for block in self.blocks():
            scores = np.nan_to_num(self.scores[block, 0], nan=-np.inf)
            place = int(scores.argmax())
            best = max(best, (float(scores[place]), block.start + place), key=lambda one: one[0])
        return best[1]

    def around(self, row: int, most: int) -> tuple[np.ndarray, int]:
        """The rows of the series that `row` belongs to, at most `most` of them around it.

        Returns:
            their places (n,), and how many rows of the series come before them.
        """
        code = self.series[row]
        before = self.count(lambda block: self.series[block][: max(0, row - block.start)] == code)
        first, seen, found = max(0, before - most // 2), 0, []
        for block in self.blocks():
            mine = block.start + np.flatnonzero(self.series[block] == code)
            found.append(mine[max(0, first - seen) : max(0, first + most - seen)])
            seen += len(mine)
        return np.concatenate(found), first

    def order(self) -> tuple[np.ndarray, list[int]]:
        """The rows series by series, and where each series after the first begins."""
        order = np.argsort(self.series, kind="stable")
        return order, (np.flatnonzero(np.diff(self.series[order])) + 1).tolist()


def score_rows(
    paths: Sequence[Path],
    columns: Columns,
    detectors: Detectors,
    array: Path,
    reduction: Reduction,
    smooth: int,
    chunk: int = 100_000,
) -> ScoredRows:
    """Score every row.

    Args:
        paths: the tables.
        columns: which column is what.
        detectors: of the run.
        array: a temporary file for what would not fit into memory; the result reads it, and the caller removes it.
        reduction, smooth: see `Stream`.
        chunk: rows in memory at a time, beside those that wait for their windows.

    Raises:
        UserError: a value that is none, times that go back, labels that are neither 0 nor 1, or no series as long as a
            window.
    """
    scored = len(detectors.columns)  # then: windows, label, series, time, values
    first_value = scored + 4
    width = first_value + len(columns.values)
    store = _Store(array, width)
    streams: dict[str, _Series] = {}
    series_column = columns.series or SERIES
    labelled, time_type = False, np.dtype(float)
    for frame in read_chunks(paths, columns, chunk):
        block = np.full((len(frame), width), np.nan)
        block[:, first_value:] = frame[list(columns.values)].to_numpy()
        if columns.label is not None and columns.label in frame:
            block[:, scored + 1] = flags_of(frame[columns.label], paths)
            labelled = True
        for name in frame[series_column].unique():
            if name not in streams:
                streams[name] = _Series(len(streams), Stream(detectors, str(name), reduction, smooth))
        block[:, scored + 2] = frame[series_column].map({name: one.code for name, one in streams.items()})
        if columns.time is not None:
            times = frame[columns.time].to_numpy()
            time_type = times.dtype
            block[:, scored + 3] = times.view(float)  # dates bit by bit: a number of nanoseconds would be rounded
        begin = store.append(block)
        for name, rows in frame.groupby(series_column, sort=False).indices.items():
            stream = streams[str(name)]
            if columns.time is not None:
                stream.check_times(times[rows], str(name), columns.time)
            for places, scores in stream.push(begin + rows, block[rows, first_value:]):
                store.put(places, scores)
    for stream in streams.values():
        for places, scores in stream.push(np.empty(0, int), None):
            store.put(places, scores)
    table = store.finished()
    lengths = {name: stream.rows for name, stream in streams.items()}
    span = detectors.network.cut.span
    if all(rows < span for rows in lengths.values()):
        longest = max(lengths.values())
        raise UserError(f"{paths[0]}: the run's windows have {span} steps, and the longest series has {longest}")
    labels = np.nan_to_num(table[:, scored + 1]) > 0 if labelled else None
    return ScoredRows(table[:, :scored], table[:, scored], labels, table[:, scored + 2],
                      None if columns.time is None else table[:, scored + 3].view(time_type),
                      table[:, first_value:], list(streams), lengths)  # fmt: skip


class _Series:
    """One series on its way: its stream, and the rows that wait for their scores."""

    def __init__(self, code: int, stream: Stream) -> None:
        self.code, self.stream, self.rows = code, stream, 0
        self.waiting: deque[np.ndarray] = deque()
        self.last_time: np.generic | None = None

    def push(self, places: np.ndarray, values: np.ndarray | None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The places of rows whose scores are now final, and the scores; no values: the end of the series."""
        self.rows += len(places)
        self.waiting.append(places)
        scores = self.stream.finish() if values is None else self.stream.push(values)
        while len(scores):
            first = self.waiting.popleft()
            ready = min(len(first), len(scores))
            yield first[:ready], scores[:ready]
            if ready < len(first):
                self.waiting.appendleft(first[ready:])
            scores = scores[ready:]

    def check_times(self, times: np.ndarray, name: str, column: str) -> None:
        """Refuse times that go back: windows are cut in the order of the rows."""
        known = times if self.last_time is None else np.append(self.last_time, times)
        back = np.flatnonzero(known[1:] < known[:-1])
        if len(back):
            before, after = known[back[0] : back[0] + 2]
            raise UserError(f"series {name!r}: {column} goes back from {before} to {after}; sort the file by time")
        self.last_time = times[-1]


class _Store:
    """An array on disk that rows are appended to, and parts of which are written later."""

    def __init__(self, path: Path, width: int) -> None:
        self.path, self.width, self.rows = path, width, 0
        path.touch()
        self.map = np.empty((0, width))

    def append(self, block: np.ndarray) -> int:
        """Add rows; returns the place of the first."""
        begin, self.rows = self.rows, self.rows + len(block)
        if self.rows > len(self.map):
            self.map = self._mapped(-(-self.rows // GROWTH) * GROWTH)
        self.map[begin : self.rows] = block
        return begin

    def put(self, places: np.ndarray, scores: np.ndarray) -> None:
        """Write the first columns of some rows."""
        self.map[places, : scores.shape[1]] = scores

    def finished(self) -> np.ndarray:
        """All rows, read from disk as they are needed."""
        return self.map[: self.rows]

    def _mapped(self, rows: int) -> np.ndarray:
        with self.path.open("r+b") as file:
            file.truncate(rows * self.width * 8)
        return np.memmap(self.path, np.float64, "r+", shape=(rows, self.width))


def flags_of(labels: pd.Series, paths: Sequence[Path]) -> np.ndarray:
    """Labels as texts -> bool; a missing one is normal.

    Raises:
        UserError: one that says neither normal nor anomalous.
    """
    answers = {kind: is_anomalous(str(kind)) for kind in labels.dropna().unique()}
    for kind, answer in answers.items():
        if answer is None:
            raise UserError(f"{paths[0]}, column {labels.name!r}: {unclear(str(kind))}")
    return labels.map(answers).eq(True).to_numpy()
