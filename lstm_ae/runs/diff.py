"""Two runs side by side."""

from collections.abc import Sequence
from pathlib import Path

from lstm_ae.errors import UserError
from lstm_ae.runs.records import RunRecord, canonical, collect
from lstm_ae.runs.table import align, cell

FIELDS = ("status", "note", "epochs", "best_epoch", "seconds", "parameters", "git_commit", "data")


def find(name: str, runs: Sequence[RunRecord]) -> RunRecord:
    """The run with this name in the table, or in this directory.

    Raises:
        UserError: there is no such run, or the directory holds several.
    """
    named = [run for run in runs if run.name == name] or (collect([name]) if Path(name).is_dir() else [])
    if len(named) == 1:
        return named[0]
    if named:
        raise UserError(f"--diff {name}: holds {len(named)} runs; name one, such as {named[0].directory.path}")
    known = f"; known here: {', '.join(run.name for run in runs[:20])}" if runs else ""
    raise UserError(f"--diff {name}: no such run directory{known}")


def side_by_side(a: RunRecord, b: RunRecord) -> str:
    """What differs between two runs: settings, then code, data and versions, then every metric of either."""

    def rows(names: Sequence[str], left: dict, right: dict, only_different: bool) -> list[list[str]]:
        different = [name for name in names if canonical(left.get(name)) != canonical(right.get(name))]
        chosen = different if only_different else names
        marked = set(different)
        return [[("≠ " if n in marked else "  ") + n, cell(left.get(n)), cell(right.get(n))] for n in chosen]

    settings = rows(list(dict.fromkeys([*a.choices, *b.choices, *a.config, *b.config])), a.choices | a.config,
                    b.choices | b.config, True)  # fmt: skip
    versions = [run.summary.get("versions") for run in (a, b)]
    left, right = (version if isinstance(version, dict) else {} for version in versions)
    lines = [
        ["", str(a.name), str(b.name)],
        ["settings" + ("" if settings else ": the same"), "", ""],
        *settings,
        ["run", "", ""],
        *rows(FIELDS, a.values, b.values, False),
        *rows(list(dict.fromkeys([*left, *right])), left, right, True),
        ["metrics, at the best epoch", "", ""],
        *rows(list(dict.fromkeys([*a.metrics, *b.metrics])), a.metrics, b.metrics, False),
    ]
    return "\n".join(line.rstrip() for line in align(lines, [False] * 3))
