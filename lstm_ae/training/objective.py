"""What training minimises, and what is measured along the way."""

import torch.nn.functional as F
from torch import Tensor

from lstm_ae.data.sequence_data import Sequences
from lstm_ae.models.autoencoder import Output


class Objective:
    """loss = lambda * reconstruction + (1 - lambda) * task, with lambda = `reconstruction_weight` in [0, 1].

    reconstruction is the mean squared error per value; task is the cross-entropy of the class, or the mean squared
    error of the forecast. Each is a mean over elements, so runs with other batch sizes and lengths compare.
    """

    def __init__(self, reconstruction_weight: float) -> None:
        self.reconstruction_weight = reconstruction_weight

    def __call__(self, output: Output, batch: Sequences) -> dict[str, Tensor]:
        """The loss and all metrics of a batch, each a scalar tensor on the batch's device.

        `loss` and `reconstruction` always; `cross_entropy` and `accuracy` from logits; from a forecast `forecast`, over
        all of its steps and features, and of the target alone `forecast_unseen`, over the days after the input, and
        `forecast_seen`, over those inside it, if there are any.
        """
        reconstruction = F.mse_loss(output.reconstruction, batch.inputs)
        metrics = {"reconstruction": reconstruction}
        loss = self.reconstruction_weight * reconstruction
        if output.logits is not None:
            metrics["cross_entropy"] = F.cross_entropy(output.logits, batch.labels)
            metrics["accuracy"] = (output.logits.argmax(dim=1) == batch.labels).float().mean()
            loss = loss + (1 - self.reconstruction_weight) * metrics["cross_entropy"]
        elif output.forecast is not None:
            squares = (output.forecast - batch.targets).square()
            metrics["forecast"] = squares.mean()
            metrics["forecast_unseen"] = squares[:, -batch.horizon :, 0].mean()
            if squares.shape[1] > batch.horizon:
                metrics["forecast_seen"] = squares[:, : -batch.horizon, 0].mean()
            loss = loss + (1 - self.reconstruction_weight) * metrics["forecast"]
        return {"loss": loss, **metrics}
