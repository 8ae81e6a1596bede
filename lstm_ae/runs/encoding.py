"""What a run makes of the rows of a table, of arrays, and of its own data: contexts and reconstructions, as tables.

Everything comes in parts, each a table of contexts and, if asked for, one of reconstructions in original units.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from lstm_ae.config.build import build_data
from lstm_ae.data.array_files import read_parts
from lstm_ae.data.panel_scaling import scaler_of_series
from lstm_ae.data.sequence_data import SequenceData, Sequences
from lstm_ae.data.table_files import SERIES, Columns
from lstm_ae.errors import UserError
from lstm_ae.models.inference import EVALUATION_BATCH, predict
from lstm_ae.runs.cutting import Cut, cut_tables
from lstm_ae.runs.reopen import Run

log = logging.getLogger(__name__)

Part = tuple[pd.DataFrame, pd.DataFrame | None]  # contexts; reconstructions, a row for each step


class Encoding:
    """A run's answers as tables.

    Args:
        run: the run.
        reconstruct: whether to answer with reconstructions, too.
    """

    def __init__(self, run: Run, reconstruct: bool) -> None:
        self.run, self.reconstruct = run, reconstruct
        self.features = run.spec.feature_names or tuple(f"feature_{i}" for i in range(run.spec.features))

    def contexts(self, keys: pd.DataFrame, contexts: np.ndarray) -> pd.DataFrame:
        """Contexts (n, size) beside their keys."""
        named = pd.DataFrame(contexts, columns=[f"context_{i}" for i in range(contexts.shape[1])])
        return pd.concat([keys.reset_index(drop=True), named], axis=1)

    def steps(self, keys: pd.DataFrame, values: np.ndarray) -> pd.DataFrame:
        """Reconstructed steps (n, features) beside their keys."""
        return pd.concat([keys.reset_index(drop=True), pd.DataFrame(values, columns=list(self.features))], axis=1)

    def arrays(self, path: str) -> Iterator[Part]:
        """The sequences in a file of arrays, keyed by their number (from 0), with their labels where it has some.

        Raises:
            UserError: a file or a sequence that the run cannot read.
        """
        start = 0
        for some, labels in read_parts(path, EVALUATION_BATCH):
            keys = pd.DataFrame({"sequence": np.arange(start, start + len(some))})
            if labels is not None:
                keys["label"] = labels
            values: Any = some
            try:
                contexts = self.contexts(keys, np.asarray(self.run.encode(values)))
                rebuilt: Any = self.run.reconstruct(values) if self.reconstruct else None
            except UserError as error:
                counted = f", sequences counted from number {start}" if start else ""
                raise UserError(f"{path}{counted}: {error}") from error
            yield contexts, None if rebuilt is None else self._rows(keys[["sequence"]], list(rebuilt))
            start += len(some)

    def own(self, data: SequenceData, part: Sequences) -> Iterator[Part]:
        """Sequences of the run's own data, keyed by series and time where they have them, else by their number."""
        for start in range(0, len(part), EVALUATION_BATCH):
            some = part[start : start + EVALUATION_BATCH]
            output = predict(self.run.model, some)
            keys = self._own_keys(data, some, start)
            rebuilt = None
            if self.reconstruct:
                values = data.scaler_of(some.to(torch.device("cpu"))).inverse(output.reconstruction).float().numpy()
                ends = [values.shape[1]] * len(some) if some.lengths is None else some.lengths.tolist()
                named = keys[[name for name in keys if name not in ("end", "label")]]
                rebuilt = self._rows(named, [one[:end] for one, end in zip(values, ends, strict=True)])
            yield self.contexts(keys, output.context.numpy()), rebuilt

    def _own_keys(self, data: SequenceData, part: Sequences, start: int) -> pd.DataFrame:
        panel = data.panel
        if panel is None or part.series is None or part.time is None:
            keys = pd.DataFrame({"sequence": np.arange(start, start + len(part))})
        else:
            series, first = part.series.tolist(), part.time.tolist()
            lengths = [part.inputs.shape[1]] * len(part) if part.lengths is None else part.lengths.tolist()
            begins = [panel.times_of(row)[time] for row, time in zip(series, first, strict=True)]
            ends = [panel.times_of(row)[time + length - 1]
                    for row, time, length in zip(series, first, lengths, strict=True)]  # fmt: skip
            keys = pd.DataFrame({SERIES: [panel.series[row] for row in series], "begin": begins, "end": ends})
        if part.labels is not None:
            keys["label"] = np.array(data.spec.class_names)[part.labels.cpu().numpy()]
        return keys

    def _rows(self, keys: pd.DataFrame, sequences: list[np.ndarray]) -> pd.DataFrame:
        """A row for each step of the sequences, keyed by the keys and the number of the step."""
        flat = [one.reshape(-1, self.run.spec.features) for one in sequences]
        steps = np.concatenate([np.arange(len(one)) for one in flat])
        repeated = keys.loc[keys.index.repeat([len(one) for one in flat])].assign(step=steps)
        return self.steps(repeated, np.concatenate(flat))

    def table(self, paths: Sequence[Path], columns: Columns, stride: int | None) -> Iterator[Part]:
        """The series in tables, keyed by their names and times: a context for each window, or for each series.

        Args:
            paths: the tables.
            columns: which column is what.
            stride: rows from one window to the next; None: as many as a window has. A row that several windows hold is
                reconstructed by the first of them.

        Raises:
            UserError: a row or a series that the run cannot read.
        """
        whole = self.run.config.dataset.get("window") is None
        missing = self.run.config.dataset.get("missing") in ("interpolate", "mask")
        length = None if whole else self.run.spec.length
        own = self.run.scaler is None and not self.run.spec.own_range
        scalers = build_data(self.run.config, torch.device("cpu")).scalers_by_series() if own else {}
        empty = 0
        for cuts in cut_tables(paths, columns, length, stride, missing):
            full = [cut for cut in cuts if not np.isnan(cut.values).all()]
            empty += len(cuts) - len(full)
            for name, group in groupby(full, key=lambda cut: cut.series if own else ""):
                run = replace(self.run, scaler=scaler_of_series(scalers, name)) if own else self.run
                waiting = list(group)
                for start in range(0, len(waiting), EVALUATION_BATCH):
                    yield self._cuts(run, waiting[start : start + EVALUATION_BATCH], columns)
        if empty:
            log.warning("%d windows without any value were left out", empty)

    def _cuts(self, run: Run, cuts: Sequence[Cut], columns: Columns) -> Part:
        series, time = columns.series or SERIES, columns.time or "step"
        values: Any = [cut.values.astype(np.float32) for cut in cuts]
        for cut in cuts:
            if not run.spec.varying and len(cut.values) != run.spec.length:
                raise UserError(f"series {cut.series!r} has {len(cut.values)} rows, and the run reads series of "
                                f"{run.spec.length}")  # fmt: skip
        if not run.spec.varying:
            values = np.stack(values)
        keys = pd.DataFrame({
            series: [cut.series for cut in cuts],
            "begin": [cut.times[0] for cut in cuts],
            "end": [cut.times[-1] for cut in cuts],
        })  # fmt: skip
        contexts = self.contexts(keys, np.asarray(run.encode(values)))
        if not self.reconstruct:
            return contexts, None
        rebuilt = run.reconstruct(values)
        names = np.repeat([cut.series for cut in cuts], [len(cut.times) - cut.fresh for cut in cuts])
        fresh = pd.DataFrame({series: names, time: np.concatenate([cut.times[cut.fresh :] for cut in cuts])})
        steps = np.concatenate([np.asarray(one)[cut.fresh :] for one, cut in zip(rebuilt, cuts, strict=True)])
        return contexts, self.steps(fresh, steps)
