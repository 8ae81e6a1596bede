"""Which sequences train, which validate, which test; for data sets whose sequences are independent of each other."""

from typing import Annotated

import torch
from pydantic import Field
from sklearn.model_selection import KFold
from torch import Tensor

from lstm_ae.errors import ConfigError

# What the options of splits may be.
Portion = Annotated[float, Field(gt=0, lt=1)]
NumFolds = Annotated[int, Field(ge=2)]
Fold = Annotated[int, Field(ge=0)]


def split_train_val(
    count: int,
    val_fraction: float,
    generator: torch.Generator,
    num_train: int | None = None,
    num_folds: int | None = None,
    fold: int = 0,
    whole: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Divide the positions 0..count-1, shuffled by `generator`, into training and validation.

    Args:
        count: how many sequences there are.
        val_fraction: share of the validation part; not used with folds.
        generator: shuffles.
        num_train: keep only so many for training; the validation part stays the same. None: all.
        num_folds, fold: k-fold cross-validation: divide into `num_folds` parts whose sizes differ by one at most, of
            which `fold` validates and the others train. None: one split.
        whole: what `val_fraction` is a share of; None: `count`.

    Raises:
        ConfigError: the parts asked for do not fit into `count`.
    """
    order = torch.randperm(count, generator=generator)
    if num_folds is None:
        num_val = round(val_fraction * (whole or count))
        val, train = order[:num_val], order[num_val:]
    else:
        check_fold(num_folds, fold, count, "the number of sequences")
        train, val = (order[torch.from_numpy(chosen)] for chosen in list(KFold(num_folds).split(order))[fold])
    if len(val) == 0 or len(train) == 0:
        raise ConfigError(
            "dataset.val_fraction", val_fraction, f"leaves {len(train)} to train and {len(val)} to validate"
        )
    if num_train is not None:
        if num_train > len(train):
            raise ConfigError("dataset.num_train", num_train, f"must be at most {len(train)}, all that there is")
        train = train[:num_train]
    return train, val


def split_all(
    count: int,
    val_fraction: float,
    test_fraction: float,
    generator: torch.Generator,
    num_train: int | None = None,
    num_folds: int | None = None,
    fold: int = 0,
) -> tuple[Tensor, Tensor, Tensor]:
    """Divide the positions 0..count-1, shuffled by `generator`, into training, validation and test.

    Both fractions are of `count`; the other arguments are those of `split_train_val`.

    Raises:
        ConfigError: a part would be empty.
    """
    check_fractions(val_fraction, test_fraction)
    num_test = round(count * test_fraction)
    if num_test == 0:
        raise ConfigError("dataset.test_fraction", test_fraction, f"leaves none of {count} sequences for the test")
    order = torch.randperm(count, generator=generator)
    test, rest = order[:num_test], order[num_test:]
    train, val = split_train_val(len(rest), val_fraction, generator, num_train, num_folds, fold, whole=count)
    return rest[train], rest[val], test


def check_fractions(val_fraction: float, test_fraction: float) -> None:
    """Refuse fractions that leave nothing for training.

    Raises:
        ConfigError: they do.
    """
    if val_fraction + test_fraction >= 1:
        raise ConfigError(
            "dataset.test_fraction", test_fraction, f"must be < {1 - val_fraction:g}, so that with "
            f"dataset.val_fraction={val_fraction:g} something is left to train"
        )  # fmt: skip


def check_fold(num_folds: int, fold: int, most: int, what: str) -> None:
    """Refuse more folds than can be made, and a fold that does not exist.

    Args:
        num_folds, fold: as asked for.
        most: the largest number of folds.
        what: what `most` is, for the message.

    Raises:
        ConfigError: they are refused.
    """
    if num_folds > most:
        raise ConfigError("dataset.num_folds", num_folds, f"must be at most {most}, {what}")
    if fold >= num_folds:
        raise ConfigError("dataset.fold", fold, f"must be from 0 to {num_folds - 1} (dataset.num_folds={num_folds})")
