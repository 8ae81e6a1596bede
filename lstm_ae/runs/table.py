"""Runs as a table for people: which columns, in which order, grouped by seed or not, and written how."""

import json
import math
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import optuna
import pandas as pd
from optuna.study import StudyDirection

from lstm_ae.errors import UserError
from lstm_ae.metrics import Better, find
from lstm_ae.runs.filters import unknown
from lstm_ae.runs.frame import SPREAD, is_number, monitors
from lstm_ae.runs.overrides import key_of
from lstm_ae.runs.reading import printable
from lstm_ae.runs.settings import EXECUTION_KEYS, SEED_KEYS

GAP = "  "
MEASURED = ("epochs", "best_epoch", "seconds")  # numbers of a run beside its metrics


@dataclass
class Table:
    """What is shown of some runs: a row for each, or for each setting with its seeds."""

    frame: pd.DataFrame  # the columns below, and `members`: the runs behind a row, as labels of `runs`
    runs: pd.DataFrame  # as `load_runs` gives them
    keys: list[str]  # setting columns
    metrics: list[str]  # metric columns
    grouped: bool = False
    notes: list[str] = field(default_factory=list)  # what to know before believing it

    @property
    def columns(self) -> list[str]:
        """Every column in the order of reading, blank ones left out."""
        measured = [name for metric in self.metrics for name in (metric, metric + SPREAD)]
        first = ["runs", "seeds"] if self.grouped else ["run"]
        wanted = [*first, *self.keys, *measured, "pareto", "status", *MEASURED, "note"]
        always = {*first, *self.keys, *self.metrics, "status", "epochs", "seconds"}
        present = [name for name in dict.fromkeys(wanted) if name in self.frame]
        return [name for name in present if name in always or self.frame[name].notna().any()]

    def sort(self, key: str, mode: str) -> None:
        """Best first by `key`, rows without a value last; otherwise the order stays."""

        def sortable(column: pd.Series) -> pd.Series:
            return column if pd.api.types.is_numeric_dtype(column) else column.map(str, na_action="ignore")

        if key in self.frame:
            self.frame = self.frame.sort_values(key, ascending=mode == "min", kind="stable", key=sortable)

    def is_result(self, key: str) -> pd.Series:
        """For each row, whether it may be called the best by `key`: measured, and trained to its end."""
        values = (
            pd.to_numeric(self.frame[key], errors="coerce")
            if key in self.frame
            else pd.Series(np.nan, self.frame.index)
        )
        return np.isfinite(values.astype(float)) & self.frame["status"].str.contains("completed")

    def data_of(self, rows: np.ndarray) -> set[tuple[str, ...]]:
        """What data the rows that `rows` is true for were measured on, each as the fingerprints of its runs."""
        found = set()
        for row in np.flatnonzero(rows):
            members = self.members(int(row))
            found.add(tuple(sorted(set(members["data"][members["status"] == "completed"].dropna()))))
        return found - {()}

    def members(self, row: int) -> pd.DataFrame:
        """The runs behind the row at this position."""
        return self.runs.loc[self.frame["members"].iloc[row]]


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


def default_metrics(runs: pd.DataFrame, measured: Sequence[str]) -> list[str]:
    """The monitored metrics, then the other validation metrics: test results are not for choosing by."""
    monitored = [name for names in runs["monitor"].dropna().unique() for name in monitors(names) if name in measured]
    return list(dict.fromkeys([*monitored, *(name for name in measured if name.startswith("val/"))]))


def results(measured: Sequence[str]) -> list[str]:
    """The test metrics, each followed by its baselines: `test/accuracy`, `test/accuracy/majority`, ..."""
    test = [name for name in measured if name.startswith("test/")]
    order = list(dict.fromkeys(name.split("/")[1] for name in test))
    return sorted(test, key=lambda name: (order.index(name.split("/")[1]), name.count("/")))


def better(key: str, runs: pd.DataFrame) -> Better:
    """Whether the best of `key` is its `min` or its `max`: as the table of metrics says, else a run's `mode`."""
    pairs = zip(runs["monitor"], runs["mode"], strict=True)
    asked = (modes[key] for modes in (monitors(*pair) for pair in pairs) if key in modes)
    known = find(key).better
    return next(asked, "min") if known is None else known


