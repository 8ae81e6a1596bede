"""Find run directories below some folders and read what they hold, whatever state they are in."""

import math
import os
import re
import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from lstm_ae.errors import UserError
from lstm_ae.runs.directory import RunDirectory

SEED_KEYS = ("seed", "dataset.fold")  # what may vary within one setting
# How a run was carried out, and names of whole settings: nothing that tells two settings apart.
NO_SETTINGS = ("resume", "device", "threads", "workers", "study_name", "revalidate")
NO_CHOICES = re.compile(r"hydra/|sweep$|experiment$")
SPREAD = " std"  # `val/loss std` is the standard deviation (n - 1) of `val/loss` over seeds or folds
NO_METRICS = ("epoch", "seconds", "lr")  # columns of metrics.csv that are none
MAX_ERROR = 100  # characters of a failed run's error in a note
SILENT_SECONDS = 600  # a running run that wrote nothing for so long gets a note
INTERPOLATION = re.compile(r"\$\{([\w.]+)\}")
CHOICES = re.compile(r"^    choices:\n((?:      .*\n?)+)", re.MULTILINE)
YAML_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C one is ten times as fast


@dataclass
class RunRecord:
    """What one run directory holds; whatever is missing is empty and mentioned in `notes`."""

    directory: RunDirectory
    name: str  # the path as tables show it
    config: dict[str, Any] = field(default_factory=dict)  # dotted key -> value, interpolations as they stand
    choices: dict[str, Any] = field(default_factory=dict)  # config group -> option
    overrides: list[str] = field(default_factory=list)  # as given on the command line
    summary: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)  # a row per epoch
    notes: list[str] = field(default_factory=list)
    folds: list["RunRecord"] = field(
        default_factory=list
    )  # of a cross-validated run, which then has their mean history

    @cached_property
    def status(self) -> str:
        """The summary's status; `unknown` where there is none."""
        return str(self.summary.get("status") or "unknown")

    @cached_property
    def monitors(self) -> dict[str, str]:
        """The monitored metrics and the mode of each, `min` or `max`; one, or two in a two-objective search."""
        names = self.config.get("monitor") or self.summary.get("monitor") or []
        modes = self.config.get("mode") or "min"
        names = names if isinstance(names, list) else [names]
        modes = modes if isinstance(modes, list) else [modes] * len(names)
        return {str(name): "max" if mode == "max" else "min" for name, mode in zip(names, modes, strict=False)}

    @cached_property
    def trial(self) -> int | None:
        """The number that a sweep gave the run: the name of its directory; None for others."""
        return int(self.directory.path.name) if self.directory.path.name.isdecimal() else None

    @cached_property
    def best_row(self) -> dict[str, float]:
        """The row of `history` with the best value of the (first) monitor so far; the last one without a monitor."""
        for name, mode in self.monitors.items():
            rows = [row for row in self.history if not math.isnan(row.get(name, math.nan))]
            if rows:
                return (min if mode == "min" else max)(rows, key=lambda row: row[name])
            break
        return self.history[-1] if self.history else {}

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Every metric: those of the best epoch, then the test's and the baselines'; over folds, the means."""
        if self.folds:
            return {name: statistics.fmean(values) for name, values in self._fold_metrics.items()}
        found = {name: value for name, value in self.best_row.items() if name not in NO_METRICS}
        best = self.summary.get("best")
        recorded = dict(zip(self.monitors, best if isinstance(best, list) else [best], strict=False))
        for group in (recorded, self.summary.get("test"), self.summary.get("baselines")):
            if isinstance(group, dict):
                found |= {name: value for name, value in group.items() if is_number(value) and name not in found}
        return found

    @cached_property
    def _fold_metrics(self) -> dict[str, list[float]]:
        """Each metric that all folds have so far."""
        common = dict.fromkeys(self.folds[0].metrics) if self.folds else {}
        found = {name: [fold.metrics.get(name) for fold in self.folds] for name in common}
        return {name: values for name, values in found.items() if None not in values}

    @cached_property
    def values(self) -> dict[str, Any]:
        """Every name that a table, a sort or a filter may use: fields, metrics, settings, chosen group options."""
        seconds = self.summary.get("seconds")
        if seconds is None and self.history:
            seconds = round(sum(row.get("seconds", 0) for row in self.history), 1)
        fields = {
            "run": self.name,
            "trial": self.trial,
            "status": self.status,
            "epochs": len(self.history) or None,
            "best_epoch": int(self.best_row["epoch"]) if "epoch" in self.best_row and not self.folds else None,
            "seconds": seconds,
            "parameters": self.summary.get("parameters"),
            "git_commit": self.summary.get("git_commit"),
            "data": self.summary.get("data"),
            "note": "; ".join(self.notes) or None,
        }
        config = {key: self._resolved(value) for key, value in self.config.items()}
        deviations = {n + SPREAD: statistics.stdev(v) for n, v in self._fold_metrics.items() if len(v) > 1}
        return self.choices | config | self.metrics | deviations | fields

    def _resolved(self, value: Any) -> Any:
        """`value`, or what it refers to if it is `${another.key}`."""
        for _ in range(10):  # a chain, but never a circle
            reference = INTERPOLATION.fullmatch(value) if isinstance(value, str) else None
            if reference is None:
                break
            value = self.config.get(reference[1])
        return value


def is_number(value: Any) -> bool:
    """Whether `value` is an int or a float; a bool is neither."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def canonical(value: Any) -> Any:
    """Something hashable that is equal for equal settings: 1 and 1.0 are, 1 and True and "1" are not."""
    return float(value) if is_number(value) else (type(value).__name__, repr(value))


