"""A panel: the values of several series at the same times, and the selection of a part of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cached_property

import numpy as np
import torch

from lstm_ae.errors import ConfigError

FEW = 12  # series that a message lists


@dataclass(frozen=True)
class Panel:
    """A table of series x times x features. Series either share their times, or each has its own."""

    # (times,), datetime64 or numbers, rising; or (series, times), each series' own from the left, with anything after
    times: np.ndarray
    series: tuple[str, ...]  # names
    features: tuple[str, ...]  # names; the first is the target where something is forecast
    values: np.ndarray  # (series, times, features), float64, in original units; NaN where a value is missing
    flags: np.ndarray | None = None  # (series, times), bool: steps that the table labels, where it labels steps

    @property
    def shared(self) -> bool:
        """Whether all series have the same times."""
        return self.times.ndim == 1

    def times_of(self, row: int) -> np.ndarray:
        """The times of the series at the position `row`."""
        return self.times if self.shared else self.times[row, : self.extents[row, 1]]

    @cached_property
    def extents(self) -> np.ndarray:
        """(series, 2): where the first value of each series is, and one after its last; 0 and 0 without any."""
        there = ~np.isnan(self.values).all(2)
        last = there.shape[1] - there[:, ::-1].argmax(1)
        return np.where(there.any(1)[:, None], np.stack([there.argmax(1), last], 1), 0)

    def between(self, start: str | None, end: str | None) -> "Panel":
        """The times from `start` to `end`, both included; None: from the first, to the last.

        Raises:
            ConfigError: not a date, or no time of the panel lies between them.
        """
        kept = np.ones(len(self.times), bool)
        if start is not None:
            kept &= self.times >= as_time("dataset.start", start, self.times)
        if end is not None:
            kept &= self.times <= as_time("dataset.end", end, self.times)
        if not kept.any():
            raise ConfigError(
                "dataset.start", start, f"leaves nothing up to dataset.end={end}; the data go from {self.times[0]} to "
                f"{self.times[-1]}"
            )  # fmt: skip
        return replace(self, times=self.times[kept], values=self.values[:, kept])

    def with_features(self, names: Sequence[str]) -> "Panel":
        """The named features, in that order.

        Raises:
            ConfigError: the panel has no feature of that name.
        """
        for name in names:
            if name not in self.features:
                raise ConfigError("dataset.features", name, f"must be one of {', '.join(self.features)}")
        columns = [self.features.index(name) for name in names]
        return replace(self, features=tuple(names), values=self.values[..., columns])

    def with_next(self, names: Sequence[str]) -> "Panel":
        """With further features: the values of the named ones a time later, as `NAME_next`.

        They are what is known of the time to forecast when the forecast is made. At the last time, after which nothing
        is known, its own values stand in their place.
        """
        columns = [self.features.index(name) for name in names]
        later = np.concatenate([self.values[:, 1:, columns], self.values[:, -1:, columns]], axis=1)
        features = (*self.features, *(f"{name}_next" for name in names))
        return replace(self, features=features, values=np.concatenate([self.values, later], axis=2))

    def with_series(self, rows: np.ndarray) -> "Panel":
        """The series at the positions `rows`."""
        return replace(self, series=tuple(self.series[row] for row in rows), values=self.values[rows])

    def position(self, key: str, name: str) -> int:
        """The position of the series `name`; `key` is the setting that named it.

        Raises:
            ConfigError: there is no such series.
        """
        if name not in self.series:
            known = {series.casefold(): series for series in self.series}
            near = get_close_matches(str(name).casefold(), known, n=5, cutoff=0.5)
            hint = f"; did you mean {', '.join(known[match] for match in near)}?" if near else ""
            if not near and len(self.series) <= FEW:
                hint = f": {', '.join(self.series)}"
            raise ConfigError(key, name, f"is none of the {len(self.series)} series here{hint}")
        return self.series.index(name)

    def time_of(self, key: str, time: str | float, row: int = 0) -> int:
        """The position of the first time at or after `time`; `key` is the setting that named it.

        Args:
            key, time: the setting.
            row: the series, where each has its own times.

        Raises:
            ConfigError: not a time, or not within the times of the panel.
        """
        times = self.times_of(row)
        found = as_time(key, time, times)
        if not times[0] <= found <= times[-1]:
            raise ConfigError(key, time, f"must lie from {times[0]} to {times[-1]}")
        return int(np.searchsorted(times, found))

    def times_of_all(self, key: str, time: str | float) -> np.ndarray:
        """The position of the first time at or after `time` in each series, (series,); its length where none is.

        Raises:
            ConfigError: not a time, or not within the times of any series.
        """
        if self.shared:
            return np.full(len(self.series), self.time_of(key, time))
        every = [self.times_of(row) for row in range(len(self.series)) if self.extents[row, 1]]
        first, last = min(times[0] for times in every), max(times[-1] for times in every)
        found = as_time(key, time, self.times)
        if not first <= found <= last:
            raise ConfigError(key, time, f"must lie from {first} to {last}")
        return np.array([np.searchsorted(self.times_of(row), found) for row in range(len(self.series))])

    def complete(self) -> np.ndarray:
        """(series,): whether a series has all of its values at all times."""
        return ~np.isnan(self.values).any((1, 2))


def as_time(key: str, text: str | float, times: np.ndarray) -> np.datetime64 | float:
    """`text` as a time of the kind of `times`: a date, such as 2016-01-04 or 2016-01-04T12:30, or a number.

    Raises:
        ConfigError: it is no such time.
    """
    if times.dtype.kind != "M":
        try:
            return float(text)
        except ValueError:
            raise ConfigError(key, text, f"must be a number, as {times.flat[0]}") from None
    try:
        return np.datetime64(str(text))
    except ValueError:
        raise ConfigError(key, text, "must be a date, as 2016-01-04") from None


def target_first(target: str, features: Sequence[str] | None) -> list[str]:
    """The names of the features to read: the target, then the others; None: the target alone.

    Raises:
        ConfigError: a feature is named twice.
    """
    names = [target, *(name for name in features or () if name != target)]
    if len(set(names)) < len(names):
        raise ConfigError("dataset.features", features, "must not name a feature twice")
    return names


def choose_series(panel: Panel, key: str, chosen: Sequence[str] | int | None, complete: bool, seed: int) -> Panel:
    """The series asked for: all of them, those in a list, or so many at random.

    Args:
        panel: to choose from.
        key: the setting that says which, for messages.
        chosen: None (all), names, or how many.
        complete: leave out series with missing values. Without it, only series without any value are left out.
        seed: of the random choice.

    Raises:
        ConfigError: an unknown name, a named series that is not complete where it must be, or more than there are.
    """
    usable = panel.complete() if complete else ~np.isnan(panel.values).all((1, 2))
    rows = usable.nonzero()[0]
    if isinstance(chosen, int):
        if chosen > len(rows):
            raise ConfigError(key, chosen, f"must be at most {len(rows)}, the number of series that there are")
        order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed)).numpy()
        rows = np.sort(rows[order[:chosen]])
    elif chosen is not None:
        rows = np.array(sorted({panel.position(key, name) for name in chosen}), int)
        lacking = [panel.series[row] for row in rows if not usable[row]]
        if lacking:
            raise ConfigError(key, ", ".join(lacking), "has missing values, and only complete series are used here")
    return panel.with_series(rows)
