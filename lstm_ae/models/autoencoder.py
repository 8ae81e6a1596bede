"""The autoencoder that joins an encoder, a decoder and, if there is one, a head."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from lstm_ae.models.contracts import Decoder, Encoder, Head, HeadSizes, Initialization, require


@dataclass(frozen=True)
class Output:
    """What the model makes of a batch. A field that it has no head for is None."""

    context: Tensor  # (batch, context_size)
    reconstruction: Tensor  # (batch, length, features)
    logits: Tensor | None = None  # (batch, num_classes)
    forecast: Tensor | None = None  # (batch, forecast_steps, forecast_features)


class Autoencoder(nn.Module):
    """Encoder -> context -> decoder, and a head.

    The parts come as callables: their options are set by the config, and what only the data knows is filled in here.

    Args:
        length, features, num_classes: of the data (no classes: 0).
        encoder, decoder, head: build the parts, given what the data knows; no head: None.
        initialization: sets the starting weights of the whole model, in place.
        forecast_steps, horizon, forecast_features: of the data's targets (none: 0).

    Raises:
        UserError: a part that does not keep its contract (see `lstm_ae.models.contracts`).
    """

    def __init__(
        self,
        length: int,
        features: int,
        num_classes: int,
        encoder: Callable[..., Encoder],
        decoder: Callable[..., Decoder],
        head: Callable[..., Head] | None,
        initialization: Initialization,
        forecast_steps: int = 0,
        horizon: int = 0,
        forecast_features: int = 0,
    ) -> None:
        super().__init__()
        self.encoder = encoder(input_size=features)
        require(self.encoder, "model.encoder", context_size=int, causal=bool)
        self.decoder = decoder(context_size=self.encoder.context_size, output_size=features, length=length)
        require(self.decoder, "model.decoder", hidden_size=int)
        sizes = HeadSizes(
            features,
            num_classes,
            self.encoder.context_size,
            self.decoder.hidden_size,
            self.encoder.causal,
            length,
            forecast_steps,
            horizon,
            forecast_features,
        )
        self.head = None if head is None else head(sizes=sizes)
        initialization(self)

    def forward(self, inputs: Tensor) -> Output:
        """(batch, length, features) -> `Output`."""
        encoding = self.encoder(inputs)
        decoding = self.decoder(encoding.context, inputs)
        made = {} if self.head is None else self.head(inputs, encoding, decoding)
        return Output(encoding.context, decoding.reconstruction, **made)