def differing(runs: pd.DataFrame, choices: Sequence[str], settings: Sequence[str]) -> list[str]:
    """The settings that tell the runs apart, the shortest list that does: group options first, then config keys.

    A chosen option brings many keys along (`optimizer=sgd` a momentum), so a key that it alone decides is left out
    unless somebody set it by hand; and so is a key that has the values of another one throughout.
    """
    runs = runs[runs["setting"].notna()]
    by_hand = {key_of(override) for given in runs["overrides"] for override in given}
    kept: list[str] = []
    apart = np.zeros(len(runs), dtype=int)  # a number for each combination of the options in `kept`

    def codes(name: str) -> np.ndarray:
        return pd.factorize(runs[name], use_na_sentinel=False)[0]

    def finer(values: np.ndarray) -> np.ndarray:
        return np.unique(apart * (values.max() + 1) + values, return_inverse=True)[1]

    for group in sorted(choices, key=lambda group: (group.count("/"), group)):
        if runs[group].nunique(dropna=False) > 1 and finer(codes(group)).max() > apart.max():
            kept.append(group)
            apart = finer(codes(group))
    groups = list(kept)
    typed_first = sorted(settings, key=lambda key: (key not in by_hand, key.count(".")))
    for key in typed_first:
        if key in EXECUTION_KEYS or (groups and key.endswith(("._target_", "._partial_"))):
            continue
        if runs[key].nunique(dropna=False) < 2:
            continue
        decided = groups and finer(codes(key)).max() == apart.max()
        same = any(runs[key].equals(runs[other]) for other in kept)
        if key in by_hand or not (decided or same):
            kept.append(key)
    return [name for name in dict.fromkeys([*groups, *settings]) if name in kept]


def single(runs: pd.DataFrame, keys: Sequence[str], metrics: Sequence[str]) -> Table:
    """A row for each run."""
    return Table(runs.assign(members=[[label] for label in runs.index]), runs, list(keys), list(metrics))


def by_seed(runs: pd.DataFrame, keys: Sequence[str] | None, metrics: Sequence[str]) -> Table:
    """A row for each setting: mean, standard deviation (n - 1) and number over its seeds and folds.

    Runs share a row only if their whole configs agree but for the seed, shown or not; a run without a config has a
    row of its own. Only completed runs are averaged, each seed and fold once (the last run of it).

    Args:
        runs: what to group.
        keys: setting columns; None: those that differ between the rows.
        metrics: metric columns.
    """
    kinds = runs.attrs
    runs = runs.assign(setting=runs["setting"].fillna(runs["path"]))
    firsts = runs.drop_duplicates("setting")
    if keys is None:
        keys = [key for key in differing(firsts, kinds["choices"], kinds["settings"]) if key not in SEED_KEYS]
    seeds = [key for key in SEED_KEYS if key in runs]
    completed = runs[runs["status"] == "completed"]
    counted = completed.drop_duplicates(["setting", *seeds], keep="last")
    numbers = counted[[*metrics, *MEASURED]].astype(float).groupby(counted["setting"])
    parts = [firsts.set_index("setting")[["path", *keys]], numbers.mean(), numbers.std().add_suffix(SPREAD)]
    texts = runs.reset_index(names="members").groupby("setting", sort=False)[["members", "status", "note"]].agg(list)
    texts["status"] = [", ".join(f"{n} {status}" for status, n in Counter(all_).items()) for all_ in texts["status"]]
    texts["note"] = ["; ".join(dict.fromkeys(filter(is_text, all_))) or None for all_ in texts["note"]]
    seed_texts = pd.Series(
        [seed_text(*values) for values in counted[seeds].itertuples(index=False)], counted.index, dtype=object
    )
    texts["seeds"] = seed_texts.groupby(counted["setting"]).agg(", ".join)
    texts["runs"] = counted.groupby("setting").size()
    texts = texts.fillna({"runs": 0, "seeds": ""}).astype({"runs": int})
    frame = pd.concat([*parts, texts], axis=1).loc[firsts["setting"]].reset_index(drop=True)
    return Table(frame, runs, list(keys), list(metrics), True, repetitions(completed, counted, seeds))


def repetitions(completed: pd.DataFrame, counted: pd.DataFrame, seeds: Sequence[str]) -> list[str]:
    """What to know of the runs that share a row: which repeat another one, and which are not of the same code."""
    notes = []
    last = counted.set_index(["setting", *seeds])["run"]
    for run in completed.drop(counted.index).itertuples(index=False):
        later = last[tuple(completed.loc[completed["run"] == run.run, ["setting", *seeds]].iloc[0])]
        notes.append(f"{run.run} and {later} are the same setting and seed: {later} counts")
    by_setting = counted.groupby("setting", sort=False)
    for name in by_setting["run"].first()[by_setting["git_commit"].nunique(dropna=False) > 1]:
        notes.append(f"{name} and its other seeds were trained by different commits of the code")
    return notes


def seed_text(seed: Any = None, fold: Any = None) -> str:
    """A seed, with its fold where there are folds: `3`, `3 fold 1`."""
    return cell(seed) + (f" fold {cell(fold)}" if is_number(fold) and fold > 0 else "")


