"""Windows of a panel: consecutive times of one series, cut out and scaled.

Which windows there are, or belong to a part, is a mask (series, times): true where a window begins.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from lstm_ae.data.panel import Panel
from lstm_ae.data.panel_scaling import Bounds, Measure, known
from lstm_ae.data.sequence_data import Sequences
from lstm_ae.errors import ConfigError

CHUNK = 20_000  # windows in double precision at a time


@dataclass(frozen=True)
class WindowShape:
    """The steps of a window."""

    length: int  # steps that a model reads
    ahead: int  # steps after them, to forecast
    first: int  # the first step that is a target; those up to the window's end are too

    @property
    def span(self) -> int:
        """Steps in all."""
        return self.length + self.ahead


def window_shape(times: int, window: int | None, forecast_target: str | None, horizon: int) -> WindowShape:
    """The steps of a window in a panel of so many times; see `panel_data.PanelOptions` for the settings.

    Raises:
        ConfigError: the panel is too short for it.
    """
    ahead = 0 if forecast_target is None else horizon
    length = times - ahead if window is None else window
    if times - ahead < 2:
        raise ConfigError("dataset.horizon", horizon, f"must be at most {times - 2}: there are {times} times")
    if length + ahead > times or length < 2:
        raise ConfigError("dataset.window", window, f"must lie from 2 to {times - ahead}: there are {times} times")
    first = {None: length, "shifted": 1, "ahead": length}[forecast_target]
    return WindowShape(length, ahead, first)


def usable_windows(panel: Panel, shape: WindowShape, forecast_features: int, missing: str) -> np.ndarray:
    """The windows that lie within their series, with all values that `missing` asks for and all that are forecast.

    Args:
        panel: to cut.
        shape: of the windows.
        forecast_features: the first so many features are forecast.
        missing: see `panel_data.PanelOptions`.

    Returns:
        a mask (series, times), true where a window begins.
    """
    gone = np.isnan(panel.values)
    if missing in ("error", "leave_out"):
        return full_windows(~gone.any(2), shape.span, 0)
    first, (begin, end) = np.arange(gone.shape[1]), panel.extents.T[..., None]
    inside = (first >= begin) & (first + shape.span <= end)
    if shape.ahead:
        inside &= full_windows(~gone[..., :forecast_features].any(2), shape.span - shape.first, shape.first)
    if missing == "mask":
        return inside & ~full_windows(gone.all(2), shape.length, 0)
    for feature in range(gone.shape[2]):
        inside &= ~full_windows(gone[..., feature], shape.length, 0)
    return inside


def full_windows(steps: np.ndarray, span: int, first: int) -> np.ndarray:
    """Where a run of `span` true steps begins `first` steps later: a mask like `steps`, (series, times)."""
    sums = np.pad((~steps).cumsum(1, dtype=np.int32), ((0, 0), (1, 0)))
    whole = np.zeros(steps.shape, bool)
    count = steps.shape[1] - span - first + 1
    if count > 0:
        whole[:, :count] = sums[:, first + span :] == sums[:, first : first + count]
    return whole


def interpolated(values: np.ndarray) -> np.ndarray:
    """Missing values (NaN) of (n, steps, features) on the line between their neighbours; at the ends, as the next one.

    What has no value at all stays NaN.
    """
    steps = np.arange(values.shape[1])[:, None]
    there = ~np.isnan(values)
    before = np.maximum.accumulate(np.where(there, steps, -1), axis=1)
    after = np.minimum.accumulate(np.where(there, steps, len(steps))[:, ::-1], axis=1)[:, ::-1]
    left = np.where(before < 0, np.minimum(after, len(steps) - 1), before)
    right = np.where(after == len(steps), left, after)
    low, high = (np.take_along_axis(values, place, axis=1) for place in (left, right))
    share = (steps - left) / np.maximum(right - left, 1)
    return np.where(there, values, low + np.clip(share, 0, 1) * (high - low))


def thin(mask: np.ndarray, stride: int, shared: bool = True) -> np.ndarray:
    """Keep the windows that begin at the first time of all, and at every `stride`-th time after that.

    Without `shared`, each series is counted from its own first window.
    """
    if not mask.any() or stride == 1:
        return mask
    first = mask.any(0).argmax() if shared else mask.argmax(1)[:, None]
    return mask & ((np.arange(mask.shape[1]) - first) % stride == 0)


def bytes_to_cut(count: int, span: int, features: int) -> int:
    """The memory that `cut` takes for so many windows, at the least: the result, and copies in double precision."""
    return span * features * (4 * count + 16 * min(count, CHUNK))


def choose_windows(mask: np.ndarray, count: int | None, seed: int) -> np.ndarray:
    """Keep `count` of the training windows, chosen at random; None keeps all.

    Raises:
        ConfigError: more than there are.
    """
    if count is None:
        return mask
    places = np.flatnonzero(mask)
    if count > len(places):
        raise ConfigError("dataset.num_train", count, f"must be at most {len(places)}, the training windows there are")
    order = torch.randperm(len(places), generator=torch.Generator().manual_seed(seed)).numpy()
    return mask_of(places[order[:count]], mask.shape)


def mask_of(places: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A mask of that shape, true at the flat positions `places`."""
    mask = np.zeros(shape, bool)
    mask.flat[places] = True
    return mask


