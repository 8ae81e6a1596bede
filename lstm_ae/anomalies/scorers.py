"""From the errors of a step to its scores: each choice of the config group `scorer`.

A scorer is fitted on the errors of held-out data that is taken for normal, never on labels. It returns a column for the
step as a whole and one for each channel; higher is more anomalous, and NaN is an error that is not known.
"""

from typing import Annotated, Protocol

import numpy as np
from pydantic import Field

from lstm_ae.spec import part

SMALLEST = 1e-12  # a squared error in scaled units: less is rounding


class Scorer(Protocol):
    """What a scorer is."""

    def fit(self, errors: np.ndarray) -> None:
        """Fit on held-out errors (n, channels), without NaN."""
        ...

    def __call__(self, errors: np.ndarray) -> np.ndarray:
        """Errors (..., channels) -> scores (..., 1 + channels): of the step, then of each channel."""
        ...


@part
class SquaredError:
    """The squared error of each channel; a step's is the mean over its channels."""

    def fit(self, errors: np.ndarray) -> None:
        """Nothing is fitted."""

    def __call__(self, errors: np.ndarray) -> np.ndarray:
        """See `Scorer`."""
        return _with_mean(errors**2)


@part
class NormalisedError:
    """The squared error of each channel over its mean on held-out data, so that a noisy channel does not drown others.

    A step's is the mean over its channels.
    """

    def fit(self, errors: np.ndarray) -> None:
        """See `Scorer`."""
        self.scale = np.maximum(np.mean(errors**2, axis=0), SMALLEST)

    def __call__(self, errors: np.ndarray) -> np.ndarray:
        """See `Scorer`."""
        return _with_mean(errors**2 / self.scale)


@part
class GaussianError:
    """The squared distance of a step's errors from those of held-out data, in units of their covariance.

    Malhotra et al. 2016 (arXiv 1607.00148), section 2: a = (e - mean)' covariance^-1 (e - mean). A channel's own score
    is its squared z-value. Unlike the other scorers it sees errors of several channels that are large together although
    they used to be opposite.

    Args:
        shrinkage: share of the covariance that is replaced by the mean variance on its diagonal, so that the inverse
            exists for channels that always err alike (Ledoit and Wolf 2004 give the form).
    """

    def __init__(self, shrinkage: Annotated[float, Field(ge=0, le=1)] = 0.01) -> None:
        self.shrinkage = shrinkage

    def fit(self, errors: np.ndarray) -> None:
        """See `Scorer`."""
        self.mean = errors.mean(0)
        centred = errors - self.mean
        covariance = centred.T @ centred / len(errors)
        self.variance = np.maximum(np.diag(covariance), SMALLEST)
        target = np.eye(len(self.mean)) * self.variance.mean()
        self.precision = np.linalg.pinv((1 - self.shrinkage) * covariance + self.shrinkage * target, hermitian=True)

    def __call__(self, errors: np.ndarray) -> np.ndarray:
        """See `Scorer`. A step whose errors are not all known is scored by the mean of its channels."""
        centred = errors - self.mean
        scores = _with_mean(centred**2 / self.variance)
        distance = ((centred @ self.precision) * centred).sum(-1)
        scores[..., 0] = np.where(np.isnan(distance), scores[..., 0], distance)
        return scores


def _with_mean(channels: np.ndarray) -> np.ndarray:
    """The channels' scores behind their mean, over what is known."""
    known = ~np.isnan(channels)
    with np.errstate(invalid="ignore"):
        mean = np.where(known, channels, 0).sum(-1, keepdims=True) / known.sum(-1, keepdims=True)
    return np.concatenate([mean, channels], axis=-1)
