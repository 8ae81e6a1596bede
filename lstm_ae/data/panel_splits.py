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
from lstm_ae.data.splitting import check_fold, check_fractions, split_all
from lstm_ae.errors import ConfigError

PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class Split(ABC):
    """One choice of `dataset.split`, for a panel of so many times.

    Args:
        times: of the panel.
        val_fraction, test_fraction: of what is divided (the times, the series or the windows).
        seed: of what is random.
        test_begin: position in time where the test begins; None: `test_fraction` decides.
        num_folds, fold: k-fold cross-validation; None: one split.
    """

    times: int
    val_fraction: float
    test_fraction: float
    seed: int
    test_begin: int | None = None
    num_folds: int | None = None
    fold: int = 0

    leaky: ClassVar[bool] = False  # whether the training part learns something of the test
    takes_test_start: ClassVar[bool] = True  # whether the test can begin at a given time
    by_time: ClassVar[bool] = False  # whether the test comes after the training even without a given time
    takes_whole_series: ClassVar[bool] = False  # whether a window may be as long as its series

    @property
    def past(self) -> Past | None:
        """Where training ends and where the test begins; None where no time lies between them."""
        return None if self.test_begin is None else (self.test_begin, self.test_begin)

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

    The fractions are of all times. With K folds the times before the test are divided into K + 1 blocks: fold k
    trains on the first k + 1 of them and validates on the next (expanding windows).
    """

    by_time = True

    @cached_property
    def boundaries(self) -> tuple[int, int, int]:
        """Positions in time where training ends, where validation ends, and where the test begins.

        Raises:
            ConfigError: fractions that leave a part no times, or a fold that does not exist.
        """
        if self.test_begin is None:
            check_fractions(self.val_fraction, self.test_fraction)
            test_begin = int(self.times * (1 - self.test_fraction))
        else:
            test_begin = self.test_begin
        train_end, val_end = int(test_begin - self.times * self.val_fraction), test_begin
        if self.num_folds is not None:
            check_fold(self.num_folds, self.fold, test_begin - 1, "one less than the times before the test")
            folds = TimeSeriesSplit(self.num_folds).split(np.arange(test_begin))
            val = list(folds)[self.fold][1]
            train_end, val_end = int(val[0]), int(val[-1]) + 1
        if not 0 < train_end < val_end <= test_begin < self.times:
            raise ConfigError(
                "dataset.val_fraction", self.val_fraction, f"leaves {max(train_end, 0)} times to train, "
                f"{val_end - train_end} to validate and {self.times - test_begin} to test"
            )  # fmt: skip
        return train_end, val_end, test_begin

    @property
    def past(self) -> Past:
        """See `Split`."""
        train_end, _, test_begin = self.boundaries
        return train_end, test_begin

    def divide(self, usable: np.ndarray, span: int, stride: int) -> dict[str, np.ndarray]:
        """See `Split`."""
        train_end, val_end, test_begin = self.boundaries
        first = np.arange(usable.shape[1])
        inside = {
            "train": first + span <= train_end,
            "val": (first >= train_end) & (first + span <= val_end),
            "test": first >= test_begin,
        }
        return {part: thin(usable & mask, stride) for part, mask in inside.items()}


class BySeries(Split):
    """Train on some series, validate and test on others, chosen at random.

    With `test_begin` the test is of unseen series at unseen times: the other parts end before it.
    """

    takes_whole_series = True

    def divide(self, usable: np.ndarray, span: int, stride: int) -> dict[str, np.ndarray]:
        """See `Split`."""
        generator = torch.Generator().manual_seed(self.seed)
        chosen = split_all(
            len(usable), self.val_fraction, self.test_fraction, generator, None, self.num_folds, self.fold
        )
        first = np.arange(usable.shape[1])
        parts = {}
        for part, rows in zip(PARTS, chosen, strict=True):
            mask = np.zeros_like(usable)
            mask[rows.numpy()] = usable[rows.numpy()]
            if self.test_begin is not None:
                mask &= first >= self.test_begin if part == "test" else first + span <= self.test_begin
            parts[part] = thin(mask, stride)
        return parts


class RandomWindows(Split):
    """Shuffle all windows and divide them (report C's protocol). Leaky: neighbours share all but one of their times."""

    leaky = True
    takes_test_start = False

    def divide(self, usable: np.ndarray, span: int, stride: int) -> dict[str, np.ndarray]:
        """See `Split`."""
        generator = torch.Generator().manual_seed(self.seed)
        places = np.flatnonzero(thin(usable, stride))
        chosen = split_all(
            len(places), self.val_fraction, self.test_fraction, generator, None, self.num_folds, self.fold
        )
        return {part: mask_of(places[order.numpy()], usable.shape) for part, order in zip(PARTS, chosen, strict=True)}


SplitName = Literal["by_time", "by_series", "random_windows"]
SPLITS: dict[str, type[Split]] = {"by_time": ByTime, "by_series": BySeries, "random_windows": RandomWindows}
