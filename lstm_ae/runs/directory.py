"""The layout of a run directory, and how its files are written: whole or not at all."""

import csv
import fcntl
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lstm_ae.errors import Pruned, UserError
from lstm_ae.files import write_whole
from lstm_ae.runs.provenance import git_commit, versions


class RunDirectory:
    """One run's files under `path`."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).absolute()
        self.config = self.path / ".hydra" / "config.yaml"
        self.checkpoints = self.path / "checkpoints"
        self.figures = self.path / "figures"
        self.summary = self.path / "summary.json"
        self.metrics = self.path / "metrics.csv"
        self.folds = self.path / "folds"  # of a cross-validation: a run directory each
        self.lock = self.path / ".lock"  # there and locked while a process trains here

    def can_resume(self) -> bool:
        """Whether training got far enough here to go on."""
        return (self.checkpoints / "last.pt").is_file() or self.folds.is_dir()

    def read_summary(self) -> dict[str, Any]:
        """What `summary.json` holds; empty where there is none.

        Raises:
            UserError: it is not JSON.
        """
        if not self.summary.is_file():
            return {}
        try:
            return json.loads(self.summary.read_text())
        except ValueError as error:
            raise UserError(f"{self.summary}: not a JSON file ({error})") from error

    def update_summary(self, **fields: Any) -> None:
        """Set some of the fields of `summary.json`, the others as they were."""
        write_whole(self.summary, json.dumps(self.read_summary() | fields, indent=2) + "\n")

    def write_metrics(self, history: list[dict[str, float]]) -> None:
        """Write `metrics.csv`, a row per epoch."""
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(history[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)
        write_whole(self.metrics, text.getvalue())

    def read_metrics(self) -> list[dict[str, float]]:
        """The rows of `metrics.csv`; empty where there is none."""
        if not self.metrics.is_file():
            return []
        with self.metrics.open() as file:
            return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Holds the directory for this process, and keeps `status` in `summary.json`.

        It is `running` inside, and `stopped`, `pruned` or `failed` (with the reason) on an exception.

        Raises:
            UserError: another process is at work here.
        """
        with self.lock.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UserError(f"{self.path}: another process is training in this directory") from error
            self.update_summary(status="running", error=None, versions=versions(), git_commit=git_commit())
            try:
                yield
            except KeyboardInterrupt:
                self.update_summary(status="stopped")
                raise
            except Pruned:
                self.update_summary(status="pruned")
                raise
            except Exception as error:
                self.update_summary(status="failed", error=f"{type(error).__name__}: {error}")
                raise
            finally:
                self.lock.unlink(missing_ok=True)
