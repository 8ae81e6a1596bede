"""A comparison as one page for a browser: the table and interactive plots, nothing fetched from anywhere."""

import html
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lstm_ae.errors import UserError
from lstm_ae.figures.importances import importances
from lstm_ae.runs.records import RunRecord
from lstm_ae.runs.table import Table, cell, grid, plain

PAGE = Path(__file__).with_name("page")
MAX_POINTS = 200  # of a curve; a screen shows no more
PLOTTED = ("trial", "epochs", "best_epoch", "seconds", "parameters")  # what makes an axis beside settings and metrics


def page(
    table: Table, objectives: dict[str, str], head: Sequence[str], best: Sequence[RunRecord] | None, command: str
) -> str:
    """The page's text.

    Args:
        table: its rows, sorted.
        objectives: the monitored metrics and the mode of each.
        head: lines to stand above everything.
        best: the runs behind the best row, if there is one.
        command: what trains that one again.
    """
    (objective, mode), *_ = objectives.items()
    runs = [run for group in table.runs for run in group]
    names = dict.fromkeys(["train/loss", *objectives, *table.metrics])
    curve_metrics = [name for name in names if any(name in run.best_row for run in runs)]
    try:
        shares = importances(runs, table.keys, objective, mode)
    except UserError:
        shares = {}  # too few runs: the page leaves the plot out
    axes = dict.fromkeys([*table.keys, *table.metrics, *objectives])
    axes |= dict.fromkeys(name for name in PLOTTED if any(row.get(name) is not None for row in table.rows))
    header, *texts = grid(table)
    rows = [
        {
            "path": str(group[0].directory.path),
            "status": group[0].status,
            "best": group is best,
            "cells": {name: plain(row.get(name)) for name in [*header, *axes, "pareto"]},
            "text": dict(zip(header, text, strict=True)),
            "curves": [curve(run, curve_metrics) for run in group if run.history],
        }
        for row, text, group in zip(table.rows, texts, table.runs, strict=True)
    ]
    content = {
        "columns": header,
        "keys": table.keys,
        "objectives": objectives,
        "axes": list(axes),
        "curveMetrics": curve_metrics,
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
        "@SCRIPT@": (PAGE / "page.js").read_text(),
    }
    return re.sub("@[A-Z]+@", lambda match: parts[match[0]], (PAGE / "page.html").read_text())


def curve(run: RunRecord, metrics: Sequence[str]) -> dict[str, list[Any]]:
    """A run's metrics over its epochs, thinned to what a screen can show."""
    step = -(-len(run.history) // MAX_POINTS)
    rows = run.history[::-1][::step][::-1]  # from the end, which must not be lost
    found = {name: [plain(float(cell(row[name]))) for row in rows] for name in metrics if name in rows[-1]}
    return {"epoch": [row.get("epoch", i) for i, row in enumerate(rows, 1)], **found}
