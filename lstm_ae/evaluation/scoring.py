"""Score tables by a finished run: reopen it, fit what is fitted on its own data, and write what is found."""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from omegaconf import DictConfig, OmegaConf

from lstm_ae.anomalies.detectors import NETWORK, Detectors, HeldOut, Network, fit_detectors, validation_series
from lstm_ae.anomalies.overlap import Reduction
from lstm_ae.anomalies.results import (
    Thresholds,
    compare_detectors,
    find_thresholds,
    score_columns,
    validation_scores,
    write_scores,
)
from lstm_ae.anomalies.rows import ScoredRows, score_rows
from lstm_ae.config.build import build_data, choose_device
from lstm_ae.config.parts import build_part
from lstm_ae.config.trimming import FIRST_PASS, without_worst
from lstm_ae.data.sequence_data import SequenceData
from lstm_ae.data.table_files import Columns, header
from lstm_ae.errors import UserError
from lstm_ae.runs.cutting import table_columns
from lstm_ae.runs.reopen import Run, load_run


@dataclass(frozen=True)
class OpenRun:
    """A run that is ready to score."""

    run: Run
    data: SequenceData
    detectors: Detectors
    held_out: HeldOut
    validation: np.ndarray  # scores of what it was validated on, (steps, columns)
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Scored:
    """A scored table."""

    opened: OpenRun
    columns: Columns
    rows: ScoredRows
    thresholds: Thresholds
    intervals: pd.DataFrame
    metrics: dict[str, dict[str, float]]  # of each detector; empty without labels of both kinds
    facts: dict[str, Any]  # for people and programs, as JSON holds them

    def complaints(self) -> Iterator[str]:
        """What a reader of the scores has to know, in a sentence each."""
        rows, span = self.rows, self.opened.detectors.network.cut.span
        if self.facts["columns_not_read"]:
            others = ", ".join(self.facts["columns_not_read"])
            yield f"columns that the run was not trained on are not read: {others}"
        if self.facts["rows_without_whole_window"]:
            yield (f"{self.facts['rows_without_whole_window']:,} rows at the ends of series are covered by no whole "
                   "window: the first or the last one scores them")  # fmt: skip
        short = [name for name, count in rows.lengths.items() if count < span]
        if short:
            yield (f"{len(short)} of {len(rows.names)} series are shorter than a window of {span} rows and have no "
                   f"score: {', '.join(short[:5])}{' ...' if len(short) > 5 else ''}")  # fmt: skip
        missing = rows.count(lambda block: np.isnan(rows.values[block]))
        if missing:
            how = "as missing" if self.opened.run.spec.masked else "filled by interpolation within each window"
            yield f"{missing:,} values are missing; the network reads them {how}, and they count in no score"
        low, high = rows.ranges()
        constant = [name for name, same in zip(self.columns.values, low == high, strict=True) if same]
        if constant:
            yield f"constant in this input: {', '.join(constant)}"
        if rows.labels is not None and not self.metrics:
            yield f"all rows are labelled {'anomalous' if rows.labels.all() else 'normal'}, so there are no metrics"


def open_run(path: Path, settings: DictConfig) -> OpenRun:
    """Reopen a run and fit its detectors.

    Args:
        path: the run directory.
        settings: the keys of the command.

    Raises:
        UserError: there is no such run, or its data cannot be had.
    """
    scorer = json.dumps(OmegaConf.to_container(settings.scorer))
    return _open_run(
        path.absolute(), scorer, *(settings[key] for key in ("reduction", "smooth", "stride", "device", "threads"))
    )


@lru_cache(maxsize=1)  # the next file of a folder is scored by the same run
def _open_run(
    path: Path, scorer: str, reduction: Reduction, smooth: int, stride: int | None, device: str, threads: int | None
) -> OpenRun:
    run = load_run(path, device)
    threads = threads or run.config.threads
    if threads is not None:
        torch.set_num_threads(threads)
    data = build_data(run.config, torch.device("cpu"))
    if data.trim:  # the naive detectors see the windows that the network was trained on, no others
        data = without_worst(run.config, data, run.directory.path / FIRST_PASS)
    if stride is not None and stride > data.spec.length:
        raise UserError(f"stride={stride}: must be at most {data.spec.length}, the steps of the run's windows")
    network = Network(run.model.to(choose_device(device)), data, stride)
    held_out = validation_series(data)
    part: DictConfig = OmegaConf.create(json.loads(scorer))
    detectors = fit_detectors(network, data, held_out, lambda: build_part(part, "scorer"))
    validation = validation_scores(detectors, held_out, reduction, smooth)
    return OpenRun(run, data, detectors, held_out, validation, tuple(complaints(run, data, network)))


