"""Detectors without a network, which every score is held against: what they say of a window, step by step.

They read the same windows as the network, scaled alike, and their errors are scored, overlapped and thresholded alike.
Each is made of training windows (n, length, features) and called with windows (batch, length, features).
"""

from collections.abc import Callable

import numpy as np
import torch
from sklearn.decomposition import PCA

from lstm_ae.data.sequence_data import Sequences

Detector = Callable[[np.ndarray], np.ndarray]

Z_SCORE = "moving_z_score"

LARGEST_NEIGHBOURHOOD = 2000  # training windows that a window is compared with, at most
FITTED = 20_000_000  # values that the detectors are fitted on, at most: 160 MB


def naive_detectors(train: Sequences, context_size: int) -> dict[str, Detector]:
    """The detectors by their names, fitted on the training part.

    Args:
        train: its windows, scaled; of many, evenly spaced ones that hold `FITTED` values are read.
        context_size: numbers in the run's context.
    """
    count = min(len(train), max(2, FITTED // train.inputs[0].numel()))
    positions = torch.linspace(0, len(train) - 1, count, dtype=torch.float64).round().long()
    windows = train.inputs[positions.to(train.inputs.device)].cpu().double().numpy()
    if train.mask is not None:
        windows = np.where(train.mask[positions.to(train.mask.device)].cpu().numpy(), windows, 0)
    return {
        Z_SCORE: MovingZScore(windows),
        "pca": SubsequencePCA(windows, context_size),
        "nearest_neighbour": NearestNeighbour(windows),
    }


class MovingZScore:
    """Each step's distance from the mean of its window, in standard deviations of the window.

    A window that hardly varies is measured by a hundredth of the channel's deviation in training.
    """

    def __init__(self, train: np.ndarray) -> None:
        self.smallest = np.maximum(0.01 * train.std((0, 1)), 1e-9)

    def __call__(self, windows: np.ndarray) -> np.ndarray:
        """(batch, length, features) -> errors of that shape."""
        spread = np.maximum(windows.std(1, keepdims=True), self.smallest)
        return (windows - windows.mean(1, keepdims=True)) / spread


class SubsequencePCA:
    """The error of rebuilding a window from principal components of training windows.

    Sub-PCA of Paparrizos et al. (TSB-UAD, PVLDB 15(8), 2022), with as many components as this run's context has numbers
    in place of those that explain a share of the variance.
    """

    def __init__(self, train: np.ndarray, components: int) -> None:
        flat = train.reshape(len(train), -1)
        # one fewer than a window has values: with all of them nothing is left
        count = max(0, min(components, len(flat) - 1, flat.shape[1] - 1))
        fitted = PCA(count, random_state=0).fit(flat)
        self.mean, self.axes = fitted.mean_, fitted.components_.T

    def __call__(self, windows: np.ndarray) -> np.ndarray:
        """(batch, length, features) -> errors of that shape."""
        centred = windows.reshape(len(windows), -1) - self.mean
        return (centred - centred @ self.axes @ self.axes.T).reshape(windows.shape)


class NearestNeighbour:
    """The difference from the nearest training window (Euclidean), of at most `LARGEST_NEIGHBOURHOOD`."""

    def __init__(self, train: np.ndarray) -> None:
        chosen = np.linspace(0, len(train) - 1, min(LARGEST_NEIGHBOURHOOD, len(train))).round().astype(int)
        self.train = train[chosen].reshape(len(chosen), -1)
        self.squares, self.crossed = (self.train**2).sum(1), -2 * self.train.T

    def __call__(self, windows: np.ndarray) -> np.ndarray:
        """(batch, length, features) -> errors of that shape."""
        flat = windows.reshape(len(windows), -1)
        distances = flat @ self.crossed  # squared, without the window's own square, which is the same for all
        distances += self.squares  # in place: for few values, making a second array takes longer than the product
        return (flat - self.train[distances.argmin(1)]).reshape(windows.shape)
