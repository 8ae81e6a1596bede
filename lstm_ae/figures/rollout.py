"""Figures of a roll-out: one series against the truth, and the error by horizon over all series."""

from functools import partial
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lstm_ae.data.panel import Panel
from lstm_ae.figures.saving import save_figures
from lstm_ae.figures.sequences import feature_label, position_axis
from lstm_ae.figures.style import DRIFT, FORECAST, LIMIT, ORIGINAL, PERSISTENCE, legend_below
from lstm_ae.spec import DataSpec

FORECASTS = {"forecast": FORECAST, "persistence": PERSISTENCE, "drift": DRIFT}


def draw_rollout(
    files: list[Path],
    title: str,
    spec: DataSpec,
    panel: Panel,
    row: int,
    before: tuple[int, int],
    rolled: pd.DataFrame,
    errors: pd.DataFrame,
) -> list[Path]:
    """Write the two figures. One that fails costs a warning.

    Args:
        files: of the series, and of the error by horizon.
        title: of both, see `run_title`.
        spec, panel: of the data.
        row: which series of the panel was asked for.
        before: the times, as positions in the panel, to show before the forecast: the first one, and the one after the
            last, at which the forecast starts.
        rolled: a row for each time that was forecast: truth, forecast, persistence, drift, in original units.
        errors: a row for each step of the forecast: horizon, the mean squared error of each forecast, and series, over
            how many series it is the mean.

    Returns:
        the files written.
    """
    one, many = files
    return save_figures(
        {one: partial(rolled_series, spec, panel, row, before, rolled), many: partial(error_by_horizon, errors)}, title
    )


def rolled_series(spec: DataSpec, panel: Panel, row: int, before: tuple[int, int], rolled: pd.DataFrame) -> Figure:
    """One series before and after the start of the forecast; see `draw_rollout`."""
    first, start = before
    times = panel.times_of(row)[first : start + len(rolled)]
    ahead = times[start - first :]
    figure = Figure(figsize=(9, 4.8))
    axes = figure.subplots()
    axes.plot(times, panel.values[row, first : start + len(rolled), 0], **ORIGINAL)
    for name, style in FORECASTS.items():
        axes.plot(ahead, rolled[name], **style, marker="o" if len(rolled) < 3 else "")
    axes.axvline(ahead[0], **LIMIT, label="start of the forecast")
    axes.set(ylabel=feature_label(spec, 0), title=f"{panel.series[row]}, {len(rolled)} steps from {ahead[0]}")
    position_axis(axes, times)
    legend_below(figure, columns=5)
    return figure


def error_by_horizon(errors: pd.DataFrame) -> Figure:
    """The mean squared error over series at each step of the forecast; see `draw_rollout`."""
    figure = Figure(figsize=(7, 4.2))
    axes = figure.subplots()
    for name, style in FORECASTS.items():
        axes.plot(errors["horizon"], errors[name], **style, marker="o" if len(errors) < 3 else "")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="step of the forecast", ylabel="mean squared error (scaled)", ylim=(0, None),
             title=f"mean over {errors['series'].iloc[0]} series")  # fmt: skip
    legend_below(figure)
    return figure
