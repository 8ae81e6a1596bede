"""The layout of a run directory, and its files: each is written whole or not at all."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import Timeout

from lstm_ae.errors import Pruned, UserError
from lstm_ae.files import write_whole
from lstm_ae.runs.lock import hold
from lstm_ae.runs.provenance import provenance

RESULTS = ("best", "best_epoch", "test", "baselines")  # fields of summary.json that a finished training writes

MAX_COLUMNS = 1000  # of metrics.csv
MAX_FILE = 20_000_000  # bytes; a file of ours that is larger is not read


class RunDirectory:
    """The files of one run, under `path`."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).absolute()
        self.config = self.path / ".hydra" / "config.yaml"
        self.checkpoints = self.path / "checkpoints"
        self.figures = self.path / "figures"
        self.summary = self.path / "summary.json"
        self.metrics = self.path / "metrics.csv"
        self.folds = self.path / "folds"  # of a cross-validation: a run directory for each fold
        self.lock = self.path / ".lock"  # held while a process trains here

    def can_resume(self) -> bool:
        """Whether training got far enough here to go on."""
        return (self.checkpoints / "last.pt").is_file() or self.folds.is_dir()

    def read_summary(self) -> dict[str, Any]:
        """What `summary.json` holds; empty where there is none.

        Raises:
            UserError: it holds something else than a JSON object.
        """
        if not self.summary.is_file():
            return {}
        try:
            content = json.loads(self.summary.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise UserError(f"{self.summary}: not a JSON file ({error})") from error
        if not isinstance(content, dict):
            raise UserError(f"{self.summary}: not a summary of a run (it holds no JSON object)")
        return content

    def write_summary(self, content: dict[str, Any]) -> None:
        """Write `summary.json` anew."""
        write_whole(self.summary, json.dumps(content, indent=2) + "\n")

    def update_summary(self, **fields: Any) -> None:
        """Set some of the fields of `summary.json` and leave the others as they are."""
        self.write_summary(self.read_summary() | fields)

    def write_metrics(self, history: Sequence[dict[str, float]]) -> None:
        """Write `metrics.csv`, a row for each epoch."""
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(history[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)
        write_whole(self.metrics, text.getvalue())

    def read_metrics(self) -> list[dict[str, float]]:
        """The rows of `metrics.csv`; empty where there is none.

        Raises:
            UserError: it is not a table of numbers.
        """
        if not self.metrics.is_file():
            return []
        try:
            if self.metrics.stat().st_size > MAX_FILE:
                raise ValueError("larger than any of a run")
            with self.metrics.open(encoding="utf-8", newline="") as file:
                names, *rows = csv.reader(file)
            if len(names) > MAX_COLUMNS:
                raise ValueError(f"more than {MAX_COLUMNS} columns")
            return [dict(zip(names, map(float, row), strict=True)) for row in rows]
        except (ValueError, csv.Error) as error:
            raise UserError(f"{self.metrics}: not a table of numbers ({error})") from error

    def record_data(self, fingerprint: str, resume: bool) -> None:
        """Write down which data the run is trained on; `resume`: and compare it with what it was begun on.

        Raises:
            UserError: the data is not what the run was begun on.
        """
        known = self.read_summary().get("data")
        if resume and known not in (None, fingerprint):
            raise UserError(
                f"resume={self.path}: the data set has changed since this run began (fingerprint {known} then, "
                f"{fingerprint} now), so its results would mix both. Train a new run on the new data."
            )
        self.update_summary(data=fingerprint)

    @contextmanager
    def recording(self, resumed_with: Sequence[str] | None = None, keep_failed: bool = False) -> Iterator[None]:
        """Hold the directory for this process and keep `status` in `summary.json`.

        The status is `running` inside; the block itself sets `completed`. An exception makes it `stopped`, `pruned` or
        `failed`. But a user's mistake that shows before anything is trained leaves things as they were: what the run
        has made is removed, and a run that was to be resumed keeps its summary.

        Args:
            resumed_with: the further overrides of a run that goes on; None for a new run.
            keep_failed: leave a summary that says `failed` even if nothing was trained, for runs of a sweep.

        Raises:
            UserError: another process is at work here.
        """
        try:
            with hold(self.lock):
                before = self.read_summary()
                trained = self._checkpoint_times()
                self.write_summary(self._at_start(before, resumed_with))
                try:
                    yield
                except KeyboardInterrupt:
                    self.update_summary(status="stopped")
                    raise
                except Pruned:
                    self.update_summary(status="pruned")
                    raise
                except Exception as error:
                    in_vain = isinstance(error, UserError) and self._checkpoint_times() == trained
                    if in_vain and resumed_with is not None:
                        self.write_summary(before)
                    else:
                        self.update_summary(status="failed", error=f"{type(error).__name__}: {error}")
                    raise
        except Timeout as error:
            raise UserError(f"{self.path}: another process is training in this directory") from error
        except UserError:
            if not keep_failed:
                self.remove_untrained()
            raise

    def _at_start(self, before: dict[str, Any], resumed_with: Sequence[str] | None) -> dict[str, Any]:
        """The summary of a run that begins, or goes on from `before`; the results of the last time are outdated."""
        start = {"status": "running", "error": None, **provenance()}
        if resumed_with is None:
            return start
        kept = {name: value for name, value in before.items() if name not in RESULTS}
        resume = {"epoch": self._epochs_done(), "overrides": list(resumed_with)}
        return kept | start | {"resumes": [*before.get("resumes", []), resume]}

    def _epochs_done(self) -> int:
        """How many epochs `metrics.csv` has a row for; it need not be readable."""
        return max(0, len(self.metrics.read_bytes().splitlines()) - 1) if self.metrics.is_file() else 0

    def _checkpoint_times(self) -> list[int]:
        """When each of the run's (and its folds') checkpoints was last written: changes as soon as an epoch is kept."""
        return [path.stat().st_mtime_ns for path in sorted(self.path.glob("**/checkpoints/last.pt"))]

    def remove_untrained(self) -> None:
        """Remove what a run has made here if nothing was trained: its config, log and summary, then empty folders.

        Files of anybody else stay, and so do the folders that they lie in, and the working directory.
        """
        if self.can_resume() or self.metrics.is_file():
            return
        for file in (*self.config.parent.glob("*.yaml"), self.path / "train.log", self.summary):
            file.unlink(missing_ok=True)
        below_here = [folder for folder in self.path.parents if Path.cwd() in folder.parents]
        with suppress(OSError):  # not empty: somebody else's
            for folder in (self.config.parent, self.path, *below_here):
                if folder.is_dir():
                    folder.rmdir()
