"""The pictures of many runs beside each other."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import color_sequences, colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lstm_ae.errors import UserError
from lstm_ae.figures.importances import as_parameter, importances, is_logarithmic, is_numeric
from lstm_ae.figures.style import STYLE
from lstm_ae.files import replacing
from lstm_ae.metrics import Better, find
from lstm_ae.runs.frame import natural, read_history
from lstm_ae.runs.settings import SEED_KEYS
from lstm_ae.runs.table import Table, cell, pareto_front

LABELLED = 10  # rows that get a colour and a label: as many as the colour map has
COLOURS = color_sequences["tab10"]
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
    """The rows of a table, best first, and what their figures need to know of the runs behind them.

    Args:
        table: what is compared.
        objectives: the monitored metrics and the mode of each; one or two.
    """

    def __init__(self, table: Table, objectives: dict[str, Better]) -> None:
        members = table.frame["members"]
        rows = np.repeat(np.arange(len(members)), members.map(len))
        self.runs = table.runs.loc[[label for labels in members for label in labels]].assign(row=rows)
        self.runs[list(objectives)] = self.runs.reindex(columns=list(objectives)).astype(float)
        self.keys, self.objectives = table.keys, objectives
        self.objective, self.mode = next(iter(objectives.items()))
        self.status = self.runs["status"].where(self.runs["status"].isin(STATUSES), "unknown")
        self.measured = np.isfinite(self.runs[self.objective])
        self.labels = row_labels(table)

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
                with replacing(path) as temporary:
                    drawn.savefig(temporary)
                written.append(path)
        return written, left_out

    def learning_curves(self) -> Figure:
        """The monitored metric over the epochs of every run, the best rows in colour and labelled."""
        members = self.runs[["row", "status", "path"]].itertuples(index=False)
        histories = [(row, status, history) for row, status, path in members if (history := read_history(path))]
        if not histories:
            raise UserError("no run has a metrics.csv yet")
        drawn = dict.fromkeys(row for row, _, _ in histories)
        coloured = dict(zip(drawn, COLOURS[:LABELLED], strict=False))
        figure = Figure(figsize=(5 + 4 * len(self.objectives), 4.2 + 0.18 * len(coloured)))
        for axes, name in zip(figure.subplots(1, len(self.objectives), squeeze=False)[0], self.objectives, strict=True):
            lines = {}
            for row, status, history in reversed(histories):
                points = [(epoch["epoch"], epoch[name]) for epoch in history if "epoch" in epoch and name in epoch]
                if points:
                    style = {"linestyle": LINES.get(status, ":"), "marker": "o" if len(points) == 1 else ""}
                    colour, width = (coloured[row], 1.8) if row in coloured else ("0.8", 0.8)
                    (lines[row],) = axes.plot(*zip(*points, strict=True), color=colour, linewidth=width, **style)
            values = [epoch[name] for _, _, history in histories for epoch in history if name in epoch]
            logarithmic_axis(axes, name, pd.Series(values, dtype=float))
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.set(xlabel="epoch", ylabel=name)
        named = {row: lines[row] for row in coloured if row in lines}
        figure.legend(named.values(), [self.labels[row] for row in named], loc="outside lower center",
                      ncols=2 if len(named) > 4 else 1, fontsize=8)  # fmt: skip
        others = f"; the best {LABELLED} in colour" if len(drawn) > LABELLED else ""
        what = f"{len(histories)} runs" + (f" of {len(drawn)} settings" if len(drawn) < len(histories) else "")
        figure.suptitle(f"learning curves of {what}{others}")
        return figure

    def objective_over_trials(self) -> Figure:
        """Each run's best value in the order of the trials, by status, with the best so far."""
        parents = self.runs["path"].map(lambda path: str(Path(path).parent))
        numbered = parents.nunique() == 1 and bool(self.runs["trial"].notna().all())
        place = self.runs["trial"].fillna(0)
        if not numbered:
            order = sorted(self.runs.index, key=lambda label: natural(self.runs["run"][label]))
            place = pd.Series(np.arange(len(order)), order)[self.runs.index]
        figure = Figure(figsize=(8, 3.8 * len(self.objectives)))
        for axes, (name, mode) in zip(figure.subplots(len(self.objectives), 1, squeeze=False)[:, 0],
                                      self.objectives.items(), strict=True):  # fmt: skip
            values = self.runs[name].where(np.isfinite(self.runs[name]))
            for status, (marker, colour, filled) in STATUSES.items():
                group = self.status == status
                style = {"marker": marker, "edgecolors": colour, "facecolors": colour if filled else "none", "s": 36}
                measured, rest = group & values.notna(), group & values.isna()
                label = f"{status} ({group.sum()})"
                if measured.any():
                    axes.scatter(place[measured], values[measured], label=label, **style)
                if rest.any():  # no value to put them at: on the axis
                    axes.scatter(place[rest], [0] * rest.sum(), transform=axes.get_xaxis_transform(), clip_on=False,
                                 label=None if measured.any() else label, zorder=3, **style)  # fmt: skip
            done = place[(self.status == "completed") & values.notna()].sort_values()
            if len(done):
                best = values[done.index].cummin() if mode == "min" else values[done.index].cummax()
                axes.step(done, best, where="post", color=BEST, linewidth=1, label="best so far")
            logarithmic_axis(axes, name, values)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            xlabel = ("trial" if numbered else "run") + (" (on the axis: no value)" if values.isna().any() else "")
            axes.set(xlabel=xlabel, ylabel=name, xlim=(place.min() - 0.5, place.max() + 0.5))
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=9)
        figure.suptitle(f"{self.objective} over {len(self.runs)} trials")
        return figure

    def parallel_coordinates(self) -> Figure:
        """A line per run through its settings to its result; the darker, the better."""
        if not self.keys:
            raise UserError("no setting differs")
        drawn = self.runs[self.measured]
        if drawn.empty:
            raise UserError(f"no run has a {self.objective}")
        names = [*self.keys, *self.objectives]
        ranks = drawn[self.objective].rank(method="first", ascending=self.mode == "min").to_numpy() - 1
        figure = Figure(figsize=(2.6 + 1.6 * len(names), 4.4))
        axes = figure.subplots()
        heights = np.empty((len(drawn), len(names)))
        for i, name in enumerate(names):
            heights[:, i], ticks = axis_positions(drawn[name])
            axes.plot([i, i], [0, 1], color="0.3", linewidth=1)
            for height, text in ticks:
                axes.text(i + 0.03, height, text, fontsize=8, va="center", zorder=3,
                          bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.6})  # fmt: skip
        for position in np.argsort(-ranks):  # the best last, on top
            colour = colormaps["viridis"](0.95 * ranks[position] / max(len(drawn) - 1, 1))
            axes.plot(heights[position], color=colour, linewidth=2.2 if ranks[position] == 0 else 1, alpha=0.85,
                      linestyle=LINES.get(drawn["status"].iloc[position], ":"))  # fmt: skip
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
        count = (self.status == "completed").sum()
        figure.suptitle(f"importance of the settings, from {count} completed runs")
        return figure

    def heat_map(self) -> Figure:
        """The mean objective over seeds on the grid of two settings."""
        keys = [key for key in self.keys if key not in SEED_KEYS]
        if len(keys) != 2:
            raise UserError(f"a heat map needs two settings that differ; here: {', '.join(keys) or 'none'}")
        done = self.runs[self.measured & (self.status == "completed")]
        cells = pd.DataFrame({"x": as_parameter(done[keys[0]]), "y": as_parameter(done[keys[1]]),
                              "value": done[self.objective]}).groupby(["y", "x"])["value"]  # fmt: skip
        means = cells.mean().unstack()
        if 2 * len(cells) < means.size or means.empty:
            raise UserError(f"{len(cells)} settings are no grid of {means.shape[1]} x {means.shape[0]}")
        figure = Figure(figsize=(2.8 + 0.9 * means.shape[1], 2 + 0.6 * means.shape[0]))
        axes = figure.subplots()
        image = axes.imshow(means, cmap="viridis" if self.mode == "min" else "viridis_r", aspect="auto", origin="lower")
        values = means.to_numpy()
        middle = (np.nanmin(values) + np.nanmax(values)) / 2
        best = (np.nanmin if self.mode == "min" else np.nanmax)(values)
        for row, column in np.ndindex(values.shape):
            mean = values[row, column]
            dark = mean < middle if self.mode == "min" else mean > middle
            axes.text(column, row, cell(float(mean)) or "no run", ha="center", va="center",
                      color="white" if dark else "black", weight="bold" if mean == best else "normal")  # fmt: skip
        axes.set_xticks(range(means.shape[1]), [cell(value) for value in means.columns])
        axes.set_yticks(range(means.shape[0]), [cell(value) for value in means.index])
        axes.grid(False)
        axes.set(xlabel=keys[0], ylabel=keys[1])
        figure.colorbar(image, ax=axes, label=self.objective)
        seeds = cells.size().max()
        figure.suptitle(f"{self.objective}" + (f", mean of up to {seeds} seeds" if seeds > 1 else ""))
        return figure

    def pareto_front(self) -> Figure:
        """One objective against the other, with the runs that none beats in both."""
        if len(self.objectives) != 2:
            raise UserError("a Pareto front needs two objectives: monitor=[...] with two metrics")
        x, y = self.objectives
        done = self.runs[self.status == "completed"]
        front = done[pareto_front(done, self.objectives)].sort_values([x, y])
        if front.empty:
            raise UserError("no completed run has both objectives")
        best = front[:LABELLED]
        figure = Figure(figsize=(7.5, 4.6 + 0.2 * len(best)))
        axes = figure.subplots()
        for status, (marker, colour, filled) in STATUSES.items():
            group = self.runs[self.status == status]
            if len(group):
                axes.scatter(group[x], group[y], marker=marker, edgecolors=colour, label=status, alpha=0.7,
                             facecolors=colour if filled else "none")  # fmt: skip
        line = axes.plot(front[x], front[y], color=BEST, marker="o", markersize=9, markerfacecolor="none", linewidth=1,
                         label="Pareto front")  # fmt: skip
        for name, *point in best[["run", x, y]].itertuples(index=False):
            axes.annotate(name, point, fontsize=8, xytext=(7, -3), textcoords="offset points")
        axes.set(
            **{
                f"{axis}label": f"{name} ({mode})"
                for axis, (name, mode) in zip("xy", self.objectives.items(), strict=True)
            }
        )
        axes.legend()
        labels = [f"{name}: {self.labels[row]}" for name, row in zip(best["run"], best["row"], strict=True)]
        figure.legend(line * len(labels), labels, loc="outside lower center", ncols=2 if len(labels) > 4 else 1,
                      fontsize=8, handlelength=0)  # fmt: skip
        figure.suptitle(f"{len(front)} of {len(self.runs)} runs are on the Pareto front")
        return figure


