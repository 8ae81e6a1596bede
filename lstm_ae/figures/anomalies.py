"""Figures of a scoring: where the scores are high, how they spread, and what the network makes of such windows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from lstm_ae.anomalies.detectors import NETWORK, Detectors
from lstm_ae.anomalies.metrics import events
from lstm_ae.anomalies.results import score_columns
from lstm_ae.anomalies.rows import ScoredRows
from lstm_ae.anomalies.thresholds import Threshold
from lstm_ae.figures.saving import save_figures
from lstm_ae.figures.sequences import position_axis
from lstm_ae.figures.style import INK, LIMIT, ORIGINAL, PURPLE, RECONSTRUCTION, RED, TEAL, YELLOW, legend_below

BINS = 1500  # places of a line; longer series are drawn as the range of the values that share a place
SHOWN_CHANNELS = 6
ENLARGED = 3
WINDOWS = 3  # of each kind
DRAWN = 1_000_000  # steps of a series, around its highest score: what is drawn has to be held in memory
COLORS = (RED, TEAL, YELLOW, PURPLE)


@dataclass(frozen=True)
class Picture:
    """What is drawn of a scoring."""

    title: str
    detectors: Detectors
    rows: ScoredRows
    thresholds: Mapping[str, Threshold]
    validation: np.ndarray  # scores of held-out data, (steps, columns)

    def drawn(self) -> tuple[np.ndarray, int, str]:
        """What is drawn: the series with the highest score; of a very long one `DRAWN` steps around that.

        Returns:
            the places of its rows (n,), the step of the series that the first of them is, and its name.
        """
        highest = self.rows.highest()
        return *self.rows.around(highest, DRAWN), self.rows.names[int(self.rows.series[highest])]


def draw_scores(stem: Path, picture: Picture) -> list[Path]:
    """Write every figure; one that fails costs a warning.

    Args:
        stem: what their names begin with.
        picture: what was found.

    Returns:
        the files written.
    """
    figures = {"overview": partial(overview, picture), "distribution": partial(distribution, picture)}
    if not picture.detectors.network.forecasts:
        figures["windows"] = partial(windows, picture)
    return save_figures(
        {stem.with_name(f"{stem.name}_{name}.png"): make for name, make in figures.items()}, picture.title
    )


def overview(picture: Picture) -> Figure:
    """One series with its true and flagged intervals, the score of every detector, each channel's share of the
    network's, and the worst flagged places enlarged."""
    rows, detectors = picture.rows, picture.detectors
    mine, first_step, name = picture.drawn()
    times = first_step + np.arange(len(mine)) if rows.times is None else np.asarray(rows.times[mine])
    scores = np.asarray(rows.scores[mine])
    flags = scores[:, 0] > picture.thresholds[NETWORK].value
    places = enlarged(scores[:, 0], flags, detectors.network.spec.length)
    channels = detectors.network.channels
    many = len(channels) > 1
    tracks = len(picture.thresholds)
    heights = [2.2, *[1] * tracks, *([1.2] if many else []), *([2.0] if places else [])]
    figure = Figure(figsize=(11, 1.25 * sum(heights)))
    grid = figure.add_gridspec(len(heights), max(1, len(places)), height_ratios=heights)
    top = figure.add_subplot(grid[0, :])
    values = np.asarray(rows.values[mine])
    labels = None if rows.labels is None else rows.labels[mine]
    names = detectors.network.spec.feature_names or tuple(str(i) for i in range(values.shape[1]))
    signal(top, times, values, names, labels, flags)
    total = rows.lengths[name]
    top.set_title(f"{name}: {total:,} steps" if len(mine) == total else
                  f"{name}: steps {first_step:,} to {first_step + len(mine):,} of {total:,}")  # fmt: skip
    for i, (detector, column) in enumerate(score_columns(detectors).items()):
        axes = figure.add_subplot(grid[1 + i, :], sharex=top)
        track(axes, times, scores[:, column], picture.thresholds[detector].value, COLORS[i % len(COLORS)], labels)
        axes.set_ylabel(detector.replace("_", "\n"), fontsize=8)
    top.set_xlim(times[0], times[-1])  # as wide as the map below, which is drawn over steps
    if many:
        contributions(figure.add_subplot(grid[1 + tracks, :]), first_step, scores[:, 1 : 1 + len(channels)], channels)
    for i, (first, end) in enumerate(places):
        axes = figure.add_subplot(grid[-1, i])
        part = slice(first, end)
        signal(axes, times[part], values[part], names, None if labels is None else labels[part], flags[part])
        axes.set_title(f"enlarged: steps {first_step + first:,} to {first_step + end:,}", fontsize=8)
        axes.tick_params(labelsize=7)
    legend_below(figure)
    return figure


