"""Runs as a table: which columns, in which order, grouped or not, and written how."""

import csv
import io
import json
import math
import statistics
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from lstm_ae.errors import UserError
from lstm_ae.runs.filters import unknown
from lstm_ae.runs.records import NO_SETTINGS, SEED_KEYS, SPREAD, RunRecord, canonical, differing, is_number

Row = dict[str, Any]  # column -> value; absent or None: blank
LARGER_IS_BETTER = ("accuracy", "skill", "direction")  # in the name of a metric
GAP = "  "


@dataclass
class Table:
    """What is shown of the runs: a row for each, or for each group of seeds."""

    keys: list[str]  # setting columns
    metrics: list[str]  # metric columns
    rows: list[Row]
    runs: list[list[RunRecord]]  # for each row the runs behind it
    grouped: bool = False
    notes: list[str] = field(default_factory=list)  # what to know before believing it

    @property
    def columns(self) -> list[str]:
        """Every column in the order of reading, blank ones left out."""
        measured = [name for metric in self.metrics for name in (metric, metric + SPREAD)]
        first = ["runs", "seeds"] if self.grouped else ["run"]
        wanted = [*first, *self.keys, *measured, "pareto", "status", "epochs", "best_epoch", "seconds", "note"]
        always = {*first, *self.keys, *self.metrics, "status", "epochs", "seconds"}
        return [name for name in dict.fromkeys(wanted) if name in always or any(row.get(name) for row in self.rows)]

    def sort(self, key: str, mode: str) -> None:
        """Best first by `key`, rows without a value last; otherwise the order stays."""

        def rank(position: int) -> tuple:
            value = self.rows[position].get(key)
            if not is_number(value):
                return (2, 0.0, "") if value is None else (1, 0.0, str(value))
            return (1, math.inf, "") if math.isnan(value) else (0, value if mode == "min" else -value, "")

        order = sorted(range(len(self.rows)), key=rank)
        self.rows, self.runs = [self.rows[i] for i in order], [self.runs[i] for i in order]


def select(pattern_list: str, names: Collection[str], option: str) -> list[str]:
    """The names that match a comma-separated list of names and wildcards (`val/*`), in the order of the list.

    Raises:
        UserError: a part of the list matches nothing.
    """
    found: list[str] = []
    for pattern in filter(None, (part.strip() for part in pattern_list.split(","))):
        matching = [name for name in names if fnmatchcase(name, pattern)]
        if not matching:
            raise UserError(f"{option}={pattern}: {unknown(pattern, names)}. Present: {', '.join(names)}")
        found += matching
    return list(dict.fromkeys(found))


def metric_names(runs: Sequence[RunRecord]) -> list[str]:
    """Every metric that any of the runs has."""
    return list(dict.fromkeys(name for run in runs for name in run.metrics))


def default_metrics(runs: Sequence[RunRecord]) -> list[str]:
    """The monitored metrics, then the other validation metrics: test results are not for choosing by."""
    monitored = [name for run in runs for name in run.monitors]
    return list(dict.fromkeys([*monitored, *(name for name in metric_names(runs) if name.startswith("val/"))]))


def direction(key: str, runs: Sequence[RunRecord]) -> str:
    """Whether the best of `key` is its `min` or its `max`: as a run's monitor says, else by name."""
    known = [run.monitors[key] for run in runs if key in run.monitors]
    return known[0] if known else "max" if any(word in key for word in LARGER_IS_BETTER) else "min"


def single(runs: Sequence[RunRecord], keys: list[str], metrics: list[str]) -> Table:
    """A row for each run."""
    return Table(keys, metrics, [run.values for run in runs], [[run] for run in runs])


def by_seed(runs: Sequence[RunRecord], keys: list[str] | None, metrics: list[str]) -> Table:
    """A row for each setting: mean, standard deviation (n - 1) and number over its seeds and folds.

    Runs share a row only if their whole configs agree but for the seed, shown or not; a run without a config has a
    row of its own. Only completed runs are averaged, each seed and fold once (the last run of it).

    Args:
        runs: what to group.
        keys: setting columns; None: those that differ between the rows.
        metrics: metric columns.
    """
    groups: dict[Any, list[RunRecord]] = {}
    for run in runs:
        left_out = (*SEED_KEYS, *NO_SETTINGS)
        setting = frozenset((key, canonical(value)) for key, value in run.config.items() if key not in left_out)
        groups.setdefault(setting or run.name, []).append(run)
    table = Table(keys or [], metrics, [], list(groups.values()), grouped=True)
    if keys is None:
        table.keys = [key for key in differing([group[0] for group in table.runs]) if key not in SEED_KEYS]
    for group in table.runs:
        completed = {}
        for run in (run for run in group if run.status == "completed"):
            seed = tuple(run.values.get(key) for key in SEED_KEYS)
            if seed in completed:
                table.notes.append(
                    f"{completed[seed].name} and {run.name} are the same setting and seed: {run.name} counts"
                )
            completed[seed] = run
        counted = list(completed.values())
        row = {key: value for key, value in group[0].values.items() if key in table.keys}
        row["runs"] = len(counted)
        row["seeds"] = ", ".join(seed_text(seed) for seed in completed)
        row["status"] = ", ".join(f"{n} {status}" for status, n in Counter(run.status for run in group).items())
        row["note"] = "; ".join(dict.fromkeys(note for run in group for note in run.notes)) or None
        for name in (*metrics, "epochs", "best_epoch", "seconds"):
            values = [run.values[name] for run in counted if is_number(run.values.get(name))]
            if values:
                row[name] = statistics.fmean(values)
            if len(values) > 1:
                row[name + SPREAD] = statistics.stdev(values)
        table.rows.append(row)
        commits = {run.values["git_commit"] for run in counted}
        if len(commits) > 1:
            table.notes.append(f"{group[0].name} and its other seeds were trained by different commits of the code")
    return table


