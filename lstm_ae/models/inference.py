"""What a trained model makes of many sequences, without gradients."""

from collections.abc import Iterator, Sized
from contextlib import contextmanager
from dataclasses import fields
from typing import Any, Protocol, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lstm_ae.models.autoencoder import Output

EVALUATION_BATCH = 1000  # sequences; fixed, so that an evaluation repeats to the last bit


class Batch(Sized, Protocol):
    """What a model reads of a stack of sequences: a `Sequences`, or what looks like one."""

    @property
    def inputs(self) -> Tensor:
        """(n, length, features)."""

    @property
    def lengths(self) -> Tensor | None:
        """(n,), where sequences have lengths of their own."""

    @property
    def mask(self) -> Tensor | None:
        """Like the inputs, True where a value exists; None: all do."""

    def __getitem__(self, index: Tensor | slice) -> Self:
        """Some of the sequences."""

    def trimmed(self) -> Self:
        """The same without the steps that are padding in all of the sequences."""


def apply(model: nn.Module, batch: Batch) -> Output:
    """The model's output on a batch that is on its device."""
    return model(batch.inputs, batch.lengths, batch.mask)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """The model in eval mode and without gradients, then back as it was."""
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(training)


def predict(model: nn.Module, part: Batch) -> Output:
    """The model's output on all sequences of `part` (on its device), in their order, gathered on the CPU.

    Sequences of unequal length are read in the order of their lengths, so that little padding is computed.
    """
    order = None if part.lengths is None else part.lengths.argsort(stable=True)
    ordered = part if order is None else part[order]
    starts = range(0, max(len(part), 1), EVALUATION_BATCH)  # of no sequences at all, one empty batch
    with evaluating(model):
        parts = [apply(model, ordered[start : start + EVALUATION_BATCH].trimmed()) for start in starts]
    gathered: dict[str, Any] = {}
    for field in fields(Output):
        values = [getattr(one, field.name) for one in parts]
        if values[0] is None:
            continue
        if order is not None and field.name == "reconstruction":
            values = [F.pad(value, (0, 0, 0, part.inputs.shape[1] - value.shape[1])) for value in values]
        whole = torch.cat(values)
        gathered[field.name] = (whole if order is None else whole[order.argsort()]).cpu()
    return Output(**gathered)
