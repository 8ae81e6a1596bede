"""Sequences of one's own from `.npy`, `.npz` and `.ts` files: of equal or unequal length, labelled or not."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lstm_ae.data.array_files import read_arrays, read_labels
from lstm_ae.data.panel_scaling import own_scaler
from lstm_ae.data.ragged import own_lengths, pad, to_sequences
from lstm_ae.data.sequence_data import SequenceData, Sequences
from lstm_ae.data.splitting import Fold, NumFolds, Portion, split_all, split_train_val
from lstm_ae.errors import ConfigError, UserError
from lstm_ae.spec import Count, DataSpec, Scaler, part

log = logging.getLogger(__name__)

Labels = bool | str
PLACE = ("sequence", "step", "feature")


@part
def arrays(
    path: str,
    batch_size: Count,
    val_fraction: Portion,
    test_fraction: Portion,
    seed: int,
    test_path: str | None = None,
    labels: Labels = True,
    test_labels: str | None = None,
    scaling: Literal["train", "sequence", "none"] = "train",
    standardize: bool = True,
    missing: Literal["error", "interpolate", "mask"] = "error",
    num_train: Count | None = None,
    num_folds: NumFolds | None = None,
    fold: Fold = 0,
) -> SequenceData:
    """The sequences in a file (see `read_arrays`), split at random by `seed`, or with the test part in another file.

    A sequence ends with its last step that has a value. Where lengths differ, the sequences are padded.

    Args:
        path: of the file.
        batch_size: sequences in a batch.
        val_fraction: share of `path` that validates.
        test_fraction: share of `path` that tests; not used with a `test_path`.
        seed: of the split.
        test_path: a file whose sequences are the test part; None: a share of `path`.
        labels: whether to read the labels in the files; or an `.npy` file with those of `path`.
        test_labels: with such a file, an `.npy` file with those of `test_path`.
        scaling: each feature by what the training part holds of it, or by what the sequence itself does, or not at all.
        standardize: to mean 0 and standard deviation 1; else to the range from 0 to 1.
        missing: what becomes of missing values (NaN). "error" refuses them. "interpolate" fills them on the straight
            line between their neighbours in time, and they then count as all others do. "mask" fills them likewise,
            tells the model which ones, and leaves them out of every loss and error.
        num_train, num_folds, fold: see `split_train_val`.

    Raises:
        UserError: a file that cannot be used; says where and why.
        ConfigError: settings that do not fit together.
    """
    given = [path] if test_path is None else [path, test_path]
    if test_path is not None and Path(path).expanduser().resolve() == Path(test_path).expanduser().resolve():
        raise ConfigError("dataset.test_path", test_path, "is dataset.path; what trains cannot test")
    files = [
        read_file(file, named) for file, named in zip(given, label_sources(given, labels, test_labels), strict=True)
    ]
    whole = unite(files, missing)
    generator = torch.Generator().manual_seed(seed)
    first = len(files[0].values)
    if test_path is None:
        rows = split_all(first, val_fraction, test_fraction, generator, num_train, num_folds, fold)
    else:
        other = torch.arange(first, len(whole.values))
        rows = *split_train_val(first, val_fraction, generator, num_train, num_folds, fold), other
    data = divide(
        f"arrays ({Path(path).stem})", whole.values, whole.lengths, rows, scaling, standardize, missing, batch_size
    )
    if whole.labels is None:
        return data
    parts = {
        name: replace(getattr(data, name), labels=whole.labels[chosen])
        for name, chosen in zip(("train", "val", "test"), rows, strict=True)
    }
    return replace(data, **parts, spec=replace(data.spec, class_names=whole.class_names))


def divide(
    name: str,
    values: Tensor,
    lengths: Tensor,
    rows: tuple[Tensor, Tensor, Tensor],
    scaling: str,
    standardize: bool,
    missing: str,
    batch_size: int,
) -> SequenceData:
    """Sequences in memory as a data set without labels.

    Args:
        name: of the data set.
        values: (n, longest, features), in double precision; NaN where a value is missing, and past the end.
        lengths: (n,).
        rows: which sequences train, validate and test.
        scaling, standardize, missing, batch_size: see `arrays`.
    """
    scaler = None if scaling == "sequence" else Scaler(0.0, 1.0)  # None: each sequence has its own
    if scaling == "train":
        scaler = fit_scaler(values[rows[0]], standardize)
    varying = bool((lengths != lengths[0]).any())
    columns = range(values.shape[2])

    def stack(rows: Tensor) -> Sequences:
        chosen = values[rows]
        own = own_scaler(chosen, columns, standardize) if scaler is None else scaler
        made = to_sequences(chosen, lengths[rows] if varying else None, own, masked=missing == "mask").trimmed()
        if scaler is None:
            made = replace(made, low=torch.as_tensor(own.low).float(), high=torch.as_tensor(own.high).float())
        return made

    train, val, test = map(stack, rows)
    spec = DataSpec(
        name,
        length=train.inputs.shape[1],
        features=len(columns),
        own_range=tuple(columns) if scaler is None else (),
        own_standardized=scaler is None and standardize,
        varying=varying,
        masked=missing == "mask",
    )
    return SequenceData(spec, scaler, train, val, test, batch_size)


def fit_scaler(values: Tensor, standardize: bool) -> Scaler:
    """The scaling of each feature by its values in (n, length, features), NaN left out; a constant is only moved."""
    found = own_scaler(values.flatten(0, 1)[None], range(values.shape[2]), standardize)
    return Scaler(*(torch.as_tensor(bound).flatten() for bound in (found.low, found.high)))


@dataclass(frozen=True)
class File:
    """The sequences in one file."""

    name: str
    values: Tensor  # (n, longest, features), double, original units; NaN where a value is missing, and past the end
    lengths: Tensor  # (n,)
    labels: np.ndarray | None  # (n,), as they are in the file


@dataclass(frozen=True)
class Whole:
    """The sequences of all files, one after another."""

    values: Tensor  # as in `File`
    lengths: Tensor
    labels: Tensor | None  # (n,), positions in class_names
    class_names: tuple[str, ...]


def label_sources(files: list[str], labels: Labels, test_labels: str | None) -> list[Labels]:
    """Where the labels of each file are: an `.npy` file, or whether they are those in the file itself.

    Raises:
        ConfigError: a file of labels for one of two files only.
    """
    if isinstance(labels, bool):
        if test_labels is not None:
            raise ConfigError("dataset.test_labels", test_labels, "goes with dataset.labels=FILE.npy")
        return [labels] * len(files)
    if (test_labels is None) == (len(files) == 2):
        raise ConfigError(
            "dataset.test_labels", test_labels, "must be an .npy file where dataset.labels is one and there is a "
            "dataset.test_path, and null elsewhere"
        )  # fmt: skip
    return [labels] if test_labels is None else [labels, test_labels]


def read_file(path: str, labels: Labels) -> File:
    """One file and its labels.

    Raises:
        UserError: it cannot be used.
    """
    read, found = read_arrays(path)
    if isinstance(labels, str):
        found = read_labels(labels)
    elif not labels:
        found = None
    values = torch.from_numpy(read) if isinstance(read, np.ndarray) else pad(read)
    lengths = own_lengths(values)
    if (lengths == 0).any():
        raise UserError(f"{path}: sequence {int(lengths.argmin())} (counted from 0) has no value at all; leave it out")
    if found is not None and (found.ndim != 1 or len(found) != len(values)):
        raise UserError(f"{path}: {len(values)} sequences, and labels of shape {found.shape}; each needs one label")
    if found is not None and found.dtype.kind == "f" and not np.isfinite(found).all():
        raise UserError(f"{path}: a label is missing (NaN); leave out what has no label, or add dataset.labels=false")
    longest = int(lengths.max())
    share = missing_values(values, lengths).sum() / (lengths.sum() * values.shape[2])
    steps = str(longest) if lengths.min() == longest else f"{lengths.min()} to {longest}"
    known = "" if found is None else f", {len(np.unique(found))} classes"
    log.info("%s: %d sequences of %s steps of %d%s; %.2g%% of the values are missing", path, len(values), steps,
             values.shape[2], known, 100 * share)  # fmt: skip
    return File(path, values[:, :longest], lengths, found)


def missing_values(values: Tensor, lengths: Tensor) -> Tensor:
    """Which values within the sequences are missing, like `values`."""
    return values.isnan() & (torch.arange(values.shape[1]) < lengths[:, None])[..., None]


def unite(files: list[File], missing: str) -> Whole:
    """The files' sequences together.

    Raises:
        UserError: files that do not go together, or missing values where they are not allowed.
    """
    first, other = files[0], files[-1]
    if first.values.shape[2] != other.values.shape[2]:
        raise UserError(f"{other.name} has {other.values.shape[2]} features, and {first.name} {first.values.shape[2]}")
    if (first.labels is None) != (other.labels is None):
        lacking = first if first.labels is None else other
        raise UserError(f"{lacking.name} has no labels, and the other file has; add dataset.labels=false to use none")
    longest = max(file.values.shape[1] for file in files)
    values = [F.pad(file.values, (0, 0, 0, longest - file.values.shape[1]), value=torch.nan) for file in files]
    whole = Whole(torch.cat(values), torch.cat([file.lengths for file in files]), *classes(files))
    for file in files if missing == "error" else ():
        gaps = missing_values(file.values, file.lengths)
        if gaps.any():
            place = ", ".join(f"{what} {i}" for what, i in zip(PLACE, gaps.nonzero()[0].tolist(), strict=True))
            raise UserError(
                f"{file.name}: {gaps.sum()} values are missing, the first at {place} (counted from 0). Add "
                "dataset.missing=mask to leave them out of all errors, or dataset.missing=interpolate to fill them in"
            )
    return whole


def classes(files: list[File]) -> tuple[Tensor | None, tuple[str, ...]]:
    """Each sequence's class, (n,), as a position in the classes' names; None and no names without labels.

    Raises:
        UserError: there is one class only.
    """
    if files[0].labels is None:
        return None, ()
    found = np.concatenate([as_text(file.labels) for file in files if file.labels is not None])
    names, position = np.unique(found, return_inverse=True)
    if len(names) == 1:
        raise UserError(f"{files[0].name}: all {len(found)} sequences have the label {str(names[0])!r}, and there is "
                        "nothing to tell apart; add dataset.labels=false to leave labels out")  # fmt: skip
    try:
        order = np.argsort(names.astype(float), kind="stable")  # 2 before 10
    except ValueError:
        order = np.arange(len(names))
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return torch.from_numpy(rank[position]), tuple(str(name) for name in names[order])


def as_text(labels: np.ndarray) -> np.ndarray:
    """Labels as text, whole numbers without a decimal point."""
    if labels.dtype.kind == "f" and (labels == labels.round()).all():
        labels = labels.astype(np.int64)
    return labels.astype(str)
