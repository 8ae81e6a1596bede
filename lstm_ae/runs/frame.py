"""Many run directories as one pandas DataFrame, whatever state they are in."""

import hashlib
import math
import os
import re
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from lstm_ae.errors import UserError
from lstm_ae.metrics import Better, find
from lstm_ae.runs.directory import RunDirectory
from lstm_ae.runs.lock import is_locked
from lstm_ae.runs.overrides import changes, key_of
from lstm_ae.runs.reading import PROBLEMS, from_yaml, from_yaml_text, printable, read_or_note
from lstm_ae.runs.settings import EXECUTION_KEYS, SEED_KEYS, flatten

FIELDS = (
    "run", "path", "trial", "status", "monitor", "mode", "epochs", "best_epoch", "seconds", "parameters", "git_commit",
    "data", "note", "setting", "overrides",
)  # fmt: skip
SPREAD = " std"  # `val/loss std` is the standard deviation (n - 1) of `val/loss` over seeds or folds
PARTS = ("train/", "val/", "test/")  # how the name of a metric begins
NO_CHOICES = re.compile(r"hydra/|sweep$|experiment$")  # config groups that only name whole settings
MAX_ERROR = 100  # characters of a failed run's error in a note
INTERPOLATION = re.compile(r"\$\{([\w.]+)\}")
CHOICES = re.compile(r"^    choices:\n((?:      .*\n?)+)", re.MULTILINE)

History = list[dict[str, float]]


class Contents(NamedTuple):
    """What one run directory holds."""

    fields: dict[str, Any]  # the names in FIELDS
    choices: dict[str, Any]  # config group -> option
    settings: dict[str, Any]  # dotted key -> value, lists as texts, references resolved
    metrics: dict[str, float]
    deviations: dict[str, float]  # of the metrics over the folds of a cross-validation
    history: History  # a row per epoch; of a cross-validation the mean over its folds
    config: dict[str, Any]  # the flat config as it stands, with the changes of resumes
    changes: list[str]  # the overrides of those


def load_runs(*folders: str | Path) -> pd.DataFrame:
    """Every run in or below `folders` as a DataFrame: a row for each, in the order of their paths.

    >>> runs = lstm_ae.load_runs("multirun/synthetic_grid")  # doctest: +SKIP
    >>> runs.groupby("model.hidden_size")["val/accuracy"].agg(["mean", "std"])  # doctest: +SKIP

    A run is a directory with a `.hydra/`, a `summary.json` or a `metrics.csv`, and so is an empty one that a sweep has
    numbered: its trial left nothing behind. Runs inside a run (its folds) belong to it. A file that is missing or
    broken leaves its columns empty and is mentioned in `note`; nothing is ever run.

    Returns:
        columns `run` (the path below the folder that all share), `path`, `status`, `note`, `epochs` and the others in
        `FIELDS`, then the chosen option of each config group (`model/encoder`), every config key
        (`model.hidden_size`), and every metric: `val/...` at the best epoch, `test/METRIC` and `test/METRIC/BASELINE`
        of completed runs. `frame.attrs` lists the columns by kind: `choices`, `settings`, `metrics`. Runs that differ
        in nothing but their seed or fold have the same `setting`. What a run lacks is missing (NaN or None), so whole
        numbers that some run lacks are floats; lists are texts (`[20, 30]`).

    Raises:
        UserError: a folder that is missing, or no run anywhere.
    """
    roots = [Path(folder).absolute() for folder in folders]
    for folder, root in zip(folders, roots, strict=True):
        if not root.is_dir():
            raise UserError(f"{folder}: no such directory; give run or sweep directories, such as multirun/2026-01-31")
    paths = list(dict.fromkeys(path.resolve() for root in roots for path in run_directories(root)))
    if not paths:
        raise UserError(
            f"no run in or below {', '.join(map(str, folders))}: a run directory holds .hydra/ and summary.json. "
            "Train some with: python -m lstm_ae.train -m model.hidden_size=8,16"
        )
    base = os.path.commonpath([path.parent for path in paths])
    named = sorted((natural(name), name, path) for path in paths for name in [os.path.relpath(path, base)])
    found = [read_run(RunDirectory(path), name) for _, name, path in named]
    kinds = {kind: list(dict.fromkeys(name for run in found for name in getattr(run, kind)))
             for kind in ("choices", "settings", "metrics", "deviations")}  # fmt: skip
    # A foreign config may have a key that is called like a column of another kind; no key of ours is.
    taken = {*kinds["choices"], *kinds["metrics"], *kinds["deviations"]}
    kinds["settings"] = [name for name in kinds["settings"] if name not in taken]
    for run in found:
        for name in taken & run.settings.keys():
            del run.settings[name]
    rows = [run.choices | run.settings | run.metrics | run.deviations | run.fields for run in found]
    frame = pd.DataFrame(
        rows, columns=list(dict.fromkeys([*FIELDS, *(name for kind in kinds.values() for name in kind)]))
    )
    frame.attrs = {kind: kinds[kind] for kind in ("choices", "settings", "metrics")}
    return frame


