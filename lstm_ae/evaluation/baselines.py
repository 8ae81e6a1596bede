"""Baselines without a network, for the reconstruction and for the class; each is fitted on the training part alone.

Where sequences have lengths of their own, each is continued to the longest with the training mean at each step. A
missing value is what the model reads in its place. Errors are over the values that exist.

The baselines of forecasts are in `lstm_ae.forecasting.baselines`.
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import cast

import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from torch.nn import functional as F

from lstm_ae.data.sequence_data import Sequences
from lstm_ae.models.lengths import align_ends
from lstm_ae.models.linear_recurrence import LARGEST, SEQUENCES, closed_form

CHUNK_VALUES = 2_000_000  # double precision numbers in memory at a time: 16 MB
REGRESSION_VALUES = 50_000_000  # numbers that the logistic regression is fitted on, at most
REGRESSION_ITERATIONS = 50


def reconstruction_baselines(train: Sequences, test: Sequences, context_size: int) -> dict[str, float]:
    """Mean squared errors per value on `test` of the simplest reconstructions.

    The training part is read in chunks, so the memory needed does not grow with the number of sequences.

    Args:
        train: the part to fit on.
        test: the part to measure.
        context_size: numbers in a context.

    Returns:
        `reconstruction/mean`: of predicting the training mean at each position; at steps that no training sequence has,
            the mean of the feature.
        `reconstruction/pca`: of principal components (Pearson 1901), as many as the context has numbers. No linear code
            of this size does better on the training part. It is exactly 0 where the context is at least as large as a
            sequence. n training sequences have at most n - 1 components.
        `reconstruction/linear_recurrence`: of the best linear readout of the state of a linear recurrence that is the
            same at every step (the closed form of `lstm_ae.models.linear_recurrence`), of the context's size: what an
            encoder keeps that serves all prefixes alike and learns nothing. Sequences of unequal length are read by
            their own steps. Only for sequences of up to `LARGEST` values.
    """
    mean = mean_sequence(train, max(train.inputs.shape[1], test.inputs.shape[1]))
    train, test = continued(train, mean), continued(test, mean)
    found = {"reconstruction/mean": mean_square(test, lambda values: values - mean), "reconstruction/pca": 0.0}
    if context_size < len(mean):
        components = principal_components(train, mean, min(context_size, len(train) - 1))
        found["reconstruction/pca"] = mean_square(
            test, lambda values: (values - mean) - (values - mean) @ components @ components.T
        )
    if len(mean) <= LARGEST:
        train, test = ends_aligned(train), ends_aligned(test)
        rebuild = linear_recurrence(train, context_size)
        found["reconstruction/linear_recurrence"] = mean_square(test, lambda values: values - rebuild(values))
    return found


def mean_sequence(part: Sequences, steps: int) -> Tensor:
    """The mean at each position over the values that exist, (steps * features,); of the feature where none does."""
    exists = part.exists()
    if exists is None:
        return torch.stack([chunk.sum(0) for chunk in flat_chunks(part)]).sum(0) / len(part)
    total = torch.zeros(steps, part.inputs.shape[2], dtype=torch.double)
    count = torch.zeros_like(total)
    for chunk in part.chunks(chunk_size(part)):
        there = cast(Tensor, chunk.exists()).cpu()
        total[: there.shape[1]] += torch.where(there, chunk.inputs.cpu(), 0).double().sum(0)
        count[: there.shape[1]] += there.sum(0)
    feature = total.sum(0) / count.sum(0).clamp(min=1)
    return torch.where(count > 0, total / count.clamp(min=1), feature).flatten()


def continued(part: Sequences, mean: Tensor) -> Sequences:
    """Sequences of unequal length, each continued with the mean sequence (steps * features,); others as they are."""
    if part.lengths is None:
        return part
    inputs = mean.view(-1, part.inputs.shape[2]).to(part.inputs).repeat(len(part), 1, 1)
    within = cast(Tensor, replace(part, mask=None).exists())
    inputs[:, : part.inputs.shape[1]][within] = part.inputs[within]
    mask = None if part.mask is None else F.pad(part.mask, (0, 0, 0, inputs.shape[1] - part.mask.shape[1]))
    return replace(part, inputs=inputs, mask=mask)


def ends_aligned(part: Sequences) -> Sequences:
    """Continued sequences of unequal length, each by its own steps alone and zeros before them; others as they are."""
    if part.lengths is None:
        return part
    there = cast(Tensor, part.exists()).to(part.inputs)
    inputs, mask = (align_ends(values, part.lengths) for values in (part.inputs, there))
    return Sequences(inputs, mask=mask.bool())


def mean_square(part: Sequences, error: Callable[[Tensor], Tensor]) -> float:
    """The mean square over the values that exist of `error`, a function of flat sequences (n, values)."""
    total, count = 0.0, 0
    for chunk, values in zip(part.chunks(chunk_size(part)), flat_chunks(part), strict=True):
        errors, exists = error(values), chunk.exists()
        if exists is not None:
            errors = errors[exists.cpu().flatten(1)]
        total, count = total + errors.square().sum().item(), count + errors.numel()
    return total / count


def linear_recurrence(train: Sequences, size: int) -> Callable[[Tensor], Tensor]:
    """What the best linear readout of a linear recurrence of `size` numbers makes of flat sequences (n, values).

    Recurrence and readout are fitted on at most `SEQUENCES` training sequences.
    """
    recurrence = closed_form(train.inputs, size)

    def codes_and_one(values: Tensor) -> Tensor:
        """The codes and, for the readout's constant, a column of ones."""
        return F.pad(recurrence.codes(values.unflatten(1, (-1, train.inputs.shape[2]))), (0, 1), value=1.0)

    moments = torch.zeros(size + 1, size + 1, dtype=torch.double)
    products = torch.zeros(size + 1, train.inputs[0].numel(), dtype=torch.double)
    for values in flat_chunks(train[:SEQUENCES]):
        codes = codes_and_one(values)
        moments += codes.T @ codes
        products += codes.T @ values
    # Codes may depend on each other, or lie idle: a trace of ridge keeps the solution small, and costs nothing.
    moments.diagonal().add_(1e-10 * moments.diagonal().mean())
    readout = torch.linalg.solve(moments, products)
    return lambda values: codes_and_one(values) @ readout


