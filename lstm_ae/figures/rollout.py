"""The pictures of a roll-out: one company against the truth, and the error by horizon over all companies."""

from pathlib import Path

import pandas as pd
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lstm_ae.data.panel import Panel
from lstm_ae.figures.panel import FORECAST, ORIGINAL, PERSISTENCE, date_axis, unit
from lstm_ae.figures.style import STYLE

STYLES = {
    "forecast": FORECAST,
    "persistence": PERSISTENCE,
    "drift": {"color": "#8d6a9f", "linestyle": "-.", "label": "drift"},
}


def draw_rollout(
    files: list[Path],
    title: str,
    panel: Panel,
    row: int,
    before: tuple[int, int],
    rolled: pd.DataFrame,
    errors: pd.DataFrame,
) -> list[Path]:
    """Draw the two figures into the two `files`.

    Args:
        files: of the company, and of the error by horizon.
        title: the run's settings.
        panel, row: the prices, and the company's place in them.
        before: first (included) and last (excluded) day to show before the forecast.
        rolled: a row per day: date, truth, forecast, persistence, drift, in original units.
        errors: a row per day: horizon, and the mean squared error of each forecast.

    Returns:
        `files`.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(9, 4.6))
        axes = figure.subplots()
        known = slice(before[0], before[1] + 1)  # up to the first day of the truth, so that the line has no gap
        axes.plot(panel.times[known], panel.values[row, known, 0], color=ORIGINAL["color"])
        axes.plot(rolled["time"], rolled["truth"], **{**ORIGINAL, "label": "truth"})
        for name, style in STYLES.items():
            axes.plot(rolled["time"], rolled[name], **style, marker="o" if len(rolled) < 3 else "")
        axes.axvline(rolled["time"].iloc[0], color="0.5", linewidth=1, linestyle=":", label="start of the forecast")
        axes.set(
            ylabel=unit(panel),
            title=f"{panel.series[row]}, {len(rolled)} days from {rolled['time'].iloc[0]:%Y-%m-%d}",
        )
        date_axis(axes)
        axes.legend()
        figures = [figure]

        figure = Figure(figsize=(7, 4))
        axes = figure.subplots()
        for name, style in STYLES.items():
            axes.plot(errors["horizon"], errors[name], **style, marker="o" if len(errors) < 3 else "")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set(xlabel="day of the forecast", ylabel="mean squared error (scaled)", ylim=(0, None),
                 title=f"{errors['series'].iloc[0]} series, from {errors['time'].iloc[0]:%Y-%m-%d}")  # fmt: skip
        axes.legend()
        figures.append(figure)
        for drawn, file in zip(figures, files, strict=True):
            drawn.suptitle(title)
            FigureCanvasAgg(drawn)
            drawn.savefig(file)
    return files
