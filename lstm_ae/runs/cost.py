"""What runs have cost: epochs, seconds in them, CPU seconds, by the folder that they lie in."""

import json
import math
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd

from lstm_ae.errors import UserError
from lstm_ae.runs.directory import RunDirectory
from lstm_ae.runs.frame import is_number

COST = "cost.json"  # in a search's directory: what it took, by the names of the columns below
MAX_COST = 10_000  # bytes


def trained(directory: RunDirectory) -> tuple[int, float]:
    """The epochs that a run (with its folds) has trained, and the seconds that they took; 0 where none can be read."""
    folders = sorted(directory.folds.iterdir()) if directory.folds.is_dir() else [directory.path]
    epochs, seconds = 0, 0.0
    for folder in folders:
        try:
            rows = RunDirectory(folder).read_metrics()
        except (UserError, OSError):
            continue
        epochs += len(rows)
        seconds += sum(row.get("seconds", 0.0) for row in rows)
    return epochs, seconds


def costs(runs: pd.DataFrame) -> pd.DataFrame:
    """What the runs in each folder have cost, against every one of them trained to its end.

    Args:
        runs: rows of `load_runs`.

    Returns:
        a row for each folder: `folder`, `runs`, `completed`, `epochs`, `of` (the epochs of all runs to their ends),
        `share`, `seconds` (in the epochs), `of seconds` (reckoned from each run's own seconds per epoch),
        `CPU seconds` (of jobs that a search started; else missing), `wall seconds` (of the whole search, from its
        beginning to its end) and `left` (how many runs were left after which epoch).
    """
    rows = []
    folders = runs["path"].map(os.path.dirname)
    for folder, members in runs.groupby(folders, sort=False):
        measured = [trained(RunDirectory(path)) for path in members["path"]]
        full = [whole_length(run) for run in members.to_dict("records")]
        known = [(*own, whole) for own, whole in zip(measured, full, strict=True) if own[0] and whole]
        epochs = sum(own for own, _ in measured)
        left = Counter(int(n) for n in members.loc[members["status"] == "pruned", "epochs"].dropna())
        of_search = read_cost(Path(str(folder)))
        rows.append({
            "folder": os.path.relpath(str(folder)),
            "runs": len(members),
            "completed": int((members["status"] == "completed").sum()),
            "epochs": epochs,
            "of": sum(full) if all(full) else None,
            "share": epochs / sum(full) if all(full) else None,
            "seconds": round(sum(seconds for _, seconds in measured), 1),
            "of seconds": round(sum(seconds / own * whole for own, seconds, whole in known), 1),
            "CPU seconds": of_search.get("cpu_seconds", math.nan),
            "wall seconds": of_search.get("wall_seconds", math.nan),
            "left": ", ".join(f"{count} after epoch {epoch}" for epoch, count in sorted(left.items())) or None,
        })  # fmt: skip
    return pd.DataFrame(rows)


def whole_length(run: dict[Any, Any]) -> int:
    """The epochs of a run trained to its end, folds included; 0 if its config does not say."""
    epochs, folds = (whole_number(run.get(key)) for key in ("trainer.max_epochs", "cross_validation"))
    return epochs * max(folds, 1)


def whole_number(value: Any) -> int:
    """A value of a config as a whole number; 0 if it is none."""
    return int(value) if is_number(value) and math.isfinite(value) else 0


def read_cost(folder: Path) -> dict[str, float]:
    """The numbers that a search has left in its directory at its end; empty where it has not, or they are broken."""
    file = folder / COST
    try:
        if file.stat().st_size > MAX_COST:
            return {}
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return {name: value for name, value in content.items() if is_number(value)} if isinstance(content, dict) else {}