def row_labels(table: Table) -> list[str]:
    """What tells each row of a table apart, for a legend: its settings, its seeds, and its run where those do not."""
    last = [key.rpartition(".")[2] for key in table.keys]
    short = {key: name if last.count(name) == 1 else key for key, name in zip(table.keys, last, strict=True)}
    labels = []
    for row in table.frame[table.keys].itertuples(index=False, name=None):
        labels.append(
            ", ".join(f"{name}={cell(value) or 'null'}" for name, value in zip(short.values(), row, strict=True))
        )
    shared = Counter(labels)
    names, statuses = table.runs["run"], table.runs["status"]
    for i, (label, members) in enumerate(zip(labels, table.frame["members"], strict=True)):
        if shared[label] > 1 or not label:
            labels[i] = (f"{label}, " if label else "") + f"run {names[members[0]]}"
        if len(members) > 1:
            labels[i] += f" ({len(members)} runs)"
        elif statuses[members[0]] != "completed":
            labels[i] += f" ({statuses[members[0]]})"
    return labels


def logarithmic_axis(axes: Axes, name: str, values: pd.Series) -> None:
    """A logarithmic axis for a metric that is drawn so and spreads far."""
    finite = values[np.isfinite(values.astype(float))]
    if len(finite) and find(name).logarithmic and is_logarithmic(finite):
        axes.set_yscale("log")


def axis_positions(column: pd.Series) -> tuple[Sequence[float], list[tuple[float, str]]]:
    """Heights from 0 to 1 for the values of one parallel axis, and the ticks to write beside it.

    Numbers stand where their size puts them, logarithmically if they spread far; anything else in even steps.
    """
    values = as_parameter(column)
    if is_numeric(column) and values.nunique() > 1:
        distinct: list[Any] = sorted(values.unique())
        scale: Callable[[float], float] = math.log if is_logarithmic(values) else float
        low, high = scale(distinct[0]), scale(distinct[-1])
        place = {value: (scale(value) - low) / (high - low) for value in distinct}
    else:
        distinct = sorted(values.unique(), key=lambda value: natural(cell(value)))
        place = {value: i / max(len(distinct) - 1, 1) for i, value in enumerate(distinct)}
    few = distinct if len(distinct) <= 8 else [distinct[i] for i in (0, len(distinct) // 2, -1)]
    return values.map(place).to_numpy(), [(place[value], cell(value)) for value in few]