def seed_text(seed: tuple[Any, ...]) -> str:
    """A seed, with its fold where there are folds: `3`, `3 fold 1`."""
    number, fold = seed
    return str(number) + (f" fold {fold}" if fold else "")


def cautions(runs: Sequence[RunRecord], key: str) -> list[str]:
    """Why the order by `key` may not mean what it seems to."""
    notes = []
    monitors = list(dict.fromkeys(", ".join(run.monitors) for run in runs if run.monitors))
    if len(monitors) > 1:
        notes.append(f"the runs monitor different metrics ({'; '.join(monitors)}); sorted by {key}, see --sort")
    weights = {run.config.get("objective.reconstruction_weight") for run in runs if run.config}
    if key in ("val/loss", "test/loss", "train/loss") and len(weights) > 1:
        notes.append(
            f"{key} depends on objective.reconstruction_weight, which differs: compare on another metric (--sort)"
        )
    if key.startswith("test/"):
        notes.append("a setting chosen by its test results has no honest test result any more")
    return notes


def is_result(row: Row, runs: Sequence[RunRecord], key: str) -> bool:
    """Whether a row may be called the best by `key`: measured, and trained to its end."""
    return is_measured(row.get(key)) and any(run.status == "completed" for run in runs)


def mark_pareto(table: Table, objectives: dict[str, str]) -> None:
    """Mark the completed rows that no other beats in both objectives: `pareto` = `*`."""
    points = [
        [row[name] if is_result(row, group, name) else math.nan for name in objectives]
        for row, group in zip(table.rows, table.runs, strict=True)
    ]
    front = pareto_front(points, list(objectives.values()))
    table.rows = [row | {"pareto": "*" if i in front else None} for i, row in enumerate(table.rows)]


def pareto_front(points: Sequence[Sequence[float]], modes: Sequence[str]) -> list[int]:
    """Positions of the points that no other is at least as good as in all, and better than in one."""
    signed = [[v if mode == "min" else -v for v, mode in zip(point, modes, strict=True)] for point in points]
    usable = [i for i, point in enumerate(signed) if not any(math.isnan(v) for v in point)]

    def beaten(i: int) -> bool:
        return any(
            all(a <= b for a, b in zip(signed[j], signed[i], strict=True)) and signed[j] != signed[i] for j in usable
        )

    return [i for i in usable if not beaten(i)]


def is_measured(value: Any) -> bool:
    """Whether `value` is a number, and not NaN or infinite."""
    return is_number(value) and math.isfinite(value)


def cell(value: Any) -> str:
    """A value as people read it: four significant digits, true / false, blank for nothing."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"
    return " ".join(str(value).split())


def grid(table: Table) -> list[list[str]]:
    """The table as text, its header first; a mean and its deviation share a cell."""

    def text(row: Row, name: str) -> str:
        deviation = row.get(name + SPREAD) if name in table.metrics else None
        return cell(row.get(name)) + ("" if deviation is None else f" ± {deviation:.2g}")

    columns = [name for name in table.columns if not name.endswith(SPREAD)]
    return [columns, *([text(row, name) for name in columns] for row in table.rows)]


def to_text(table: Table, width: int) -> str:
    """For a terminal of `width` characters: aligned; where that is too narrow, the headers on two lines."""
    header, *body = grid(table)
    numeric = [all(is_number(row.get(name)) or row.get(name) is None for row in table.rows) for name in header]
    text = align([header, *body], numeric)
    if len(text[0]) > width:
        upper, lower = zip(*(split_header(name) for name in header), strict=True)
        text = align([list(upper), list(lower), *body], numeric)
    return "\n".join(line.rstrip() for line in text)


def align(lines: list[list[str]], numeric: list[bool]) -> list[str]:
    """Columns of equal width, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        GAP.join(
            text.rjust(w) if right else text.ljust(w) for text, w, right in zip(line, widths, numeric, strict=True)
        )
        for line in lines
    ]


def split_header(name: str) -> tuple[str, str]:
    """A long name cut behind its last dot or slash."""
    cut = max(name.rfind("."), name.rfind("/")) + 1
    return name[:cut], name[cut:]


def to_markdown(table: Table) -> str:
    """For a README."""
    lines = [[text.replace("|", "\\|") for text in line] for line in grid(table)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def to_csv(table: Table) -> str:
    """Every digit, a column each for mean and deviation."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = ["path", *table.columns]
    writer.writerow(columns)
    writer.writerows([row[name] if row.get(name) is not None else "" for name in columns] for row in export(table))
    return text.getvalue().rstrip("\n")


def to_json(table: Table) -> str:
    """A list of objects, one per row; what is missing or not a number is null."""
    columns = ["path", *table.columns]
    rows = [{name: plain(row.get(name)) for name in columns} for row in export(table)]
    return json.dumps(rows, indent=2, allow_nan=False)


def plain(value: Any) -> Any:
    """`value` as JSON can hold it."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, str | int | float) else str(value)


def export(table: Table) -> Iterable[Row]:
    """The rows with the absolute path of the (first) run behind each."""
    return ({**row, "path": str(runs[0].directory.path)} for row, runs in zip(table.rows, table.runs, strict=True))
