"""The pictures of many runs beside each other."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lstm_ae.errors import UserError
from lstm_ae.figures.importances import importances, is_logarithmic
from lstm_ae.figures.style import STYLE
from lstm_ae.runs.records import SEED_KEYS, RunRecord, canonical, is_number
from lstm_ae.runs.table import cell, pareto_front

LABELLED = 10  # curves that a reader can tell apart
STATUSES = {  # marker, colour, filled
    "completed": ("o", "#00798c", True),
    "pruned": ("X", "#d1495b", True),
    "running": ("o", "#edae49", False),
    "stopped": ("s", "#edae49", False),
    "failed": ("v", "#1b1b1b", True),
    "unknown": ("v", "#888888", False),
}
LINES = {"completed": "-", "pruned": "--"}  # others: dotted
BEST = "#1b1b1b"


class Comparison:
    """The runs of a comparison, and what its figures need to know of them.

    Args:
        runs: best first.
        keys: the settings that tell them apart.
        objectives: the monitored metrics and the mode of each; one or two.
    """

    def __init__(self, runs: Sequence[RunRecord], keys: Sequence[str], objectives: dict[str, str]) -> None:
        self.runs, self.keys, self.objectives = list(runs), list(keys), objectives
        self.objective, self.mode = next(iter(objectives.items()))
        last = [key.rpartition(".")[2] for key in keys]
        self.short = {key: name if last.count(name) == 1 else key for key, name in zip(keys, last, strict=True)}

    def draw(self, folder: Path) -> tuple[list[Path], list[str]]:
        """Write every figure that these runs have something for.

        Returns:
            the files written, and for each of the other figures why it is not there.
        """
        folder.mkdir(parents=True, exist_ok=True)
        written, left_out = [], []
        figures: list[Callable[[], Figure]] = [
            self.learning_curves, self.objective_over_trials, self.parallel_coordinates, self.importances,
            self.heat_map, self.pareto_front,
        ]  # fmt: skip
        with rc_context(STYLE):
            for figure in figures:
                path = folder / f"{figure.__name__}.png"
                try:
                    drawn = figure()
                except UserError as reason:
                    path.unlink(missing_ok=True)  # one of an earlier comparison would pass for one of this
                    left_out.append(f"{path.name}: {reason}")
                    continue
                FigureCanvasAgg(drawn)
                drawn.savefig(path)
                written.append(path)
        return written, left_out

    def label(self, run: RunRecord) -> str:
        """What tells a run apart, for a legend."""
        return ", ".join(f"{self.short[key]}={cell(run.values.get(key)) or 'null'}" for key in self.keys) or run.name

    def value(self, run: RunRecord, name: str) -> float:
        """A metric of a run, NaN where there is none."""
        return run.metrics.get(name, math.nan)

    def learning_curves(self) -> Figure:
        """The monitored metric over the epochs of every run, the best runs in colour and labelled."""
        drawn = [run for run in self.runs if run.history]
        if not drawn:
            raise UserError("no run has a metrics.csv yet")
        figure = Figure(figsize=(5 + 4 * len(self.objectives), 4.2 + 0.18 * min(len(drawn), LABELLED)))
        colours = colormaps["viridis"](np.linspace(0, 0.92, min(len(drawn), LABELLED)))
        for axes, name in zip(figure.subplots(1, len(self.objectives), squeeze=False)[0], self.objectives, strict=True):
            for rank, run in reversed(list(enumerate(drawn))):
                rows = [(row["epoch"], row[name]) for row in run.history if name in row and "epoch" in row]
                style: dict[str, Any] = {"linestyle": LINES.get(run.status, ":"), "color": "0.8", "linewidth": 0.8}
                if rank < LABELLED:
                    style |= {"color": colours[rank], "linewidth": 1.8}
                    style["label"] = self.label(run) + ("" if run.status == "completed" else f" ({run.status})")
                axes.plot(*zip(*rows, strict=True), marker="o" if len(rows) == 1 else "", **style) if rows else None
            logarithmic_axis(axes, name, [row[name] for run in drawn for row in run.history if name in row])
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.set(xlabel="epoch", ylabel=name)
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles[::-1], labels[::-1], loc="outside lower center", ncols=2 if len(handles) > 4 else 1,
                      fontsize=8)  # fmt: skip
        others = f"; the best {LABELLED} in colour" if len(drawn) > LABELLED else ""
        figure.suptitle(f"learning curves of {len(drawn)} runs{others}")
        return figure

    def objective_over_trials(self) -> Figure:
        """Each run's best value in the order of the trials, by status, with the best so far."""
        in_order = sorted(self.runs, key=lambda run: (str(run.directory.path.parent), run.trial or 0, run.name))
        numbered = len({run.directory.path.parent for run in in_order}) == 1 and all(
            run.trial is not None for run in in_order
        )
        at = {id(run): run.trial if numbered else i for i, run in enumerate(in_order)}
        figure = Figure(figsize=(8, 3.8 * len(self.objectives)))
        for axes, (name, mode) in zip(figure.subplots(len(self.objectives), 1, squeeze=False)[:, 0],
                                      self.objectives.items(), strict=True):  # fmt: skip
            for status, (marker, colour, filled) in STATUSES.items():
                group = [run for run in in_order if (run.status if run.status in STATUSES else "unknown") == status]
                style = {"marker": marker, "edgecolors": colour, "facecolors": colour if filled else "none", "s": 36}
                measured = [run for run in group if math.isfinite(self.value(run, name))]
                label = f"{status} ({len(group)})"
                if measured:
                    points = [(at[id(run)], self.value(run, name)) for run in measured]
                    axes.scatter(*zip(*points, strict=True), label=label, **style)
                rest = [at[id(run)] for run in group if run not in measured]
                if rest:  # no value to put them at: on the axis
                    axes.scatter(rest, [0] * len(rest), transform=axes.get_xaxis_transform(), clip_on=False,
                                 label=None if measured else label, zorder=3, **style)  # fmt: skip
            done = [run for run in in_order if run.status == "completed" and math.isfinite(self.value(run, name))]
            if done:
                best = np.minimum.accumulate if mode == "min" else np.maximum.accumulate
                axes.step([at[id(run)] for run in done], best([self.value(run, name) for run in done]), where="post",
                          color=BEST, linewidth=1, label="best so far")  # fmt: skip
            logarithmic_axis(axes, name, [self.value(run, name) for run in in_order])
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            first, last = min(at.values()), max(at.values())  # also those that have no value
            valueless = any(not math.isfinite(self.value(run, name)) for run in in_order)
            xlabel = ("trial" if numbered else "run") + (" (on the axis: no value)" if valueless else "")
            axes.set(xlabel=xlabel, ylabel=name, xlim=(first - 0.5, last + 0.5))
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=9)
        figure.suptitle(f"{self.objective} over {len(in_order)} trials")
        return figure

    def parallel_coordinates(self) -> Figure:
        """A line per run through its settings to its result; the darker, the better."""
        if not self.keys:
            raise UserError("no setting differs")
        drawn = [run for run in self.runs if math.isfinite(self.value(run, self.objective))]
        if not drawn:
            raise UserError(f"no run has a {self.objective}")
        names = [*self.keys, *self.objectives]
        results = np.array([self.value(run, self.objective) for run in drawn])
        badness = results if self.mode == "min" else -results
        ranks = np.argsort(np.argsort(badness)) / max(len(drawn) - 1, 1)
        figure = Figure(figsize=(2.6 + 1.6 * len(names), 4.4))
        axes = figure.subplots()
        heights = np.empty((len(drawn), len(names)))
        for i, name in enumerate(names):
            column = [run.values.get(name) for run in drawn]
            heights[:, i], ticks = axis_positions(column)
            axes.plot([i, i], [0, 1], color="0.3", linewidth=1)
            for height, text in ticks:
                axes.text(i + 0.03, height, text, fontsize=8, va="center", zorder=3,
                          bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.6})  # fmt: skip
        for rank, line, run in sorted(zip(ranks, heights, drawn, strict=True), key=lambda part: -part[0]):
            axes.plot(line, color=colormaps["viridis"](0.95 * rank), linewidth=2.2 if rank == 0 else 1,
                      linestyle=LINES.get(run.status, ":"), alpha=0.85)  # fmt: skip
        axes.set_xticks(range(len(names)), [name.replace(".", ".\n").replace("/", "/\n") for name in names])
        axes.set(yticks=[], xlim=(-0.2, len(names) - 0.6), ylim=(-0.05, 1.05))
        axes.spines[:].set_visible(False)
        axes.grid(False)
        bar = figure.colorbar(ScalarMappable(Normalize(1, len(drawn)), colormaps["viridis"]), ax=axes, label="rank")
        bar.ax.invert_yaxis()
        figure.suptitle(f"{len(drawn)} runs, {'lowest' if self.mode == 'min' else 'highest'} {self.objective} darkest")
        return figure

    def importances(self) -> Figure:
        """What share of the objective's variance each setting explains."""
        shares = importances(self.runs, self.keys, self.objective, self.mode)
        figure = Figure(figsize=(7, 1.4 + 0.4 * len(shares)))
        axes = figure.subplots()
        bars = axes.barh(list(shares)[::-1], list(shares.values())[::-1], color="#00798c")
        axes.bar_label(bars, [f"{share:.0%}" for share in list(shares.values())[::-1]], padding=3)
        axes.grid(False)
        axes.set(xlabel=f"share of the variance of {self.objective} (fANOVA)", xlim=(0, 1.1))
        count = sum(run.status == "completed" for run in self.runs)
        figure.suptitle(f"importance of the settings, from {count} completed runs")
        return figure

    def heat_map(self) -> Figure:
        """The mean objective over seeds on the grid of two settings."""
        keys = [key for key in self.keys if key not in SEED_KEYS]
        if len(keys) != 2:
            raise UserError(f"a heat map needs two settings that differ; here: {', '.join(keys) or 'none'}")
        x, y = (dict(sorted_values([run.values.get(key) for run in self.runs])) for key in keys)  # form -> text
        cells: dict[tuple, list[float]] = {}
        for run in self.runs:
            if math.isfinite(self.value(run, self.objective)) and run.status == "completed":
                place = tuple(canonical(run.values.get(key)) for key in keys)
                cells.setdefault(place, []).append(self.value(run, self.objective))
        if 2 * len(cells) < len(x) * len(y):
            raise UserError(f"{len(cells)} settings are no grid of {len(x)} x {len(y)}")
        means = np.array([[np.mean(cells.get((a, b), [math.nan])) for a in x] for b in y])
        figure = Figure(figsize=(2.8 + 0.9 * len(x), 2 + 0.6 * len(y)))
        axes = figure.subplots()
        image = axes.imshow(means, cmap="viridis" if self.mode == "min" else "viridis_r", aspect="auto", origin="lower")
        middle = (np.nanmin(means) + np.nanmax(means)) / 2
        best = (np.nanmin if self.mode == "min" else np.nanmax)(means)
        for row, column in np.ndindex(means.shape):
            mean = means[row, column]
            dark = mean < middle if self.mode == "min" else mean > middle
            axes.text(column, row, "no run" if math.isnan(mean) else cell(float(mean)), ha="center", va="center",
                      color="white" if dark else "black", weight="bold" if mean == best else "normal")  # fmt: skip
        axes.set_xticks(range(len(x)), list(x.values()))
        axes.set_yticks(range(len(y)), list(y.values()))
        axes.grid(False)
        axes.set(xlabel=keys[0], ylabel=keys[1])
        figure.colorbar(image, ax=axes, label=self.objective)
        seeds = max(map(len, cells.values()))
        figure.suptitle(f"{self.objective}" + (f", mean of up to {seeds} seeds" if seeds > 1 else ""))
        return figure

    def pareto_front(self) -> Figure:
        """One objective against the other, with the runs that none beats in both."""
        if len(self.objectives) != 2:
            raise UserError("a Pareto front needs two objectives: monitor=[...] with two metrics")
        points = [[self.value(run, name) for name in self.objectives] for run in self.runs]
        finished = [
            point if run.status == "completed" else [math.nan] * 2 for run, point in zip(self.runs, points, strict=True)
        ]
        front = pareto_front(finished, list(self.objectives.values()))
        if not front:
            raise UserError("no completed run has both objectives")
        figure = Figure(figsize=(7.5, 4.6 + 0.2 * min(len(front), LABELLED)))
        axes = figure.subplots()
        for status, (marker, colour, filled) in STATUSES.items():
            group = [point for run, point in zip(self.runs, points, strict=True) if run.status == status]
            if group:
                axes.scatter(*zip(*group, strict=True), marker=marker, edgecolors=colour, label=status, alpha=0.7,
                             facecolors=colour if filled else "none")  # fmt: skip
        best = sorted(((points[i], self.runs[i]) for i in front), key=lambda pair: pair[0])
        line = axes.plot(*zip(*(point for point, _ in best), strict=True), color=BEST, marker="o", markersize=9,
                         markerfacecolor="none", linewidth=1, label="Pareto front")  # fmt: skip
        for point, run in best[:LABELLED]:
            axes.annotate(run.name, point, fontsize=8, xytext=(7, -3), textcoords="offset points")
        x, y = (f"{name} ({mode})" for name, mode in self.objectives.items())
        axes.set(xlabel=x, ylabel=y)
        axes.legend()
        labels = [f"{run.name}: {self.label(run)}" for _, run in best[:LABELLED]]
        figure.legend(line * len(labels), labels, loc="outside lower center", ncols=2 if len(labels) > 4 else 1,
                      fontsize=8, handlelength=0)  # fmt: skip
        figure.suptitle(f"{len(front)} of {len(self.runs)} runs are on the Pareto front")
        return figure


