"""Series from CSV or Parquet files of one's own, as windows or whole."""

import logging
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from lstm_ae.data.panel import Panel
from lstm_ae.data.panel_data import ForecastFeatures, ForecastTarget, PanelOptions, Window, panel_data
from lstm_ae.data.panel_whole import whole_data
from lstm_ae.data.sequence_data import SequenceData
from lstm_ae.data.splitting import Fold, NumFolds, Portion
from lstm_ae.data.table_files import expand, find_columns
from lstm_ae.data.table_load import Table, is_anomalous, load, unclear
from lstm_ae.data.table_words import describe_parts, describe_table
from lstm_ae.errors import ConfigError, UserError
from lstm_ae.memory import require
from lstm_ae.spec import Count, Fraction, part

log = logging.getLogger(__name__)

FILLED = 2 / 3  # of a panel of all times, at least: then the series share their times

Files = Annotated[str | list[str], Field(description="a CSV or Parquet file, a list of files, or a glob as logs/*.csv")]
Names = Annotated[list[str], Field(min_length=1, description="a list of columns, as [load,heat]")]


@part
def table(
    path: Files,
    time: str | None,
    series: str | None,
    values: Names | None,
    label: str | None,
    test_path: Files | None,
    window: Window | None,
    stride: Count | None,
    split: Literal["by_time", "by_series"] | None,
    scaling: Literal["window", "series", "train", "none"],
    standardize: bool,
    missing: Literal["error", "interpolate", "mask"],
    forecast_target: ForecastTarget | None,
    horizon: Count,
    forecast_features: ForecastFeatures,
    unit: str,
    val_fraction: Portion,
    test_fraction: Portion,
    test_start: str | float | None,
    num_train: Count | None,
    num_folds: NumFolds | None,
    fold: Fold,
    batch_size: Count,
    seed: int,
    labelled: Literal["keep", "leave_out"] = "keep",
    trim: Fraction = 0.0,
) -> SequenceData:
    """Windows of the series in a table, or the series as they are; the log says what was understood.

    Args:
        path: the files.
        time: the column of time stamps or numbers; None: the rows are in order.
        series: the column that names the series of each row; None: each file is one series.
        values: the columns to read, the forecast target first; None: every one that holds numbers and is nothing else.
        label: the column of labels. One label for all of a series is its class; labels of steps flag anomalies, which
            are for scoring, not for training.
        test_path: files that test; the others are divided into training and validation.
        split: None: by_time for windows, by_series for whole series.
        unit: of the target.

    The others are those of `PanelOptions`.

    Raises:
        UserError: a file that cannot be used.
        ConfigError: options that do not go together, or a part without sequences.
    """
    files = expand(path)
    tests = [] if test_path is None else expand(test_path)
    found = load(files, find_columns(files, time, series, values, label), tests)
    for line in describe_table(found):
        log.info("%s", line)
    options = PanelOptions(
        window=window, forecast_target=forecast_target, horizon=horizon, forecast_features=forecast_features,
        split=split or ("by_series" if window is None else "by_time"), scaling=scaling, stride=stride,
        val_fraction=val_fraction, test_fraction=test_fraction, test_start=test_start, num_train=num_train,
        num_folds=num_folds, fold=fold, seed=seed, batch_size=batch_size, standardize=standardize,
        missing=missing, labelled=labelled, trim=trim,
    )  # fmt: skip
    check_lengths(found, options)
    panel = to_panel(found)
    if missing == "error":
        refuse_missing(found, panel)
    alike = (panel.extents == [0, panel.values.shape[1]]).all()
    make = panel_data if window is not None or alike else whole_data
    begins, classes = test_begins(found, panel, options), classes_of(found)
    data = make(panel, options, name="table", unit=unit, test_begin=begins, classes=classes)
    for line in describe_parts(data):
        log.info("%s", line)
    return data


def refuse_missing(table: Table, panel: Panel) -> None:
    """Refuse missing values, and times at which a series has no row and the others do.

    Raises:
        UserError: there are some; it names the first.
    """
    remedy = "dataset.missing=interpolate fills them, mask does too and has the model read which ones exist"
    gone = np.isnan(table.values)
    if gone.any():
        row = int(gone.any(1).argmax())
        name = table.columns.values[int(gone[row].argmax())]
        raise UserError(
            f"{table.place(row)}, column {name!r}: missing, as are {gone.mean():.2%} of all values; {remedy}"
        )
    empty, steps = np.isnan(panel.values).all(2), np.arange(panel.values.shape[1])
    empty &= (steps >= panel.extents[:, :1]) & (steps < panel.extents[:, 1:])
    if empty.any():
        row, step = np.argwhere(empty)[0]
        raise UserError(f"series {panel.series[row]} has no row at {panel.times[step]}, where others have one, and "
                        f"so it is with {empty.sum():,} of {empty.size:,}; {remedy}")  # fmt: skip


