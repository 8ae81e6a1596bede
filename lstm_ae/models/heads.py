"""Heads: what a model makes of the context beside the reconstruction. `task` names what a head needs of the data."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor, nn

from lstm_ae.models.decoders import Decoding
from lstm_ae.models.encoders import Encoding


class Sizes(NamedTuple):
    """What a head may have to know of the data and of the autoencoder it sits on."""

    features: int  # of a step
    num_classes: int  # 0 without labels
    context_size: int
    decoder_size: int  # of the decoder's hidden state
    causal: bool = True  # whether an encoder's state at a step has seen nothing after it
    length: int = 0  # steps of the input
    forecast_steps: int = 0  # to forecast; 0: nothing
    horizon: int = 0  # how many of them lie after the input
    forecast_features: int = 0  # the first so many features are forecast


def class_scores(input_size: int, hidden_layers: list[int], num_classes: int, dropout: float) -> nn.Sequential:
    """Fully connected layers with ReLU between them; with no `hidden_layers`, one linear layer."""
    layers: list[nn.Module] = []
    for size in hidden_layers:
        layers += [nn.Dropout(dropout), nn.Linear(input_size, size), nn.ReLU()]
        input_size = size
    return nn.Sequential(*layers, nn.Dropout(dropout), nn.Linear(input_size, num_classes))


class Classifier(nn.Module):
    """Class scores from the autoencoder's own LSTMs.

    Args:
        sizes: of the data and the autoencoder.
        source: "context" (reports A and C V2) or "decoder", the decoder's last hidden state (repository P).
        hidden_layers: sizes of fully connected layers before the scores.
        dropout: on the input of each layer.
    """

    task = "class"

    def __init__(self, sizes: Sizes, source: str, hidden_layers: list[int], dropout: float) -> None:
        super().__init__()
        self.source = source
        input_size = sizes.context_size if source == "context" else sizes.decoder_size
        self.scores = class_scores(input_size, hidden_layers, sizes.num_classes, dropout)

    def forward(self, inputs: Tensor, encoding: Encoding, decoding: Decoding) -> dict[str, Tensor]:
        """{"logits": (batch, num_classes)}."""
        return {"logits": self.scores(encoding.context if self.source == "context" else decoding.last_state)}


class SeparateClassifier(nn.Module):
    """Class scores from an encoder of its own (report C: V3; with `hidden_layers`, V4).

    It shares no parameter with the autoencoder: the two are trained side by side, and `reconstruction_weight` only
    weighs their gradients against each other in the clipping.

    Args:
        sizes: of the data and the autoencoder.
        encoder: makes an encoder, given `input_size`.
        hidden_layers: sizes of fully connected layers before the scores.
        dropout: on the input of each layer.
    """

    task = "class"

    def __init__(
        self, sizes: Sizes, encoder: Callable[..., nn.Module], hidden_layers: list[int], dropout: float
    ) -> None:
        super().__init__()
        self.encoder = encoder(input_size=sizes.features)
        self.scores = class_scores(self.encoder.context_size, hidden_layers, sizes.num_classes, dropout)

    def forward(self, inputs: Tensor, encoding: Encoding, decoding: Decoding) -> dict[str, Tensor]:
        """{"logits": (batch, num_classes)}."""
        return {"logits": self.scores(self.encoder(inputs).context)}
