"""Figures of a run on a panel: original units, real times, naive forecasts beside the model's."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from lstm_ae.data.panel import Panel
from lstm_ae.data.sequence_data import SequenceData, Sequences
from lstm_ae.figures.sequences import feature_label, original_units, position_axis
from lstm_ae.figures.style import FORECAST, LIMIT, ORIGINAL, PERSISTENCE, RECONSTRUCTION, legend_below
from lstm_ae.metrics import find
from lstm_ae.models.autoencoder import Output

SERIES_ON_ONE_AXIS = 20


@dataclass(frozen=True)
class Windows:
    """The test windows of a run on a panel, and what is forecast for them."""

    data: SequenceData
    panel: Panel
    test: Sequences  # the test part, on the CPU
    output: Output  # of the model, on the CPU
    naive: dict[str, Tensor]  # naive forecasts, (n, horizon), scaled; empty without a forecast

    @cached_property
    def series(self) -> np.ndarray:
        """Which series of the panel each window is from, (n,)."""
        return np.asarray(self.test.series)

    @cached_property
    def begin(self) -> np.ndarray:
        """The panel's position in time at which each window begins, (n,)."""
        return np.asarray(self.test.time)

    @cached_property
    def scaled(self) -> dict[str, Tensor]:
        """The forecasts of the model and the naive ones of the target after the input, (n, horizon), scaled."""
        forecast = self.output.forecast
        mine = {} if forecast is None else {"forecast": self.test.unseen(forecast)}
        return mine | self.naive

    @cached_property
    def forecasts(self) -> dict[str, np.ndarray]:
        """The same in original units."""
        return {name: original_units(self.data, self.test, values[..., None])[..., 0]
                for name, values in self.scaled.items()}  # fmt: skip

    def shown(self, among: np.ndarray) -> list[int]:
        """The series that `spec.shown` names, of these rows of the panel, and then the others of them."""
        preferred = [self.panel.series.index(name) for name in self.data.spec.shown if name in self.panel.series]
        return [row for row in preferred if row in among] + [row for row in among.tolist() if row not in preferred]


def panel_figures(
    data: SequenceData, panel: Panel, test: Sequences, output: Output, naive: dict[str, Tensor]
) -> dict[str, Callable[[], Figure]]:
    """What makes each figure of a run on a panel, by the figure's name; see `Windows` for the arguments."""
    windows = Windows(data, panel, test, output, naive)
    figures: dict[str, Callable[[Windows], Figure]] = {"series": whole_series}
    if output.forecast is not None:
        figures |= {"forecast": one_step_ahead, "next_step": next_step, "window": whole_window,
                    "baselines": against_baselines}  # fmt: skip
        if len(np.unique(windows.begin)) == 1:  # then `window` shows all that there is over time
            del figures["forecast"]
        if not panel.shared:  # there are no two series of one time
            del figures["next_step"]
    return {name: partial(figure, windows) for name, figure in figures.items()}


def whole_series(windows: Windows) -> Figure:
    """The target of two series over all times: those to show first, or those with the fewest missing values."""
    panel = windows.panel
    fullest = np.argsort(np.isnan(panel.values[..., 0]).sum(1), kind="stable")
    figure = Figure(figsize=(8, 3.8))
    axes = figure.subplots()
    rows = windows.shown(fullest)[: 2 if panel.shared else 1]
    for row, style in zip(rows, ("-", "--"), strict=False):
        axes.plot(panel.times_of(row), panel.values[row, : len(panel.times_of(row)), 0], style, label=panel.series[row])
    times = panel.times_of(rows[0])
    position_axis(axes, times)
    axes.set(ylabel=feature_label(windows.data.spec, 0), title=f"{times[0]} to {times[-1]}")
    axes.legend(loc="best" if len(times) < 100_000 else "upper left")  # the best place takes long to find
    return figure


def one_step_ahead(windows: Windows) -> Figure:
    """One series over the test times: the truth, and at the same time what was forecast for it one step before."""
    panel, spec, forecasts = windows.panel, windows.data.spec, windows.forecasts
    row = windows.shown(np.unique(windows.series))[0]
    mine = np.flatnonzero(windows.series == row)
    mine = mine[np.argsort(windows.begin[mine])]
    places = windows.begin[mine] + spec.length
    times, truth = panel.times_of(row)[places], panel.values[row, places, 0]
    figure = Figure(figsize=(8, 5.8))
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
    marker = "o" if len(mine) < 3 else ""
    top.plot(times, truth, **ORIGINAL, marker=marker)
    for name, style in (("forecast", FORECAST), ("persistence", PERSISTENCE)):
        top.plot(times, forecasts[name][mine, 0], **style, marker=marker)
        bottom.plot(times, forecasts[name][mine, 0] - truth, **style, marker=marker)
    bottom.axhline(0, color="0.5", linewidth=0.8)
    top.set(ylabel=feature_label(spec, 0), title=f"{panel.series[row]}: each time as it was forecast one step before")
    bottom.set(ylabel="error")
    position_axis(bottom, times)
    legend_below(figure)
    return figure


