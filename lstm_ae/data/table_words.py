"""What was understood of a table, in a few lines for the log."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from lstm_ae.data.sequence_data import SequenceData
from lstm_ae.data.table_load import Table

SHOWN = 4  # names in a line


def describe_table(table: Table) -> Iterator[str]:
    """Series, lengths, values, times, missing values and labels."""
    columns, lengths = table.columns, table.lengths
    long = f"{lengths.min():,} to {lengths.max():,}" if lengths.min() < lengths.max() else f"{lengths.max():,}"
    files = str(table.paths[0]) + (f" and {len(table.paths) - 1} more files" if len(table.paths) > 1 else "")
    yield (f"read {files}: {len(table.values):,} rows, {len(table.names)} series ({some(table.names)}) of {long} "
           "rows")  # fmt: skip
    yield f"values: {some(columns.values)}" + ("" if columns.time else "; no column of times, the rows are in order")
    if columns.time is not None:
        yield f"times: column {columns.time}, {describe_times(table)}"
    gone = np.isnan(table.values).mean(0)
    if gone.any():
        by_column = [f"{name} {share:.2g}" for name, share in zip(columns.values, gone, strict=True) if share]
        yield f"missing: {gone.mean():.2g} of the values ({some(by_column)})"
    if table.labels is not None:
        what = "of steps: kept for scoring, not trained on" if table.labels_steps else "of a series: its class"
        yield f"labels: column {columns.label}, {what}; {some(table.label_names)}"


def describe_times(table: Table) -> str:
    """First and last time, the step between times, and what is irregular."""
    pairs = np.diff(table.series) == 0
    steps = np.diff(table.times)[pairs]
    words = [f"{written(table.times.min())} to {written(table.times.max())}"]
    if len(steps):
        step = np.median(steps.astype(float) if steps.dtype.kind == "m" else steps)
        width = steps.astype(float) / step if step else np.ones(len(steps))
        long = (
            str(pd.Timedelta(step, "ns")).removeprefix("0 days ").removesuffix(" 00:00:00")
            if steps.dtype.kind == "m"
            else f"{step:g}"
        )
        words.append(f"step {long}")
        gaps, uneven = width > 1.5, (width <= 1.5) & (np.abs(width - 1) > 0.01)
        if gaps.any():
            words.append(f"{gaps.sum():,} gaps, the longest of {width.max():.0f} steps")
        if uneven.any():
            words.append(f"{uneven.sum():,} irregular steps")
    for count, what in ((table.unsorted, "rows were not in order and have been sorted"),
                        (table.duplicates, "rows left out, which repeat a time of their series")):  # fmt: skip
        if count:
            words.append(f"{count:,} {what}")
    return "; ".join(words)


def describe_parts(data: SequenceData) -> Iterator[str]:
    """Of each part: sequences, series, first and last time."""
    assert data.panel is not None
    for words, part in (("trains", data.train), ("validates", data.val), ("tests", data.test)):
        assert part.series is not None and part.time is not None
        rows, begin = part.series.numpy(), part.time.numpy()
        lengths = np.full(len(part), data.spec.length) if part.lengths is None else part.lengths.numpy()
        ends = begin + lengths + data.spec.horizon - 1
        first = min(data.panel.times_of(row)[begin[rows == row].min()] for row in np.unique(rows))
        last = max(data.panel.times_of(row)[ends[rows == row].max()] for row in np.unique(rows))
        names = [data.panel.series[row] for row in np.unique(rows)]
        which = "all" if len(names) == len(data.panel.series) else f"{len(names)} ({some(names)})"
        yield (f"{words}: {len(part):,} sequences of {which} series, {written(first)} to {written(last)}")


def some(names: tuple[str, ...] | list[str]) -> str:
    """The first names, and how many more there are."""
    shown = ", ".join(names[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN} more"


def written(time: np.generic) -> str:
    """A time as one would write it."""
    return str(pd.Timestamp(time)).removesuffix(" 00:00:00") if isinstance(time, np.datetime64) else f"{time:g}"
