"""A start for LSTMs that remembers: encoder and decoder begin as the linear autoencoder for sequences."""

import math
from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from lstm_ae.errors import ConfigError
from lstm_ae.models.decoders import LSTMDecoder
from lstm_ae.models.encoders import LSTMEncoder
from lstm_ae.models.initialization import check_pair, levels
from lstm_ae.models.lengths import align_ends
from lstm_ae.models.linear_recurrence import (
    CHUNK_VALUES,
    LARGEST,
    SEQUENCES,
    LinearRecurrence,
    best_function,
    closed_form,
    refined,
    some,
)
from lstm_ae.models.scaling import ScaledLinear, Standardize
from lstm_ae.spec import NonNegative, part

CONTEXTS = 2_000  # that the scaling of contexts and the decoder's start are fitted on


@part
@torch.no_grad()
def linear_autoencoder(
    model: nn.Module,
    inputs: Tensor | None,
    lengths: Tensor | None = None,
    gate_bias: NonNegative = 1.0,
    signal: Annotated[float, Field(gt=0, le=1)] = 0.003,
    iterations: Annotated[int, Field(ge=0)] = 0,
) -> None:
    """Encoder and decoder start as the linear autoencoder for sequences (`lstm_ae.models.linear_recurrence`).

    The closed form becomes the candidate's weights of an LSTM whose gates stand open (input and output, bias
    `gate_bias`) or closed (forget, bias -`gate_bias`); all other weights of the gates start at zero. What the open
    gates take from the loop at every step, and what the forget gate lets pass, the candidate's weights make up for, so
    that the loop is that of the closed form whatever the bias (`set_linear`). The inputs are scaled to the root mean
    square `signal`, small enough for tanh to be linear, and the contexts scaled to mean 0 and deviation 1 for what
    reads them. These factors are fixed and kept in the model. So do the candidate's biases stay as they are: they are
    added at every step, and a step of training would move them further than a small state reaches. The decoder turns
    back with the transpose, and starts from the linear function of the context with which its own steps come nearest to
    the training sequences. It depends on no seed; heads and other layers keep PyTorch's start.

    A bidirectional encoder reads the closed form of the reversed sequences backwards. A decoder that writes the first
    step first has that one too. In a pyramid each pair of levels is such a pair, fitted to what the level below hands
    up; those contexts are scaled by one factor for all numbers, so that their sizes still tell what matters.

    Of unequal lengths, sequences are fitted with their ends aligned where they are read forwards, and a decoder starts
    so that it goes on with zeros past the end of a short one; one that writes the first step first cannot find it by a
    linear function of what was read forwards, and starts far off. Where values are missing, the filled ones are taken
    for granted, and the marks beside them start unread.

    Smaller signals come nearer to the closed form, larger ones let the LSTMs bend it; larger biases keep the gates
    where they are for longer.

    Args:
        model: an autoencoder whose encoder and decoder have one LSTM layer each, in a pyramid at each level.
        inputs: the training sequences (n, length, features), scaled, in random order; up to `SEQUENCES` of them are
            read. None: the weights come from a checkpoint, and only their places are made.
        lengths: steps of each sequence (n,); None: all have as many.
        gate_bias: how far the gates start open or closed.
        signal: root mean square of the inputs that the LSTMs read.
        iterations: with which encoder and decoder are refined for each other, see `refined`; 0: the closed form alone.
            On noise, of which a small context keeps little, refined states grow, and the LSTMs do not follow.

    Raises:
        ConfigError: an encoder, a decoder or data that it is not made for.
    """
    pairs = levels(model, "linear_autoencoder")
    if getattr(model, "varying", False):
        if len(pairs) > 1:
            raise ConfigError(
                "model.initialization", "linear_autoencoder", "is fitted to slices of one length in a pyramid; use "
                "model/initialization=orthogonal for a pyramid on sequences of unequal length"
            )  # fmt: skip
        if iterations:
            raise ConfigError("model.initialization.iterations", iterations, "must be 0 where lengths differ")
    for encoder, decoder in pairs:
        check_pair(encoder, decoder, "linear_autoencoder", same_size=False)
        make_places(encoder, decoder)
    if inputs is None:
        return
    lengths = None if lengths is None else some(lengths, SEQUENCES).cpu()
    strides: list[int] = getattr(model.encoder, "strides", [])  # of the levels below the top, if it is a pyramid
    steps = F.pad(some(inputs, SEQUENCES).cpu(), (0, 0, -inputs.shape[1] % math.prod(strides), 0))
    for (encoder, decoder), stride in zip(pairs[:-1], strides, strict=True):
        slices = steps.reshape(-1, stride, steps.shape[2])  # (sequences * slices, stride, features)
        fit_pair(encoder, decoder, slices, None, gate_bias, signal, iterations, common=True)
        steps = encode(encoder, slices, None).unflatten(0, (len(steps), -1))
    fit_pair(*pairs[-1], steps, lengths, gate_bias, signal, iterations, common=False)