def cautions(runs: pd.DataFrame, key: str, metrics: Sequence[str]) -> list[str]:
    """Why the order by `key` may not mean what it seems to."""
    notes = []
    monitored = runs["monitor"].dropna().unique()
    if len(monitored) > 1:
        notes.append(f"the runs monitor different metrics ({'; '.join(monitored)}); sorted by {key}, see --sort")
    weight = "objective.reconstruction_weight"
    if key.endswith("/loss") and weight in runs and runs.loc[runs["setting"].notna(), weight].nunique(dropna=False) > 1:
        notes.append(f"{key} depends on {weight}, which differs: compare on another metric (--sort)")
    if runs["data"].nunique() > 1:
        notes.append(f"the runs were trained and measured on {runs['data'].nunique()} different data sets or splits")
    if key.startswith("test/"):
        notes.append("a setting chosen by its test results has no honest test result any more")
    elif any(name.startswith("test/") for name in metrics):
        notes.append("test results are for reporting what validation has chosen, not for choosing by")
    return notes


def mark_pareto(table: Table, objectives: dict[str, Better]) -> None:
    """Mark the completed rows that no other beats in both objectives: `pareto` = `*`."""
    finished = np.logical_and.reduce([table.is_result(name) for name in objectives])
    points = table.frame.reindex(columns=list(objectives)).astype(float)
    points[~finished] = np.nan
    table.frame["pareto"] = ["*" if on_it else None for on_it in pareto_front(points, objectives)]


def pareto_front(points: pd.DataFrame, objectives: dict[str, Better]) -> np.ndarray:
    """For each row of `points`, whether no other is at least as good in all objectives and better in one."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    directions = [StudyDirection.MINIMIZE if mode == "min" else StudyDirection.MAXIMIZE for mode in objectives.values()]
    study = optuna.create_study(directions=directions)
    values = points[list(objectives)].to_numpy(dtype=float)
    usable = np.flatnonzero(np.isfinite(values).all(1))
    study.add_trials([optuna.create_trial(values=values[row].tolist()) for row in usable])
    front = np.zeros(len(points), dtype=bool)
    front[usable[[trial.number for trial in study.best_trials]]] = True
    return front


def is_text(value: Any) -> bool:
    """Whether there is a text, and not None or NaN, which pandas puts where there is none."""
    return isinstance(value, str) and value != ""


def cell(value: Any) -> str:
    """A value as people read it: four significant figures, true / false, blank for nothing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool | np.bool_):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"
    return printable(" ".join(str(value).split()))


def shown_columns(table: Table) -> list[str]:
    """The columns that have a header of their own: all but the deviations."""
    return [name for name in table.columns if not name.endswith(SPREAD)]


def grid(table: Table) -> list[list[str]]:
    """The table as text, its header first; a mean and its deviation share a cell."""
    columns = shown_columns(table)
    texts = []
    for name in columns:
        column = [cell(value) for value in table.frame[name]]
        if name in table.metrics and name + SPREAD in table.frame:
            deviations = table.frame[name + SPREAD]
            column = [
                f"{mean} ± {std:.2g}" if std == std else mean for mean, std in zip(column, deviations, strict=True)
            ]
        texts.append(column)
    return [list(map(printable, columns)), *map(list, zip(*texts, strict=True))]


def to_text(table: Table, width: int) -> str:
    """For a terminal of `width` characters: aligned; where that is too narrow, the headers on two lines."""
    header, *body = grid(table)
    numeric = [pd.api.types.is_numeric_dtype(table.frame[name]) for name in shown_columns(table)]
    text = align([header, *body], numeric)
    if len(text[0]) > width:
        upper, lower = zip(*(split_header(name) for name in header), strict=True)
        text = align([list(upper), list(lower), *body], numeric)
    return "\n".join(line.rstrip() for line in text)


def plain(frame: pd.DataFrame) -> str:
    """A frame for a terminal, aligned as tables are; columns without a value are left out."""
    shown = frame.dropna(axis="columns", how="all")
    body = [[cell(value) for value in row] for row in shown.itertuples(index=False)]
    numeric = [pd.api.types.is_numeric_dtype(shown[name]) for name in shown]
    return "\n".join(line.rstrip() for line in align([list(shown.columns), *body], numeric))


def align(lines: Sequence[Sequence[str]], numeric: Sequence[bool]) -> list[str]:
    """Columns of equal width, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    sides = [str.rjust if right else str.ljust for right in numeric]
    return [
        GAP.join(side(text, width) for text, width, side in zip(line, widths, sides, strict=True)) for line in lines
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
    """Full precision, a column each for mean and deviation."""
    return export(table).to_csv(index=False, lineterminator="\n").rstrip("\n")


def to_json(table: Table) -> str:
    """A list of objects, one per row; what is missing or not a number is null."""
    return json.dumps(records(export(table)), indent=2, allow_nan=False)


def export(table: Table) -> pd.DataFrame:
    """The table with the absolute path of the (first) run behind each row; whole numbers as such."""
    return table.frame[["path", *table.columns]].convert_dtypes()


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as JSON can hold them: None for what is missing or not finite."""
    values = frame.astype(object).where(frame.notna(), None).replace([math.inf, -math.inf], None)
    return values.to_dict("records")
