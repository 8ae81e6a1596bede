"""The linear autoencoder for sequences in closed form: a start for LSTMs, and a floor to hold them against.

Sperduti 2007; Pasa and Sperduti 2014; Carta, Sperduti and Bacciu 2020 (arXiv 2011.02886). A recurrence that is linear
and the same at every step,

    h[t] = B h[t-1] + A x[t],

keeps what it has read as well as one of its size can, with respect to all prefixes of the training sequences, if
A = U' P and B = U' R U. There P puts a step in the newest place of a long vector, R moves all steps on by one place,
and U holds the leading eigenvectors of the second moments of all prefixes, written into such vectors, newest step
first. The way back is its transpose: x[t] = A' h[t], h[t-1] = B' h[t].

The closed form serves all prefixes alike, where an autoencoder needs whole sequences only, and its way back is as large
as its way there. `refined` goes on from it by gradients of the second moments, for which no sequence is read again.
"""

import math
from collections.abc import Sequence
from typing import Annotated, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from lstm_ae.errors import ConfigError
from lstm_ae.models.decoders import LSTMDecoder
from lstm_ae.models.encoders import LSTMEncoder
from lstm_ae.models.initialization import check_pair, levels
from lstm_ae.models.scaling import ScaledLinear, Standardize
from lstm_ae.spec import NonNegative, part

SEQUENCES = 20_000  # that are read, at most
CHUNK_VALUES = 2_000_000  # double precision numbers in memory at a time: 16 MB
LARGEST = 4096  # values in a sequence; the closed form holds a few square matrices of this size (128 MB each)
CONTEXTS = 2_000  # that the scaling of contexts and the decoder's start are fitted on
RIDGE = 1e-2  # of the decoder's start, in units of the mean square of its readouts
CODE_RIDGE = 1e-5  # of what reads a code, in units of the mean square of its numbers


class LinearRecurrence(NamedTuple):
    """The two matrices of h[t] = turn h[t-1] + write x[t], in double precision."""

    write: Tensor  # (size, features), A
    turn: Tensor  # (size, size), B

    def codes(self, inputs: Tensor) -> Tensor:
        """The state after the last step of each sequence (n, length, features): (n, size)."""
        return inputs.flip(1).flatten(1).double() @ self.readouts(inputs.shape[1])

    def unfold(self, codes: Tensor, length: int) -> Tensor:
        """Go back from codes (n, size) to sequences (n, length, features), as its own decoder does."""
        steps = []
        for _ in range(length):
            steps.append(codes @ self.write)
            codes = codes @ self.turn
        return torch.stack(steps[::-1], dim=1)

    def readouts(self, length: int) -> Tensor:
        """What writes the steps into a code, and reads them while it is turned back: (length * features, size).

        Newest step first: the j-th block of rows is A' B'^j, j from 0.
        """
        rows, power = self.write.T, self.turn.T
        while len(rows) < length * self.write.shape[1]:
            rows, power = torch.cat([rows, rows @ power]), power @ power
        return rows[: length * self.write.shape[1]]


def closed_form(inputs: Tensor, size: int) -> LinearRecurrence:
    """The closed form for sequences (n, length, features), in a few seconds and with no random numbers.

    A `size` beyond the values of a sequence leaves units without use.
    """
    _, length, features = inputs.shape
    basis = torch.linalg.eigh(prefix_moments(inputs)).eigenvectors[:, -size:]  # U, by rising eigenvalues
    if basis.shape[1] < size:
        basis = F.pad(basis, (0, size - basis.shape[1]))
    moved = torch.zeros_like(basis)
    moved[features:] = basis[:-features] if length > 1 else 0  # R U
    return LinearRecurrence(basis[:features].T.contiguous(), basis.T @ moved)