def make_places(encoder: LSTMEncoder, decoder: LSTMDecoder) -> None:
    """Put the fixed factors into a pair, all of them 1, and keep the candidate's biases from being trained.

    Raises:
        ConfigError: a decoder whose outputs are not linear in its state.
    """
    if not isinstance(decoder.output[1], nn.Identity):
        raise ConfigError("model.decoder.output_activation", "sigmoid", "must be identity for model/initialization="
                          "linear_autoencoder, which starts with a linear decoder")  # fmt: skip
    encoder.scale_inputs, encoder.scale_states = Standardize(), Standardize(encoder.context_size)
    decoder.scale_context = Standardize()
    readout = decoder.output[0]
    assert isinstance(readout, nn.Linear)
    decoder.output[0] = ScaledLinear(readout.in_features, readout.out_features)
    for lstm in (encoder.lstm, decoder.lstm):
        for name, bias in lstm.named_parameters():
            if name.startswith("bias"):
                bias.register_hook(without_candidate)


def without_candidate(gradient: Tensor) -> Tensor:
    """The gradient of an LSTM's biases (4 * hidden_size,), that of the candidate's set to zero."""
    gradient = gradient.clone()
    gradient.chunk(4)[2].zero_()
    return gradient


def fit_pair(
    encoder: LSTMEncoder,
    decoder: LSTMDecoder,
    steps: Tensor,
    lengths: Tensor | None,
    gate_bias: float,
    signal: float,
    iterations: int,
    common: bool,
) -> None:
    """Set an encoder and the decoder that undoes it; see `linear_autoencoder`.

    Args:
        encoder, decoder: with their places made.
        steps: what they read and rebuild, (n, length, features), zeros past the end.
        lengths: of the sequences, (n,); None: all are whole.
        gate_bias, signal, iterations: as there.
        common: whether all numbers of a context are divided by the same deviation.

    Raises:
        ConfigError: too many steps or features for the closed form, or too many values for refining.
    """
    scale_inputs, scale_states, scale_context, readout = (
        encoder.scale_inputs, encoder.scale_states, decoder.scale_context, decoder.output[0]
    )  # fmt: skip
    assert isinstance(scale_inputs, Standardize) and isinstance(scale_states, Standardize)
    assert isinstance(scale_context, Standardize) and isinstance(readout, ScaledLinear)
    _, length, features = steps.shape
    values = length * features
    if max(length, features) > LARGEST:
        raise ConfigError(
            "model.initialization", "linear_autoencoder", f"is for sequences of at most {LARGEST} steps and features, "
            f"and these have {length} and {features}; use shorter windows, a pyramid, or model/initialization=chrono"
        )  # fmt: skip
    if iterations and values > LARGEST:
        raise ConfigError("model.initialization.iterations", iterations, "must be 0 for sequences of more than "
                          f"{LARGEST} values, and these have {values}")  # fmt: skip
    gain = torch.tensor(gate_bias).sigmoid().square().item()
    there = (len(steps) * length if lengths is None else int(lengths.sum())) * features
    size, units = signal / (math.sqrt(steps.square().sum().item() / there) or 1.0), encoder.lstm.hidden_size
    forwards, backwards = steps if lengths is None else align_ends(steps, lengths), steps.flip(1)
    # A decoder's state turns once before it is read for the first time: as if an empty step had followed the last one.
    read, written = (forwards, forwards.flip(1)) if decoder.reverse else (backwards, steps)
    recurrences = [closed_form(order, units) for order in (forwards, backwards)[: 1 + encoder.lstm.bidirectional]]
    back = closed_form(F.pad(read, (0, 0, 0, 1)), decoder.hidden_size)
    if iterations and encoder.context_size < values:  # the closed form loses something
        *recurrences, back = refined(recurrences, back, steps, decoder.reverse, iterations)
    for weights, recurrence in zip(encoder.lstm.all_weights, recurrences, strict=True):
        write = F.pad(recurrence.write, (0, encoder.lstm.input_size - features))  # nothing of the marks of what exists
        set_linear(weights, recurrence.turn, write, gate_bias)
    scale_inputs.deviation.fill_(1 / size)
    contexts = encode(encoder, some(steps, CONTEXTS), None if lengths is None else some(lengths, CONTEXTS))
    deviation = contexts.std(0, correction=0)
    deviation = deviation.square().mean().sqrt().expand_as(deviation) if common else deviation
    scale_states.mean.copy_(contexts.mean(0))
    scale_states.deviation.copy_(deviation.clamp(min=max(1e-3 * deviation.max().item(), 1e-12)))
    contexts = scale_states(contexts)

    weight, bias = best_start(back, contexts, some(written, CONTEXTS))
    set_linear(decoder.lstm.all_weights[0], back.turn.T, None, gate_bias)
    scale_context.deviation.fill_(1 / signal)
    decoder.start_linear(back.turn.T.float(), weight.float() * size / signal, bias.float() * size / signal, gain)
    readout.weight.copy_(back.write.T * signal / size)
    readout.factor.fill_(1 / signal)
    readout.bias.zero_()


