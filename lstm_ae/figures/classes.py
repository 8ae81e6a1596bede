"""Figures of what a model makes of classes: the confusion of a classifier, and the contexts."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.decomposition import PCA
from torch import Tensor

from lstm_ae.figures.style import MARKERS, TEAL, shortened

SHOWN_CONTEXTS = 3000  # points that a scatter plot can bear
NAMED_CLASSES = 60  # more names than this do not fit beside a figure


def confusion(class_names: tuple[str, ...], labels: Tensor, predicted: Tensor) -> Figure:
    """How many of each class were taken for which."""
    classes = len(class_names)
    counts = (labels * classes + predicted).bincount(minlength=classes**2).view(classes, classes).numpy()
    size = min(max(5.2, 0.36 * classes), 16) if classes <= NAMED_CLASSES else 8
    figure = Figure(figsize=(size + 0.9, size + 0.7))
    axes = figure.subplots()
    # Shaded by the share of the true class, square-rooted: the few mistakes are what one looks for.
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    axes.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1)
    if classes <= NAMED_CLASSES:
        for true, guess in zip(*counts.nonzero(), strict=True):
            axes.text(guess, true, counts[true, guess], ha="center", va="center", fontsize=8 if classes <= 15 else 6,
                      color="white" if shares[true, guess] > 0.4 else "black")  # fmt: skip
        names = [shortened(name, 20) for name in class_names]
        turned: dict[str, Any] = (
            {} if max(map(len, names)) <= 2 else {"rotation": 60, "ha": "right", "rotation_mode": "anchor"}
        )
        axes.set_xticks(range(classes), names, **turned)
        axes.set_yticks(range(classes), names)
    axes.grid(False)
    axes.set(xlabel="predicted", ylabel="true", title=f"accuracy {np.trace(counts) / counts.sum():.2%}")
    return figure


def contexts(class_names: tuple[str, ...], context: Tensor, labels: Tensor | None) -> Figure:
    """The contexts of the test part on their first two principal components, with their classes if there are any."""
    points = context[:SHOWN_CONTEXTS].double().numpy()
    with np.errstate(invalid="ignore"):  # contexts that are all the same have no variance to share out
        pca = PCA(2, random_state=0).fit(points)
    first, second = np.nan_to_num(pca.explained_variance_ratio_)
    points = pca.transform(points)
    figure = Figure(figsize=(7, 5.6))
    axes = figure.subplots()
    if labels is None or not class_names:
        axes.scatter(points[:, 0], points[:, 1], s=12, alpha=0.5, linewidths=0, color=TEAL)
    else:
        scatter_classes(figure, axes, class_names, points, labels[:SHOWN_CONTEXTS].numpy())
    axes.set(xlabel=f"first principal component ({first:.0%} of the variance)", ylabel=f"second ({second:.0%})",
             title=f"contexts of {len(points)} test sequences")  # fmt: skip
    return figure


def scatter_classes(
    figure: Figure, axes: Axes, class_names: tuple[str, ...], points: np.ndarray, labels: np.ndarray
) -> None:
    """Points (n, 2) in colours and markers by class: short names at the middle of their class, others in a legend."""
    present = np.unique(labels)
    short = len(class_names) <= 10 and max(map(len, class_names)) <= 2
    for k in present:
        cloud, colour = points[labels == k], f"C{k % 10}"
        marker = "o" if short else MARKERS[k % len(MARKERS)]
        axes.scatter(cloud[:, 0], cloud[:, 1], s=12, alpha=0.5, color=colour, marker=marker, linewidths=0,
                     label=shortened(class_names[k], 20))  # fmt: skip
        if short:
            x, y = np.median(cloud, axis=0)
            box = {"facecolor": "white", "edgecolor": colour, "boxstyle": "circle"}
            axes.text(x, y, class_names[k], ha="center", va="center", weight="bold", bbox=box)
    if not short and len(present) <= NAMED_CLASSES:
        figure.legend(loc="outside right center", ncols=-(-len(present) // 30), fontsize=8, markerscale=1.8)
