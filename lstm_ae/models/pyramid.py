"""A pyramid of LSTMs: a long sequence becomes a short one on the way up, and a long one again on the way down."""

import math
from collections.abc import Callable
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from lstm_ae.errors import ConfigError
from lstm_ae.models.contracts import Decoding, Encoding
from lstm_ae.models.decoders import Activation, InitialStateDecoder, LSTMDecoder
from lstm_ae.models.encoders import LSTMEncoder
from lstm_ae.models.lengths import shift
from lstm_ae.spec import Count, part


@part
class PyramidalEncoder(nn.Module):
    """Each level cuts its steps into slices and reads every slice from a zero state; the last states are the steps of
    the level above, and the top reads its steps as one sequence.

    The sliced recurrent network of Yu and Liu 2018, with an LSTM of its own size at every level; the idea of slower
    levels for longer dependencies is that of El Hihi and Bengio 1996. Two values T steps apart are T / (product of the
    strides) steps of the top apart, plus one slice of each level, instead of T. A level of h units costs 4 h (h + its
    inputs) multiplications a step, and twice that backward; the slices of a level are read side by side.

    A length that the strides do not divide is filled with zeros before the first step, so that the last slice ends
    where the sequence does; each sequence is filled for itself where lengths differ.

    Args:
        input_size: features of a step (the data's).
        hidden_sizes: hidden size of each level below the top, the lowest first.
        strides: steps in a slice of each of these levels.
        top: makes the encoder at the top, given its `input_size`.

    Raises:
        ConfigError: not as many strides as lower levels.
    """

    causal = False  # a state of the top has seen all the steps that it stands for

    def __init__(
        self, input_size: int, hidden_sizes: list[Count], strides: list[Count], top: Callable[..., LSTMEncoder]
    ) -> None:
        super().__init__()
        check_levels("model.encoder", hidden_sizes, strides)
        self.strides = strides
        sizes = [input_size, *hidden_sizes]
        self.lower = nn.ModuleList(
            LSTMEncoder(below, size, num_layers=1, dropout=0.0) for below, size in pairwise(sizes)
        )
        self.top = top(input_size=sizes[-1])
        self.context_size = self.top.context_size

    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> Encoding:
        """(batch, length, features) -> context (batch, context_size), states (batch, top's steps, context_size).

        The top's steps: length / (product of the strides), rounded up.
        """
        whole = math.prod(self.strides)
        if lengths is None:
            steps = F.pad(inputs, (0, 0, -inputs.shape[1] % whole, 0))
        else:
            length = -(-inputs.shape[1] // whole) * whole
            steps, lengths = shift(inputs, -lengths % whole, lengths, length), -(-lengths // whole)
        for encoder, stride in zip(self.lower, self.strides, strict=True):
            assert isinstance(encoder, LSTMEncoder)
            slices = steps.reshape(-1, stride, steps.shape[2])  # (batch * slices, stride, features)
            steps = encoder.encode(slices).unflatten(0, (inputs.shape[0], -1))
        return self.top(steps, lengths)


@part
class PyramidalDecoder(nn.Module):
    """The encoder's mirror image: what a level writes are the contexts from which the level below writes its slices.

    Args:
        context_size: length of the context (the encoder's).
        output_size: features of a step (the data's).
        length: steps to write (the data's).
        hidden_sizes, strides: as the encoder's.
        top: makes the decoder at the top, given context_size, output_size and length.
        output_activation: "identity", or "sigmoid" for data in [0, 1].

    Raises:
        ConfigError: not as many strides as lower levels, or an autoregressive top.
    """

    def __init__(
        self,
        context_size: int,
        output_size: int,
        length: int,
        hidden_sizes: list[Count],
        strides: list[Count],
        top: Callable[..., LSTMDecoder],
        output_activation: Activation,
    ) -> None:
        super().__init__()
        check_levels("model.decoder", hidden_sizes, strides)
        self.length = length
        self.strides = strides
        self.top = top(context_size, hidden_sizes[-1], math.ceil(length / math.prod(strides)))
        if self.top.reads_truth:
            raise ConfigError(
                "model.decoder.top",
                type(self.top).__name__,
                "reads the truth while it trains, and at the top of a pyramid there is none; use initial_state or "
                "repeat_context: model/decoder@model.decoder.top=initial_state",
            )
        self.hidden_size = self.top.hidden_size
        self.lower = nn.ModuleList(
            InitialStateDecoder(
                size,
                below,
                stride,
                hidden_size=size,
                num_layers=1,
                dropout=0.0,
                output_activation=activation,
                reverse=self.top.reverse,
            )
            for size, below, stride, activation in zip(
                hidden_sizes,
                [output_size, *hidden_sizes[:-1]],
                strides,
                [output_activation, *["identity"] * (len(strides) - 1)],
                strict=True,
            )
        )
        self.output = self.lower[0].output

    def forward(self, context: Tensor, inputs: Tensor, lengths: Tensor | None = None) -> Decoding:
        """context (batch, context_size) -> the decoding, its last state the top's; `inputs` is not looked at."""
        whole = math.prod(self.strides)
        top_lengths = None if lengths is None else -(-lengths // whole)
        written, last_state = self.top(context, inputs[:, ::whole], top_lengths)  # a step for each of the top's slices
        for decoder in reversed(self.lower):
            slices = decoder(written.flatten(0, 1), inputs).reconstruction  # (batch * slices, stride, features)
            written = slices.reshape(context.shape[0], -1, slices.shape[2])
        if lengths is None:
            return Decoding(written[:, -self.length :], last_state)
        return Decoding(shift(written, -(-lengths % whole), lengths, inputs.shape[1]), last_state)


def check_levels(part: str, hidden_sizes: list[int], strides: list[int]) -> None:
    """Raises ConfigError unless each of at least one lower level of `part` has its stride."""
    if len(strides) != len(hidden_sizes) or not strides:
        raise ConfigError(
            f"{part}.strides", strides, f"must be as many as {part}.hidden_sizes={hidden_sizes}, and at least one"
        )
