"""Where normal ends: a threshold from scores of held-out data, and the intervals above it."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from lstm_ae.errors import UserError

Method = Literal["quantile", "deviations", "oracle_f1"]
Source = Literal["validation", "input"]


@dataclass(frozen=True)
class Threshold:
    """A step whose score lies above `value` is flagged."""

    value: float
    found: str  # how, in words


def from_scores(scores: np.ndarray, source: Source, method: Method, quantile: float, deviations: float) -> Threshold:
    """A threshold from scores, without labels.

    Args:
        scores: (steps,), of data taken for normal; NaN is left out.
        source: where they are from, for the words.
        method: `quantile`, or `deviations`: mean + so many standard deviations.
        quantile, deviations: the parameter of each.

    Raises:
        UserError: there are no such scores.
    """
    known = scores[~np.isnan(scores)]
    if not len(known):
        raise UserError(f"no step of the {source} has a score, so there is no threshold; it is shorter than a window")
    words = f"of {len(known):,} {source} steps"
    if method == "quantile":
        return Threshold(float(np.quantile(known, quantile)), f"quantile {quantile:g} {words}")
    value = known.mean() + deviations * known.std()
    return Threshold(float(value), f"mean + {deviations:g} standard deviations {words}")


def oracle(labels: np.ndarray, scores: np.ndarray) -> Threshold:
    """The threshold with the best F1 per step on the labels themselves: an upper bound, which nobody has in practice.

    Args:
        labels: (steps,), bool, both kinds.
        scores: (steps,); NaN is never flagged.
    """
    order = np.argsort(-np.nan_to_num(scores, nan=-np.inf), kind="stable")
    ranked, hits = scores[order], np.cumsum(labels[order])
    last = np.append(ranked[1:] != ranked[:-1], True)
    f1 = np.where(last & ~np.isnan(ranked), 2 * hits / (np.arange(1, len(hits) + 1) + labels.sum()), -1)
    best = int(f1.argmax())
    below = ranked[best + 1] if best + 1 < len(ranked) and not np.isnan(ranked[best + 1]) else ranked[best] - 1
    return Threshold(float((ranked[best] + below) / 2), "oracle: the best F1 on the labels of this very file")
