"""What training minimises, and what is measured along the way."""

import torch.nn.functional as F
from torch import Tensor

from lstm_ae.data.sequence_data import Sequences
from lstm_ae.models.autoencoder import Output


class Objective:
    """loss = lambda * reconstruction + (1 - lambda) * task, with lambda = `reconstruction_weight` in [0, 1].

    reconstruction is the mean squared error per value; task is the cross-entropy of the class. Each is a mean over
    elements, so runs with other batch sizes and lengths compare.
    """

    def __init__(self, reconstruction_weight: float) -> None:
        self.reconstruction_weight = reconstruction_weight

    def __call__(self, output: Output, batch: Sequences) -> dict[str, Tensor]:
        """The loss and all metrics of a batch, each a scalar tensor on the batch's device.

        `loss` and `reconstruction` always; `cross_entropy` and `accuracy` from logits.
        """
        reconstruction = F.mse_loss(output.reconstruction, batch.inputs)
        if output.logits is None:
            return {"loss": self.reconstruction_weight * reconstruction, "reconstruction": reconstruction}
        cross_entropy = F.cross_entropy(output.logits, batch.labels)
        accuracy = (output.logits.argmax(dim=1) == batch.labels).float().mean()
        loss = self.reconstruction_weight * reconstruction + (1 - self.reconstruction_weight) * cross_entropy
        return {
            "loss": loss,
            "reconstruction": reconstruction,
            "cross_entropy": cross_entropy,
            "accuracy": accuracy,
        }
