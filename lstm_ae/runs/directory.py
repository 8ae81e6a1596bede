"""The layout of a run directory, and its files: each is written whole or not at all."""

import csv
import io
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import Timeout
from omegaconf.errors import OmegaConfBaseException

from lstm_ae.errors import Pruned, UserError
from lstm_ae.files import remove_halves, write_whole
from lstm_ae.runs.lock import hold
from lstm_ae.runs.provenance import provenance

RESULTS = ("best", "best_epoch", "test", "baselines")  # fields of summary.json that a finished training writes

REMOVE = "Remove it: the checkpoints hold what it takes to go on or to evaluate."
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
        self._begun: dict[str, Any] | None = None  # what the summary of a resumed run says once everything is checked

    def is_used(self) -> bool:
        """Whether a run has left anything here."""
        return self.config.parent.is_dir() or self.summary.exists() or self.metrics.exists() or self.can_resume()

    def refuse_links(self) -> None:
        """Make sure that what is written into this run stays in it.

        Raises:
            UserError: a symbolic link among its files.
        """
        for folder, folders, files in os.walk(self.path):
            for name in (*folders, *files):
                if os.path.islink(os.path.join(folder, name)):
                    raise UserError(
                        f"{os.path.join(folder, name)}: is a symbolic link, and writing there would write elsewhere. "
                        "Replace it by the file or folder itself."
                    )

    def output(self, folder: str | None, own: str = "") -> Path:
        """The folder, made if it is missing, where a command leaves what it makes of this run.

        Args:
            folder: as asked for; None: in the run itself.
            own: the name of the folder in the run; empty: the run's directory.

        Raises:
            UserError: the run holds a symbolic link, which could lead elsewhere.
        """
        if folder is None:
            self.refuse_links()
        chosen = self.path / own if folder is None else Path(folder)
        chosen.mkdir(parents=True, exist_ok=True)
        return chosen

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
            if self.summary.stat().st_size > MAX_FILE:
                raise ValueError("larger than any of a run")
            content = json.loads(self.summary.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise UserError(f"{self.summary}: not a JSON file ({error}). {REMOVE}") from error
        if not isinstance(content, dict):
            raise UserError(f"{self.summary}: not a summary of a run (it holds no JSON object). {REMOVE}")
        return content

    def write_summary(self, content: dict[str, Any]) -> None:
        """Write `summary.json` anew."""
        write_whole(self.summary, json.dumps(content, indent=2) + "\n")

    def update_summary(self, **fields: Any) -> None:
        """Set some of the fields of `summary.json` and leave the others as they are."""
        before = self.read_summary() if self._begun is None else self._begun
        self._begun = None
        self.write_summary(before | fields)

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

    def check_data(self, fingerprint: str, asked: str) -> None:
        """Compare the data with what the run here was begun on.

        Args:
            fingerprint: of the data now.
            asked: what was asked for, for the message: `resume` or `rerun`.

        Raises:
            UserError: the data is another one.
        """
        known = self.read_summary().get("data")
        if known not in (None, fingerprint):
            remedy = "mix both. Train a new run on the new data." if asked == "resume" else "not compare."
            raise UserError(
                f"{asked}={self.path}: the data set has changed since this run began (fingerprint {known} then, "
                f"{fingerprint} now), so its results would {remedy}"
            )

    @contextmanager
    def recording(self, resumed_with: Sequence[str] | None = None, keep_failed: bool = False) -> Iterator[None]:
        """Hold the directory for this process and keep `status` in `summary.json`.

        The status is `running` inside; the block itself sets `completed`. An exception makes it `stopped`, `pruned` or
        `failed`. But what goes wrong before anything is trained leaves things as they were: a run that was to be
        resumed keeps its summary, which says nothing of the resume before the block's first `update_summary`, and of a
        new run a user's mistake leaves nothing.

        Args:
            resumed_with: the further overrides of a run that goes on; None for a new run.
            keep_failed: leave a summary that says `failed` even if nothing was trained, for runs of a sweep.

        Raises:
            UserError: another process is at work here, or a link leads out of the directory.
        """
        try:
            with hold(self.lock):
                self.refuse_links()
                remove_halves(self.path)
                before = self.read_summary()
                trained = self._checkpoint_times()
                self._begun = self._at_start(before, resumed_with)
                if resumed_with is None:
                    self.update_summary()
                try:
                    yield
                except KeyboardInterrupt:
                    self._end(before, trained, resumed_with, status="stopped")
                    raise
                except Pruned:
                    self.update_summary(status="pruned")
                    raise
                except Exception as error:
                    self._end(before, trained, resumed_with, status="failed", error=f"{type(error).__name__}: {error}")
                    raise
        except Timeout as error:
            raise UserError(f"{self.path}: another process is training in this directory") from error
        except (UserError, OmegaConfBaseException):
            if not keep_failed:
                self.remove_untrained()
            raise

    def _end(
        self, before: dict[str, Any], trained: list[int], resumed_with: Sequence[str] | None, **fields: Any
    ) -> None:
        """Write down how a run ended, or that it is as it was `before`; a disk that is full keeps the old file."""
        self._begun = None
        in_vain = resumed_with is not None and self._checkpoint_times() == trained
        with suppress(OSError, UserError):
            if not in_vain:
                self.update_summary(**fields)
            else:  # whoever was killed could not say so
                self.write_summary(before | fields if before.get("status") == "running" else before)

    def _at_start(self, before: dict[str, Any], resumed_with: Sequence[str] | None) -> dict[str, Any]:
        """The summary of a run that begins, or goes on from `before`; the results of the last time are outdated."""
        start = {"status": "running", "error": None, **provenance()}
        if resumed_with is None:
            return start
        kept = {name: value for name, value in before.items() if name not in RESULTS}
        resume = {"epoch": self._epochs_done(), "overrides": list(resumed_with)}
        earlier = before.get("resumes")
        return kept | start | {"resumes": [*(earlier if isinstance(earlier, list) else []), resume]}

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
        if self.can_resume() or self.metrics.is_file() or self.config.parent.is_symlink():
            return
        for file in (*self.config.parent.glob("*.yaml"), self.path / "train.log", self.summary):
            file.unlink(missing_ok=True)
        below_here = [folder for folder in self.path.parents if Path.cwd() in folder.parents]
        with suppress(OSError):  # not empty: somebody else's
            for folder in (self.config.parent, self.path, *below_here):
                if folder.is_dir():
                    folder.rmdir()
