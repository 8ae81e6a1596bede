"""How well scores and flags find labelled anomalies. Nothing here adjusts a point: a hit counts where it is.

Every function takes flat arrays over time: labels (bool), scores (higher is more anomalous), flags (bool). Several
series stand one behind the other, with `boundaries` where the next one begins, so that no event spans two of them.

`tests/anomalies/test_metrics.py` compares all of it with constants of independent implementations.
"""

from collections.abc import Sequence

import numpy as np

from lstm_ae.errors import UserError

VUS_THRESHOLDS = 250  # as the authors of VUS and the benchmarks after them have it
PERIODS = (4, 300)  # steps that a period may have
DEFAULT_BUFFER = 125  # steps, where the series has no period


def events(flags: np.ndarray, boundaries: Sequence[int] = ()) -> np.ndarray:
    """The runs of true steps: (n, 2), the first step of each and the one after its last.

    Args:
        flags: (steps,), bool.
        boundaries: steps at which another series begins; a run ends there.
    """
    flags = np.asarray(flags, bool)
    starts = flags & ~np.concatenate([[False], flags[:-1]])
    ends = flags & ~np.concatenate([flags[1:], [False]])
    inner = np.array([step for step in boundaries if 0 < step < len(flags)], int)
    inner = inner[flags[inner] & flags[inner - 1]]
    starts[inner], ends[inner - 1] = True, True
    return np.stack([starts.nonzero()[0], ends.nonzero()[0] + 1], axis=1)


def precision_recall_f1(true: float, flagged: float, positive: float, found: float | None = None) -> dict[str, float]:
    """Precision, recall and F1 from counts; each is 0 where nothing is flagged or nothing is to be found.

    Args:
        true: flagged things that are anomalous.
        flagged: all flagged things.
        positive: all anomalies.
        found: anomalies that are flagged, where these are counted apart from `true`.
    """
    precision = true / flagged if flagged else 0.0
    recall = (true if found is None else found) / positive if positive else 0.0
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return {"precision": precision, "recall": recall, "f1": f1}


def event_counts(labels: np.ndarray, flags: np.ndarray, boundaries: Sequence[int] = ()) -> tuple[int, int, int]:
    """Events found, events missed, and false alarms; add them up to pool several files.

    An event is found where any flagged interval overlaps it. A flagged interval that overlaps no event is a false alarm
    (Hundman et al. 2018, arXiv 1802.04431, section 4.2, without its merging).
    """
    true, flagged = events(labels, boundaries), events(flags, boundaries)
    found = sum(bool(np.any(flags[first:end])) for first, end in true)
    alarms = sum(not np.any(labels[first:end]) for first, end in flagged)
    return found, len(true) - found, alarms


def event_f1(found: float, missed: float, alarms: float) -> dict[str, float]:
    """Precision, recall and F1 of events from `event_counts`, possibly of many files."""
    return precision_recall_f1(found, found + alarms, found + missed)


def pr_auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Average precision: the step-wise area under the precision-recall curve, without interpolation."""
    true, flagged = _hits(np.asarray(labels, float), scores)
    recall = true / true[-1]
    return float(np.sum(np.diff(recall, prepend=0) * true / flagged))


def roc_auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """The probability that an anomalous step scores higher than a normal one; ties count half."""
    true, flagged = _hits(np.asarray(labels, float), scores)
    return float(np.trapezoid(np.append(0, true / true[-1]), np.append(0, (flagged - true) / (flagged - true)[-1])))


def _hits(weights: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At each distinct score, from the highest: the labels at or above it, and the steps at or above it."""
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.diff(scores[order]) != 0, True).nonzero()[0]
    return np.cumsum(weights[order])[last], last + 1.0


