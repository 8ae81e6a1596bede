"""Where a roll-out begins, what it reads, and on which series of a panel it is measured."""

from dataclasses import dataclass

import numpy as np

from lstm_ae.data.panel import Panel
from lstm_ae.data.sequence_data import SequenceData
from lstm_ae.errors import ConfigError, UserError


@dataclass(frozen=True)
class Plan:
    """Which series of a panel are rolled forward, from when; times are positions in the panel's."""

    panel: Panel
    row: int  # the series asked for
    rows: np.ndarray  # it and all others that can be forecast under the same conditions
    begin: int  # the first time that is read
    start: int  # the first time that is forecast
    steps: int  # how many times are forecast
    in_sample: bool  # whether the model was trained on times that are forecast

    @property
    def name(self) -> str:
        """Of the series asked for."""
        return self.panel.series[self.row]

    @property
    def known(self) -> np.ndarray:
        """What is read, (rows, times, features)."""
        return self.panel.values[self.rows, self.begin : self.start]

    @property
    def times(self) -> np.ndarray:
        """The times that are forecast."""
        return self.panel.times_of(self.row)[self.start : self.start + self.steps]

    @property
    def truth(self) -> np.ndarray:
        """The target at these times, (rows, steps)."""
        return self.panel.values[self.rows, self.start : self.start + self.steps, 0]


def make_plan(
    data: SequenceData,
    series: str | None,
    start: str | None,
    steps: int,
    *,
    growing: bool,
    in_sample: bool,
) -> Plan:
    """Decide which times to read and to forecast, within what there is and what the model was not trained on.

    Args:
        data: that the model was trained on.
        series: to forecast; None: the first that figures show, or the first of all.
        start: the first time to forecast; None: the first that the model was not trained on.
        steps: how many times to forecast.
        growing: read everything before the start instead of as much as in training.
        in_sample: allow times that the model was trained on.

    Raises:
        UserError: the data are no panel.
        ConfigError: a series, a time or a number of steps that is not possible.
    """
    panel, spec = data.panel, data.spec
    if panel is None:
        raise UserError(f"{spec.name}: this data set has no series over time that could be rolled forward")
    if series is None:
        series = next((name for name in spec.shown if name in panel.series), panel.series[0])
    row = panel.position("series", series)
    used = used_until(data)
    times = panel.times_of(row)
    first = _start(panel, row, start, used[row], spec.length)
    if spec.forecast_features < spec.features and steps > spec.horizon:
        raise ConfigError(
            "steps", steps, f"this model reads {', '.join(spec.feature_names)} and forecasts only "
            f"{spec.feature_names[0]}, so steps must be at most {spec.horizon}; or train with "
            "dataset.forecast_features=all"
        )  # fmt: skip
    if first + steps > len(times):
        raise ConfigError("steps", steps, f"must be at most {len(times) - first}: the data end at {times[-1]}")
    inside = bool(first < used[row])
    if inside and not in_sample:
        other = f"start at {times[used[row]]} or later" if used[row] < len(times) else "take another series"
        raise ConfigError(
            "start", times[first], f"the run was trained and validated on {series} up to "
            f"{times[used[row] - 1]}; {other}, or add in_sample=true to see how it fits what it knows"
        )  # fmt: skip
    begin = 0 if growing else first - spec.length
    whole = ~np.isnan(panel.values[:, begin : first + steps]).any((1, 2))
    if not whole[row]:
        raise ConfigError("series", series, f"has missing values between {times[begin]} and "
                          f"{times[first + steps - 1]}")  # fmt: skip
    scaled = _has_scaling(data)
    if not scaled[row]:
        raise ConfigError("series", series, "the run has no window of it, and so no range to scale it by")
    alike = whole & scaled & ((first < used) == inside)
    rows = alike.nonzero()[0] if panel.shared else np.array([row])
    return Plan(panel, row, rows, begin, first, steps, inside)


def _start(panel: Panel, row: int, start: str | None, used: int, length: int) -> int:
    """The position of the first time to forecast."""
    times = panel.times_of(row)
    if start is not None:
        first = panel.time_of("start", start, row)
    elif used < len(times):
        first = max(int(used), length)
    else:
        raise ConfigError("start", None, "the run was trained on all times of this series; give a date, and "
                          "in_sample=true")  # fmt: skip
    if first < length:
        earliest = times[length] if length < len(times) else "after the end of the data"
        raise ConfigError("start", times[first], f"must be {earliest} or later: the model reads {length} steps "
                          "before it")  # fmt: skip
    return first


def used_until(data: SequenceData) -> np.ndarray:
    """Up to which position in time training or validation looked at each series, (series,); 0: never.

    Where series share their times, a time that one of them was trained on counts for all, unless the test is of series
    that were never trained on.
    """
    assert data.panel is not None and data.test.series is not None
    span = data.spec.length + data.spec.horizon
    ends = np.zeros(len(data.panel.series), int)
    for part in (data.train, data.val):
        assert part.series is not None and part.time is not None
        np.maximum.at(ends, part.series.numpy(), part.time.numpy() + span)
    unseen_series = (ends[data.test.series.numpy()] == 0).all()
    return ends if unseen_series or not data.panel.shared else np.full_like(ends, ends.max())


def _has_scaling(data: SequenceData) -> np.ndarray:
    """Whether it is known how to scale each series, (series,)."""
    assert data.panel is not None
    known = np.full(len(data.panel.series), bool(data.spec.own_range) or data.scaler is not None)
    for part in (data.train, data.val, data.test):
        assert part.series is not None
        known[part.series.numpy()] = True
    return known
