"""The linear autoencoder for sequences: in closed form, and refined.

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

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

SEQUENCES = 20_000  # that are read, at most
CHUNK_VALUES = 2_000_000  # double precision numbers in memory at a time: 16 MB
LARGEST = 4096  # values of a sequence that are fitted; a few square matrices of this size are held (128 MB each)
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

    Zeros before a sequence's first step change nothing, so sequences of unequal length come with their ends aligned.
    Of sequences with more than `LARGEST` values only the features' leading principal directions are read, as many as
    fit. A `size` beyond the values of a sequence leaves units without use.
    """
    _, length, features = inputs.shape
    kept = max(1, LARGEST // length)
    if kept < features:
        steps = some(inputs, CHUNK_VALUES // (length * features) + 1).cpu().flatten(0, 1).double()
        directions = torch.linalg.eigh(steps.T @ steps).eigenvectors[:, -kept:].to(inputs)  # (features, kept)
        write, turn = closed_form(inputs @ directions, size)
        return LinearRecurrence(write @ directions.T.to(write), turn)
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
    counts as a part of it, because the tanh of an LSTM bends states that grow.

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

    try:
        with torch.enable_grad():
            optimizer.step(closure)
    except torch.linalg.LinAlgError:  # a step too far: what it left is judged below
        pass
    if not all(matrix.isfinite().all() for matrix in parameters):
        return [*encoders, back]
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