def enlarged(scores: np.ndarray, flags: np.ndarray, window: int) -> list[tuple[int, int]]:
    """The flagged places with the highest scores, each with a window's length around it; nothing twice."""
    found: list[tuple[int, int]] = []
    runs = events(flags)
    for first, end in sorted(runs.tolist(), key=lambda run: -np.nanmax(scores[run[0] : run[1]])):
        peak = first + int(np.nanargmax(scores[first:end]))
        place = max(0, min(first, peak - 1) - window), min(len(scores), min(end, peak + 3 * window) + window)
        if all(place[1] <= other[0] or place[0] >= other[1] for other in found):
            found.append(place)
        if len(found) == ENLARGED:
            break
    return sorted(found)


def signal(
    axes: Axes,
    times: np.ndarray,
    values: np.ndarray,
    names: Sequence[str],
    labels: np.ndarray | None,
    flags: np.ndarray,
) -> None:
    """The channels over time; labelled steps shaded, flagged steps marked along the bottom.

    Several channels get a lane each, from their lowest to their highest value here: their units may differ.
    """
    shown = values[:, :SHOWN_CHANNELS]
    if shown.shape[1] > 1:
        bottom, top = np.nanmin(shown, axis=0), np.nanmax(shown, axis=0)
        lanes = np.arange(shown.shape[1])
        shown = 0.8 * (shown - bottom) / np.where(top > bottom, top - bottom, 1) + lanes
        axes.set_yticks(lanes + 0.4, names[: len(lanes)], fontsize=8)
    for channel in range(shown.shape[1]):
        place, low, high = envelope(times, shown[:, channel])
        style: dict[str, Any] = {"color": INK, "linewidth": 0.8, "label": None if channel else "signal"}
        if len(place) < len(times):
            axes.fill_between(place, low, high, step="mid", **style)
        else:
            axes.plot(place, low, **style)
    if labels is not None:
        shade(axes, times, labels, TEAL, 0.25, "labelled anomalous")
    for i, (first, end) in enumerate(events(flags)):
        axes.plot(times[[first, end - 1]], [0.02, 0.02], transform=axes.get_xaxis_transform(), color=RED, linewidth=4,
                  marker="s", markersize=3.5, label=None if i else "flagged")  # fmt: skip
    position_axis(axes, times)


def shade(axes: Axes, times: np.ndarray, flags: np.ndarray, color: str, alpha: float, label: str | None) -> None:
    """A band over each interval."""
    for i, (first, end) in enumerate(events(flags)):
        axes.axvspan(times[first], times[end - 1], color=color, alpha=alpha, linewidth=0.8, label=None if i else label)


def track(
    axes: Axes, times: np.ndarray, scores: np.ndarray, threshold: float, color: str, labels: np.ndarray | None
) -> None:
    """A detector's score over time with its threshold; the highest of the scores that share a place."""
    place, _, high = envelope(times, scores)
    axes.plot(place, high, color=color, linewidth=0.8)
    axes.axhline(threshold, **LIMIT, label="threshold")
    if labels is not None:
        shade(axes, times, labels, TEAL, 0.25, None)
    positive = high[high > 0]
    if len(positive):
        axes.set_yscale("log")
        axes.set_ylim(max(np.nanquantile(positive, 0.01), np.nanmax(positive) * 1e-6), np.nanmax(positive) * 2)
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(labelbottom=False)


