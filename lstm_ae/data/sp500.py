"""Daily prices of 505 S&P 500 companies, 2013-02-08 to 2018-02-07, as windows of days or as whole series.

Source: C. Nugent, S&P 500 stock data, Kaggle, 2018 (CC0).
"""

import io
import logging
import os
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import pandas as pd
import torch

from lstm_ae.data import panel_scaling as scalings
from lstm_ae.data import panel_splits as splits
from lstm_ae.data.files import PublicFile
from lstm_ae.data.panel import Panel, choose_series
from lstm_ae.data.sequence_data import SequenceData, Sequences
from lstm_ae.errors import ConfigError
from lstm_ae.spec import DataSpec, Scaler, part

log = logging.getLogger(__name__)

FEATURES = ("open", "high", "low", "close", "volume")
CSV = PublicFile(
    "sp500/all_stocks_5yr.csv",
    "6aea253cd19de60b568143991aaf1fa482456565c389205658d236e595e716cf",
    ("https://raw.githubusercontent.com/plotly/datasets/master/all_stocks_5yr.csv",),
)
CACHE = Path.home() / ".cache" / "lstm_ae" / "sp500"  # of the parsed table; LSTM_AE_DATA may be read-only


@part
def sp500(
    window: int | None,
    features: list[str] | None,
    target: str,
    symbols: list[str] | int | None,
    complete: bool,
    start: str | None,
    end: str | None,
    split: str,
    scaling: str,
    forecast_target: str | None,
    horizon: int,
    forecast_features: str,
    stride: int,
    batch_size: int,
    val_fraction: float,
    test_fraction: float,
    seed: int,
    test_start: str | None = None,
    num_train: int | None = None,
    num_folds: int | None = None,
    fold: int = 0,
) -> SequenceData:
    """Windows of consecutive trading days of one company each, or whole series.

    A window with a missing day or value is left out. Splits come before scaling; a window lies in one part with all
    its days, those to forecast included.

    Args:
        window: days that a model reads; None: whole series, of companies that miss no day.
        features: of open, high, low, close, volume; None: the target alone. The target is moved to the first place.
        target: the feature that is forecast.
        symbols: companies: None (all), names, or how many to draw by `seed`.
        complete: leave out companies that miss a day or a value. (This looks at all days, those of the test included.)
        start, end: first and last date; None: all that there is.
        split, scaling: see `splits.check_pair` for what goes together, `scaling.series_ranges` for the scalings;
            `window` is the min-max of a window's input.
        forecast_target: `shifted` (the input moved on by one day), `last_day` (the `horizon` days after the input),
            or None (nothing).
        horizon: days after the input that are forecast.
        forecast_features: `target`, or `all`, as rolling a model of several features forward needs.
        stride: days from one window to the next.
        val_fraction, test_fraction: of the days, the companies, or the windows, as `split` says.
        test_start: the first date of the test, instead of `test_fraction`.
        num_train: windows to train on, drawn by `seed`; None: all.
        num_folds, fold: k-fold cross-validation, by time with expanding windows.

    Raises:
        UserError: the file cannot be had.
        ConfigError: settings that do not fit together, or a part without windows.
    """
    features = [target, *(name for name in features or [] if name != target)] if features else [target]
    if len(set(features)) < len(features):
        raise ConfigError("dataset.features", features, "must not name a feature twice")
    leaky = splits.check_pair(split, scaling, test_start, window is None)
    if forecast_target == "shifted" and horizon > 1:
        raise ConfigError("dataset.horizon", horizon, "must be 1 with dataset.forecast_target=shifted; "
                          "use dataset.forecast_target=last_day for more days")  # fmt: skip
    panel = read_prices().between(start, end).with_features(features)
    panel = choose_series(panel, symbols, complete or window is None, seed)
    days = len(panel.times)
    ahead = 0 if forecast_target is None else horizon
    length = days - ahead if window is None else window
    span = length + ahead
    if span > days or length < 2:
        raise ConfigError("dataset.window", window, f"must lie from 2 to {days - ahead}: there are {days} days")

    usable = whole_windows(panel.values, span)
    given = None if test_start is None else panel.time_of("dataset.test_start", test_start)
    train_end = test_begin = days if given is None else given
    if split == "by_time":
        train_end, val_end, test_begin = splits.boundaries(days, val_fraction, test_fraction, given, num_folds, fold)
    columns = scalings.range_columns(panel.features)
    ranges = scalings.series_ranges(panel.values, columns, scaling, train_end, test_begin)
    if ranges is not None:
        usable &= ~np.isnan(ranges[0]).any(1, keepdims=True)
    if split == "by_time":
        parts = splits.by_time(usable, span, train_end, val_end, test_begin)
    elif split == "by_series":
        parts = splits.by_series(usable, span, val_fraction, test_fraction, seed, given, num_folds, fold)
    else:
        usable = splits.thin(usable, stride)
        parts = splits.random_windows(usable, val_fraction, test_fraction, seed, num_folds, fold)
    if split != "random_windows":
        parts = {name: splits.thin(mask, stride) for name, mask in parts.items()}
    parts["train"] = splits.draw(parts["train"], num_train, seed)
    for name, mask in parts.items():
        if not mask.any():
            raise ConfigError("dataset.window", window, f"leaves no window of {span} days in the {name} part")

    count = 0 if ahead == 0 else len(features) if forecast_features == "all" else 1
    first = {None: span, "shifted": 1, "last_day": length}[forecast_target]
    stacks = {part: cut(panel, mask, length, span, ranges, columns, first, count) for part, mask in parts.items()}
    return SequenceData(
        spec=DataSpec(
            "sp500" if window else "sp500_series",
            length=length,
            features=len(features),
            feature_names=panel.features,
            forecast_steps=span - first,
            horizon=ahead,
            forecast_features=count,
            leaky=leaky,
        ),
        scaler=Scaler(0.0, 1.0) if scaling == "none" else None,
        **stacks,
        batch_size=batch_size,
        panel=panel,
    )