def next_step(windows: Windows) -> Figure:
    """The first step after the input across series: how each one changed, and how it was forecast to change.

    All of them are of one time: the latest of those that most windows end at.
    """
    panel, spec = windows.panel, windows.data.spec
    counts = np.bincount(windows.begin)
    same = np.flatnonzero(windows.begin == np.flatnonzero(counts == counts.max())[-1])
    same = same[np.linspace(0, len(same) - 1, min(SERIES_ON_ONE_AXIS, len(same))).astype(int)]
    rows, target = windows.series[same], int(windows.begin[same[0]]) + spec.length
    before = panel.values[rows, target - 1, 0]
    relative = bool((before > 0).all())  # a percentage of anything else means nothing
    after = panel.values[rows, target, 0], windows.forecasts["forecast"][same, 0]
    actual, forecast = (100 * (values / before - 1) if relative else values - before for values in after)
    figure = Figure(figsize=(8, 4.4))
    axes = figure.subplots()
    places = np.arange(len(rows))
    axes.vlines(places, actual, forecast, color="0.7", linewidth=1)
    axes.plot(places, actual, "o", color=ORIGINAL["color"], label="original")
    axes.plot(places, forecast, "D", color=FORECAST["color"], label="forecast")
    axes.axhline(0, **PERSISTENCE)
    axes.set_xticks(places, [panel.series[row] for row in rows], rotation=60, ha="right", rotation_mode="anchor")
    name = spec.feature_names[0] if relative and spec.feature_names else feature_label(spec, 0)
    axes.set(ylabel=f"change of {name}{' (%)' if relative else ''}", title=f"{panel.times[target]}, the first step "
             f"after the input; {len(rows)} of {len(np.unique(windows.series))} series")  # fmt: skip
    legend_below(figure)
    return figure


def whole_window(windows: Windows) -> Figure:
    """The latest window of one series: input, reconstruction and forecast, with the last step of the input marked."""
    panel, spec, output = windows.panel, windows.data.spec, windows.output
    row = windows.shown(np.unique(windows.series))[0]
    mine = np.flatnonzero(windows.series == row)
    i = int(mine[windows.begin[mine].argmax()])
    one, begin = windows.test[i : i + 1], int(windows.begin[i])
    rebuilt, forecast = (original_units(windows.data, one, values[i : i + 1, :, :1])[0, :, 0]
                         for values in (output.reconstruction, output.forecast) if values is not None)  # fmt: skip
    span = slice(begin, begin + spec.length + windows.test.horizon)
    times = panel.times_of(row)[span]
    inside, after = times[: spec.length], times[spec.length :]
    figure = Figure(figsize=(8, 4.6))
    axes = figure.subplots()
    axes.plot(times, panel.values[row, span, 0], **ORIGINAL, marker="o" if len(inside) <= 100 else "", markersize=3)
    axes.plot(inside, rebuilt, **RECONSTRUCTION)
    axes.plot(times[-len(forecast) :], forecast, **FORECAST, marker="D" if len(forecast) <= 100 else "", markersize=4)
    axes.plot(after, windows.forecasts["persistence"][i], **PERSISTENCE, marker="x")
    axes.axvline(inside[-1], **LIMIT, label="last step of the input")
    axes.set(ylabel=feature_label(spec, 0), title=f"{panel.series[row]}, {times[0]} to {times[-1]}")
    position_axis(axes, times)
    legend_below(figure)
    return figure


def against_baselines(windows: Windows) -> Figure:
    """The error after the input of the model and of every baseline, with the skill against persistence."""
    metric, test = find("test/forecast_unseen"), windows.test
    truth = np.asarray(test.truth())
    errors = {name: float(np.square(values.numpy() - truth).mean()) for name, values in windows.scaled.items()}
    base = errors["persistence"]
    names = list(errors)[::-1]
    figure = Figure(figsize=(8, 1.4 + 0.3 * len(names)))
    axes = figure.subplots()
    for place, name in enumerate(names):
        style = {"color": FORECAST["color"], "marker": "D"} if name == "forecast" else {"color": "0.4", "marker": "o"}
        axes.plot(errors[name], place, linestyle="", **style)
    axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    skills = {name: f", skill {1 - error / base:+.1%}" if base else "" for name, error in errors.items()}
    right = axes.secondary_yaxis("right")
    right.set_yticks(range(len(names)), [f"{errors[name]:.4g}{skills[name]}" for name in names])
    if metric.logarithmic and min(errors.values()) > 0:
        axes.set_xscale("log")
    axes.margins(x=0.08, y=0.1)
    axes.set(xlabel=f"{metric.words}, scaled")
    return figure
