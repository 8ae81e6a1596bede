"""The linear autoencoder for sequences in closed form: a start for LSTMs, and a floor to hold them against.

Sperduti 2007; Pasa and Sperduti 2014; Carta, Sperduti and Bacciu 2020 (arXiv 2011.02886). A recurrence that is linear
and the same at every step,

    h[t] = B h[t-1] + A x[t],

keeps what it has read as well as one of its size can, with respect to all prefixes of the training sequences, if
A = U' P and B = U' R U. There P puts a step in the newest place of a long vector, R moves all steps on by one place,
and U holds the leading eigenvectors of the second moments of all prefixes, written into such vectors, newest step
first. The way back is its transpose: x[t] = A' h[t], h[t-1] = B' h[t].
"""

from typing import NamedTuple

import torch
from torch import Tensor

SEQUENCES = 20_000  # that are read, at most: the first ones, which are in random order
CHUNK_VALUES = 2_000_000  # double precision numbers in memory at a time: 16 MB
LARGEST = 4096  # values in a sequence; the closed form holds a few square matrices of this size (128 MB each)


class LinearRecurrence(NamedTuple):
    """The two matrices of h[t] = turn h[t-1] + write x[t], in double precision."""

    write: Tensor  # (size, features), A
    turn: Tensor  # (size, size), B

    def codes(self, inputs: Tensor) -> Tensor:
        """The state after the last step of each sequence (n, length, features): (n, size)."""
        matrix = self.write.T  # of the newest step
        rows = [matrix]
        for _ in range(inputs.shape[1] - 1):
            matrix = matrix @ self.turn.T
            rows.append(matrix)
        return inputs.flatten(1).double() @ torch.cat(rows[::-1])

    def unfold(self, codes: Tensor, length: int) -> Tensor:
        """Go back from codes (n, size) to sequences (n, length, features), as its own decoder does."""
        steps = []
        for _ in range(length):
            steps.append(codes @ self.write)
            codes = codes @ self.turn
        return torch.stack(steps[::-1], dim=1)


def linear_autoencoder(inputs: Tensor, size: int) -> LinearRecurrence:
    """The closed form for sequences (n, length, features), in a few seconds and with no random numbers.

    A `size` beyond the values of a sequence leaves units without use.
    """
    _, length, features = inputs.shape
    basis = torch.linalg.eigh(prefix_moments(inputs)).eigenvectors[:, -size:]  # U, by rising eigenvalues
    if basis.shape[1] < size:
        basis = torch.nn.functional.pad(basis, (0, size - basis.shape[1]))
    moved = torch.zeros_like(basis)
    moved[features:] = basis[:-features] if length > 1 else 0  # R U
    return LinearRecurrence(basis[:features].T.contiguous(), basis.T @ moved)


def prefix_moments(inputs: Tensor) -> Tensor:
    """The second moments of all prefixes of sequences (n, length, features), newest step first, in double precision.

    A prefix that ends m steps early is the whole sequence, newest first, without its first m places. So the sum over
    all of them adds up along the diagonals of the whole sequences' moments, from the lower right to the upper left.
    """
    _, length, features = inputs.shape
    values = length * features
    moments = torch.zeros(values, values, dtype=torch.double)
    for chunk in inputs[:SEQUENCES].split(max(1, CHUNK_VALUES // values)):
        flat = chunk.cpu().flip(1).flatten(1).double()
        moments += flat.T @ flat
    moments /= min(len(inputs), SEQUENCES) * length
    for step in range(length - 2, -1, -1):
        row = slice(step * features, (step + 1) * features)
        below = slice((step + 1) * features, (step + 2) * features)
        moments[row, :-features] += moments[below, features:]
    return moments
