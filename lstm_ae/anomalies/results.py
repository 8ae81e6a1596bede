"""What a scoring leaves behind: the table of scores, the flagged intervals, and the metrics of every detector."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lstm_ae.anomalies.detectors import NETWORK, Detectors, HeldOut, Stream
from lstm_ae.anomalies.intervals import Intervals
from lstm_ae.anomalies.metrics import event_f1, measure, period
from lstm_ae.anomalies.overlap import Reduction
from lstm_ae.anomalies.rows import ScoredRows
from lstm_ae.anomalies.thresholds import Threshold, from_scores, oracle
from lstm_ae.data.table_files import Columns
from lstm_ae.data.table_writing import writing
from lstm_ae.errors import UserError

CHANCE = "chance"
CHANCE_DRAWS = 3

Thresholds = Mapping[str, Threshold]


def validation_scores(detectors: Detectors, held_out: HeldOut, reduction: Reduction, smooth: int) -> np.ndarray:
    """The scores of held-out series (steps, columns of the detectors), made as those of any other series."""
    parts = [np.empty((0, len(detectors.columns)))]
    for name, values in held_out:
        stream = Stream(detectors, name, reduction, smooth)
        parts += [stream.push(values)[:, :-1], stream.finish()[:, :-1]]
    return np.concatenate(parts)


def find_thresholds(
    detectors: Detectors, validation: np.ndarray, rows: ScoredRows, rule: Mapping[str, Any]
) -> Thresholds:
    """A threshold for each detector, all by the same rule.

    Args:
        detectors: of the run.
        validation: their scores of held-out data, (steps, columns).
        rows: scored.
        rule: the keys `threshold.*` of the command: `method`, `scores`, `quantile`, `deviations`.

    Raises:
        UserError: the oracle is asked without labels, or there is no score to find a threshold from.
    """
    found = {}
    for name, column in score_columns(detectors).items():
        if rule["method"] == "oracle_f1":
            if rows.labels is None or rows.labels.all() or not rows.labels.any():
                raise UserError("threshold.method=oracle_f1 needs labels of both kinds; name the column with label=...")
            found[name] = oracle(rows.labels, rows.scores[:, column])
        else:
            scores = validation if rule["scores"] == "validation" else rows.scores
            found[name] = from_scores(
                np.asarray(scores[:, column]), rule["scores"], rule["method"], rule["quantile"], rule["deviations"]
            )
    return found


def score_columns(detectors: Detectors) -> dict[str, int]:
    """The position of each detector's score of a step among the columns of scores."""
    columns = detectors.columns
    return {NETWORK: 0, **{name: columns.index(name) for name in detectors.naive}}


def compare_detectors(
    detectors: Detectors, rows: ScoredRows, thresholds: Thresholds, buffer: int | None
) -> tuple[dict[str, dict[str, float]], int]:
    """The metrics of each detector, and of chance: random scores that flag as many steps as the network.

    Args:
        detectors: of the run.
        rows: scored, with labels of both kinds.
        thresholds: of each detector.
        buffer: of VUS; None: the period of the longest series' first channel.

    Returns:
        detector -> metric -> value, and the buffer.
    """
    assert rows.labels is not None
    order, boundaries = rows.order()
    labels = rows.labels[order]
    if buffer is None:
        longest = rows.names.index(max(rows.lengths, key=lambda name: rows.lengths[name]))
        buffer = period(np.asarray(rows.values[rows.series == longest, 0]))
    found = {}
    for name, column in score_columns(detectors).items():
        scores = np.asarray(rows.scores[order, column])
        found[name] = measure(labels, scores, scores > thresholds[name].value, buffer, boundaries)
    share = np.mean(np.asarray(rows.scores[:, 0]) > thresholds[NETWORK].value)
    draws = []
    for seed in range(CHANCE_DRAWS):
        scores = np.random.default_rng(seed).random(len(labels))
        draws.append(measure(labels, scores, scores < share, buffer, boundaries))
    found[CHANCE] = {name: float(np.mean([draw[name] for draw in draws])) for name in draws[0]}
    return found, buffer


def write_scores(
    path: Path, columns: Columns, detectors: Detectors, rows: ScoredRows, threshold: Threshold
) -> pd.DataFrame:
    """Write a row for each row of the input: its series and time, `score`, `score/CHANNEL`, ... and `flag`.

    Args:
        path: CSV or Parquet, by its ending; it appears once it is complete.
        columns: of the input.
        detectors, rows, threshold: what was found.

    Returns:
        the flagged intervals; see `Intervals.table`.

    Raises:
        UserError: Parquet without pyarrow.
    """
    names = np.array(rows.names, object)
    intervals = Intervals(detectors.network.channels)
    with writing(path) as write:
        for part in rows.blocks():
            series = rows.series[part].astype(int)
            scores = np.asarray(rows.scores[part, : 1 + len(detectors.network.channels)])
            flags = scores[:, 0] > threshold.value
            numbers = np.arange(part.start, part.start + len(series))
            times = numbers if rows.times is None else np.asarray(rows.times[part])
            keys = {columns.series: names[series], columns.time: times}
            table = pd.DataFrame({name: values for name, values in keys.items() if name is not None})
            scored = pd.DataFrame(scores, columns=detectors.columns[: scores.shape[1]])
            write(pd.concat([table, scored, pd.Series(flags.astype(int), name="flag")], axis=1))
            for code in np.unique(series):
                mine = series == code
                intervals.push(rows.names[code], times[mine], scores[mine], flags[mine])
    return intervals.table()


def pooled(table: pd.DataFrame) -> dict[str, dict[str, float]]:
    """The metrics of many files as one: means, and those of events from the events of all files together.

    Args:
        table: a row for each file and detector: file, detector, metrics.
    """
    found = {}
    for name, rows in table.groupby("detector", sort=False):
        counts = {column: float(rows[column].sum()) for column in ("events_found", "events_missed", "false_alarms")}
        events = {f"event_{key}": value for key, value in event_f1(*counts.values()).items()}
        found[str(name)] = {**rows.drop(columns=["file", "detector"]).mean().to_dict(), **events, **counts}
    return found


def metrics_table(metrics: Mapping[str, Mapping[str, float]]) -> str:
    """The metrics of each detector as lines of text."""
    shown = {"vus_pr": "VUS-PR", "vus_roc": "VUS-ROC", "pr_auc": "PR-AUC", "roc_auc": "ROC-AUC",
             "precision": "precision", "recall": "recall", "f1": "F1", "event_f1": "event F1"}  # fmt: skip
    table = pd.DataFrame(metrics).T
    lines = table[list(shown)].map("{:.3f}".format).rename(columns=shown)
    events = (table["events_found"], table["events_found"] + table["events_missed"])
    lines["events found"] = [f"{found:g} of {all_of_them:g}" for found, all_of_them in zip(*events, strict=True)]
    lines["false alarms"] = table["false_alarms"].map("{:g}".format)
    return str(lines.to_string())
