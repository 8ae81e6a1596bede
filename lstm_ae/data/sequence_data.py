"""What every data set becomes: three parts of sequences in memory, their spec, and how to undo their scaling."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from lstm_ae.data.augment import Augment
from lstm_ae.data.market import Market
from lstm_ae.errors import ConfigError


@dataclass(frozen=True)
class DataSpec:
    """What a model has to know of the data, and what a figure needs to label it."""

    name: str
    length: int  # steps in a sequence
    features: int  # values in a step
    class_names: tuple[str, ...] = ()  # empty: no classes
    image_shape: tuple[int, int] | None = None  # (height, width), where a sequence is an image read in order
    feature_names: tuple[str, ...] = ()  # where they have names; the target comes first
    forecast_steps: int = 0  # in a target; 0: nothing to forecast
    horizon: int = 0  # the last so many of them lie after the input; the others inside it
    forecast_features: int = 0  # the first so many features are forecast
    leaky: tuple[str, ...] = ()  # settings under which the training part knows of the others

    @property
    def num_classes(self) -> int:
        """How many classes there are; 0 without labels."""
        return len(self.class_names)


@dataclass(frozen=True)
class Scaler:
    """Scales original units to [0, 1]: `scaled = (x - low) / (high - low)`.

    `low` and `high` are numbers, or tensors that go with the values to scale.
    """

    low: float | Tensor
    high: float | Tensor

    def transform(self, values: Tensor) -> Tensor:
        """Original units to scaled values."""
        return (values - self.low) / (self.high - self.low)

    def inverse(self, scaled: Tensor) -> Tensor:
        """Scaled values back to original units."""
        return scaled * (self.high - self.low) + self.low

    def first(self, count: int) -> "Scaler":
        """The scaling of the first `count` features."""
        return Scaler(*(bound[..., :count] if isinstance(bound, Tensor) else bound for bound in (self.low, self.high)))


@dataclass(frozen=True)
class Sequences:
    """A stack of sequences; indexing it with a tensor of positions or a slice gives a smaller stack, as a mini-batch.

    What a data set has no use for is None.
    """

    inputs: Tensor  # (n, length, features), float32, scaled
    labels: Tensor | None = None  # (n,), int64
    targets: Tensor | None = None  # (n, forecast_steps, forecast_features), what to forecast, scaled like the inputs
    horizon: int = 0  # the last so many steps of the targets lie after the input, the others inside it
    low: Tensor | None = None  # (n, 1, features), where each sequence has a scaling of its own
    high: Tensor | None = None  # likewise
    series: Tensor | None = None  # (n,), int64: which of the market's companies it is from
    day: Tensor | None = None  # (n,), int64: the day of the market where its input begins

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index: Tensor | slice) -> "Sequences":
        return self._each(lambda tensor: tensor[index])

    def to(self, device: torch.device) -> "Sequences":
        """The same stack on `device`."""
        return self._each(lambda tensor: tensor.to(device))

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Sequences":
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        tensors = {name: change(value) for name, value in values.items() if isinstance(value, Tensor)}
        return replace(self, **tensors)

    @property
    def scaler(self) -> Scaler | None:
        """The sequences' own scaling; None where the data set has one for all."""
        return None if self.low is None else Scaler(self.low, self.high)

    def chunks(self, size: int) -> Iterator["Sequences"]:
        """The stack in order, `size` sequences at a time."""
        for start in range(0, len(self), size):
            yield self[start : start + size]

    def shuffled(self, size: int, generator: torch.Generator, by_day: bool = False) -> Iterator["Sequences"]:
        """The stack in an order drawn from `generator` (a CPU generator), `size` sequences at a time.

        `by_day` keeps the sequences of a day together: the days come in a drawn order, and so do those of one day.
        """
        order = torch.randperm(len(self), generator=generator)
        if by_day:
            days, group = self.day.cpu().unique(return_inverse=True)
            place = torch.randperm(len(days), generator=generator)[group]
            order = order[place[order].argsort(stable=True)]
        order = order.to(self.inputs.device)
        for start in range(0, len(self), size):
            yield self[order[start : start + size]]


@dataclass(frozen=True)
class SequenceData:
    """A data set ready for training: parts, spec, scaler, and how training reads it."""

    spec: DataSpec
    scaler: Scaler | None  # for sequences without one of their own; None: there are no such sequences
    train: Sequences
    val: Sequences
    test: Sequences
    batch_size: int
    augment: Augment | None = None
    market: Market | None = None  # where stock prices come from, on the CPU


def fingerprint(data: SequenceData) -> str:
    """Twelve hexadecimal digits of a SHA-256 over all parts: the same for data that is the same value for value."""
    digest = hashlib.sha256()
    for part in (data.train, data.val, data.test):
        tensors = [(field.name, getattr(part, field.name)) for field in fields(part)]
        for name, tensor in ((name, tensor) for name, tensor in tensors if isinstance(tensor, Tensor)):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.cpu().contiguous().numpy())
    return digest.hexdigest()[:12]


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