def contributions(axes: Axes, first_step: int, scores: np.ndarray, channels: tuple[str, ...]) -> None:
    """What each channel contributes, as a map over time: the highest of the scores that share a place."""
    bins = min(BINS // 3, len(scores))
    edges = np.linspace(0, len(scores), bins + 1).astype(int)[:-1]
    highest = np.maximum.reduceat(np.nan_to_num(scores), edges, axis=0)
    image = np.log10(np.maximum(highest, highest.max() * 1e-4)).T
    axes.imshow(image, aspect="auto", interpolation="nearest", cmap="magma", origin="lower",
                extent=(first_step, first_step + len(scores), -0.5, len(channels) - 0.5))  # fmt: skip
    if len(channels) <= 12:
        axes.set_yticks(range(len(channels)), channels, fontsize=7)
    axes.set_ylabel("channel", fontsize=8)
    axes.set_xlabel("step", fontsize=8)
    axes.grid(False)


def envelope(times: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """At most `BINS` places of a line: their times, and the lowest and the highest value at each."""
    if len(values) <= 2 * BINS:
        return times, values, values
    edges = np.linspace(0, len(values), BINS + 1).astype(int)[:-1]
    return times[edges], np.fmin.reduceat(values, edges), np.fmax.reduceat(values, edges)


def distribution(picture: Picture) -> Figure:
    """How the scores of each detector spread on validation data and on this input; of very many, on every n-th row."""
    columns, rows = score_columns(picture.detectors), picture.rows
    every = slice(None, None, -(-len(rows.scores) // DRAWN))
    labels = None if rows.labels is None else rows.labels[every]
    figure = Figure(figsize=(11, 5))
    for axes, (name, column) in zip(figure.subplots(2, 2).flat, columns.items(), strict=False):
        scores = np.asarray(rows.scores[every, column])
        groups = {"validation": (picture.validation[:, column], INK)}
        if labels is None:
            groups["this input"] = (scores, RED)
        else:
            groups |= {"this input, normal": (scores[~labels], TEAL), "this input, anomalous": (scores[labels], RED)}
        known = np.concatenate([values for values, _ in groups.values()])
        known = known[known > 0]
        low, high = np.nanquantile(known, 0.001), np.nanmax(known)
        bins = np.geomspace(max(low, high * 1e-8), high * 1.01, 60)
        for words, (values, color) in groups.items():
            shown = values[~np.isnan(values)]
            weights = np.full(len(shown), 1 / max(1, len(shown)))
            clipped = np.clip(shown, bins[0], bins[-1])
            axes.hist(clipped, bins, weights=weights, histtype="step", color=color, label=words, linewidth=1.4)
        axes.axvline(picture.thresholds[name].value, **LIMIT, label="threshold")
        axes.set(xscale="log", yscale="log", title=name.replace("_", " "), xlabel="score", ylabel="share of steps")
    legend_below(figure, columns=4)
    return figure


def windows(picture: Picture) -> Figure:
    """The windows with the highest and those with the most usual score, in the network's units, and reconstructed."""
    rows, network = picture.rows, picture.detectors.network
    length = network.spec.length
    mine, first_step, name = picture.drawn()
    scores = pd.Series(np.asarray(rows.scores[mine, 0])).rolling(length).mean().to_numpy()[length - 1 :]
    chosen = [(start, "worst") for start in apart(-scores, length)]
    chosen += [(start, "typical") for start in apart(np.abs(scores - np.nanmedian(scores)), length)]
    values = np.stack([np.asarray(rows.values[mine[start : start + length]]) for start, _ in chosen])
    scaled = network.scaled(values, name)
    rebuilt = scaled - network.errors(scaled)
    worst = int(np.nanargmax(np.nanmean((scaled - rebuilt) ** 2, axis=(0, 1))))  # the channel that tells most
    figure = Figure(figsize=(11, 5))
    for axes, one, copy, (start, kind) in zip(figure.subplots(2, WINDOWS, squeeze=False).flat, scaled, rebuilt, chosen,
                                              strict=False):  # fmt: skip
        axes.plot(one[:, worst], **ORIGINAL)
        axes.plot(copy[:, worst], **RECONSTRUCTION)
        axes.set_title(f"{kind}: from step {first_step + start:,}, score {scores[start]:.3g}", fontsize=8)
    figure.supylabel(f"{network.channels[worst]} (scaled)", fontsize=9)
    legend_below(figure)
    return figure


def apart(order: np.ndarray, distance: int) -> list[int]:
    """The places with the smallest values, at least `distance` from each other."""
    left = np.where(np.isnan(order), np.inf, order)
    found = []
    for _ in range(WINDOWS):
        best = int(left.argmin())
        if np.isfinite(left[best]):
            found.append(best)
        left[max(0, best - distance) : best + distance] = np.inf
    return found