def run_directories(root: Path) -> Iterable[Path]:
    """The run directories in or below `root`."""

    def fail(error: OSError) -> None:
        if error.filename == os.fspath(root):  # else one folder that may not be read would hide all others
            raise error

    for folder, subfolders, files in os.walk(root, onerror=fail):
        numbered = Path(folder).name.isdecimal() and not subfolders and Path(folder) != root
        subfolders[:] = [name for name in subfolders if name == ".hydra" or not name.startswith(".")]
        if ".hydra" in subfolders or numbered or not {"summary.json", "metrics.csv"}.isdisjoint(files):
            subfolders.clear()
            yield Path(folder)


def read_history(path: str | Path, inside: bool = False) -> History:
    """The epochs of the run in the directory `path`, over folds their mean; empty where none can be read.

    A fold (`inside`) has no folds of its own.
    """
    directory = RunDirectory(path)
    if directory.folds.is_dir() and not inside:
        return mean_history([read_history(fold, inside=True) for fold in sorted(directory.folds.iterdir())])
    try:
        return directory.read_metrics()
    except (UserError, OSError):
        return []


def read_run(directory: RunDirectory, name: str, inside: bool = False) -> Contents:
    """What a directory holds. A file that is missing or broken becomes a note, never an error.

    Args:
        directory: the run.
        name: what tables call it.
        inside: whether it is a fold, which has no folds of its own; a link could pretend so for ever.
    """
    notes: list[str] = []

    def attempt(file: Path, read: Callable[[], Any], kind: type, needed: bool = True) -> Any:
        return read_or_note(notes, file.relative_to(directory.path).as_posix(), file, read, kind, needed)

    summary = attempt(directory.summary, directory.read_summary, dict)
    if summary.get("error"):
        notes.append(printable(" ".join(str(summary["error"]).split())[:MAX_ERROR]))
    status = printable(str(summary.get("status") or "unknown")[:20])
    config = attempt(directory.config, lambda: flatten(from_yaml(directory.config)), dict)
    given, hydra = (directory.config.with_name(name) for name in ("overrides.yaml", "hydra.yaml"))
    overrides = attempt(given, lambda: from_yaml(given), list, needed=False)
    choices = attempt(hydra, lambda: read_choices(hydra.read_text(encoding="utf-8")), dict, needed=False)
    config = changed(config, changes(summary))
    folds: list[Contents] = []
    if directory.folds.is_dir() and not inside:
        folds = [
            read_run(RunDirectory(fold), "", inside=True) for fold in sorted(directory.folds.iterdir()) if fold.is_dir()
        ]
        history = mean_history([fold.history for fold in folds])
    else:
        history = attempt(directory.metrics, directory.read_metrics, list, needed=status == "completed")
    if status == "running" and not seems_alive(directory):
        notes.append("no process on this machine is at work on it")

    modes = monitors(config.get("monitor") or summary.get("monitor"), config.get("mode"))
    best = best_row(history, modes)
    by_fold = common_metrics([fold.metrics for fold in folds])
    metrics = {name: statistics.fmean(values) for name, values in by_fold.items()}
    deviations = {name + SPREAD: statistics.stdev(values) for name, values in by_fold.items() if len(values) > 1}
    if not folds:
        metrics = measured(best, modes, summary)
    fields = {
        "run": name,
        "path": str(directory.path),
        "trial": int(directory.path.name) if re.fullmatch(r"\d{1,9}", directory.path.name) else None,
        "status": status,
        "monitor": ", ".join(modes) or None,
        "mode": ", ".join(modes.values()) or None,
        "epochs": len(history) or None,
        "best_epoch": int(best["epoch"]) if math.isfinite(best.get("epoch", math.nan)) and not folds else None,
        "seconds": seconds_of(summary, history),
        "parameters": summary["parameters"] if is_number(summary.get("parameters")) else None,
        "git_commit": as_text(summary.get("git_commit")),
        "data": as_text(summary.get("data")),
        "note": "; ".join(notes) or None,
        "setting": setting_of(config) if config else None,
        "overrides": tuple(map(str, overrides)),
    }
    settings = {key: as_text(resolved(value, config)) for key, value in config.items()}
    return Contents(fields, choices, settings, metrics, deviations, history, config, changes(summary))


def seconds_of(summary: Mapping[str, Any], history: History) -> float | None:
    """How long the epochs took: as the summary says, else as they say themselves."""
    if is_number(summary.get("seconds")):
        return summary["seconds"]
    return round(sum(row.get("seconds", 0) for row in history), 1) if history else None