def vus(labels: np.ndarray, scores: np.ndarray, buffer: int, boundaries: Sequence[int] = ()) -> dict[str, float]:
    """Volumes under the range-based ROC and precision-recall surfaces (Paparrizos et al., PVLDB 15(11), 2022).

    Around each anomaly a margin of `width` steps, half before and half after, counts in part, sqrt(1 - distance/width)
    (their equation 3), and a recall counts in proportion to the anomalies that are hit at all. The areas are averaged
    over all widths from 0 to `buffer`. The paper leaves the number of thresholds open; it is 250, as in published
    benchmarks.

    Args:
        labels, scores: (steps,).
        buffer: the largest width.
        boundaries: where other series begin.

    Returns:
        `vus_roc` and `vus_pr`.
    """
    steps = len(scores)
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    thresholds = ranked[np.linspace(0, steps - 1, VUS_THRESHOLDS).astype(int)]
    flagged = np.searchsorted(-ranked, -thresholds, side="right")  # steps at or above each threshold
    true, positive = events(labels, boundaries), float(np.sum(labels))
    limits = np.unique([0, *boundaries, steps])
    areas = []
    for width in range(buffer + 1):
        weights, spans = _margins(true, limits, steps, width)
        hits = np.cumsum(weights[order])[flagged - 1]
        peaks = np.array([scores[first:end].max() for first, end in spans])
        existence = (peaks[:, None] >= thresholds).mean(0)
        inside = np.cumsum(labels[order])[flagged - 1]
        soft_positive = (
            positive + (hits - inside) / 2
        )  # the mean of the anomalies, and of them with their flagged margin
        recall = existence * np.minimum(hits / soft_positive, 1)
        alarms = (flagged - hits) / (steps - soft_positive)
        roc = np.trapezoid(np.concatenate([[0], recall, [1]]), np.concatenate([[0], alarms, [1]]))
        areas.append((roc, np.sum(np.diff(recall, prepend=0) * hits / flagged)))
    return dict(zip(("vus_roc", "vus_pr"), map(float, np.mean(areas, axis=0)), strict=True))


def _margins(true: np.ndarray, limits: np.ndarray, steps: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Each step's label with margins of `width`, and the anomalies with their margins, merged where they overlap."""
    weights = np.zeros(steps)
    spans: list[list[int]] = []
    for first, end in true:
        begin, stop = limits[np.searchsorted(limits, first, side="right") - 1], limits[np.searchsorted(limits, end)]
        before = np.arange(max(first - width // 2, begin), first)
        after = np.arange(end, min(end + width // 2, stop))
        weights[first:end] += 1
        weights[before] += np.sqrt(1 - (first - before) / width) if width else 0
        weights[after] += np.sqrt(1 - (after - end + 1) / width) if width else 0
        span = [max(first - width // 2, begin), min(end + width // 2, stop)]
        if spans and span[0] < spans[-1][1] and span[0] > begin:
            spans[-1][1] = span[1]
        else:
            spans.append(span)
    return np.minimum(weights, 1), np.array(spans, int)


def period(values: np.ndarray) -> int:
    """The steps after which a series repeats itself best: the highest local maximum of its autocorrelation.

    The benchmark TSB-AD (Liu and Paparrizos, 2024) chooses the buffer of VUS like this. Only the first 20,000 steps are
    read; a series without a period of `PERIODS` steps has `DEFAULT_BUFFER`.
    """
    values = np.nan_to_num(values[:20_000] - np.nanmean(values[:20_000]))
    size = 2 ** int(2 * len(values) - 1).bit_length()
    spectrum = np.abs(np.fft.rfft(values, size)) ** 2
    lags = np.fft.irfft(spectrum, size)[PERIODS[0] - 1 : min(401, len(values))]
    peaks = np.flatnonzero((lags[1:-1] > lags[:-2]) & (lags[1:-1] > lags[2:])) + 1
    if not len(peaks):
        return DEFAULT_BUFFER
    best = int(peaks[np.argmax(lags[peaks])]) + PERIODS[0] - 1
    return best if best <= PERIODS[1] else DEFAULT_BUFFER


def measure(
    labels: np.ndarray, scores: np.ndarray, flags: np.ndarray, buffer: int, boundaries: Sequence[int] = ()
) -> dict[str, float]:
    """Every metric of one detector.

    Args:
        labels, scores, flags: (steps,); steps without a score are NaN and count as never flagged and least anomalous.
        buffer: of VUS.
        boundaries: where other series begin.

    Returns:
        `vus_pr`, `vus_roc`, `pr_auc`, `roc_auc`, `precision`, `recall`, `f1` (per step), `event_precision`,
        `event_recall`, `event_f1`, and the counts behind the last three.

    Raises:
        UserError: all labels are the same, or nothing has a score.
    """
    labels = np.asarray(labels, bool)
    if labels.all() or not labels.any():
        raise UserError(f"the labels are all {int(labels[0]) if len(labels) else 'absent'}: metrics need both kinds")
    if np.isnan(scores).all():
        raise UserError("no step has a score, so nothing can be measured")
    scores = np.where(np.isnan(scores), np.nanmin(scores), scores)
    counts = event_counts(labels, flags, boundaries)
    return {
        **dict(reversed(vus(labels, scores, buffer, boundaries).items())),
        "pr_auc": pr_auc(labels, scores),
        "roc_auc": roc_auc(labels, scores),
        **precision_recall_f1(np.sum(labels & flags), np.sum(flags), np.sum(labels)),
        **{f"event_{name}": value for name, value in event_f1(*counts).items()},
        **dict(zip(("events_found", "events_missed", "false_alarms"), counts, strict=True)),
    }
