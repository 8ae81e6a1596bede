"""Uniform noise with a dip: sequences that only a memory of every single value can rebuild."""

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from lstm_ae.data.sequence_data import SequenceData, Sequences
from lstm_ae.data.splitting import Fold, NumFolds, Portion, split_all
from lstm_ae.errors import ConfigError
from lstm_ae.memory import require
from lstm_ae.spec import Count, DataSpec, NonNegative, Scaler, part

BYTES = 20  # for each value while the sequences are made
Position = Annotated[int, Field(ge=0)]


def generate(
    num_sequences: int,
    length: int,
    dip_length: int,
    dip_center: Sequence[int],
    dip_scale: float,
    generator: torch.Generator,
) -> Tensor:
    """Independent uniform values in [0, 1], of which `dip_length` consecutive ones are multiplied by `dip_scale`.

    The dip begins at position i - dip_length // 2, where i is uniform on `dip_center` = (first, last), both included.

    Returns:
        (num_sequences, length, 1), float32.

    Raises:
        ConfigError: the dip could leave the sequence.
    """
    if len(dip_center) != 2 or dip_center[0] > dip_center[1]:
        raise ConfigError("dataset.dip_center", list(dip_center), "must be [first, last] with first <= last")
    first, last = dip_center
    half = dip_length // 2
    if dip_length > length:
        raise ConfigError("dataset.dip_length", dip_length, f"must be at most {length} (dataset.length)")
    if first < half or last - half + dip_length > length:
        raise ConfigError(
            "dataset.dip_center",
            list(dip_center),
            f"must lie from {half} to {length - dip_length + half} for a dip of {dip_length} within length={length}",
        )
    values = torch.rand(num_sequences, length, 1, generator=generator)
    start = torch.randint(first, last + 1, (num_sequences, 1), generator=generator) - half
    position = torch.arange(length)
    in_dip = (position >= start) & (position < start + dip_length)
    return torch.where(in_dip[..., None], values * dip_scale, values)


@part
def synthetic(
    num_sequences: Annotated[int, Field(ge=10)],
    length: Count,
    dip_length: Annotated[int, Field(ge=0)],
    dip_center: tuple[Position, Position],
    dip_scale: NonNegative,
    batch_size: Count,
    val_fraction: Portion,
    test_fraction: Portion,
    seed: int,
    num_train: Count | None = None,
    num_folds: NumFolds | None = None,
    fold: Fold = 0,
) -> SequenceData:
    """The synthetic data set; `seed` decides both the values and the split. See `generate` for the other arguments.

    Raises:
        ConfigError: a dip or parts that do not fit.
    """
    most = ("num_sequences", num_sequences) if num_sequences > length else ("length", length)
    require(BYTES * num_sequences * length, f"dataset.{most[0]}", most[1], f"{num_sequences} sequences of {length}")
    generator = torch.Generator().manual_seed(seed)
    inputs = generate(num_sequences, length, dip_length, dip_center, dip_scale, generator)
    train, val, test = split_all(num_sequences, val_fraction, test_fraction, generator, num_train, num_folds, fold)
    return SequenceData(
        spec=DataSpec("synthetic", length=length, features=1),
        scaler=Scaler(0.0, 1.0),
        train=Sequences(inputs[train]),
        val=Sequences(inputs[val]),
        test=Sequences(inputs[test]),
        batch_size=batch_size,
    )