def read_choices(text: str) -> dict[str, Any]:
    """The options that the config groups were set to, from the text of `.hydra/hydra.yaml`.

    Only that block is parsed: the file is long, and thousands of them are read.
    """
    block = CHOICES.search(text)
    lines = re.findall(r"^ {6}(\S+): (.*)$", block[1], re.MULTILINE) if block else []
    return {group: None if option == "null" else option for group, option in lines if not NO_CHOICES.match(group)}


def changed(config: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """The flat `config` with the values that `overrides` set."""
    config = dict(config)
    for override in overrides:
        key = key_of(override)
        if key in config or override.startswith("+"):
            config[key] = yaml_value(override.partition("=")[2])
    return config


def yaml_value(text: str) -> Any:
    """The value that an override gives, as in a config: `1e-3` is a number as well."""
    try:
        return float(text) if re.fullmatch(r"[+-]?\d+e[+-]?\d+", text) else from_yaml_text(text.encode())
    except PROBLEMS:
        return text


def seems_alive(directory: RunDirectory) -> bool:
    """Whether a process holds the run, as far as can be seen from here."""
    try:
        return is_locked(directory.lock)
    except OSError:  # somebody else's lock file, which may not be opened
        return True


def monitors(names: Any, modes: Any = None) -> dict[str, Better]:
    """The monitored metrics and the mode of each, from the values of `monitor` and `mode`: lists, texts or nothing.

    Unlike `lstm_ae.metrics.monitored` it takes whatever is there: a run that was made is shown.
    """

    def listed(value: Any) -> list[str]:
        values = value if isinstance(value, list) else re.split(r",\s*", value) if isinstance(value, str) else []
        return [str(item) for item in values if item]

    given = listed(modes)
    return {
        printable(name): "max" if (given[i] if i < len(given) else find(name).better) == "max" else "min"
        for i, name in enumerate(listed(names)[:2])
    }


def best_row(history: History, modes: Mapping[str, Better]) -> dict[str, float]:
    """The epoch with the best value of the (first) monitor so far; the last one without a monitor."""
    for name, mode in modes.items():
        rows = [row for row in history if not math.isnan(row.get(name, math.nan))]
        if rows:
            return (min if mode == "min" else max)(rows, key=lambda row: row[name])
        break
    return history[-1] if history else {}


def measured(best: dict[str, float], modes: Mapping[str, Better], summary: Mapping[str, Any]) -> dict[str, float]:
    """Every metric of a run: those of its best epoch, then the test's and the baselines'."""
    metrics = {name: value for name, value in best.items() if name.startswith(PARTS)}
    recorded = summary.get("best")
    values = recorded if isinstance(recorded, list) else [recorded]
    for group in (dict(zip(modes, values, strict=False)), summary.get("test"), summary.get("baselines")):
        if isinstance(group, dict):
            metrics |= {name: value for name, value in group.items() if is_number(value) and name not in metrics}
    return metrics


def mean_history(histories: Sequence[History]) -> History:
    """The mean over folds of each epoch that all of them have."""
    same_epoch = zip(*(history for history in histories if history), strict=False)
    return [
        {name: statistics.fmean(row.get(name, math.nan) for row in rows) for name in rows[0]} for rows in same_epoch
    ]


def common_metrics(folds: Sequence[dict[str, float]]) -> dict[str, list[float]]:
    """The values of each metric that all folds have so far."""
    names = [name for name in folds[0] if all(name in fold for fold in folds)] if folds else []
    return {name: [fold[name] for fold in folds] for name in names}


def setting_of(config: Mapping[str, Any]) -> str:
    """A name for a setting: eight characters of a hash over all but the seed, the fold and how it was carried out."""
    told_apart = {key: canonical(value) for key, value in config.items() if key not in (*SEED_KEYS, *EXECUTION_KEYS)}
    return hashlib.sha256(repr(sorted(told_apart.items())).encode()).hexdigest()[:8]


def canonical(value: Any) -> tuple[str, Any]:
    """Something that is equal for equal settings: 1 and 1.0 are, 1 and True and "1" are not."""
    return ("number", float(value)) if is_number(value) else (type(value).__name__, repr(value))


def resolved(value: Any, config: Mapping[str, Any]) -> Any:
    """`value`, or what it refers to in `config` if it is `${another.key}`."""
    for _ in range(10):  # a chain, but never a circle
        reference = INTERPOLATION.fullmatch(value) if isinstance(value, str) else None
        if reference is None:
            break
        value = config.get(reference[1])
    return value


def as_text(value: Any) -> Any:
    """A list or a dictionary as the text that it is written as; other values as they are."""
    if isinstance(value, list):
        return f"[{', '.join('null' if item is None else str(item) for item in value)}]"
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def is_number(value: Any) -> bool:
    """Whether `value` is an int or a float; a bool is neither, nor is an int that no computer counts with."""
    return isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63)


def natural(text: str) -> list[Any]:
    """A sort key that puts 10 after 9."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", text)]
