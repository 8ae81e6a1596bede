"""The pictures of a run on stocks: original units, real dates, naive forecasts beside the model's."""

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from torch import Tensor

from lstm_ae.data.panel import Panel
from lstm_ae.data.sequence_data import Sequences
from lstm_ae.models.autoencoder import Output
from lstm_ae.spec import DataSpec, Scaler

ORIGINAL = {"color": "#1b1b1b", "linestyle": "-", "label": "original"}
REBUILT = {"color": "#d1495b", "linestyle": "--", "label": "reconstruction"}
FORECAST = {"color": "#00798c", "linestyle": "-", "label": "forecast"}
PERSISTENCE = {"color": "#edae49", "linestyle": ":", "label": "persistence"}
SHOWN = ("GOOGL", "AMZN")  # the companies to show where they are at hand
COMPANIES = 20  # on the figure of the last day


def draw_stocks(
    save: Callable[[Figure, str], None],
    title: str,
    spec: DataSpec,
    panel: Panel,
    scaler: Scaler,
    test: Sequences,
    output: Output,
    naive: dict[str, Tensor],
) -> None:
    """Make every figure that a run on stocks has something for.

    Args:
        save: takes a figure and its name.
        title: the run's settings, for the titles.
        spec, panel, scaler: of the data; the scaler goes with the test part.
        test, output: the test part and what the model made of it.
        naive: forecasts (n, horizon) of the baselines, scaled; empty without a forecast.
    """
    target = scaler.first(1)
    rebuilt = target.inverse(output.reconstruction[..., :1])[..., 0].numpy()
    errors = (output.reconstruction - test.inputs).square().flatten(1).mean(1).numpy()
    save(prices(panel, title), "prices")
    save(reconstructed_stocks(panel, test, rebuilt, errors, title), "reconstructions")
    if output.forecast is None:
        return
    forecasts = {"forecast": output.forecast[:, -test.horizon :, 0], **naive}
    forecasts = {name: target.inverse(values[..., None])[..., 0].numpy() for name, values in forecasts.items()}
    whole = target.inverse(output.forecast[..., :1])[..., 0].numpy()
    if len(test.time.unique()) > 1:  # else the window in full shows all that there is
        save(aligned(panel, test, spec.length, forecasts, title), "forecast")
    save(last_day(panel, test, spec.length, forecasts, title), "last_day")
    save(window_in_full(panel, test, rebuilt, whole, forecasts["persistence"], title), "window")
    scaled = {"forecast": output.forecast[:, -test.horizon :, 0], **naive}
    save(against_baselines(test, scaled, title), "baselines")


def unit(panel: Panel) -> str:
    """What the target is counted in."""
    return f"{panel.features[0]} (shares)" if panel.features[0] == "volume" else f"{panel.features[0]} ($)"


def date_axis(axes: Axes) -> None:
    """Dates as few words as they can be told in."""
    locator = AutoDateLocator(minticks=3, maxticks=8)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))


def shown_rows(panel: Panel, among: np.ndarray) -> list[int]:
    """The companies of `SHOWN` that are among these rows, then the others of them."""
    preferred = [panel.series.index(name) for name in SHOWN if name in panel.series]
    return [row for row in preferred if row in among] + [row for row in among.tolist() if row not in preferred]


def prices(panel: Panel, title: str) -> Figure:
    """The target of AMZN and GOOGL, or of two others of the companies with the most days."""
    fullest = np.argsort(np.isnan(panel.values[..., 0]).sum(1), kind="stable")
    figure = Figure(figsize=(8, 3.6))
    axes = figure.subplots()
    for row, style in zip(shown_rows(panel, fullest)[:2], ("-", "--"), strict=False):
        axes.plot(panel.times, panel.values[row, :, 0], style, label=panel.series[row])
    date_axis(axes)
    axes.set(ylabel=unit(panel), title=f"daily {panel.features[0]}, {panel.times[0]} to {panel.times[-1]}")
    axes.legend()
    figure.suptitle(title)
    return figure


def reconstructed_stocks(panel: Panel, test: Sequences, rebuilt: np.ndarray, errors: np.ndarray, title: str) -> Figure:
    """Three windows of different companies, in original units: better than three quarters, the median, worse."""
    order, taken = np.argsort(errors), set()
    figure = Figure(figsize=(8, 7))
    names = [(0.25, "better than three quarters"), (0.5, "the median"), (0.75, "worse than three quarters")]
    length = test.inputs.shape[1]
    for axes, (quantile, name) in zip(figure.subplots(3, 1), names, strict=True):
        place = int(quantile * (len(order) - 1))
        fresh = [i for i in order[place:] if int(test.series[i]) not in taken]
        i = fresh[0] if fresh else order[place]
        row, day = int(test.series[i]), int(test.time[i])
        taken.add(row)
        days = slice(day, day + length)
        axes.plot(panel.times[days], panel.values[row, days, 0], **ORIGINAL)
        axes.plot(panel.times[days], rebuilt[i], **REBUILT)
        axes.set(title=f"{panel.series[row]}, {name}: mean squared error {errors[i]:.2g} (scaled)",
                 ylabel=unit(panel))  # fmt: skip
        date_axis(axes)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    figure.suptitle(title)
    return figure


