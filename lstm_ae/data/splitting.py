"""Which sequences train, which validate, which test."""

import torch
from torch import Tensor

from lstm_ae.errors import ConfigError


def split_train_val(
    count: int,
    val_fraction: float,
    generator: torch.Generator,
    num_train: int | None = None,
    num_folds: int | None = None,
    fold: int = 0,
    whole: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Positions 0..count-1, shuffled by `generator`, parted into training and validation.

    Without folds, the first of the shuffled positions validate: `val_fraction` of `whole`, by default of `count`.
    With `num_folds` = K they are cut into K parts whose sizes differ by one at most; part `fold` validates, the others
    train (k-fold cross-validation). `num_train` then keeps only the first so many for training; the validation part
    stays the same.

    Raises:
        ConfigError: when the asked-for parts do not fit into `count`.
    """
    order = torch.randperm(count, generator=generator)
    if num_folds is None:
        num_val = round(val_fraction * (whole or count))
        val, train = order[:num_val], order[num_val:]
    else:
        if num_folds > count:
            raise ConfigError("dataset.num_folds", num_folds, f"must be at most {count}, the number of sequences")
        check_fold(num_folds, fold)
        parts = order.tensor_split(num_folds)
        val = parts[fold]
        train = torch.cat([part for k, part in enumerate(parts) if k != fold])
    if len(val) == 0 or len(train) == 0:
        raise ConfigError(
            "dataset.val_fraction", val_fraction, f"leaves {len(train)} to train and {len(val)} to validate"
        )
    if num_train is not None:
        if num_train > len(train):
            raise ConfigError("dataset.num_train", num_train, f"must be at most {len(train)}, all that there is")
        train = train[:num_train]
    return train, val


def check_fold(num_folds: int, fold: int) -> None:
    """Whether there is such a fold.

    Raises:
        ConfigError: there is not.
    """
    if fold >= num_folds:
        raise ConfigError("dataset.fold", fold, f"must be from 0 to {num_folds - 1} (dataset.num_folds={num_folds})")


def split_all(
    count: int,
    val_fraction: float,
    test_fraction: float,
    generator: torch.Generator,
    num_train: int | None = None,
    num_folds: int | None = None,
    fold: int = 0,
) -> tuple[Tensor, Tensor, Tensor]:
    """Positions 0..count-1 parted into training, validation and test; both fractions are of `count`.

    Raises:
        ConfigError: when a part would be empty.
    """
    if val_fraction + test_fraction >= 1:
        raise ConfigError("dataset.test_fraction", test_fraction, f"must be < {1 - val_fraction:g} beside val_fraction")
    num_test = round(count * test_fraction)
    if num_test == 0:
        raise ConfigError("dataset.test_fraction", test_fraction, f"leaves none of {count} sequences for the test")
    order = torch.randperm(count, generator=generator)
    test, rest = order[:num_test], order[num_test:]
    train, val = split_train_val(len(rest), val_fraction, generator, num_train, num_folds, fold, whole=count)
    return rest[train], rest[val], test
