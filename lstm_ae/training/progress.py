"""How a training reports its progress: a bar over the batches of an epoch, a line for each epoch."""

import logging
import sys
import time

from tqdm import tqdm

log = logging.getLogger(__name__)

REFRESH = 0.5  # seconds between two looks at the running means, each of which waits for the device
COLUMNS = 5  # metrics in a row on a terminal


class BatchBar:
    """A progress bar over the batches of one epoch; on a terminal only, but the running loss is due everywhere."""

    def __init__(self, epoch: int, max_epochs: int, batches: int) -> None:
        self.looked = time.perf_counter()
        self.bar = tqdm(
            total=batches,
            desc=f"epoch {epoch}/{max_epochs}",
            unit="batch",
            leave=False,
            disable=not sys.stderr.isatty(),
        )

    def is_due(self) -> bool:
        """Count a batch, and say whether it is time to look at the running means."""
        self.bar.update()
        return time.perf_counter() - self.looked > REFRESH

    def show(self, means: dict[str, float]) -> dict[str, float]:
        """Show the running means, and return them."""
        self.looked = time.perf_counter()
        self.bar.set_postfix({name: f"{value:.4g}" for name, value in means.items()})
        return means

    def close(self) -> None:
        """Remove the bar."""
        self.bar.close()


class EpochLog:
    """A log line for each epoch: every metric in files, a table that fits on a terminal (see `console`)."""

    def __init__(self, max_epochs: int, monitor: str) -> None:
        self.max_epochs = max_epochs
        self.monitor = monitor
        self.names: list[str] = []

    def tell(self, history: list[dict[str, float]], improved: bool) -> None:
        """Log the last epoch of `history`; `improved`: it is the best so far."""
        row = history[-1]
        values = "  ".join(f"{name} {value:.5g}" for name, value in row.items() if "/" in name)
        epoch, mark = int(row["epoch"]), "  *" * improved
        header = ""
        if not self.names:
            self.names = self._columns(row)
            header = self._header() + "\n"
        short = header + self._table_row(history) + mark
        log.info("epoch %d/%d  %.1f s  %s%s", epoch, self.max_epochs, row["seconds"], values, mark,
                 extra={"terminal": short})  # fmt: skip

    def stopped_early(self, patience: int | None) -> None:
        """Log that the training ended before its last epoch."""
        log.info("stopped early: no better %s for %s epochs", self.monitor, patience)

    def _columns(self, row: dict[str, float]) -> list[str]:
        """The metrics that a terminal shows: training loss and monitor first, then the other validation metrics."""
        validation = [name for name in row if name.startswith("val/")]
        return list(dict.fromkeys(["train/loss", self.monitor, *validation]))[:COLUMNS]

    def _header(self) -> str:
        cells = "".join(f"{name:>{max(12, len(name) + 2)}}" for name in self.names)
        return f"{'epoch':>9}{'left':>8}{cells}   (* the best {self.monitor} so far)"

    def _table_row(self, history: list[dict[str, float]]) -> str:
        row = history[-1]
        pace = sum(one["seconds"] for one in history) / len(history)
        left = clock(pace * (self.max_epochs - len(history)))
        cells = "".join(f"{row[name]:>{max(12, len(name) + 2)}.5g}" for name in self.names)
        return f"{int(row['epoch']):>4}/{self.max_epochs:<4}{left:>8}{cells}"


def clock(seconds: float) -> str:
    """A duration as people say it: 0:05, 12:30, 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