def cut(
    panel: Panel,
    mask: np.ndarray,
    shape: WindowShape,
    forecast_features: int,
    ranges: Bounds | None,
    columns: Sequence[int],
    measure: Measure,
    masked: bool,
) -> Sequences:
    """Cut windows out of a panel, fill what is missing and scale them.

    Inputs and targets are views of one tensor of whole windows. Works series by series, so that the copies in double
    precision stay small. A missing value of an input is interpolated within the input, so that no part learns of
    another by it; where the input has none of its feature, it is 0.

    Args:
        panel: to cut.
        mask: where windows begin.
        shape: their steps.
        forecast_features: the first so many features are targets; 0: there are none.
        ranges: that scale each series, (series, features) each; None: each window by its own input.
        columns: for each feature, the one whose range scales it.
        measure: what scales a window by its own input.
        masked: whether to say which values of the inputs exist.
    """
    series, time = mask.nonzero()
    windows = np.empty((len(series), shape.span, len(columns)), np.float32)
    there = np.empty((len(series), shape.length, len(columns)), bool) if masked else None
    low, high = np.empty((2, len(series), 1, len(columns)), np.float32)
    ends = np.searchsorted(series, np.arange(len(mask) + 1))
    for row, (first, last) in enumerate(pairwise(ends)):
        view = np.lib.stride_tricks.sliding_window_view(panel.values[row], shape.span, axis=0)
        for begin in range(first, last, CHUNK):
            end = min(begin + CHUNK, last)
            own = view[time[begin:end]].transpose(0, 2, 1)  # (windows, span, features)
            inputs = own[:, : shape.length]
            if ranges is None:
                own_low, own_high = known(measure(inputs, columns))
            else:
                own_low, own_high = (bound[row : row + 1] for bound in ranges)
            low[begin:end, 0], high[begin:end, 0] = own_low, own_high
            scaled = (own - own_low[:, None]) / (own_high - own_low)[:, None]
            gone = np.isnan(inputs)
            if there is not None:
                there[begin:end] = ~gone
            if gone.any():
                scaled[:, : shape.length] = np.nan_to_num(interpolated(scaled[:, : shape.length]))
            windows[begin:end] = scaled
    values = torch.from_numpy(windows)
    return Sequences(
        inputs=values[:, : shape.length],
        targets=values[:, shape.first :, :forecast_features] if forecast_features else None,
        horizon=shape.ahead,
        low=torch.from_numpy(low),
        high=torch.from_numpy(high),
        series=torch.from_numpy(series),
        time=torch.from_numpy(time),
        mask=None if there is None else torch.from_numpy(there),
    )
