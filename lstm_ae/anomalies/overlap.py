"""From errors of overlapping windows to one score for each step, of a series that may arrive in pieces.

The scores are equal to the last bit however the series is divided into pieces: windows are always processed in batches
of the same size, a window always stands at the same place of its batch, and the windows that cover a step are always
reduced in the same order. So a step's score depends on the values of the windows that cover it, and on nothing else.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

Reduction = Literal["median", "mean"]
Errors = Callable[[np.ndarray], np.ndarray]  # windows (batch, span, features) -> (batch, span - first, columns)

BATCH_VALUES = 1_000_000  # values of a batch of windows, at most
LARGEST_BATCH, SMALLEST_BATCH = 256, 8  # windows


@dataclass(frozen=True)
class Cut:
    """How windows are cut out of a series."""

    span: int  # steps of a window
    first: int  # the first step of a window that has an error; those before it are only read
    stride: int  # steps from one window to the next

    def batch(self, features: int) -> int:
        """How many windows are processed at once; it depends on the shape of a window alone."""
        return min(LARGEST_BATCH, max(SMALLEST_BATCH, BATCH_VALUES // (self.span * features)))


class Overlap:
    """Scores the steps of one series. Use `push` for each of its pieces, then `finish`.

    Args:
        errors: what a batch of windows becomes: for each of its steps from `cut.first` on, some columns of scores; NaN
            where a window says nothing.
        cut: of the windows.
        features: of a step.
        columns: of scores.
        reduction: how the scores that several windows give a step become one.
    """

    def __init__(self, errors: Errors, cut: Cut, features: int, columns: int, reduction: Reduction) -> None:
        self.errors, self.cut, self.columns, self.reduction = errors, cut, columns, reduction
        self.batch = cut.batch(features)
        self.kept = -(-(cut.span - cut.first) // cut.stride)  # windows that may cover a step
        self.values = np.empty((0, features))
        self.begin = 0  # the step that `values` begins with
        self.windows = 0  # processed so far
        self.recent = np.full((self.kept, cut.span - cut.first, columns), np.nan)  # errors of the last of them
        self.scored = 0  # steps that have their score

    def push(self, values: np.ndarray) -> np.ndarray:
        """Take the next steps (n, features); returns the scores of the next steps that are final, (m, columns + 1).

        The last column is the number of whole windows that cover a step.
        """
        self.values = np.concatenate([self.values, values])
        done = [np.empty((0, self.columns + 1))]
        while self.begin + len(self.values) >= (self.windows + self.batch - 1) * self.cut.stride + self.cut.span:
            starts = (self.windows + np.arange(self.batch)) * self.cut.stride
            pool = self._process(starts)
            done.append(self._reduce(pool, self.windows * self.cut.stride + self.cut.first))
            unneeded = max(
                0, self.windows * self.cut.stride - self.cut.span - self.begin
            )  # `finish` looks back a window
            self.values, self.begin = self.values[unneeded:], self.begin + unneeded
        return np.concatenate(done)

    def finish(self) -> np.ndarray:
        """The scores of all remaining steps, (m, columns + 1); NaN where the whole series is shorter than a window.

        Steps at the end that no whole window covers are scored by one more window, which ends with the series; steps at
        the beginning that are only read get the first score after them. The number of their windows is 0.
        """
        cut, total = self.cut, self.begin + len(self.values)
        if total < cut.span:
            return np.append(np.full((total, self.columns), np.nan), np.zeros((total, 1)), axis=1)
        starts = np.arange(self.windows, (total - cut.span) // cut.stride + 1) * cut.stride
        pool = self._process(np.append(starts, total - cut.span), whole=len(starts))
        covered = (self.windows - 1) * cut.stride + cut.span
        scores = self._reduce(pool[:-1], covered)
        last = np.append(pool[-1], np.zeros((len(pool[-1]), 1)), axis=1)
        return np.concatenate([scores, last[len(last) - (total - covered) :]])

    def _process(self, starts: np.ndarray, whole: int | None = None) -> np.ndarray:
        """The errors of the windows at `starts`, below those of the last windows before them."""
        index = starts[:, None] - self.begin + np.arange(self.cut.span)
        windows = np.zeros((self.batch, self.cut.span, self.values.shape[1]))  # never fewer: the size of a batch may
        windows[: len(starts)] = self.values[index]  #                           change the last bits of what comes out
        pool = np.concatenate([self.recent, self.errors(windows)[: len(starts)]])
        count = len(starts) if whole is None else whole
        self.windows += count
        self.recent = pool[count : count + self.kept]
        return pool

    def _reduce(self, pool: np.ndarray, end: int) -> np.ndarray:
        """The scores of the steps from the first that has none to `end`; `pool` ends with the last window processed."""
        cut, begin = self.cut, max(self.scored, self.cut.first)
        steps = np.arange(begin, max(begin, end))
        covering = np.full((self.kept, len(steps), self.columns), np.nan)
        count = np.zeros((len(steps), 1))
        for i in range(self.kept):
            window = (steps - cut.first) // cut.stride - i
            place = steps - window * cut.stride - cut.first
            valid = (window >= 0) & (window < self.windows) & (place < cut.span - cut.first)
            covering[i, valid] = pool[(window - self.windows + len(pool))[valid], place[valid]]
            count[valid] += 1
        scores = np.append(reduce(covering, self.reduction), count, axis=1)
        if self.scored < cut.first and len(steps):
            first = np.append(scores[:1, :-1], [[0.0]], axis=1)
            scores = np.concatenate([first.repeat(cut.first, axis=0), scores])
        self.scored = begin + len(steps)
        return scores


def reduce(values: np.ndarray, reduction: Reduction) -> np.ndarray:
    """The median or the mean over the first axis, of what is not NaN; NaN where nothing is left."""
    if reduction == "mean":
        return mean_of(values)
    ordered = np.sort(values, axis=0)  # NaN comes last
    count = np.sum(~np.isnan(values), axis=0)
    middle = ((count - 1) // 2, count // 2)
    low, high = (np.take_along_axis(ordered, np.maximum(place, 0)[None], axis=0)[0] for place in middle)
    return np.where(count > 0, (low + high) / 2, np.nan)


def mean_of(arrays: Iterable[np.ndarray]) -> np.ndarray:
    """The mean of arrays of one shape over what is not NaN, added up in their order: numpy's own sums may reorder."""
    total, count = np.zeros(()), np.zeros(())
    for array in arrays:
        known = ~np.isnan(array)
        total, count = total + np.where(known, array, 0), count + known
    with np.errstate(invalid="ignore"):
        return total / count


class Smoothing:
    """A centred moving mean over `steps` steps of what arrives in pieces; at the ends over those that there are."""

    def __init__(self, steps: int, columns: int) -> None:
        self.steps = steps
        self.rows = np.full(((steps - 1) // 2, columns), np.nan)

    def push(self, rows: np.ndarray) -> np.ndarray:
        """Take the next rows (n, columns); returns the rows that are final. Their last column is not smoothed."""
        self.rows = np.concatenate([self.rows, rows])
        count = len(self.rows) - self.steps + 1
        if count <= 0 or self.steps == 1:
            ready, self.rows = self.rows[: max(count, 0)], self.rows[max(count, 0) :]
            return ready
        smoothed = mean_of(self.rows[i : i + count] for i in range(self.steps))
        smoothed[:, -1] = self.rows[(self.steps - 1) // 2 :][:count, -1]
        self.rows = self.rows[count:]
        return smoothed

    def finish(self) -> np.ndarray:
        """The remaining rows."""
        return self.push(np.full((self.steps // 2, self.rows.shape[1]), np.nan))
