"""Which windows of a market train, which validate, which test."""

import numpy as np
import torch

from lstm_ae.data.splitting import check_fold, split_all
from lstm_ae.errors import ConfigError

LEAKY_SPLIT = "random_windows"
LEAKY_SCALING = "series_full"


def check_pair(split: str, scaling: str, test_start: str | None, whole_series: bool) -> tuple[str, ...]:
    """The settings among `split` and `scaling` that are leaky; pairs that make no sense are refused.

    | split \\ scaling  | window | none  | series              | series_full |
    | ----------------- | ------ | ----- | ------------------- | ----------- |
    | by_time           | yes    | yes   | yes                 | leaky       |
    | by_series         | yes    | yes   | with a `test_start` | leaky       |
    | random_windows    | leaky  | leaky | refused             | leaky       |

    `series` fits on the part before the test: shuffled windows have no such part, and unseen companies have one only
    with a `test_start`. A whole series lies in one part by `by_series` alone.

    Raises:
        ConfigError: a pair that is refused.
    """
    if whole_series and split != "by_series":
        raise ConfigError("dataset.split", split, "whole series (dataset.window=null) are split by_series")
    if scaling == "series" and split == "random_windows":
        raise ConfigError("dataset.scaling", scaling, "shuffled windows leave no training part of a series to fit on; "
                          "use window, none or series_full with dataset.split=random_windows")  # fmt: skip
    if scaling == "series" and split == "by_series" and test_start is None:
        raise ConfigError("dataset.scaling", scaling, "an unseen company has no days before its first test day to fit "
                          "on; add dataset.test_start, or use dataset.scaling=window")  # fmt: skip
    if test_start is not None and (whole_series or split == LEAKY_SPLIT):
        raise ConfigError("dataset.test_start", test_start, "cannot be with shuffled windows or whole series")
    return tuple(
        f"{key}={value}"
        for key, value, leaky in (("split", split, LEAKY_SPLIT), ("scaling", scaling, LEAKY_SCALING))
        if value == leaky
    )


def boundaries(
    days: int,
    val_fraction: float,
    test_fraction: float,
    test_begin: int | None = None,
    num_folds: int | None = None,
    fold: int = 0,
) -> tuple[int, int, int]:
    """Positions of days where training ends, where validation ends, and where the test begins.

    The fractions are of all days. With `num_folds` = K the days before the test are cut into K + 1 blocks: fold k
    trains on the first k + 1 of them and validates on the next (expanding windows, as scikit-learn's
    `TimeSeriesSplit`).

    Raises:
        ConfigError: fractions that leave a part no days, or a fold that there is not.
    """
    if test_begin is None:
        if val_fraction + test_fraction >= 1:
            raise ConfigError(
                "dataset.test_fraction", test_fraction, f"must be < {1 - val_fraction:g} beside val_fraction"
            )
        test_begin = int(days * (1 - test_fraction))
    if num_folds is None:
        train_end, val_end = int(test_begin - days * val_fraction), test_begin
    else:
        check_fold(num_folds, fold)
        cuts = np.linspace(0, test_begin, num_folds + 2).astype(int)
        train_end, val_end = int(cuts[fold + 1]), int(cuts[fold + 2])
    if not 0 < train_end < val_end <= test_begin < days:
        raise ConfigError(
            "dataset.val_fraction", val_fraction, f"leaves {max(train_end, 0)} days to train, {val_end - train_end} to "
            f"validate and {days - test_begin} to test"
        )  # fmt: skip
    return train_end, val_end, test_begin


def by_time(usable: np.ndarray, span: int, train_end: int, val_end: int, test_begin: int) -> dict[str, np.ndarray]:
    """Windows that lie wholly inside the days of training, of validation, or of the test.

    Args:
        usable: (symbols, days), whether a window may begin there.
        span: days in a window, those to forecast included.
        train_end, val_end, test_begin: from `boundaries`.

    Returns:
        for each part, (symbols, days): whether a window that begins there belongs to it.
    """
    first = np.arange(usable.shape[1])
    return {
        "train": usable & (first + span <= train_end),
        "val": usable & (first >= train_end) & (first + span <= val_end),
        "test": usable & (first >= test_begin),
    }


def by_series(
    usable: np.ndarray,
    span: int,
    val_fraction: float,
    test_fraction: float,
    seed: int,
    test_begin: int | None = None,
    num_folds: int | None = None,
    fold: int = 0,
) -> dict[str, np.ndarray]:
    """Windows of companies that train, others of companies that validate or test; which is drawn by `seed`.

    With `test_begin`, the test is of unseen companies on unseen days: the other parts end before that day.

    Returns:
        as `by_time`.

    Raises:
        ConfigError: a part without a company.
    """
    generator = torch.Generator().manual_seed(seed)
    rows = split_all(len(usable), val_fraction, test_fraction, generator, None, num_folds, fold)
    first = np.arange(usable.shape[1])
    parts = {}
    for part, chosen in zip(("train", "val", "test"), rows, strict=True):
        mine = np.zeros((len(usable), 1), bool)
        mine[chosen.numpy()] = True
        if test_begin is not None:
            mine = mine & (first >= test_begin if part == "test" else first + span <= test_begin)
        parts[part] = usable & mine
    return parts


def random_windows(
    usable: np.ndarray,
    val_fraction: float,
    test_fraction: float,
    seed: int,
    num_folds: int | None = None,
    fold: int = 0,
) -> dict[str, np.ndarray]:
    """Windows shuffled, then parted (report C's protocol). Leaky: neighbours share all but one of their days.

    Returns:
        as `by_time`.
    """
    generator = torch.Generator().manual_seed(seed)
    places = np.flatnonzero(usable)
    chosen = split_all(len(places), val_fraction, test_fraction, generator, None, num_folds, fold)
    parts = {}
    for part, order in zip(("train", "val", "test"), chosen, strict=True):
        mask = np.zeros(usable.size, bool)
        mask[places[order.numpy()]] = True
        parts[part] = mask.reshape(usable.shape)
    return parts


def thin(mask: np.ndarray, stride: int) -> np.ndarray:
    """Keep the windows of a part that begin at its first day and at every `stride`-th day after that."""
    begins = np.flatnonzero(mask.any(0))
    kept = np.zeros(mask.shape[1], bool)
    if len(begins):
        kept[begins[0] :: stride] = True
    return mask & kept


def draw(mask: np.ndarray, count: int | None, seed: int) -> np.ndarray:
    """Keep `count` windows of the training part, drawn by `seed`; None keeps all.

    Raises:
        ConfigError: more than there are.
    """
    places = np.flatnonzero(mask)
    if count is None:
        return mask
    if count > len(places):
        raise ConfigError("dataset.num_train", count, f"must be at most {len(places)}, all that there is")
    kept = np.zeros(mask.size, bool)
    kept[places[torch.randperm(len(places), generator=torch.Generator().manual_seed(seed)).numpy()[:count]]] = True
    return kept.reshape(mask.shape)
