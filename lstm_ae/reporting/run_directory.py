"""The layout of a run directory, and how its files are written: whole or not at all."""

import csv
import fcntl
import io
import json
import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lstm_ae.errors import Pruned, UserError


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


def is_locked(path: Path) -> bool:
    """Whether a living process holds the lock file `path`."""
    try:
        with path.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def write_whole(path: Path, text: str) -> None:
    """Write a text file so that whoever looks sees the old one or the new one, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def versions() -> dict[str, str]:
    """The versions that a result may depend on."""
    packages = ("lstm-ae", "torch", "numpy", "scikit-learn", "hydra-core", "optuna")
    return {"python": platform.python_version(), **{package: version(package) for package in packages}}


def git_commit() -> str | None:
    """The commit of the source, with `-dirty` where it was changed since; None outside a git checkout."""
    source = Path(__file__).resolve().parents[2]
    try:
        described = subprocess.run(
            ["git", "-C", str(source), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip()