def refined(
    encoders: Sequence[LinearRecurrence], back: LinearRecurrence, steps: Tensor, reverse: bool, iterations: int
) -> list[LinearRecurrence]:
    """The recurrences of an encoder and a decoder, moved to where the pair rebuilds whole sequences with less error.

    Between the two stands the best affine function of the code, as in `best_start`, so that what is left to choose is
    the recurrences alone (variable projection: Golub and Pereyra 1973). L-BFGS never makes the error larger; the ridge
    counts as a part of it, because LSTMs, whose gates are not quite open, do not follow states that grow.

    Args:
        encoders: of the forward direction and, if there is one, the backward direction.
        back: of the decoder, which turns once before its first step.
        steps: sequences (n, length, features), of which at most `SEQUENCES` are read.
        reverse: whether the decoder writes the last step first.
        iterations: of L-BFGS.

    Returns:
        The same recurrences in the same order, the decoder's last.
    """
    length = steps.shape[1]
    moments = second_moments(some(steps, SEQUENCES))
    total = (moments.trace() - 1).clamp(min=1e-12)
    parameters = [matrix.clone().requires_grad_() for recurrence in (*encoders, back) for matrix in recurrence]

    def recurrences() -> list[LinearRecurrence]:
        return [LinearRecurrence(*pair) for pair in zip(parameters[::2], parameters[1::2], strict=True)]

    def error() -> Tensor:
        *there, again = recurrences()
        reads = [newest_last(there[0].readouts(length), length), *(r.readouts(length) for r in there[1:])]
        writes = again.readouts(1 + length)[steps.shape[2] :]
        codes = torch.block_diag(torch.cat(reads, dim=1), moments.new_ones(1, 1))  # (values + 1, context_size + 1)
        read = moments @ codes
        known, wanted = codes.T @ read, read[:-1]
        writes = newest_last(writes, length) if reverse else writes
        # The least that `best_function` minimises, its ridge included: a start that would need large states is no gain.
        return 1 - (best_function(known, wanted, writes) * (writes.T @ wanted)).sum() / total

    optimizer = torch.optim.LBFGS(parameters, max_iter=iterations, history_size=20, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = error()
        loss.backward()
        return loss

    with torch.enable_grad():
        optimizer.step(closure)
    return [LinearRecurrence(*(matrix.detach() for matrix in recurrence)) for recurrence in recurrences()]


def newest_last(rows: Tensor, length: int) -> Tensor:
    """Blocks of rows (length * features, size) in the opposite order."""
    return rows.unflatten(0, (length, -1)).flip(0).flatten(0, 1)


def second_moments(steps: Tensor) -> Tensor:
    """The second moments of flattened sequences (n, length, features) and a constant 1, in double precision."""
    values = steps[0].numel()
    moments = torch.zeros(values + 1, values + 1, dtype=torch.double)
    for chunk in steps.split(max(1, CHUNK_VALUES // values)):
        known = F.pad(chunk.cpu().flatten(1).double(), (0, 1), value=1.0)
        moments += known.T @ known
    return moments / len(steps)


def some(inputs: Tensor, count: int) -> Tensor:
    """At most `count` of the sequences, chosen at random, but always the same ones."""
    if len(inputs) <= count:
        return inputs
    return inputs[torch.randperm(len(inputs), generator=torch.Generator().manual_seed(0))[:count].sort().values]


def prefix_moments(inputs: Tensor) -> Tensor:
    """The second moments of all prefixes of sequences (n, length, features), newest step first, in double precision.

    A prefix that ends m steps early is the whole sequence, newest first, without its first m places. So the sum over
    all of them adds up along the diagonals of the whole sequences' moments, from the lower right to the upper left.
    """
    _, length, features = inputs.shape
    values = length * features
    moments = torch.zeros(values, values, dtype=torch.double)
    chosen = some(inputs, SEQUENCES)
    for chunk in chosen.split(max(1, CHUNK_VALUES // values)):
        flat = chunk.cpu().flip(1).flatten(1).double()
        moments += flat.T @ flat
    moments /= len(chosen) * length
    for step in range(length - 2, -1, -1):
        row = slice(step * features, (step + 1) * features)
        below = slice((step + 1) * features, (step + 2) * features)
        moments[row, :-features] += moments[below, features:]
    return moments


@part
@torch.no_grad()
def linear_autoencoder(
    model: nn.Module,
    inputs: Tensor | None,
    gate_bias: NonNegative = 8.0,
    signal: Annotated[float, Field(gt=0, le=1)] = 0.003,
    iterations: Annotated[int, Field(ge=0)] = 100,
) -> None:
    """Encoder and decoder start as the linear autoencoder for sequences in closed form.

    The closed form becomes the candidate's weights of an LSTM whose gates stand open (input and output, bias
    `gate_bias`) or closed (forget, bias -`gate_bias`); all other weights of the gates start at zero. The open gates
    multiply the loop by sigmoid(`gate_bias`)^2 at every step; the candidate's weights are divided by that, so that the
    loop's gain is that of the closed form. The inputs are scaled to the root mean square `signal`, small enough for
    tanh to be linear, and the contexts scaled to mean 0 and deviation 1 for what reads them. These factors are fixed
    and kept in the model. The decoder turns back with the transpose, and starts from the linear function of the context
    with which its own steps come nearest to the training sequences. It depends on no seed; heads and other layers keep
    PyTorch's start.

    A bidirectional encoder reads the closed form of the reversed sequences backwards. A decoder that writes the first
    step first has that one too. In a pyramid each pair of levels is such a pair, fitted to what the level below hands
    up; those contexts are scaled by one factor for all numbers, so that their sizes still tell what matters.

    Larger biases and smaller signals come nearer to the closed form, and learn more slowly.

    Args:
        model: an autoencoder whose encoder and decoder have one LSTM layer each, in a pyramid at each level.
        inputs: the training sequences (n, length, features), scaled, in random order; up to `SEQUENCES` of them are
            read. None: the weights come from a checkpoint, and only their places are made.
        gate_bias: how far the gates start open or closed.
        signal: root mean square of the inputs that the LSTMs read.
        iterations: with which encoder and decoder are refined for each other, see `refined`; 0: the closed form alone.

    Raises:
        ConfigError: an encoder, a decoder or data that it is not made for.
    """
    if getattr(model, "varying", False) or getattr(model, "masked", False):
        raise ConfigError(
            "model.initialization", "linear_autoencoder", "is fitted to whole sequences of one length; use "
            "model/initialization=orthogonal for sequences of unequal length or with missing values"
        )  # fmt: skip
    pairs = levels(model, "linear_autoencoder")
    for encoder, decoder in pairs:
        check_pair(encoder, decoder, "linear_autoencoder", same_size=False)
        make_places(encoder, decoder)
    if inputs is None:
        return
    strides: list[int] = getattr(model.encoder, "strides", [])  # of the levels below the top, if it is a pyramid
    steps = F.pad(some(inputs, SEQUENCES).cpu(), (0, 0, -inputs.shape[1] % math.prod(strides), 0))
    for (encoder, decoder), stride in zip(pairs[:-1], strides, strict=True):
        slices = steps.reshape(-1, stride, steps.shape[2])  # (sequences * slices, stride, features)
        fit_pair(encoder, decoder, slices, gate_bias, signal, iterations, common=True)
        steps = encode(encoder, slices).unflatten(0, (len(steps), -1))
    fit_pair(*pairs[-1], steps, gate_bias, signal, iterations, common=False)


def make_places(encoder: LSTMEncoder, decoder: LSTMDecoder) -> None:
    """Put the fixed factors into a pair, all of them 1.

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


def fit_pair(
    encoder: LSTMEncoder,
    decoder: LSTMDecoder,
    steps: Tensor,
    gate_bias: float,
    signal: float,
    iterations: int,
    common: bool,
) -> None:
    """Set an encoder and the decoder that undoes it; see `linear_autoencoder`.

    Args:
        encoder, decoder: with their places made.
        steps: what they read and rebuild, (n, length, features).
        gate_bias, signal, iterations: as there.
        common: whether all numbers of a context are divided by the same deviation.

    Raises:
        ConfigError: too many values for the closed form.
    """
    scale_inputs, scale_states, scale_context, readout = (
        encoder.scale_inputs, encoder.scale_states, decoder.scale_context, decoder.output[0]
    )  # fmt: skip
    assert isinstance(scale_inputs, Standardize) and isinstance(scale_states, Standardize)
    assert isinstance(scale_context, Standardize) and isinstance(readout, ScaledLinear)
    values = steps[0].numel()
    if values > LARGEST:
        raise ConfigError(
            "model.initialization", "linear_autoencoder", f"is for sequences of at most {LARGEST} values, and these "
            f"have {values}; use a pyramid, or model/initialization=chrono"
        )  # fmt: skip
    gain = torch.tensor(gate_bias).sigmoid().square().item()
    size, units = signal / (steps.square().mean().sqrt().item() or 1.0), encoder.lstm.hidden_size
    forwards, backwards = steps, steps.flip(1)
    # A decoder's state turns once before it is read for the first time: as if an empty step had followed the last one.
    read, written = (forwards, backwards) if decoder.reverse else (backwards, forwards)
    recurrences = [closed_form(order, units) for order in (forwards, backwards)[: 1 + encoder.lstm.bidirectional]]
    back = closed_form(F.pad(read, (0, 0, 0, 1)), decoder.hidden_size)
    if iterations and encoder.context_size < values:  # the closed form loses something
        *recurrences, back = refined(recurrences, back, steps, decoder.reverse, iterations)
    for weights, recurrence in zip(encoder.lstm.all_weights, recurrences, strict=True):
        set_linear(weights, recurrence.turn / gain, recurrence.write / gain, gate_bias)
    scale_inputs.deviation.fill_(1 / size)
    contexts = encode(encoder, some(steps, CONTEXTS))
    deviation = contexts.std(0, correction=0)
    deviation = deviation.square().mean().sqrt().expand_as(deviation) if common else deviation
    scale_states.mean.copy_(contexts.mean(0))
    scale_states.deviation.copy_(deviation.clamp(min=max(1e-3 * deviation.max().item(), 1e-12)))
    contexts = scale_states(contexts)

    weight, bias = best_start(back, contexts, some(written, CONTEXTS))
    set_linear(decoder.lstm.all_weights[0], back.turn.T / gain, None, gate_bias)
    scale_context.deviation.fill_(1 / signal)
    decoder.start_linear(back.turn.T.float(), weight.float() * size / signal, bias.float() * size / signal, gain)
    readout.weight.copy_(back.write.T * signal / size)
    readout.factor.fill_(1 / signal)
    readout.bias.zero_()


def encode(encoder: LSTMEncoder, inputs: Tensor) -> Tensor:
    """Contexts (n, context_size) of many sequences (n, length, features), some at a time."""
    return torch.cat([encoder.encode(chunk) for chunk in inputs.split(max(1, CHUNK_VALUES // 10 // inputs[0].numel()))])


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


def best_function(known: Tensor, wanted: Tensor, readouts: Tensor) -> Tensor:
    """The matrix M for which `readouts` M z comes nearest to x, in least squares.

    With a little ridge on both sides, since what is read from the last steps alone has tiny readouts.

    Args:
        known: second moments of z, (m, m).
        wanted: mixed moments of x and z, (values, m).
        readouts: (values, size).

    Returns:
        M, (size, m).
    """
    squares = readouts.T @ readouts
    squares = squares + (RIDGE * squares.diagonal().mean().clamp(min=1e-12)).expand(len(squares)).diag()
    known = known + (CODE_RIDGE * known.diagonal().mean()).expand(len(known)).diag()
    return torch.linalg.solve(squares, readouts.T @ torch.linalg.solve(known, wanted.T).T)


def set_linear(weights: Sequence[Tensor], turn: Tensor, write: Tensor | None, gate_bias: float) -> None:
    """Set a layer and direction of an LSTM: gates that do not move, and a candidate that is linear in its input."""
    weight_ih, weight_hh, bias_ih, _ = weights
    for tensor in weights:
        tensor.zero_()
    weight_hh.chunk(4)[2].copy_(turn)
    if write is not None:
        weight_ih.chunk(4)[2].copy_(write)
    for bias, start in zip(bias_ih.chunk(4), (gate_bias, -gate_bias, 0.0, gate_bias), strict=True):
        bias.fill_(start)
