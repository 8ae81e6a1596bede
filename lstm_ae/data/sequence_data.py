"""What every data set becomes: three parts of sequences in memory, and what is known of them."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from lstm_ae.data.panel import Panel
from lstm_ae.spec import DataSpec, Scaler

LENGTH_SPREAD = 0.1  # sequences whose lengths differ by this share may meet in a batch


@dataclass(frozen=True)
class Sequences:
    """A stack of sequences; indexing it with a tensor of positions or a slice gives a smaller stack, as a mini-batch.

    Whatever a data set does not have is None.
    """

    inputs: Tensor  # (n, length, features), float32, scaled
    labels: Tensor | None = None  # (n,), int64: positions in the spec's class_names
    targets: Tensor | None = None  # (n, forecast_steps, forecast_features), what to forecast, scaled like the inputs
    horizon: int = 0  # the last so many steps of the targets come after the input, the others lie inside it
    low: Tensor | None = None  # (n, 1, features), where each sequence has a scaling of its own
    high: Tensor | None = None  # likewise
    series: Tensor | None = None  # (n,), int64: which of the panel's series it was cut from
    time: Tensor | None = None  # (n,), int64: the position in the panel's times where its input begins
    lengths: Tensor | None = None  # (n,), int64, at least 1: steps of each; the steps after them are padding, zeros
    mask: Tensor | None = None  # (n, length, features), bool: True where the input has a value; False where it is
    #                             missing and `inputs` holds a filled one, and on padding

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index: Tensor | slice) -> "Sequences":
        return self._each(lambda tensor: tensor[index])

    def to(self, device: torch.device) -> "Sequences":
        """The same stack on `device`."""
        return self._each(lambda tensor: tensor.to(device))

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Sequences":
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        tensors: dict[str, Any] = {name: change(value) for name, value in values.items() if isinstance(value, Tensor)}
        return replace(self, **tensors)

    def exists(self) -> Tensor | None:
        """Which values are there, neither missing nor padding: like the inputs, bool; None: all are."""
        if self.mask is not None or self.lengths is None:
            return self.mask
        time = torch.arange(self.inputs.shape[1], device=self.inputs.device)
        return (time < self.lengths[:, None])[..., None].expand_as(self.inputs)

    def trimmed(self) -> "Sequences":
        """The same without the steps that are padding in all of these sequences."""
        if self.lengths is None or len(self) == 0:
            return self
        return self._cut(int(self.lengths.max()))

    def _cut(self, length: int) -> "Sequences":
        mask = None if self.mask is None else self.mask[:, :length]
        return replace(self, inputs=self.inputs[:, :length], mask=mask)

    @property
    def scaler(self) -> Scaler | None:
        """The sequences' own scaling; None where the data set has one for all."""
        return None if self.low is None or self.high is None else Scaler(self.low, self.high)

    def unseen(self, forecast: Tensor) -> Tensor:
        """The target on the steps after the input, the only ones that are truly forecast: (n, horizon).

        Args:
            forecast: values for all forecast steps (n, forecast_steps, forecast_features): `targets`, a model's
                forecast of them, or its errors.
        """
        return forecast[:, -self.horizon :, 0]

    def truth(self) -> Tensor:
        """What is to be forecast: the target on the steps after the input, (n, horizon)."""
        assert self.targets is not None, "these sequences have nothing to forecast"
        return self.unseen(self.targets)

    def chunks(self, size: int) -> Iterator["Sequences"]:
        """The stack in order, `size` sequences at a time."""
        for start in range(0, len(self), size):
            yield self[start : start + size]

    def shuffled(self, size: int, generator: torch.Generator, by_time: bool = False) -> Iterator["Sequences"]:
        """The stack in random order, `size` sequences at a time.

        Sequences of unequal length come in batches of nearly equal ones, trimmed to their longest, so that little
        padding is computed. Which ones meet in a batch is random within `LENGTH_SPREAD`, and so is the order of the
        batches.

        Args:
            size: of a batch.
            generator: a CPU generator; it alone decides the order.
            by_time: keep sequences of the same time together: the times come in random order, and so do the sequences
                of each.
        """
        order = torch.randperm(len(self), generator=generator)
        if by_time:
            assert self.time is not None, "these sequences have no time"
            times, group = self.time.cpu().unique(return_inverse=True)
            place = torch.randperm(len(times), generator=generator)[group]
            order = order[place[order].argsort(stable=True)]
        if self.lengths is not None:
            yield from self._bucketed(order, size, generator)
            return
        order = order.to(self.inputs.device)
        for start in range(0, len(self), size):
            yield self[order[start : start + size]]

    def _bucketed(self, order: Tensor, size: int, generator: torch.Generator) -> Iterator["Sequences"]:
        """The sequences of `order` in batches of nearly equal length, the batches in random order."""
        assert self.lengths is not None
        lengths = self.lengths.cpu()[order]  # once for all batches: to ask the device for each would be to wait for it
        blurred = lengths * (1 + LENGTH_SPREAD * torch.rand(len(order), generator=generator))
        place = blurred.argsort(stable=True)
        batches = place.split(size)
        for i in torch.randperm(len(batches), generator=generator).tolist():
            batch = self[order[batches[i]].to(self.inputs.device)]
            yield batch._cut(int(lengths[batches[i]].max()))


@dataclass(frozen=True)
class SequenceData:
    """A data set ready for training: its parts, their spec and scaling, and how training reads them."""

    spec: DataSpec
    scaler: Scaler | None  # one for all sequences; None: each has its own
    train: Sequences
    val: Sequences
    test: Sequences
    batch_size: int
    augment: Callable[[Tensor, torch.Generator], Tensor] | None = None  # inputs of a training batch -> changed ones
    panel: Panel | None = None  # that the sequences were cut from, on the CPU
    trim: float = 0.0  # share of the training part that is left out because a first model rebuilds it worst

    def scaler_of(self, part: Sequences) -> Scaler:
        """The scaling of the sequences of `part`: their own, or that of the data set."""
        scaler = part.scaler or self.scaler
        assert scaler is not None, "these sequences have no scaling"
        return scaler

    def scalers_by_series(self) -> dict[str, Scaler]:
        """The scaling of each series of the panel, by its name, where sequences have scalings of their own."""
        found: dict[str, Scaler] = {}
        for part in (self.train, self.val, self.test):
            if self.panel is None or part.series is None or part.low is None or part.high is None:
                continue
            for row in part.series.unique().tolist():
                first = int((part.series == row).int().argmax())
                bounds = (bound[first].cpu().double() for bound in (part.low, part.high))
                found.setdefault(self.panel.series[row], Scaler(*bounds))
        return found


# A digest names what it covers. These fields were renamed, and the digests of published runs must not change.
NAMES_IN_FINGERPRINT = {"time": "day"}


def fingerprint(data: SequenceData) -> str:
    """Twelve hexadecimal characters of a SHA-256 over all parts: the same for data that are equal value for value."""
    digest = hashlib.sha256()
    for part in (data.train, data.val, data.test):
        for field in fields(part):
            tensor = getattr(part, field.name)
            if isinstance(tensor, Tensor):
                name = NAMES_IN_FINGERPRINT.get(field.name, field.name)
                digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
                digest.update(tensor.cpu().contiguous().flatten().numpy().data)
    return digest.hexdigest()[:12]
