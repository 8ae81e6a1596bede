"""Heads that classify: class scores from the context, or from a state near it."""

from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn

from lstm_ae.models.contracts import Decoding, Encoder, Encoding, HeadSizes, require_lengths
from lstm_ae.spec import Count, Fraction, part


def class_scores(input_size: int, hidden_layers: list[int], num_classes: int, dropout: float) -> nn.Sequential:
    """Fully connected layers with ReLU between them; a single linear layer where there are no `hidden_layers`."""
    layers: list[nn.Module] = []
    for size in hidden_layers:
        layers += [nn.Dropout(dropout), nn.Linear(input_size, size), nn.ReLU()]
        input_size = size
    return nn.Sequential(*layers, nn.Dropout(dropout), nn.Linear(input_size, num_classes))


@part
class Classifier(nn.Module):
    """Class scores from the autoencoder's own LSTMs.

    Args:
        sizes: of the data and the autoencoder.
        source: "context" (reports A and C, V2), or "decoder", the decoder's last state (repository P).
        hidden_layers: sizes of fully connected layers before the scores.
        dropout: on the input of each layer.
    """

    task = "class"

    def __init__(
        self, sizes: HeadSizes, source: Literal["context", "decoder"], hidden_layers: list[Count], dropout: Fraction
    ) -> None:
        super().__init__()
        self.source = source
        input_size = sizes.context_size if source == "context" else sizes.decoder_size
        self.scores = class_scores(input_size, hidden_layers, sizes.num_classes, dropout)

    def forward(
        self, inputs: Tensor, encoding: Encoding, decoding: Decoding, lengths: Tensor | None = None
    ) -> dict[str, Tensor]:
        """{"logits": (batch, num_classes)}."""
        return {"logits": self.scores(encoding.context if self.source == "context" else decoding.last_state)}


@part
class SeparateClassifier(nn.Module):
    """Class scores from an encoder of its own (report C: V3; with `hidden_layers`, V4).

    It shares no parameter with the autoencoder. The two are trained side by side, and `reconstruction_weight` only
    weighs their gradients against each other where the gradient is clipped.

    Args:
        sizes: of the data and the autoencoder.
        encoder: builds an encoder, given `input_size`.
        hidden_layers: sizes of fully connected layers before the scores.
        dropout: on the input of each layer.
    """

    task = "class"

    def __init__(
        self, sizes: HeadSizes, encoder: Callable[..., Encoder], hidden_layers: list[Count], dropout: Fraction
    ) -> None:
        super().__init__()
        self.encoder = encoder(input_size=sizes.features)
        if sizes.varying:
            require_lengths(self.encoder, "model.head.encoder")
        self.scores = class_scores(self.encoder.context_size, hidden_layers, sizes.num_classes, dropout)

    def forward(
        self, inputs: Tensor, encoding: Encoding, decoding: Decoding, lengths: Tensor | None = None
    ) -> dict[str, Tensor]:
        """{"logits": (batch, num_classes)}."""
        given = {} if lengths is None else {"lengths": lengths}
        return {"logits": self.scores(self.encoder(inputs, **given).context)}
