"""The autoencoder that joins an encoder, a decoder and, if there is one, a head."""

from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature

import torch
from torch import Tensor, nn

from lstm_ae.models.contracts import Decoder, Encoder, Head, HeadSizes, Initialization, require, require_lengths
from lstm_ae.models.lengths import past_end

MARK = 0.2  # read beside a value that exists; 0 beside a missing one. At 1 it costs (experiments/own_data/README.md).


@dataclass(frozen=True)
class Output:
    """What the model makes of a batch. A field that it has no head for is None."""

    context: Tensor  # (batch, context_size)
    reconstruction: Tensor  # (batch, length, features), zeros past a sequence's end
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
        varying: whether the data's sequences have lengths of their own; `length` is then that of the longest.
        masked: whether values are missing; the model then reads beside each value whether it exists.
        inputs, lengths: of the training part, for an initialization that is fitted to it; no inputs: the weights come
            from a checkpoint.

    Raises:
        UserError: a part that does not keep its contract (see `lstm_ae.models.contracts`), or that cannot read
            sequences of unequal length and would have to.
    """

    mark: Tensor

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
        varying: bool = False,
        masked: bool = False,
        inputs: Tensor | None = None,
        lengths: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.varying, self.masked = varying, masked
        if masked:
            self.register_buffer("mark", torch.tensor(MARK))  # kept with the weights that have learnt to read it
        input_size = features * (2 if masked else 1)
        self.encoder = encoder(input_size=input_size)
        require(self.encoder, "model.encoder", context_size=int, causal=bool)
        self.decoder = decoder(context_size=self.encoder.context_size, output_size=features, length=length)
        require(self.decoder, "model.decoder", hidden_size=int)
        sizes = HeadSizes(
            input_size,
            num_classes,
            self.encoder.context_size,
            self.decoder.hidden_size,
            self.encoder.causal,
            length,
            forecast_steps,
            horizon,
            forecast_features,
            varying,
        )
        self.head = None if head is None else head(sizes=sizes)
        for name in ("encoder", "decoder", "head") if varying else ():
            if getattr(self, name) is not None:
                require_lengths(getattr(self, name), f"model.{name}")
        fitted = "inputs" in signature(initialization).parameters
        initialization(self, **({"inputs": inputs, "lengths": lengths} if fitted else {}))

    def forward(self, inputs: Tensor, lengths: Tensor | None = None, mask: Tensor | None = None) -> Output:
        """Sequences -> `Output`.

        Args:
            inputs: (batch, length, features), padded at the end where the sequences' lengths differ. Where a value is
                missing they hold some other one, such as its neighbours' mean.
            lengths: (batch,), int64, at least 1: steps of each sequence; None: all. Neither the padding nor the other
                sequences of the batch change what becomes of a sequence.
            mask: like the inputs, bool: whether a value exists. Read by a `masked` model only; None: all do.
        """
        given = {} if lengths is None else {"lengths": lengths}  # a part for one length need not know of them
        read = self._with_mask(inputs, lengths, mask) if self.masked else inputs
        encoding = self.encoder(read, **given)
        decoding = self.decoder(encoding.context, inputs, **given)
        made = {} if self.head is None else self.head(read, encoding, decoding, **given)
        reconstruction = decoding.reconstruction
        if lengths is not None:
            reconstruction = reconstruction.masked_fill(past_end(lengths, inputs.shape[1])[..., None], 0)
        return Output(encoding.context, reconstruction, **made)

    def _with_mask(self, inputs: Tensor, lengths: Tensor | None, mask: Tensor | None) -> Tensor:
        """The inputs and a channel for each that says where the value exists: (batch, length, 2 * features)."""
        if mask is None:
            mask = torch.ones_like(inputs, dtype=torch.bool)
            if lengths is not None:
                mask = mask.masked_fill(past_end(lengths, inputs.shape[1])[..., None], False)
        return torch.cat([inputs, self.mark * mask.to(inputs.dtype)], dim=-1)