def principal_components(part: Sequences, mean: Tensor, count: int) -> Tensor:
    """The `count` directions in which the sequences vary most, (values, count), orthonormal.

    They are eigenvectors of the covariance; of fewer sequences than values, singular vectors, which take less memory.

    Args:
        part: sequences of `values` numbers each.
        mean: their mean, (values,).
        count: less than `values` and than the number of sequences.
    """
    if len(part) <= len(mean):
        centred = torch.cat(list(flat_chunks(part))) - mean
        return torch.linalg.svd(centred, full_matrices=False).Vh[:count].T
    scatter = mean.new_zeros(len(mean), len(mean))
    for chunk in flat_chunks(part):
        centred = chunk - mean
        scatter += centred.T @ centred
    return torch.linalg.eigh(scatter).eigenvectors[:, len(mean) - count :]  # in the order of rising eigenvalues


def accuracy_baselines(train: Sequences, test: Sequences) -> dict[str, float]:
    """The accuracies on `test` of the simplest classifiers.

    Args:
        train: the part to fit on, with labels.
        test: the part to measure, with labels.

    Returns:
        `accuracy/majority`: of always naming the training part's most frequent class.
        `accuracy/logistic_regression`: see `logistic_regression`.
    """
    if train.lengths is not None:
        mean = mean_sequence(train, max(train.inputs.shape[1], test.inputs.shape[1]))
        train, test = continued(train, mean), continued(test, mean)
    assert train.labels is not None and test.labels is not None
    majority = train.labels.mode().values.item()
    return {
        "accuracy/majority": test.labels.eq(majority).float().mean().item(),
        "accuracy/logistic_regression": logistic_regression(train, test),
    }


def logistic_regression(train: Sequences, test: Sequences) -> float:
    """The accuracy on `test` of a logistic regression on the flat, standardised sequence.

    scikit-learn's, with its usual L2 penalty (C = 1), solved by L-BFGS within `REGRESSION_ITERATIONS` iterations. It is
    fitted on the whole training part, or on as many sequences of it as hold `REGRESSION_VALUES` numbers, chosen at
    random with a fixed seed. This bounds the time that it takes: 0.02 s for 1,079 images of 64 values, and 4 s for
    54,000 MNIST images of 784 (one thread), where 50 iterations reach an accuracy of 0.923 and 100 reach 0.924.
    """
    assert train.labels is not None and test.labels is not None
    count = max(1, REGRESSION_VALUES // train.inputs[0].numel())
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))
    chosen = order[:count] if len(train) > count else slice(None)
    inputs, labels = train.inputs.cpu()[chosen].flatten(1).numpy(), train.labels.cpu()[chosen].numpy()
    if (labels == labels[0]).all():  # one class leaves nothing to separate
        return test.labels.eq(int(labels[0])).float().mean().item()
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=REGRESSION_ITERATIONS))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the iterations are bounded on purpose
        model.fit(inputs, labels)
    return float(model.score(test.inputs.flatten(1).cpu().numpy(), test.labels.cpu().numpy()))


def flat_chunks(part: Sequences) -> Iterator[Tensor]:
    """The sequences in order, some at a time: (n, length * features) in double precision on the CPU."""
    for chunk in part.chunks(chunk_size(part)):
        yield chunk.inputs.cpu().flatten(1).double()


def chunk_size(part: Sequences) -> int:
    """How many sequences make a chunk."""
    return max(1, CHUNK_VALUES // part.inputs[0].numel())
