"""What every data set becomes: three parts of sequences in memory, their spec, and how to undo their scaling."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from lstm_ae.data.augment import Augment
from lstm_ae.data.panel import Panel
from lstm_ae.spec import DataSpec, Scaler


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
    series: Tensor | None = None  # (n,), int64: which of the panel's series it is from
    time: Tensor | None = None  # (n,), int64: the panel's position in time where its input begins

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

    def shuffled(self, size: int, generator: torch.Generator, by_time: bool = False) -> Iterator["Sequences"]:
        """The stack in an order drawn from `generator` (a CPU generator), `size` sequences at a time.

        `by_time` keeps the sequences of a day together: the days come in a drawn order, and so do those of one day.
        """
        order = torch.randperm(len(self), generator=generator)
        if by_time:
            days, group = self.time.cpu().unique(return_inverse=True)
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
    panel: Panel | None = None  # where stock prices come from, on the CPU


# A digest names what it covers. These fields were renamed, and the digests of published runs must not change.
NAMES_IN_FINGERPRINT = {"time": "day"}


def fingerprint(data: SequenceData) -> str:
    """Twelve hexadecimal digits of a SHA-256 over all parts: the same for data that is the same value for value."""
    digest = hashlib.sha256()
    for part in (data.train, data.val, data.test):
        for field in fields(part):
            tensor = getattr(part, field.name)
            if isinstance(tensor, Tensor):
                name = NAMES_IN_FINGERPRINT.get(field.name, field.name)
                digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
                digest.update(tensor.cpu().contiguous().numpy())
    return digest.hexdigest()[:12]
