"""What training minimises, and what is measured along the way."""

from collections.abc import Mapping
from typing import TypeVar

import torch.nn.functional as F
from torch import Tensor

from lstm_ae.data.sequence_data import Sequences
from lstm_ae.errors import ConfigError
from lstm_ae.models.autoencoder import Output
from lstm_ae.spec import Share, part

Number = TypeVar("Number", float, Tensor)


@part
class Objective:
    """loss = lambda * reconstruction + (1 - lambda) * task, with lambda = `reconstruction_weight` in [0, 1].

    reconstruction is the mean squared error per value; task is the cross-entropy of the class, or the mean squared
    error of the forecast. Each is a mean over elements that exist, so runs with other batch sizes and lengths compare:
    padding and missing values count nowhere and have no gradient.

    Args:
        reconstruction_weight: lambda.
        time_effect_weight: in training, the weight of the part of the forecast's error that all series share at one
            time, beside what is each series' own (see `time_effect_loss`). Series that move together give few examples
            of what they share, one for each time, and a network learns those by heart; of what is each one's own there
            are as many examples as there are windows. 1: plain squared errors. Below 1, the windows of one time stay
            together in a batch.
    """

    def __init__(self, reconstruction_weight: Share, time_effect_weight: Share = 1.0) -> None:
        self.reconstruction_weight = reconstruction_weight
        self.time_effect_weight = time_effect_weight

    def __call__(self, output: Output, batch: Sequences, training: bool = False) -> dict[str, Tensor]:
        """The loss and all metrics of a batch, each a scalar tensor on the batch's device.

        `time_effect_weight` counts with `training` alone: what is validated and tested is the plain error.

        `loss` and `reconstruction` always; `cross_entropy` and `accuracy` from logits; from a forecast `forecast`, over
        all of its steps and features, and of the target alone `forecast_unseen`, over the days after the input, and
        `forecast_seen`, over those inside it, if there are any.

        Raises:
            ConfigError: a `time_effect_weight` for something that is no forecast of a panel's series.
        """
        if self.time_effect_weight < 1 and (output.forecast is None or batch.time is None):
            raise ConfigError(
                "objective.time_effect_weight",
                self.time_effect_weight,
                "must be 1 unless series of a panel are forecast",
            )
        metrics = {"reconstruction": reconstruction_error(output.reconstruction, batch)}
        task = None
        if output.logits is not None and batch.labels is not None:
            metrics["cross_entropy"] = F.cross_entropy(output.logits, batch.labels)
            metrics["accuracy"] = output.logits.argmax(dim=1).eq(batch.labels).float().mean()
        elif output.forecast is not None and batch.targets is not None:
            error = output.forecast - batch.targets
            squares = error.square()
            metrics["forecast"] = squares.mean()
            metrics["forecast_unseen"] = batch.unseen(squares).mean()
            if squares.shape[1] > batch.horizon:
                metrics["forecast_seen"] = squares[:, : -batch.horizon, 0].mean()
            if training and self.time_effect_weight < 1 and batch.time is not None:
                task = time_effect_loss(error, batch.time, self.time_effect_weight)
        return {"loss": self.total(metrics, task), **metrics}

    def total(self, metrics: Mapping[str, Number], task: Number | None = None) -> Number:
        """The loss that these metrics make; `task`: instead of the one among them."""
        loss = self.reconstruction_weight * metrics["reconstruction"]
        if task is None:
            task = metrics.get("cross_entropy", metrics.get("forecast"))
        return loss if task is None else loss + (1 - self.reconstruction_weight) * task


def reconstruction_error(reconstruction: Tensor, batch: Sequences) -> Tensor:
    """The mean squared error over the values of `batch` that exist, a scalar."""
    exists = batch.exists()
    if exists is None:
        return F.mse_loss(reconstruction, batch.inputs)
    error = (reconstruction - batch.inputs).masked_fill(~exists, 0)
    return error.square().sum() / exists.sum().clamp(min=1)


def time_effect_loss(error: Tensor, time: Tensor, weight: float) -> Tensor:
    """Mean of (error - shared)^2 + `weight` * shared^2, where shared is the mean error of the sequences of one `time`.

    With weight (1 - theta)^2 these are the squares of the quasi-demeaned error, error - theta * shared, by which
    generalized least squares fits a model with a random effect of each time (Balestra and Nerlove 1966).

    Args:
        error: (n, steps, features).
        time: of each sequence, (n,).
        weight: 1 is the mean squared error.
    """
    times, group = time.unique(return_inverse=True)
    shared = error.new_zeros(len(times), *error.shape[1:]).index_add(0, group, error)
    shared = (shared / group.bincount()[:, None, None])[group]
    return ((error - shared).square() + weight * shared.square()).mean()
