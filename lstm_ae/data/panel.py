"""A panel: the daily values of several companies on one calendar."""

from dataclasses import dataclass, replace
from difflib import get_close_matches

import numpy as np
import torch

from lstm_ae.errors import ConfigError


@dataclass(frozen=True)
class Panel:
    """What every company was worth on every trading day."""

    times: np.ndarray  # (times,), datetime64[D], rising
    series: tuple[str, ...]
    features: tuple[str, ...]
    values: np.ndarray  # (symbols, days, features), float64, in dollars or shares; NaN where a value is missing

    def between(self, start: str | None, end: str | None) -> "Panel":
        """The trading days from `start` to `end` (YYYY-MM-DD), both included.

        Raises:
            ConfigError: no trading day between them.
        """
        kept = np.ones(len(self.times), bool)
        if start is not None:
            kept &= self.times >= as_time("dataset.start", start)
        if end is not None:
            kept &= self.times <= as_time("dataset.end", end)
        if not kept.any():
            raise ConfigError(
                "dataset.start", start, f"leaves no day up to dataset.end={end}; there are {self.times[0]} to "
                f"{self.times[-1]}"
            )  # fmt: skip
        return replace(self, times=self.times[kept], values=self.values[:, kept])

    def with_features(self, features: list[str]) -> "Panel":
        """The features named, in that order.

        Raises:
            ConfigError: a name that is none of the market's features.
        """
        for name in features:
            if name not in self.features:
                raise ConfigError("dataset.features", name, f"must be of {', '.join(self.features)}")
        return replace(
            self, features=tuple(features), values=self.values[..., [self.features.index(name) for name in features]]
        )

    def with_series(self, rows: np.ndarray) -> "Panel":
        """The companies at the positions `rows`."""
        return replace(self, series=tuple(self.series[row] for row in rows), values=self.values[rows])

    def complete(self) -> np.ndarray:
        """(symbols,): whether a company has all of its values on all days."""
        return ~np.isnan(self.values).any((1, 2))

    def position(self, key: str, symbol: str) -> int:
        """Where `symbol` is among the companies; `key` is the setting that named it.

        Raises:
            ConfigError: there is no such company.
        """
        if symbol not in self.series:
            near = get_close_matches(str(symbol).upper(), self.series, n=5, cutoff=0.5)
            hint = f"; did you mean {', '.join(near)}?" if near else ""
            raise ConfigError(key, symbol, f"is none of the {len(self.series)} companies here{hint}")
        return self.series.index(symbol)

    def time_of(self, key: str, date: str) -> int:
        """Position of the first trading day at or after `date` (YYYY-MM-DD); `key` is the setting that named it.

        Raises:
            ConfigError: not a date, or none of the market's days is so late, or all of them are later.
        """
        day = as_time(key, date)
        if not self.times[0] <= day <= self.times[-1]:
            raise ConfigError(key, date, f"must lie from {self.times[0]} to {self.times[-1]}")
        return int(np.searchsorted(self.times, day))


def choose_series(panel: Panel, symbols: list[str] | int | None, complete: bool, seed: int) -> Panel:
    """The companies asked for: all, those in a list, or so many drawn by `seed`.

    Args:
        panel: to choose from.
        symbols: None, names, or a number.
        complete: whether a company with a missing day or value is left out.
        seed: of the draw.

    Raises:
        ConfigError: an unknown name, a named company that is not complete where it must be, or more than there are.
    """
    able = panel.complete() if complete else ~np.isnan(panel.values).all((1, 2))
    if isinstance(symbols, list):
        rows = np.array(sorted({panel.position("dataset.symbols", name) for name in symbols}), int)
        lacking = [panel.series[row] for row in rows if not able[row]]
        if lacking:
            raise ConfigError(
                "dataset.symbols",
                ", ".join(lacking),
                "has missing days or values, and only complete series will do here",
            )
        return panel.with_series(rows)
    rows = able.nonzero()[0]
    if symbols is not None:
        if symbols > len(rows):
            raise ConfigError("dataset.symbols", symbols, f"must be at most {len(rows)}, the companies that there are")
        order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed)).numpy()
        rows = np.sort(rows[order[:symbols]])
    return panel.with_series(rows)


def as_time(key: str, text: str) -> np.datetime64:
    """`text` (YYYY-MM-DD) as a day.

    Raises:
        ConfigError: it is no date.
    """
    try:
        return np.datetime64(str(text), "D")
    except ValueError:
        raise ConfigError(key, text, "must be a date, as 2016-01-04") from None
