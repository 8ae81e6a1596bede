"""Figures of sequences as lines over their steps: a row for each sequence, a column for each feature."""

from textwrap import wrap
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from lstm_ae.data.sequence_data import SequenceData, Sequences
from lstm_ae.figures.style import MEAN, ORIGINAL, RECONSTRUCTION, legend_below, scale_axis
from lstm_ae.metrics import find
from lstm_ae.models.autoencoder import Output
from lstm_ae.spec import DataSpec

SHOWN_SEQUENCES = 3
SHOWN_FEATURES = 6


class Row(NamedTuple):
    """One row of `draw_rows`."""

    title: str
    positions: np.ndarray  # (length,), steps or times
    lines: list[tuple[np.ndarray, dict[str, Any]]]  # values (length, features), and their style


def samples(data: SequenceData, test: Sequences) -> Figure:
    """The first test sequences as they are, in original units."""
    spec, first = data.spec, test[:SHOWN_SEQUENCES]
    names = [f"test sequence {i}" for i in range(len(first))]
    if first.labels is not None and spec.class_names:
        names = [f"{name}: {spec.class_names[k]}" for name, k in zip(names, first.labels, strict=True)]
    rows = []
    for i, name in enumerate(names):
        drawn = drawn_values(data, test[i : i + 1], test.inputs[i : i + 1], holes=True)
        rows.append(Row(name, np.arange(len(drawn)), [(drawn, {**ORIGINAL, "label": None})]))
    figure = draw_rows(spec, rows, "step", share=True)
    figure.suptitle(f"{spec.name}: {len(test)} test sequences of {spec.steps_in_words} steps of {spec.features}")
    return figure


def reconstructions(data: SequenceData, test: Sequences, output: Output) -> Figure:
    """Three test sequences and their reconstructions in original units, by the size of their error (see `quartiles`).

    Sequences of a panel are drawn over their times, and are of three different series.
    """
    errors = sequence_errors(test, output.reconstruction)
    rows = []
    for i, words in quartiles(errors, None if test.series is None else test.series.numpy()).items():
        one = test[i : i + 1]
        lines = [
            (drawn_values(data, one, one.inputs, holes=True), ORIGINAL),
            (drawn_values(data, one, output.reconstruction[i : i + 1]), RECONSTRUCTION),
        ]
        words = f"{words}: mean squared error {errors[i]:.2g} (scaled)"
        positions = np.arange(len(lines[0][0]))
        if data.panel is not None and test.series is not None and test.time is not None:
            words = f"{data.panel.series[int(test.series[i])]}, {words}"
            positions = data.panel.times_of(int(test.series[i]))[positions + int(test.time[i])]
        rows.append(Row(words, positions, lines))
    figure = draw_rows(data.spec, rows, "step" if data.panel is None else "", share=data.panel is None)
    legend_below(figure)
    return figure


def error_by_step(data: SequenceData, test: Sequences, output: Output) -> Figure:
    """Where in a sequence the context forgets: the mean squared error at each step, beside the variance there."""
    error, variance = error_and_variance(test, output.reconstruction)
    row = Row("mean squared error at each step (scaled)", np.arange(len(error)),
              [(variance, MEAN), (error, RECONSTRUCTION)])  # fmt: skip
    figure = draw_rows(data.spec, [row], "step", share=True, height=3)
    for axes in figure.axes:
        scale_axis(axes, find("test/reconstruction"))
    legend_below(figure)
    return figure


def draw_rows(spec: DataSpec, rows: list[Row], axis: str, share: bool, height: float = 1.7) -> Figure:
    """Sequences as lines: a row for each, a column for each of the first features.

    Args:
        spec: of the data, for the names of the features.
        rows: from top to bottom.
        axis: what the horizontal axes count; empty: what needs no words.
        share: whether all rows have one horizontal axis, and the rows of a feature one vertical axis.
        height: of a row, in inches.
    """
    columns = min(spec.features, SHOWN_FEATURES)
    figure = Figure(figsize=(max(8, 2.8 * columns), 1.2 + height * len(rows)))
    cells = figure.subplots(len(rows), columns, squeeze=False, sharex=share, sharey="col" if share else False)
    for row, line_of_cells in zip(rows, cells, strict=True):
        for feature, axes in enumerate(line_of_cells):
            for values, style in row.lines:
                axes.plot(row.positions, values[:, feature], **{"marker": "o" if len(values) < 3 else "", **style})
            axes.set_ylabel(feature_label(spec, feature))
            axes.margins(x=0.01)
            position_axis(axes, row.positions)
        title = row.title if columns == 1 else "\n".join(wrap(row.title, 34))
        line_of_cells[0].set_title(title, loc="left")
    for axes in cells[-1]:
        axes.set_xlabel(axis)
    if spec.features > columns:
        cells[0, -1].set_title(f"and {spec.features - columns} more features", loc="right")
    return figure


