"""Flagged steps that follow each other, as intervals: from when to when, how bad, and which channel is to blame."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lstm_ae.anomalies.metrics import events


@dataclass
class _Open:
    """An interval that may go on."""

    start: Any
    end: Any
    steps: int
    peak: float
    peak_at: Any
    blame: np.ndarray  # the sum of each channel's scores

    def extend(self, other: "_Open") -> None:
        self.end, self.steps, self.blame = other.end, self.steps + other.steps, self.blame + other.blame
        if other.peak > self.peak:
            self.peak, self.peak_at = other.peak, other.peak_at


class Intervals:
    """Collects the flagged intervals of series that arrive in pieces: `push` each, then `table`."""

    def __init__(self, channels: tuple[str, ...]) -> None:
        self.channels = channels
        self.open: dict[str, _Open] = {}
        self.rows: list[dict[str, Any]] = []

    def push(self, series: str, times: np.ndarray, scores: np.ndarray, flags: np.ndarray) -> None:
        """Take the next steps of a series.

        Args:
            series: its name.
            times: (n,).
            scores: (n, 1 + channels), of the step and of each channel.
            flags: (n,).
        """
        runs = events(flags)
        if series in self.open and not (len(runs) and runs[0, 0] == 0) and len(flags):
            self._close(series)
        for first, end in runs:
            peak = first + int(np.argmax(scores[first:end, 0]))
            found = _Open(times[first], times[end - 1], int(end - first), float(scores[peak, 0]), times[peak],
                          np.nansum(scores[first:end, 1:], axis=0))  # fmt: skip
            if series in self.open:
                self.open[series].extend(found)
            else:
                self.open[series] = found
            if end < len(flags):
                self._close(series)

    def _close(self, series: str) -> None:
        one = self.open.pop(series)
        blamed = self.channels[int(one.blame.argmax())]
        self.rows.append({"series": series, "start": one.start, "end": one.end, "steps": one.steps, "peak": one.peak,
                          "peak_at": one.peak_at, "channel": blamed})  # fmt: skip

    def table(self) -> pd.DataFrame:
        """All intervals: series, start, end (the last flagged step), steps, peak, peak_at, channel."""
        for series in list(self.open):
            self._close(series)
        columns = ["series", "start", "end", "steps", "peak", "peak_at", "channel"]
        return pd.DataFrame(self.rows, columns=columns)
