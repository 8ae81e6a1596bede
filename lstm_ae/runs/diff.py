"""Two runs side by side."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from lstm_ae.errors import UserError
from lstm_ae.runs.directory import RunDirectory
from lstm_ae.runs.frame import load_runs
from lstm_ae.runs.table import align, cell

FIELDS = ("status", "note", "epochs", "best_epoch", "seconds", "parameters", "git_commit", "data")


def find(name: str, runs: pd.DataFrame | None) -> pd.Series:
    """The run with this name among `runs`, or in the directory `name`.

    Raises:
        UserError: there is no such run, or the directory holds several.
    """
    named = pd.DataFrame() if runs is None else runs[runs["run"] == name]
    if named.empty and Path(name).is_dir():
        named = load_runs(name)
    if len(named) == 1:
        return named.iloc[0]
    if len(named):
        raise UserError(f"--diff {name}: holds {len(named)} runs; name one, such as {named['path'].iloc[0]}")
    known = "" if runs is None else f"; known here: {', '.join(runs['run'].head(20))}"
    raise UserError(f"--diff {name}: no such run directory{known}")


def side_by_side(a: pd.Series, b: pd.Series) -> str:
    """What differs between two runs: settings, then code, data and versions, then every metric of either.

    Args:
        a: a row of `load_runs`.
        b: another, perhaps of another call.
    """

    def lines(names: Sequence[str], left: Any, right: Any, only_different: bool) -> list[list[str]]:
        found = []
        for name in dict.fromkeys(names):
            one, other = cell(left.get(name)), cell(right.get(name))
            different = one != other or (one != "" and left.get(name) != right.get(name))
            if different or not only_different:
                found.append([("≠ " if different else "  ") + name, one, other])
        return found

    def names(kind: str) -> list[str]:
        return [name for run in (a, b) for name in run.attrs.get(kind, [])]

    left, right = versions(a), versions(b)
    settings = lines([*names("choices"), *names("settings")], a, b, True)
    table = [
        ["", str(a["run"]), str(b["run"])],
        ["settings" + ("" if settings else ": the same"), "", ""],
        *settings,
        ["run", "", ""],
        *lines(FIELDS, a, b, False),
        *lines([*left, *right], left, right, True),
        ["metrics, at the best epoch", "", ""],
        *lines(names("metrics"), a, b, False),
    ]
    return "\n".join(line.rstrip() for line in align(table, [False] * 3))


def versions(run: pd.Series) -> dict[str, Any]:
    """The versions that a run was made with, as far as its summary tells."""
    try:
        found = RunDirectory(run["path"]).read_summary().get("versions")
    except (UserError, OSError):
        found = None
    return found if isinstance(found, dict) else {}
