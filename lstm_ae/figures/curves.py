"""Learning curves: the metrics of a run over its epochs."""

from collections.abc import Callable
from functools import partial
from textwrap import wrap

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lstm_ae.figures.style import LIMIT, TRAIN, VALIDATION, legend_below, scale_axis
from lstm_ae.metrics import find

COLUMNS = 3  # metrics side by side

History = list[dict[str, float]]


def learning_curves(history: History, best_epoch: int) -> dict[str, Callable[[], Figure]]:
    """What makes each figure of a history, by the figure's name.

    `loss` shows the loss and all that is measured with it; a metric of which more is better, such as `accuracy`, has a
    figure of its own.
    """
    names = list(dict.fromkeys(name.split("/", 1)[1] for row in history for name in row if "/" in name))
    groups: dict[str, list[str]] = {}
    for name in names:
        group = name if find(f"val/{name}").better == "max" else "loss"
        groups.setdefault(group, []).append(name)
    return {
        group: partial(curves, history, distinct(history, members), best_epoch) for group, members in groups.items()
    }


def distinct(history: History, names: list[str]) -> list[str]:
    """The metrics without those whose values are those of an earlier one, as the parts of a loss with one part are."""
    kept: dict[str, np.ndarray] = {}
    for name in names:
        values = np.array([[row.get(f"{part}/{name}", np.nan) for part in ("train", "val")] for row in history])
        if not any(np.allclose(values, other, rtol=1e-4, atol=0, equal_nan=True) for other in kept.values()):
            kept[name] = values
    return list(kept)


def curves(history: History, names: list[str], best_epoch: int) -> Figure:
    """Metrics of training and validation over epochs and, at the top, the time that training took.

    Args:
        history: a row of metrics for each epoch.
        names: of the metrics, without `train/` and `val/`.
        best_epoch: is marked.
    """
    epochs = np.array([row["epoch"] for row in history])
    seconds = np.cumsum([max(row["seconds"], 1e-3) for row in history])
    unit, divisor = ("seconds", 1) if seconds[-1] < 120 else ("minutes", 60)
    clock = epochs_and_time(epochs, seconds / divisor)
    columns = min(COLUMNS, len(names))
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(max(6.4, 3.6 * columns), 0.6 + 3 * rows))
    cells = figure.subplots(rows, columns, squeeze=False).flatten()
    for axes, name in zip(cells, names, strict=False):
        for part, style in (("train", TRAIN), ("val", VALIDATION)):
            values = np.array([row.get(f"{part}/{name}", np.nan) for row in history])
            if np.isfinite(values).any():
                axes.plot(epochs, values, **style, marker="o" if len(epochs) < 3 else "")
        metric = find(f"val/{name}")
        scale_axis(axes, metric)
        axes.axvline(best_epoch, **LIMIT, label=f"best epoch: {best_epoch:g}")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if len(epochs) == 1:
            axes.set_xlim(epochs[0] - 1, epochs[0] + 1)
        axes.set(xlabel="epoch", title="\n".join(wrap(metric.words, 36)))
        top = axes.secondary_xaxis("top", functions=clock)
        top.set_xlabel(unit)
        top.xaxis.set_major_locator(MaxNLocator(5))
    for axes in cells[len(names) :]:
        axes.remove()
    legend_below(figure)
    return figure


def epochs_and_time(
    epochs: np.ndarray, passed: np.ndarray
) -> tuple[Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray], np.ndarray]]:
    """The function from epochs to the time that they took, and its inverse.

    Beyond both ends of the training, time goes on at its mean pace.
    """
    x, y = (np.array([-values[-1], 0, *values, 2 * values[-1]]) for values in (epochs, passed))
    return (lambda epoch: np.interp(epoch, x, y)), (lambda time: np.interp(time, y, x))
