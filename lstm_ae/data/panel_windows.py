"""Windows of a panel: consecutive times of one series, cut out and scaled.

Which windows there are, or belong to a part, is a mask (series, times): true where a window begins.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from lstm_ae.data.panel import Panel
from lstm_ae.data.panel_scaling import Bounds, min_max
from lstm_ae.data.sequence_data import Sequences
from lstm_ae.errors import ConfigError


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
    if length + ahead > times or length < 2:
        raise ConfigError("dataset.window", window, f"must lie from 2 to {times - ahead}: there are {times} times")
    first = {None: length, "shifted": 1, "ahead": length}[forecast_target]
    return WindowShape(length, ahead, first)


def whole_windows(values: np.ndarray, span: int) -> np.ndarray:
    """The windows of `span` times without a missing value.

    Args:
        values: (series, times, features), NaN where a value is missing.
        span: steps of a window.

    Returns:
        a mask (series, times).
    """
    missing = np.isnan(values).any(2).cumsum(1)
    missing = np.pad(missing, ((0, 0), (1, 0)))
    whole = np.zeros(values.shape[:2], bool)
    whole[:, : values.shape[1] - span + 1] = missing[:, span:] == missing[:, :-span]
    return whole


def thin(mask: np.ndarray, stride: int) -> np.ndarray:
    """Keep the windows that begin at the first time of all, and at every `stride`-th time after that."""
    begins = np.flatnonzero(mask.any(0))
    kept = np.zeros(mask.shape[1], bool)
    if len(begins):
        kept[begins[0] :: stride] = True
    return mask & kept


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
) -> Sequences:
    """Cut windows out of a panel and scale them.

    Inputs and targets are views of one tensor of whole windows. Works series by series, so that the copies in double
    precision stay small.

    Args:
        panel: to cut.
        mask: where windows begin.
        shape: their steps.
        forecast_features: the first so many features are targets; 0: there are none.
        ranges: that scale each series, (series, features) each; None: each window by the range of its own input.
        columns: for each feature, the one whose range scales it.
    """
    series, time = mask.nonzero()
    windows = np.empty((len(series), shape.span, len(columns)), np.float32)
    low, high = np.empty((2, len(series), 1, len(columns)))
    ends = np.searchsorted(series, np.arange(len(mask) + 1))
    for row, (begin, end) in enumerate(pairwise(ends)):
        if begin == end:
            continue
        view = np.lib.stride_tricks.sliding_window_view(panel.values[row], shape.span, axis=0)
        own = view[time[begin:end]].transpose(0, 2, 1)  # (windows, span, features)
        if ranges is None:
            own_low, own_high = min_max(own[:, : shape.length], columns)
        else:
            own_low, own_high = (bound[row : row + 1] for bound in ranges)
        low[begin:end, 0], high[begin:end, 0] = own_low, own_high
        windows[begin:end] = (own - own_low[:, None]) / (own_high - own_low)[:, None]
    values = torch.from_numpy(windows)
    return Sequences(
        inputs=values[:, : shape.length],
        targets=values[:, shape.first :, :forecast_features] if forecast_features else None,
        horizon=shape.ahead,
        low=torch.from_numpy(low.astype(np.float32)),
        high=torch.from_numpy(high.astype(np.float32)),
        series=torch.from_numpy(series),
        time=torch.from_numpy(time),
    )