def check_lengths(table: Table, options: PanelOptions) -> None:
    """Refuse windows that are longer than every series, and one series alone where whole ones are asked for.

    Raises:
        ConfigError: it is so.
    """
    if options.window is None and len(table.names) < 3:
        raise ConfigError("dataset.window", None, "takes each series whole; to train, validate and test on different "
                          f"ones takes three, and there are {len(table.names)}. Set a window")  # fmt: skip
    span = (options.window or 2) + (0 if options.forecast_target is None else options.horizon)
    longest = int(table.lengths.argmax())
    if table.lengths[longest] < span:
        raise ConfigError(
            "dataset.window", options.window, f"asks for {span} rows, and the longest of {len(table.names)} series, "
            f"{table.names[longest]}, has {table.lengths[longest]} (the shortest {table.lengths.min()})"
        )  # fmt: skip


def to_panel(table: Table) -> Panel:
    """The rows as a panel: of shared times where the series fill most of it, else each series with its own times.

    Raises:
        ConfigError: one series is so much longer than the others that such a panel does not fit into memory.
    """
    every = np.unique(table.times)
    count = len(table.names)
    shared = count == 1 or (table.columns.time is not None and len(every) * count * FILLED <= len(table.times))
    if shared:
        times, places = every, np.searchsorted(every, table.times)
    else:
        places = np.arange(len(table.series)) - table.starts[table.series]
        longest, features = int(table.lengths.max()), table.values.shape[1]
        what = f"making its {count:,} series as long as the longest, {longest:,} rows,"
        require(count * longest * (9 * features + 8), "dataset.path", table.paths[0], what)
        times = np.full((count, table.lengths.max()), table.times[0])
        times[table.series, places] = table.times
    times = plain(times)
    values = np.full((count, times.shape[-1], table.values.shape[1]), np.nan)
    values[table.series, places] = table.values
    flags = None
    if table.labels is not None and table.labels_steps:
        answers = [is_anomalous(name) for name in table.label_names]
        if None in answers:
            said = unclear(table.label_names[answers.index(None)])
            raise ConfigError(
                "dataset.label", table.columns.label, f"labels steps, and {said}; leave out dataset.label"
            )
        flagged = np.array([*answers, False])  # the last is what is missing
        flags = np.zeros(values.shape[:2], bool)
        flags[table.series, places] = flagged[table.labels]
    return Panel(times, table.names, table.columns.values, values, flags)


def plain(times: np.ndarray) -> np.ndarray:
    """Dates in days, or in seconds, where that is all they say: messages and files then show no more."""
    for unit in ("datetime64[D]", "datetime64[s]") if times.dtype.kind == "M" else ():
        if (times.astype(unit) == times).all():
            return times.astype(unit)
    return times


def classes_of(table: Table) -> tuple[np.ndarray, tuple[str, ...]] | None:
    """The class of each series, (series,), and the names of the classes, in order; None where steps are labelled.

    Raises:
        UserError: there is one class alone, or a series has none.
    """
    if table.labels is None or table.labels_steps:
        return None
    labels = table.labels[table.starts[:-1]]
    if (labels < 0).any():
        row = int(table.starts[int((labels < 0).argmax())])
        raise UserError(f"{table.place(row)}, column {table.columns.label!r}: series {table.names[table.series[row]]} "
                        "has no label")  # fmt: skip
    if len(table.label_names) == 1:
        raise ConfigError("dataset.label", table.columns.label, f"every row has the label {table.label_names[0]!r}: "
                          "there is nothing to tell apart; leave out dataset.label")  # fmt: skip
    numeric = all(name.lstrip("+-").replace(".", "", 1).isdecimal() for name in table.label_names)
    names = sorted(table.label_names, key=float if numeric else str)
    places = np.array([names.index(name) for name in table.label_names])
    return places[labels].astype(np.int64), tuple(names)


def test_begins(table: Table, panel: Panel, options: PanelOptions) -> np.ndarray | None:
    """The position from which on each series tests, (series,), where files say it.

    Raises:
        ConfigError: options that ask for another test, or for a past that the test files do not have.
    """
    if table.train_rows == table.file_starts[-1]:
        return None
    if options.test_start is not None:
        raise ConfigError("dataset.test_start", options.test_start, "must be null: dataset.test_path says what tests")
    trained = table.trained
    alone = np.flatnonzero(trained == 0)
    if options.scaling == "series" and len(alone):
        raise ConfigError("dataset.scaling", "series", "is fitted on the past of each series, and "
                          f"{table.names[alone[0]]} of the test files has none; use train or window")  # fmt: skip
    if options.window is None and ((trained > 0) & (trained < table.lengths)).any():
        raise ConfigError("dataset.window", None, "a series that trains and tests later cannot be taken whole")
    if not panel.shared:
        return trained
    first = np.searchsorted(panel.times, table.times[np.minimum(table.starts[:-1] + trained, len(table.times) - 1)])
    return np.where(trained == table.lengths, len(panel.times), np.where(trained == 0, 0, first))