def logarithmic_axis(axes: Axes, name: str, values: Sequence[float]) -> None:
    """A logarithmic axis for errors that spread far."""
    finite = [value for value in values if math.isfinite(value)]
    if finite and "accuracy" not in name and is_logarithmic(finite):
        axes.set_yscale("log")


def sorted_values(values: Sequence[Any]) -> list[tuple[Any, str]]:
    """The distinct values of a setting, numbers in their order and before texts: canonical form and what to print."""
    distinct = {canonical(value): value for value in values}
    ordered = sorted(
        distinct.items(), key=lambda item: (0, item[1], "") if is_number(item[1]) else (1, 0, str(item[1]))
    )
    return [(form, cell(value) or "null") for form, value in ordered]


def axis_positions(column: Sequence[Any]) -> tuple[list[float], list[tuple[float, str]]]:
    """Heights from 0 to 1 for the values of one parallel axis, and the ticks to write beside it.

    Numbers stand where their size puts them, logarithmically if they spread far; anything else in even steps.
    """
    distinct = sorted_values(column)
    if len(distinct) > 1 and all(is_number(value) and math.isfinite(value) for value in column):
        scale = math.log if is_logarithmic(column) else float
        low, high = scale(min(column)), scale(max(column))
        place = {form: (scale(form) - low) / (high - low) for form, _ in distinct}
    else:
        place = {form: i / max(len(distinct) - 1, 1) for i, (form, _) in enumerate(distinct)}
    few = distinct if len(distinct) <= 8 else [distinct[i] for i in (0, len(distinct) // 2, -1)]
    return [place[canonical(value)] for value in column], [(place[form], text) for form, text in few]
