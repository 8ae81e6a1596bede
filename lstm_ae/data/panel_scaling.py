"""How the values of a panel are scaled: each choice of `dataset.scaling`, and the min-max that they share.

Features that belong together, as the lowest and the highest value of a day, can share one range, so that they keep
their places relative to each other.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from lstm_ae.spec import Scaler

Bounds = tuple[np.ndarray, np.ndarray]  # lowest and highest values
Past = tuple[int, int]  # positions in time: where training ends, and where the test begins


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
    return low, np.where(high == low, low + 1, high)


def own_scaler(inputs: Tensor, columns: Sequence[int]) -> Scaler:
    """The scaling of each sequence of `inputs` (n, length, features) by its own range, in double precision.

    Args:
        inputs: in original units.
        columns: for each feature, the one whose range scales it (`DataSpec.own_range`).
    """
    low, high = min_max(inputs.double().numpy(), columns)
    return Scaler(torch.from_numpy(low[:, None]), torch.from_numpy(high[:, None]))


def unit_range(values: np.ndarray, columns: Sequence[int], past: Past | None) -> Bounds:
    """0 to 1 for every series: values stay as they are."""
    return np.zeros((len(values), len(columns))), np.ones((len(values), len(columns)))


def full_range(values: np.ndarray, columns: Sequence[int], past: Past | None) -> Bounds:
    """The range of each series at all times."""
    return min_max(values, columns)


def past_range(values: np.ndarray, columns: Sequence[int], past: Past | None) -> Bounds:
    """The range of each series before training ends.

    A series without a value there is scaled by its range before the test begins. Where there is none either, nothing
    may be known of the series: its range is NaN and its windows cannot be used.
    """
    assert past is not None  # a split without a past is refused before
    low, high = min_max(values[:, : past[0]], columns)
    late_low, late_high = min_max(values[:, : past[1]], columns)
    unknown = np.isnan(low)
    return np.where(unknown, late_low, low), np.where(unknown, late_high, high)


@dataclass(frozen=True)
class Scaling:
    """One choice of `dataset.scaling`.

    Args:
        fit: computes the range of each series, (series, features) twice, from the values (series, times, features),
            the columns and the split's past. None: each window is scaled by the range of its own input.
        needs_past: whether it is fitted on the times before the test.
        leaky: whether training learns something of the test through it.
        common: whether all series have the same range.
    """

    fit: Callable[[np.ndarray, Sequence[int], Past | None], Bounds] | None = None
    needs_past: bool = False
    leaky: bool = False
    common: bool = False


ScalingName = Literal["window", "series", "none", "series_full"]
SCALINGS: dict[str, Scaling] = {
    "window": Scaling(),
    "series": Scaling(past_range, needs_past=True),
    "none": Scaling(unit_range, common=True),
    "series_full": Scaling(full_range, leaky=True),
}
