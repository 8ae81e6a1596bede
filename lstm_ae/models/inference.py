"""What a trained model makes of many sequences, without gradients."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor, nn

from lstm_ae.models.autoencoder import Output

EVALUATION_BATCH = 1000  # sequences; fixed, so that an evaluation repeats to the last bit


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


def predict(model: nn.Module, inputs: Tensor) -> Output:
    """The model's output on all of `inputs` (n, length, features; on its device), gathered on the CPU."""
    with evaluating(model):
        parts = [model(chunk) for chunk in inputs.split(EVALUATION_BATCH)]
    gathered: dict[str, Any] = {}
    for field in fields(Output):
        values = [getattr(part, field.name) for part in parts]
        gathered[field.name] = None if values[0] is None else torch.cat(values).cpu()
    return Output(**gathered)