def encode(encoder: LSTMEncoder, inputs: Tensor, lengths: Tensor | None) -> Tensor:
    """Contexts (n, context_size) of many sequences (n, length, features), some at a time, marks left out."""
    marks = encoder.lstm.input_size - inputs.shape[2]
    count = max(1, CHUNK_VALUES // 10 // inputs[0].numel())
    chunks = [slice(start, start + count) for start in range(0, len(inputs), count)]
    return torch.cat([
        encoder.encode(F.pad(inputs[part], (0, marks)), None if lengths is None else lengths[part]) for part in chunks
    ])  # fmt: skip


def best_start(back: LinearRecurrence, contexts: Tensor, written: Tensor) -> tuple[Tensor, Tensor]:
    """The affine function of the context from which a decoder's steps come nearest to what it should write.

    Args:
        back: the decoder's recurrence.
        contexts: (n, context_size).
        written: the steps (n, length, features) in the order of writing.

    Returns:
        weight (size, context_size) and bias (size,), in double precision.
    """
    known = F.pad(contexts.double(), (0, 1), value=1.0)
    readouts = back.readouts(1 + written.shape[1])[written.shape[2] :]  # it turns before the first of them is read
    start = best_function(known.T @ known, written.flatten(1).double().T @ known, readouts)
    return start[:, :-1], start[:, -1]


def set_linear(weights: Sequence[Tensor], turn: Tensor, write: Tensor | None, gate_bias: float) -> None:
    """Set a layer and direction of an LSTM to h[t] = `turn` h[t-1] + `write` x[t], while tanh is linear.

    With gates that do not move, o of the open ones and 1 - o of the forget gate, the LSTM is h[t] = (1 - o) h[t-1] +
    o^2 (W x[t] + U h[t-1]), W and U being the candidate's weights.
    """
    weight_ih, weight_hh, bias_ih, _ = weights
    for tensor in weights:
        tensor.zero_()
    opened = torch.tensor(gate_bias, dtype=torch.double).sigmoid().item()
    weight_hh.chunk(4)[2].copy_((turn - (1 - opened) * torch.eye(len(turn))) / opened**2)
    if write is not None:
        weight_ih.chunk(4)[2].copy_(write / opened**2)
    for bias, start in zip(bias_ih.chunk(4), (gate_bias, -gate_bias, 0.0, gate_bias), strict=True):
        bias.fill_(start)
