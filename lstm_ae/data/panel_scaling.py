"""How the values of a panel are scaled: each choice of `dataset.scaling`, by the range of values or by their moments.

Features that belong together, as the lowest and the highest value of a day, can share one range, so that they keep
their places relative to each other.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from lstm_ae.errors import UserError
from lstm_ae.spec import Scaler

Bounds = tuple[np.ndarray, np.ndarray]  # what is scaled to 0 and to 1
Measure = Callable[[np.ndarray, Sequence[int]], Bounds]  # of values (..., times, features): (..., features) each
RESOLUTION = 1e-6  # of a value: in single precision, which models read, eight steps; what differs by less is constant
Past = np.ndarray  # (2, series), positions in time: where training ends, and where the test begins


def range_columns(features: Sequence[str], shared: Sequence[str]) -> tuple[int, ...]:
    """For each feature, the position of the one whose range scales it.

    Args:
        features: names, the target first.
        shared: names of features that share one range: that of the first of them in `features`.
    """
    first = next((i for i, name in enumerate(features) if name in shared), 0)
    return tuple(first if name in shared else i for i, name in enumerate(features))


def min_max(values: np.ndarray, columns: Sequence[int]) -> Bounds:
    """Lowest and highest value over the times of (..., times, features), each (..., features); NaN is left out.

    Where both are the same (a constant series), the range is one unit, so that scaling can be undone.
    """
    low = np.fmin.reduce(values, axis=-2)[..., list(columns)]
    high = np.fmax.reduce(values, axis=-2)[..., list(columns)]
    return low, apart(low, high)


def apart(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """`high`; of constant values one unit above `low`, or as far as single precision can tell."""
    least = RESOLUTION * np.abs(low)
    return np.where(high - low <= least, low + np.maximum(least, 1), high)


def mean_and_deviation(values: np.ndarray, columns: Sequence[int]) -> Bounds:
    """Mean, and mean plus standard deviation, over the times of (..., times, features); NaN is left out.

    So values are scaled to mean 0 and deviation 1. A constant series is only moved.
    """
    there = ~np.isnan(values)
    count = there.sum(-2)
    with np.errstate(invalid="ignore"):  # of nothing, NaN
        mean = np.where(there, values, 0).sum(-2) / count
        deviation = np.sqrt(np.where(there, np.square(values - mean[..., None, :]), 0).sum(-2) / count)
    return mean[..., list(columns)], apart(mean, mean + deviation)[..., list(columns)]


def measure_by(standardize: bool) -> Measure:
    """Scaling to mean 0 and deviation 1, or to the range from 0 to 1."""
    return mean_and_deviation if standardize else min_max


def own_scaler(inputs: Tensor, columns: Sequence[int], standardize: bool = False) -> Scaler:
    """The scaling of each sequence of `inputs` (n, length, features) by its own values, in double precision.

    A feature of which a sequence has no value stays as it is.

    Args:
        inputs: in original units; NaN where a value is missing.
        columns: for each feature, the one whose range scales it (`DataSpec.own_range`).
        standardize: to mean 0 and deviation 1 (`DataSpec.own_standardized`) instead of to [0, 1].
    """
    low, high = known(measure_by(standardize)(inputs.double().numpy(), columns))
    return Scaler(torch.from_numpy(low[:, None]), torch.from_numpy(high[:, None]))


def known(bounds: Bounds) -> Bounds:
    """The bounds, with 0 and 1 for what has none because all of its values are missing."""
    low, high = bounds
    return np.where(np.isnan(low), 0, low), np.where(np.isnan(high), 1, high)


def unit_range(values: np.ndarray, columns: Sequence[int], past: Past | None, measure: Measure) -> Bounds:
    """0 to 1 for every series: values stay as they are."""
    return np.zeros((len(values), len(columns))), np.ones((len(values), len(columns)))


def full_range(values: np.ndarray, columns: Sequence[int], past: Past | None, measure: Measure) -> Bounds:
    """Of each series at all times."""
    return measure(values, columns)


def past_range(values: np.ndarray, columns: Sequence[int], past: Past | None, measure: Measure) -> Bounds:
    """Of each series before training ends.

    A series without a value there is scaled by its values before the test begins. Where there is none either, nothing
    may be known of the series: its range is NaN and its windows cannot be used.
    """
    assert past is not None  # a split without a past is refused before
    low, high = np.full((2, len(values), len(columns)), np.nan)
    for end in past[::-1]:  # what is known before the test first, where training has something that instead
        for row in np.flatnonzero(end):
            found = measure(values[row, : end[row]], columns)
            there = ~np.isnan(found[0])
            low[row, there], high[row, there] = found[0][there], found[1][there]
    return low, high


def train_range(values: np.ndarray, train: np.ndarray, span: int, columns: Sequence[int], measure: Measure) -> Bounds:
    """Of all values that a training window holds, for all series alike.

    Args:
        values: (series, times, features).
        train: where training windows begin, a mask (series, times).
        span: steps of a window.
    """
    change = np.zeros((train.shape[0], train.shape[1] + span), np.int32)
    change[:, : train.shape[1]] += train
    change[:, span:] -= train
    inside = change.cumsum(1)[:, : train.shape[1]] > 0
    low, high = known(measure(values[inside], columns))
    return np.tile(low, (len(values), 1)), np.tile(high, (len(values), 1))


@dataclass(frozen=True)
class Scaling:
    """One choice of `dataset.scaling`.

    Args:
        fit: measures each series, (series, features) twice, from the values (series, times, features), the columns, the
            split's past and the measure. None: each window is scaled by its own input, or all by the training windows.
        needs_past: whether it is fitted on the times before the test.
        leaky: whether training learns something of the test through it.
        common: whether all series have the same range.
    """

    fit: Callable[[np.ndarray, Sequence[int], Past | None, Measure], Bounds] | None = None
    needs_past: bool = False
    leaky: bool = False
    common: bool = False


ScalingName = Literal["window", "series", "train", "none", "series_full"]
SCALINGS: dict[str, Scaling] = {
    "window": Scaling(),
    "series": Scaling(past_range, needs_past=True),
    "train": Scaling(common=True),
    "none": Scaling(unit_range, common=True),
    "series_full": Scaling(full_range, leaky=True),
}


def scaler_of_series(scalers: Mapping[str, Scaler], series: str) -> Scaler:
    """The scaling of a series that came after the training; a data set of one series scales any other by that.

    Args:
        scalers: of the series of a data set that scales each by its own past.
        series: the name of the new one.

    Raises:
        UserError: it is none of several.
    """
    found = next(iter(scalers.values())) if len(scalers) == 1 else scalers.get(series)
    if found is None:
        raise UserError(
            f"series {series!r}: the run scales each series by its own past (dataset.scaling=series) and knows none of "
            "this one; train with dataset.scaling=train or window to read others"
        )
    return found
