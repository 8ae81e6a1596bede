"""A comparison as one page for a browser: the table and interactive plots, nothing fetched from anywhere."""

import html
import json
import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lstm_ae.errors import UserError
from lstm_ae.figures.importances import importances
from lstm_ae.metrics import Better, find
from lstm_ae.runs.frame import History, is_number, read_history
from lstm_ae.runs.table import Table, cell, grid, records

PAGE = Path(__file__).with_name("page")
MAX_POINTS = 200  # of a curve; a screen shows no more
PLOTTED = ("trial", "epochs", "best_epoch", "seconds", "parameters")  # what makes an axis beside settings and metrics


def page(
    table: Table, objectives: dict[str, Better], head: Sequence[str], best: int | None, command: str, folder: Path
) -> str:
    """The page's text.

    Args:
        table: its rows, sorted.
        objectives: the monitored metrics and the mode of each.
        head: lines to stand above everything.
        best: the position of the best row, if there is one.
        command: what trains that one again.
        folder: where the page will lie; its links to the runs start there.
    """
    (objective, mode), *_ = objectives.items()
    runs = table.runs.loc[table.frame["members"].explode()]
    histories = {path: read_history(path) for path in runs["path"]}
    names = dict.fromkeys(["train/loss", *objectives, *table.metrics])
    curve_metrics = [name for name in names if any(name in history[0] for history in histories.values() if history)]
    try:
        shares = importances(runs, table.keys, objective, mode)
    except UserError:
        shares = {}  # too few runs: the page leaves the plot out
    axes = [name for name in dict.fromkeys([*table.keys, *table.metrics, *objectives]) if name in table.frame]
    axes += [name for name in PLOTTED if name in table.frame and table.frame[name].notna().any()]
    settings = {*table.keys, *PLOTTED}
    header, *texts = grid(table)
    shown = [name for name in dict.fromkeys([*header, *axes, "pareto"]) if name in table.frame]
    rows = []
    for position, (cells, text) in enumerate(zip(records(table.frame[shown]), texts, strict=True)):
        members = table.members(position)
        rows.append({
            "status": members["status"].iloc[0],
            "best": position == best,
            "cells": cells,
            "text": dict(zip(header, text, strict=True)),
            "links": [[run, link(path, folder)] for run, path in zip(members["run"], members["path"], strict=True)],
            "curves": [curve(histories[path], curve_metrics) for path in members["path"] if histories[path]],
        })  # fmt: skip
    content = {
        "columns": header,
        "keys": table.keys,
        "objectives": objectives,
        "axes": axes,
        "curveMetrics": curve_metrics,
        "logarithmic": [name for name in {*curve_metrics, *axes} if name in settings or find(name).logarithmic],
        "importances": shares,
        "head": list(head),
        "notes": table.notes,
        "command": command,
        "rows": rows,
    }
    # Inside a script element nothing but a "<" could end it.
    data = json.dumps(content, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    parts = {
        "@TITLE@": html.escape(f"{len(rows)} {'settings' if table.grouped else 'runs'} by {objective}"),
        "@DATA@": data,
        "@SCRIPT@": (PAGE / "page.js").read_text(encoding="utf-8"),
    }
    return re.sub("@[A-Z]+@", lambda match: parts[match[0]], (PAGE / "page.html").read_text(encoding="utf-8"))


def link(path: str, folder: Path) -> str:
    """The address of a run directory for a page in `folder`: relative, so that both may move together."""
    try:
        return quote(Path(os.path.relpath(path, folder.resolve())).as_posix()) + "/"
    except ValueError:  # on another drive of Windows
        return Path(path).as_uri() + "/"


def curve(history: History, metrics: Sequence[str]) -> dict[str, list[Any]]:
    """A run's metrics over its epochs, thinned to what a screen can show."""
    step = -(-len(history) // MAX_POINTS)
    rows = history[::-1][::step][::-1]  # from the end, which must not be lost

    def rounded(value: float) -> float | None:
        return float(cell(value)) if is_number(value) and math.isfinite(value) else None

    found = {name: [rounded(row.get(name, math.nan)) for row in rows] for name in metrics if name in rows[-1]}
    return {"epoch": [rounded(row.get("epoch", i)) for i, row in enumerate(rows, 1)], **found}
