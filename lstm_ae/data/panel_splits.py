"""How the windows of a panel are divided into training, validation and test: each choice of `dataset.split`."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np
import torch
from sklearn.model_selection import TimeSeriesSplit

from lstm_ae.data.panel_scaling import Past
from lstm_ae.data.panel_windows import mask_of, thin
from lstm_ae.data.splitting import check_fold, check_fractions, split_all, split_train_val
from lstm_ae.errors import ConfigError

PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class Split(ABC):
    """One choice of `dataset.split`, for the series of a panel.

    Args:
        lengths: times of each series, (series,).
        val_fraction, test_fraction: of what is divided (the times, the series or the windows).
        seed: of what is random.
        test_begin: position in time where the test of each series begins, (series,); None: `test_fraction` decides.
        num_folds, fold: k-fold cross-validation; None: one split.
        given: whether files say what tests: the fractions are then of the rest, a series may be all of one part.
        shared: whether all series have the same times; else the windows of each are counted from its own first.
    """

    lengths: np.ndarray
    val_fraction: float
    test_fraction: float
    seed: int
    test_begin: np.ndarray | None = None
    num_folds: int | None = None
    fold: int = 0
    given: bool = False
    shared: bool = True

    leaky: ClassVar[bool] = False  # whether the training part learns something of the test
    takes_test_start: ClassVar[bool] = True  # whether the test can begin at a given time
    by_time: ClassVar[bool] = False  # whether the test comes after the training even without a given time
    takes_whole_series: ClassVar[bool] = False  # whether a window may be as long as its series

    @property
    def past(self) -> Past | None:
        """Where training ends and where the test begins; None where no time lies between them."""
        return None if self.test_begin is None else np.stack([self.test_begin, self.test_begin])

    @abstractmethod
    def divide(self, usable: np.ndarray, span: int, stride: int) -> dict[str, np.ndarray]:
        """The windows of each part, as masks (series, times) that are true where a window begins.

        Args:
            usable: a mask of the windows that may be used.
            span: steps of a window, those to forecast included: all of them lie in one part.
            stride: times from one window to the next.

        Raises:
            ConfigError: a part would be empty.
        """


class ByTime(Split):
    """Train on the past, validate on what comes after it, test on the end.

    The fractions are of all times of a series. With K folds the times before the test are divided into K + 1 blocks:
    fold k trains on the first k + 1 of them and validates on the next (expanding windows).
    """

    by_time = True

    @cached_property
    def boundaries(self) -> np.ndarray:
        """(3, series): positions in time where training ends, where validation ends, and where the test begins.

        Of series with times of their own, one that is too short to be divided is for training alone, up to its test.

        Raises:
            ConfigError: fractions that leave a part no times, or a fold that does not exist.
        """
        if not self.given and self.test_begin is None:
            check_fractions(self.val_fraction, self.test_fraction)
        begins = [None] * len(self.lengths) if self.test_begin is None else self.test_begin.tolist()
        cases = [*zip(self.lengths.tolist(), begins, strict=True)]
        found = {case: self._divided(*case) for case in {*cases}}
        ends = [found[case] for case in cases]
        if all(end is None for end in ends):
            raise ConfigError("dataset.val_fraction", self.val_fraction, "leaves a part nothing: the longest "
                              f"series has {self.lengths.max()} times")  # fmt: skip
        whole = [3 * (n if begin is None else begin,) for n, begin in cases]
        return np.array([end or alone for end, alone in zip(ends, whole, strict=True)]).T

    def _divided(self, times: int, begin: int | None) -> tuple[int, int, int] | None:
        """The boundaries of a series of so many times whose test begins at `begin`; None where it is too short.

        Raises:
            ConfigError: as `boundaries`, where all series are alike.
        """
        test_begin = int(times * (1 - self.test_fraction)) if begin is None else begin
        train_end, val_end = int(test_begin - (test_begin if self.given else times) * self.val_fraction), test_begin
        if self.given and test_begin == 0:
            return 0, 0, 0
        if self.num_folds is not None:
            check_fold(self.num_folds, self.fold, test_begin - 1, "one less than the times before the test")
            folds = TimeSeriesSplit(self.num_folds).split(np.arange(test_begin))
            val = list(folds)[self.fold][1]
            train_end, val_end = int(val[0]), int(val[-1]) + 1
        if 0 < train_end < val_end <= test_begin < times + self.given:
            return train_end, val_end, test_begin
        if (self.lengths == times).all():
            raise ConfigError(
                "dataset.val_fraction", self.val_fraction, f"leaves {max(train_end, 0)} times to train, "
                f"{val_end - train_end} to validate and {times - test_begin} to test"
            )  # fmt: skip
        return None

    @property
    def past(self) -> Past:
        """See `Split`."""
        return self.boundaries[[0, 2]]

    def divide(self, usable: np.ndarray, span: int, stride: int) -> dict[str, np.ndarray]:
        """See `Split`."""
        train_end, val_end, test_begin = self.boundaries[..., None]
        first = np.arange(usable.shape[1])
        inside = {
            "train": first + span <= train_end,
            "val": (first >= train_end) & (first + span <= val_end),
            "test": first >= test_begin,
        }
        return {part: thin(usable & mask, stride, self.shared) for part, mask in inside.items()}


class BySeries(Split):
    """Train on some series, validate and test on others, chosen at random.

    With `test_begin` the test is of unseen series at unseen times: the other parts end before it.
    """

    takes_whole_series = True

    def rows(self) -> dict[str, np.ndarray]:
        """The series of each part.

        Raises:
            ConfigError: a part would be empty.
        """
        generator = torch.Generator().manual_seed(self.seed)
        if self.given:
            assert self.test_begin is not None
            seen = torch.from_numpy(np.flatnonzero(self.test_begin))
            train, val = split_train_val(len(seen), self.val_fraction, generator, None, self.num_folds, self.fold)
            test = np.flatnonzero(self.test_begin < self.lengths)
            return {"train": seen[train].numpy(), "val": seen[val].numpy(), "test": test}
        chosen = split_all(
            len(self.lengths), self.val_fraction, self.test_fraction, generator, None, self.num_folds, self.fold
        )
        return {part: rows.numpy() for part, rows in zip(PARTS, chosen, strict=True)}

    def divide(self, usable: np.ndarray, span: int, stride: int) -> dict[str, np.ndarray]:
        """See `Split`."""
        first = np.arange(usable.shape[1])
        parts = {}
        for part, rows in self.rows().items():
            mask = np.zeros_like(usable)
            mask[rows] = usable[rows]
            if self.test_begin is not None:
                begin = self.test_begin[:, None]
                mask &= first >= begin if part == "test" else first + span <= begin
            parts[part] = thin(mask, stride, self.shared)
        return parts


class RandomWindows(Split):
    """Shuffle all windows and divide them (report C's protocol). Leaky: neighbours share all but one of their times."""

    leaky = True
    takes_test_start = False

    def divide(self, usable: np.ndarray, span: int, stride: int) -> dict[str, np.ndarray]:
        """See `Split`."""
        generator = torch.Generator().manual_seed(self.seed)
        places = np.flatnonzero(thin(usable, stride, self.shared))
        chosen = split_all(
            len(places), self.val_fraction, self.test_fraction, generator, None, self.num_folds, self.fold
        )
        return {part: mask_of(places[order.numpy()], usable.shape) for part, order in zip(PARTS, chosen, strict=True)}


SplitName = Literal["by_time", "by_series", "random_windows"]
SPLITS: dict[str, type[Split]] = {"by_time": ByTime, "by_series": BySeries, "random_windows": RandomWindows}