def complaints(run: Run, data: SequenceData, network: Network) -> Iterator[str]:
    """What is wrong with the run's own data for the purpose, in a sentence each."""
    if network.constant:
        yield f"constant in training, so that any other value is anomalous: {', '.join(network.constant)}"
    if data.spec.leaky:
        yield (f"the run was trained with {', '.join(data.spec.leaky)}, so its validation part overlaps what it was "
               "trained on: errors there, and thresholds from them, are too small")  # fmt: skip
    if data.panel is None or data.panel.flags is None:
        return
    span = data.spec.length + data.train.horizon
    for words, part in (("training", data.train), ("validation", data.val)):
        assert part.series is not None and part.time is not None
        counts = np.pad(data.panel.flags.cumsum(1), ((0, 0), (1, 0)))
        series, time = part.series.cpu().numpy(), part.time.cpu().numpy()
        ends = np.minimum(time + span, data.panel.flags.shape[1])
        bad = int((counts[series, ends] > counts[series, time]).sum())
        if bad:
            yield (f"{bad:,} of {len(part):,} {words} windows hold steps that are labelled anomalous: what is called "
                   "normal here includes them")  # fmt: skip


def score_tables(run: Path, paths: Sequence[Path], output: Path, array: Path, settings: DictConfig) -> Scored:
    """Score tables and write the scores.

    Args:
        run: the run directory.
        paths: the tables; those of one series each, or parts of one table.
        output: the table of scores, CSV or Parquet by its ending.
        array: a temporary file; see `score_rows`.
        settings: the keys of the command.

    Raises:
        UserError: a run or a table that cannot be used.
    """
    begin = time.monotonic()
    opened = open_run(run, settings)
    fitted = time.monotonic()
    columns = table_columns(opened.run, settings.label or opened.run.config.dataset.get("label"))
    detectors = opened.detectors
    rows = score_rows(paths, columns, detectors, array, settings.reduction, settings.smooth)
    if settings.label is not None and rows.labels is None:
        raise UserError(f"label={settings.label}: {paths[0]} has no such column")
    scored = time.monotonic()
    thresholds = find_thresholds(detectors, opened.validation, rows, settings.threshold)
    metrics: dict[str, dict[str, float]] = {}
    buffer = settings.buffer
    if rows.labels is not None and rows.labels.any() and not rows.labels.all():
        metrics, buffer = compare_detectors(detectors, rows, thresholds, settings.buffer)
    intervals = write_scores(output, columns, detectors, rows, thresholds[NETWORK])
    places = score_columns(detectors)
    known = {*columns.values, columns.series, columns.time, columns.label}
    facts = {
        "run": str(run),
        "input": [str(path) for path in paths],
        "columns_not_read": [name for name in header(paths[0]) if name not in known],
        "rows": len(rows.series),
        "series": len(rows.names),
        "channels": list(detectors.network.channels),
        "window": opened.run.spec.length,
        "windows_per_step": int(rows.windows.max()),
        "rows_without_whole_window": rows.count(lambda block: rows.windows[block] == 0),
        "rows_without_score": rows.count(lambda block: np.isnan(rows.scores[block, 0])),
        "thresholds": {name: asdict(one) for name, one in thresholds.items()},
        "flagged": {name: rows.above(places[name], one.value) for name, one in thresholds.items()},
        "intervals": len(intervals),
        "anomalous_rows": None if rows.labels is None else int(rows.labels.sum()),
        "vus_buffer": buffer if metrics else None,
        "metrics": metrics,
        "seconds_to_fit": round(fitted - begin, 3),
        "seconds_to_score": round(scored - fitted, 3),
        "rows_per_second": round(len(rows.series) / max(scored - fitted, 1e-9)),
    }
    return Scored(opened, columns, rows, thresholds, intervals, metrics, facts)