def whole_windows(values: np.ndarray, span: int) -> np.ndarray:
    """(symbols, days): whether the `span` days from there on are all there, without a missing value."""
    missing = np.isnan(values).any(2).cumsum(1)
    missing = np.pad(missing, ((0, 0), (1, 0)))
    usable = np.zeros(values.shape[:2], bool)
    usable[:, : values.shape[1] - span + 1] = missing[:, span:] == missing[:, :-span]
    return usable


def cut(
    panel: Panel,
    mask: np.ndarray,
    length: int,
    span: int,
    ranges: tuple[np.ndarray, np.ndarray] | None,
    columns: list[int],
    first: int,
    forecast_features: int,
) -> Sequences:
    """The windows that `mask` (symbols, days) marks the beginnings of, scaled.

    Inputs and targets are views of one tensor of whole windows. Company by company, so that the double-precision
    copies stay small.

    Args:
        panel: what to cut.
        mask: from a split.
        length, span: days that are read, and days in all.
        ranges: of each company, or None: each window by the range of its input.
        columns: for each feature, the one whose range scales it.
        first: the first day of a window that is a target.
        forecast_features: how many features are targets.
    """
    series, day = mask.nonzero()
    windows = np.empty((len(series), span, len(columns)), np.float32)
    low, high = np.empty((2, len(series), 1, len(columns)))
    ends = np.searchsorted(series, np.arange(len(mask) + 1))
    for row, (begin, end) in enumerate(pairwise(ends)):
        if begin == end:
            continue
        view = np.lib.stride_tricks.sliding_window_view(panel.values[row], span, axis=0)
        own = view[day[begin:end]].transpose(0, 2, 1)  # (windows, span, features)
        if ranges is None:
            window_low, window_high = scalings.min_max(own[:, :length], columns)
        else:
            window_low, window_high = (bound[row : row + 1] for bound in ranges)
        low[begin:end, 0], high[begin:end, 0] = window_low, window_high
        windows[begin:end] = (own - window_low[:, None]) / (window_high - window_low)[:, None]
    values = torch.from_numpy(windows)
    return Sequences(
        inputs=values[:, :length],
        targets=values[:, first:, :forecast_features] if forecast_features else None,
        horizon=span - length,
        low=torch.from_numpy(low.astype(np.float32)),
        high=torch.from_numpy(high.astype(np.float32)),
        series=torch.from_numpy(series),
        time=torch.from_numpy(day),
    )


def read_prices() -> Panel:
    """All of the table; parsed once, then read from a compact copy in `CACHE`, named by the table's checksum.

    Raises:
        UserError: the file cannot be had, or is not the published one.
    """
    copy = CACHE / f"all_stocks_5yr.{CSV.sha256[:12]}.npz"
    try:
        with np.load(copy) as arrays:
            return Panel(arrays["dates"], tuple(arrays["symbols"].tolist()), FEATURES, arrays["values"])
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):  # not there, or damaged: made anew
        panel = parse(CSV.read())
    temporary = copy.with_name(f".{copy.name}.{os.getpid()}")
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            np.savez(file, dates=panel.times, symbols=np.array(panel.series), values=panel.values)
        os.replace(temporary, copy)
    except OSError as error:
        log.warning("the parsed table could not be kept in %s (%s); it is parsed again each time", CACHE, error)
        with suppress(OSError):
            temporary.unlink()
    return panel


def parse(content: bytes) -> Panel:
    """The table `date,open,high,low,close,volume,Name`, a row per company and day, as a panel."""
    table = pd.read_csv(io.BytesIO(content))
    days, dates = pd.factorize(table["date"], sort=True)
    rows, symbols = pd.factorize(table["Name"], sort=True)
    values = np.full((len(symbols), len(dates), len(FEATURES)), np.nan)
    values[rows, days] = table[list(FEATURES)].to_numpy(float)
    return Panel(np.array(dates, "datetime64[D]"), tuple(symbols), FEATURES, values)