def aligned(panel: Panel, test: Sequences, length: int, forecasts: dict[str, np.ndarray], title: str) -> Figure:
    """One company's test days: each day's truth and what was forecast for it the day before, on the same date."""
    series = test.series.numpy()
    row = shown_rows(panel, np.unique(series))[0]
    mine = np.flatnonzero(series == row)
    days = test.time.numpy()[mine] + length
    truth = panel.values[row, days, 0]
    figure = Figure(figsize=(8, 5.6))
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
    marker = "o" if len(mine) < 3 else ""
    top.plot(panel.times[days], truth, **ORIGINAL, marker=marker)
    for name, style in (("forecast", FORECAST), ("persistence", PERSISTENCE)):
        top.plot(panel.times[days], forecasts[name][mine, 0], **style, marker=marker)
        bottom.plot(panel.times[days], forecasts[name][mine, 0] - truth, **style, marker=marker)
    bottom.axhline(0, color="0.5", linewidth=0.8)
    top.set(ylabel=unit(panel), title=f"{panel.series[row]}: each day as it was forecast one day before")
    bottom.set(ylabel="error")
    date_axis(bottom)
    top.legend()
    figure.suptitle(title)
    return figure


def last_day(panel: Panel, test: Sequences, length: int, forecasts: dict[str, np.ndarray], title: str) -> Figure:
    """The one unseen day across companies: its true change from the day before, and the forecast one."""
    day = test.time.numpy()
    windows = np.bincount(day)
    same = np.flatnonzero(day == np.flatnonzero(windows == windows.max())[-1])  # the latest of the fullest days
    same = same[np.linspace(0, len(same) - 1, min(COMPANIES, len(same))).astype(int)]
    rows, target = test.series.numpy()[same], int(day[same[0]]) + length
    before = panel.values[rows, target - 1, 0]

    def change(values: np.ndarray) -> np.ndarray:
        return 100 * (values / before - 1)

    figure = Figure(figsize=(8, 4.2))
    axes = figure.subplots()
    place = np.arange(len(rows))
    truth, guess = change(panel.values[rows, target, 0]), change(forecasts["forecast"][same, 0])
    axes.vlines(place, truth, guess, color="0.7", linewidth=1)
    axes.plot(place, truth, "o", color=ORIGINAL["color"], label="original")
    axes.plot(place, guess, "D", color=FORECAST["color"], label="forecast")
    axes.axhline(0, **PERSISTENCE)
    axes.set_xticks(place, [panel.series[row] for row in rows], rotation=60)
    axes.set(ylabel=f"change of the {panel.features[0]} (%)", title=f"{panel.times[target]}, the day after the input")
    axes.legend()
    figure.suptitle(title)
    return figure


def window_in_full(
    panel: Panel, test: Sequences, rebuilt: np.ndarray, forecast: np.ndarray, naive: np.ndarray, title: str
) -> Figure:
    """One company's latest window: input, reconstruction, forecast; the last day that the model knew is marked."""
    series, length = test.series.numpy(), test.inputs.shape[1]
    row = shown_rows(panel, np.unique(series))[0]
    mine = np.flatnonzero(series == row)
    i = mine[test.time.numpy()[mine].argmax()]
    begin = int(test.time[i])
    span = length + test.horizon
    dates = panel.times[begin : begin + span]
    figure = Figure(figsize=(8, 4.2))
    axes = figure.subplots()
    marker = "o" if length <= 100 else ""
    axes.plot(dates, panel.values[row, begin : begin + span, 0], **ORIGINAL, marker=marker, markersize=3)
    axes.plot(dates[:length], rebuilt[i], **REBUILT)
    few = "D" if forecast.shape[1] <= 100 else ""
    axes.plot(dates[-forecast.shape[1] :], forecast[i], **FORECAST, marker=few, markersize=4)
    axes.plot(dates[length:], naive[i], **PERSISTENCE, marker="x")
    axes.axvline(dates[length - 1], color="0.5", linewidth=1, linestyle=":", label="last day of the input")
    axes.set(ylabel=unit(panel), title=f"{panel.series[row]}, {dates[0]} to {dates[-1]}")
    date_axis(axes)
    axes.legend()
    figure.suptitle(title)
    return figure


def against_baselines(test: Sequences, forecasts: dict[str, Tensor], title: str) -> Figure:
    """The error on unseen days of the model and of every baseline, with the skill against persistence."""
    truth = test.targets[:, -test.horizon :, 0]
    error = {name: (values - truth).square().mean().item() for name, values in forecasts.items()}
    figure = Figure(figsize=(8, 3))
    axes = figure.subplots()
    names = list(error)[::-1]
    bars = axes.barh(names, [error[name] for name in names],
                     color=[FORECAST["color"] if name == "forecast" else "0.75" for name in names])  # fmt: skip
    base = error["persistence"]
    labels = [f" {error[name]:.4g}" + (f"  (skill {1 - error[name] / base:+.1%})" if base else "") for name in names]
    axes.bar_label(bars, labels)
    axes.margins(x=0.35)
    axes.set(xlabel="mean squared error on unseen days (scaled)")
    figure.suptitle(title)
    return figure
