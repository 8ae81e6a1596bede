"""The one style of all figures: what is the same thing looks the same everywhere, and differs without colour too."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lstm_ae.metrics import Metric

STYLE: dict[Any, Any] = {
    "figure.dpi": 120,
    "figure.constrained_layout.use": True,
    "figure.titlesize": 9,
    "font.size": 10,
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "grid.alpha": 0.3,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
}

INK, RED, TEAL, YELLOW, PURPLE = "#1b1b1b", "#d1495b", "#00798c", "#edae49", "#8d6a9f"

# Lines, as keyword arguments of `Axes.plot`.
ORIGINAL: dict[str, Any] = {"color": INK, "linestyle": "-", "label": "original"}
RECONSTRUCTION: dict[str, Any] = {"color": RED, "linestyle": "--", "label": "reconstruction"}
FORECAST: dict[str, Any] = {"color": TEAL, "linestyle": "-.", "label": "forecast"}
PERSISTENCE: dict[str, Any] = {"color": YELLOW, "linestyle": ":", "label": "persistence"}
DRIFT: dict[str, Any] = {"color": PURPLE, "linestyle": (0, (5, 1, 1, 1, 1, 1)), "label": "drift"}
MEAN: dict[str, Any] = {"color": "0.4", "linestyle": ":", "label": "variance (the error of predicting the mean)"}
TRAIN: dict[str, Any] = {"color": TEAL, "linestyle": "--", "label": "train"}
VALIDATION: dict[str, Any] = {"color": RED, "linestyle": "-", "label": "validation"}
LIMIT: dict[str, Any] = {"color": "0.3", "linestyle": (0, (1, 2)), "linewidth": 1}  # marks a place on an axis
MARKERS = "o^sDvP*"  # of classes, with the ten colours of matplotlib's cycle: 70 classes all look different


def shortened(name: str, length: int) -> str:
    """A name of at most `length` characters; of a longer one, the beginning and the end."""
    end = (length - 1) // 2
    return name if len(name) <= length else f"{name[: length - 1 - end]}…{name[len(name) - end :]}"


def scale_axis(axes: Axes, metric: Metric) -> None:
    """Make the vertical axis logarithmic if the metric's is and any of the lines on it has a value above 0."""
    if metric.logarithmic and any((np.asarray(line.get_ydata()) > 0).any() for line in axes.lines):
        axes.set_yscale("log")


def legend_below(figure: Figure, columns: int = 3) -> None:
    """Name the lines of the first axes, which the others have too, below all axes."""
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=columns)
