"""From arrays in original units, of unequal length and with missing values, to what a model reads."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lstm_ae.data.panel_windows import interpolated
from lstm_ae.data.sequence_data import Sequences
from lstm_ae.spec import Scaler


def pad(arrays: Sequence[np.ndarray]) -> Tensor:
    """Sequences (length, features) as one tensor (n, longest, features) in double precision, NaN after their ends."""
    longest = max(map(len, arrays))
    padded = torch.full((len(arrays), longest, arrays[0].shape[1]), torch.nan, dtype=torch.double)
    for row, array in zip(padded, arrays, strict=True):
        row[: len(array)] = torch.from_numpy(np.asarray(array, dtype=np.float64))
    return padded


def own_lengths(values: Tensor) -> Tensor:
    """The steps of each sequence of (n, length, features) up to its last value, (n,): what is NaN after it is padding.

    0 where a sequence has no value at all.
    """
    there = ~values.isnan().all(2)
    return torch.where(there.any(1), values.shape[1] - there.flip(1).int().argmax(1), 0)


def to_sequences(values: Tensor, lengths: Tensor | None, scaler: Scaler, masked: bool) -> Sequences:
    """What a model reads of values in original units.

    A missing value is interpolated between its neighbours in time; where a sequence has none of a feature, it is 0 once
    scaled. With `masked` the mask says which ones were missing.

    Args:
        values: (n, length, features), NaN where a value is missing and past a sequence's end.
        lengths: (n,); None: all have the same.
        scaler: of the values.
        masked: whether a mask goes along.
    """
    there = ~values.isnan()
    scaled = scaler.transform(values)
    if not there.all():
        gaps = ~there.flatten(1).all(1)
        scaled[gaps] = torch.from_numpy(np.nan_to_num(interpolated(scaled[gaps].double().numpy()))).to(scaled.dtype)
    sequences = Sequences(scaled.float(), lengths=lengths, mask=there if masked else None)
    if lengths is not None:
        past = torch.arange(values.shape[1]) >= lengths[:, None]
        sequences.inputs[past] = 0.0
    return sequences