def natural(text: str) -> list[Any]:
    """A sort key that puts 10 after 9."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", text)]


def collect(folders: Sequence[str | Path]) -> list[RunRecord]:
    """Every run in or below `folders`, once, in the order of its path.

    A run is a directory with a `.hydra/`, a `summary.json` or a `metrics.csv`, and so is an empty one that a sweep
    has numbered: its trial left nothing behind. Runs inside a run (its folds) belong to it.

    Raises:
        UserError: a folder that is missing or cannot be read, or no run anywhere.
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
    named = {path: os.path.relpath(path, base) for path in paths}
    return [read_run(path, named[path]) for path in sorted(paths, key=lambda path: natural(named[path]))]


def run_directories(root: Path) -> Iterable[Path]:
    """The run directories in or below `root`."""

    def fail(error: OSError) -> None:
        raise error

    for folder, subfolders, files in os.walk(root, onerror=fail):
        nameless = Path(folder).name.isdecimal() and not subfolders and Path(folder) != root
        subfolders[:] = [name for name in subfolders if name == ".hydra" or not name.startswith(".")]
        if ".hydra" in subfolders or nameless or not {"summary.json", "metrics.csv"}.isdisjoint(files):
            subfolders.clear()
            yield Path(folder)


def read_run(path: Path, name: str) -> RunRecord:
    """What the directory holds; a file that is missing or broken becomes a note, never an error."""
    run = RunRecord(RunDirectory(path), name)

    def attempt(file: Path, read: Any, kind: type, needed: bool = True) -> Any:
        """What `read()` makes of `file`, or an empty `kind`."""
        if not file.is_file():
            if needed:
                run.notes.append(f"no {file.relative_to(path)}")
            return kind()
        try:
            content = read()
        except (UserError, OSError, ValueError, TypeError, yaml.YAMLError):
            content = None
        if not isinstance(content, kind):
            run.notes.append(f"{file.relative_to(path)} is broken")
            return kind()
        return content

    run.summary = attempt(run.directory.summary, run.directory.read_summary, dict)
    error = run.summary.get("error")
    if error:
        run.notes.append(" ".join(str(error).split())[:MAX_ERROR])
    file = run.directory.config
    run.config = flatten(attempt(file, lambda: yaml.load(file.read_text(), YAML_LOADER), dict))
    overrides = file.with_name("overrides.yaml")
    run.overrides = attempt(overrides, lambda: yaml.load(overrides.read_text(), YAML_LOADER), list, needed=False)
    hydra = file.with_name("hydra.yaml")
    run.choices = attempt(hydra, lambda: read_choices(hydra.read_text()), dict, needed=False)
    metrics = run.directory.metrics
    folds = path / "folds"
    if folds.is_dir():
        run.folds = [read_run(fold, f"{name}/folds/{fold.name}") for fold in sorted(folds.iterdir()) if fold.is_dir()]
        rows = zip(*(fold.history for fold in run.folds if fold.history), strict=False)
        run.history = [
            {name: statistics.fmean(row.get(name, math.nan) for row in same) for name in same[0]} for same in rows
        ]
    else:
        run.history = attempt(metrics, run.directory.read_metrics, list, needed=run.status == "completed")
    planned = run.config.get("trainer.max_epochs")
    if is_number(planned) and len(run.history) > planned:
        # A resume leaves .hydra/ as it was, but the run is another one than those that stopped there.
        run.config["trainer.max_epochs"] = len(run.history)
        run.notes.append(f"resumed past its {planned} epochs")
    if run.status == "running":
        silent = time.time() - max(file.stat().st_mtime for file in path.rglob("*") if file.suffix in (".csv", ".json"))
        if silent > SILENT_SECONDS:
            run.notes.append(f"nothing written for {silent / 3600:.1f} h")
    return run


def read_choices(text: str) -> dict[str, Any]:
    """The options that the config groups were set to, from the text of `.hydra/hydra.yaml`.

    Only that block is parsed: the file is long, and thousands of them are read.
    """
    block = CHOICES.search(text)
    lines = re.findall(r"^ {6}(\S+): (.*)$", block[1], re.MULTILINE) if block else []
    return {group: None if option == "null" else option for group, option in lines if not NO_CHOICES.match(group)}


def flatten(tree: dict[Any, Any], prefix: str = "") -> dict[str, Any]:
    """A nested config as dotted keys; lists stay values."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def differing(runs: Sequence[RunRecord]) -> list[str]:
    """The settings that tell the runs apart, shortest list that does: group options first, then config keys.

    A chosen option brings many keys along (`optimizer=sgd` a momentum), so a key that it alone decides is left out
    unless somebody set it by hand.
    """
    runs = [run for run in runs if run.config]
    if not runs:
        return []
    by_hand = {re.split("=", str(override).lstrip("+~"), maxsplit=1)[0] for run in runs for override in run.overrides}
    kept: list[str] = []
    chosen = [()] * len(runs)  # per run: its options of the groups in `kept`

    def decided(values: list[Any]) -> bool:
        return len(set(zip(chosen, values, strict=True))) == len(set(chosen))

    for group in sorted({group for run in runs for group in run.choices}, key=lambda group: (group.count("/"), group)):
        options = [run.choices.get(group) for run in runs]
        if len(set(options)) > 1 and not decided(options):
            kept.append(group)
            chosen = [(*before, option) for before, option in zip(chosen, options, strict=True)]
    for key in dict.fromkeys(key for run in runs for key in run.config):
        if key in NO_SETTINGS or (kept and key.endswith(("._target_", "._partial_"))):
            continue
        values = [canonical(run.config.get(key)) for run in runs]
        if len(set(values)) > 1 and (key in by_hand or not kept or not decided(values)):
            kept.append(key)
    return kept
