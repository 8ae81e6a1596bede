"""How stock values are scaled: by what range, fitted on what.

All prices share the range of the target, so that they keep their places relative to each other; the volume has its own.
"""

import numpy as np

PRICES = ("open", "high", "low", "close")


def range_columns(features: tuple[str, ...]) -> list[int]:
    """For each feature, the position of the one whose range scales it; the target is the first of `features`."""
    first_price = next((i for i, name in enumerate(features) if name in PRICES), 0)
    return [first_price if name in PRICES else i for i, name in enumerate(features)]


def min_max(values: np.ndarray, columns: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest value over the days of (..., days, features), each (..., features), NaN left out.

    Where both are the same (constant prices), the range is one unit, so that scaling can be undone.
    """
    low = np.fmin.reduce(values, axis=-2)[..., columns]
    high = np.fmax.reduce(values, axis=-2)[..., columns]
    return low, np.where(high == low, low + 1, high)


def series_ranges(
    values: np.ndarray, columns: list[int], scaling: str, train_end: int, test_begin: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """The range of each company (symbols, features), for the scalings that have one; None for `window`.

    - `none`: 0 to 1, for everybody.
    - `series`: of the days before `train_end`; for a company without any value there, of those before `test_begin`.
      NaN where there are none either: nothing may be known of that company, and its windows cannot be used.
    - `series_full`: of all days. Leaky: it tells how far prices will go.

    Args:
        values: (symbols, days, features).
        columns: from `range_columns`.
        scaling: one of the above.
        train_end, test_begin: positions of days.
    """
    if scaling == "window":
        return None
    if scaling == "none":
        return np.zeros((len(values), len(columns))), np.ones((len(values), len(columns)))
    if scaling == "series_full":
        return min_max(values, columns)
    low, high = min_max(values[:, :train_end], columns)
    late_low, late_high = min_max(values[:, :test_begin], columns)
    unknown = np.isnan(low)
    return np.where(unknown, late_low, low), np.where(unknown, late_high, high)
