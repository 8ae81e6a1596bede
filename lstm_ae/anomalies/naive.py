"""Detectors without a network, which every score is held against: what they say of a window, step by step.

They read the same windows as the network, scaled alike, and their errors are scored, overlapped and thresholded alike.
Each is made of training windows (n, length, features) and called with windows (batch, length, features).
"""

import numpy as np
import torch

from lstm_ae.data.sequence_data import Sequences

LARGEST_NEIGHBOURHOOD = 2000  # training windows that a window is compared with, at most
FITTED = 20_000  # training windows that principal components are fitted on, at most


def naive_detectors(
    train: Sequences, context_size: int
) -> "dict[str, MovingZScore | SubsequencePCA | NearestNeighbour]":
    """The detectors by their names, fitted on the training part.

    Args:
        train: its windows, scaled; at most `FITTED` of them, evenly spaced, are read.
        context_size: numbers in the run's context.
    """
    positions = torch.linspace(0, len(train) - 1, min(FITTED, len(train)), dtype=torch.float64).round().long()
    windows = train.inputs[positions.to(train.inputs.device)].cpu().double().numpy()
    if train.mask is not None:
        windows = np.where(train.mask[positions.to(train.mask.device)].cpu().numpy(), windows, 0)
    return {
        "moving_z_score": MovingZScore(windows),
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
    """The error of rebuilding a window from principal components of training windows, as many as a context has numbers.

    Sub-PCA of Paparrizos et al. (TSB-UAD, PVLDB 15(8), 2022), with the size of this run's context in place of a share of
    the variance.
    """

    def __init__(self, train: np.ndarray, components: int) -> None:
        flat = train.reshape(len(train), -1)
        self.mean = flat.mean(0)
        count = max(0, min(components, len(flat) - 1, flat.shape[1] - 1))  # one fewer than a window, or nothing is left
        centred = flat - self.mean
        if len(flat) <= flat.shape[1]:
            self.axes = np.linalg.svd(centred, full_matrices=False)[2][:count].T
        else:
            self.axes = np.linalg.eigh(centred.T @ centred)[1][:, flat.shape[1] - count :]

    def __call__(self, windows: np.ndarray) -> np.ndarray:
        """(batch, length, features) -> errors of that shape."""
        centred = windows.reshape(len(windows), -1) - self.mean
        return (centred - centred @ self.axes @ self.axes.T).reshape(windows.shape)


class NearestNeighbour:
    """The difference from the training window that is nearest (Euclidean), of at most `LARGEST_NEIGHBOURHOOD` windows."""

    def __init__(self, train: np.ndarray) -> None:
        chosen = np.linspace(0, len(train) - 1, min(LARGEST_NEIGHBOURHOOD, len(train))).round().astype(int)
        self.train = train[chosen].reshape(len(chosen), -1)
        self.squares = (self.train**2).sum(1)

    def __call__(self, windows: np.ndarray) -> np.ndarray:
        """(batch, length, features) -> errors of that shape."""
        flat = windows.reshape(len(windows), -1)
        nearest = np.argmin(self.squares - 2 * flat @ self.train.T, axis=1)
        return (flat - self.train[nearest]).reshape(windows.shape)