def feature_label(spec: DataSpec, feature: int) -> str:
    """The name of a feature for an axis; empty for the only feature, where it has no name.

    The unit is that of the first feature, the target of forecasts.
    """
    if feature < len(spec.feature_names):
        name = spec.feature_names[feature]
    else:
        name = f"feature {feature}" if spec.features > 1 else ""
    return f"{name} ({spec.unit})".strip() if feature == 0 and spec.unit else name


def position_axis(axes: Axes, positions: np.ndarray) -> None:
    """The horizontal axis: dates in few words, steps as whole numbers."""
    if np.issubdtype(positions.dtype, np.datetime64):
        locator = AutoDateLocator(minticks=3, maxticks=8)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    elif np.issubdtype(positions.dtype, np.integer):
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))


def sequence_errors(test: Sequences, reconstruction: Tensor) -> np.ndarray:
    """The mean squared error of each sequence over its values that exist, (n,)."""
    return squared_errors(test, reconstruction).flatten(1).nanmean(1).numpy()


def squared_errors(test: Sequences, reconstruction: Tensor) -> Tensor:
    """The squared error of each value, (n, length, features); NaN where there is none."""
    errors, exists = (reconstruction - test.inputs).square(), test.exists()
    return errors if exists is None else errors.masked_fill(~exists, torch.nan)


def error_and_variance(test: Sequences, reconstruction: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """The mean squared error and the variance at each step over the values that exist, (length, features) each.

    NaN where there is none, and the variance where there is one only.
    """
    error, exists = squared_errors(test, reconstruction).nanmean(0), test.exists()
    if exists is None:
        return error.numpy(), test.inputs.var(0, correction=0).numpy()
    inputs = test.inputs.masked_fill(~exists, torch.nan)
    variance = (inputs - inputs.nanmean(0)).square().nanmean(0)
    return error.numpy(), variance.masked_fill(exists.sum(0) < 2, torch.nan).numpy()


def drawn_values(data: SequenceData, one: Sequences, values: Tensor, holes: bool = False) -> np.ndarray:
    """Values (1, length, features) of one sequence in original units, to its end: (its length, features).

    Args:
        data, one: the data set and the stack of this sequence alone.
        values: scaled.
        holes: NaN, which draws nothing, where a value is missing.
    """
    drawn = original_units(data, one, values)[0]
    if holes and one.mask is not None:
        drawn = np.where(one.mask[0].numpy(), drawn, np.nan)
    return drawn if one.lengths is None else drawn[: int(one.lengths[0])]


def quartiles(errors: np.ndarray, series: np.ndarray | None = None) -> dict[int, str]:
    """The positions of the sequences at the quartiles of the errors, from small to large, each with its words.

    Of fewer than three sequences, all. With `series` (which series each sequence is from), a sequence whose series is
    already there gives way to the next larger error of another series, if there is one.
    """
    order = np.argsort(errors, kind="stable")
    names = {0.25: "lower quartile of the errors", 0.75: "upper quartile of the errors", 0.5: "median error"}
    places = {int(share * len(order)): words for share, words in names.items()}
    found: dict[int, str] = {}
    for place in sorted(places):
        following = order[place:]
        if series is not None:
            following = following[~np.isin(series[following], series[list(found)])]
        found[int(following[0] if len(following) else order[place])] = places[place]
    return found


def original_units(data: SequenceData, part: Sequences, values: Tensor) -> np.ndarray:
    """Scaled values (n, steps, k) of the first k features of these sequences, in original units."""
    scaler = part.scaler or data.scaler
    with torch.inference_mode():
        return (values if scaler is None else scaler.first(values.shape[2]).inverse(values)).numpy()
