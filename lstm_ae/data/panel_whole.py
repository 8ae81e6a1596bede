"""Whole series of a panel as sequences, each of its own length."""

import logging
from dataclasses import replace

import numpy as np
import torch

from lstm_ae.data.panel import Panel
from lstm_ae.data.panel_data import PanelOptions
from lstm_ae.data.panel_scaling import Bounds, known, measure_by, unit_range
from lstm_ae.data.panel_splits import PARTS, BySeries
from lstm_ae.data.panel_windows import interpolated
from lstm_ae.data.sequence_data import SequenceData, Sequences
from lstm_ae.errors import ConfigError
from lstm_ae.spec import DataSpec, Scaler

log = logging.getLogger(__name__)


def whole_data(
    panel: Panel,
    options: PanelOptions,
    *,
    name: str,
    unit: str = "",
    test_begin: np.ndarray | None = None,
    classes: tuple[np.ndarray, tuple[str, ...]] | None = None,
) -> SequenceData:
    """The series of a panel as they are, from their first value to their last, divided by series.

    Shorter ones are padded on the right with zeros. Those of one step are left out. See `panel_data` for the arguments.

    Raises:
        ConfigError: options that do not fit the panel, or a part without sequences.
    """
    if options.forecast_target is not None:
        raise ConfigError("dataset.forecast_target", options.forecast_target, "needs sequences of one length, and "
                          "these series differ; set dataset.window")  # fmt: skip
    lengths = panel.extents[:, 1] - panel.extents[:, 0]
    usable = np.flatnonzero(lengths >= 2)
    if len(usable) < len(lengths):
        log.warning(
            "%d of %d series are left out: they have one step or none", len(lengths) - len(usable), len(lengths)
        )
    chosen = BySeries(
        panel.extents[usable, 1], options.val_fraction, options.test_fraction, options.seed,
        None if test_begin is None else test_begin[usable], options.num_folds, options.fold, test_begin is not None,
    ).rows()  # fmt: skip
    rows = {part: usable[chosen[part]] for part in PARTS}
    if options.num_train is not None:
        if options.num_train > len(rows["train"]):
            raise ConfigError("dataset.num_train", options.num_train, f"must be at most {len(rows['train'])}, the "
                              "training series there are")  # fmt: skip
        rows["train"] = rows["train"][: options.num_train]
    ranges = _ranges(panel, options, rows["train"])
    spec = DataSpec(
        name, int(lengths[rows["train"]].max()), len(panel.features), () if classes is None else classes[1],
        feature_names=panel.features, leaky=options.leaky, unit=unit,
        own_range=() if ranges is not None else tuple(range(len(panel.features))),
        own_standardized=ranges is None and options.standardize, varying=True, masked=options.missing == "mask",
    )  # fmt: skip
    parts = [_sequences(panel, rows[part], spec, ranges, options.standardize) for part in PARTS]
    if classes is not None:
        labels = torch.from_numpy(classes[0])
        parts = [replace(part, labels=labels[part.series]) for part in parts]
    train, val, test = parts
    common = None if ranges is None else Scaler(*(torch.from_numpy(bound).float() for bound in ranges))
    return SequenceData(spec, common, train, val, test, options.batch_size, panel=panel)


def _ranges(panel: Panel, options: PanelOptions, train: np.ndarray) -> Bounds | None:
    """What is scaled to 0 and to 1 of each feature, (features,) each; None: each sequence by its own values."""
    features = range(len(panel.features))
    if options.scaling == "window":
        return None
    if options.scaling == "none":
        low, high = unit_range(panel.values[:1], features, None, measure_by(False))
        return low[0], high[0]
    return known(measure_by(options.standardize)(panel.values[train].reshape(-1, len(panel.features)), features))


def _sequences(panel: Panel, rows: np.ndarray, spec: DataSpec, ranges: Bounds | None, standardize: bool) -> Sequences:
    """The series at `rows` as sequences. What is missing is interpolated; a feature without any value is 0."""
    begins, ends = panel.extents[rows].T
    inputs = np.zeros((len(rows), (ends - begins).max(), spec.features), np.float32)
    there = np.zeros(inputs.shape, bool)
    low, high = np.empty((2, len(rows), 1, spec.features), np.float32)
    for i, (row, begin, end) in enumerate(zip(rows, begins, ends, strict=True)):
        own = panel.values[row, begin:end]
        low[i], high[i] = bounds = ranges or known(measure_by(standardize)(own, range(spec.features)))
        scaled = (own - bounds[0]) / (bounds[1] - bounds[0])
        there[i, : len(own)] = ~np.isnan(own)
        inputs[i, : len(own)] = np.nan_to_num(interpolated(scaled[None]))[0]
    return Sequences(
        inputs=torch.from_numpy(inputs),
        low=torch.from_numpy(low),
        high=torch.from_numpy(high),
        series=torch.from_numpy(rows),
        time=torch.from_numpy(begins),
        lengths=torch.from_numpy(ends - begins),
        mask=torch.from_numpy(there) if spec.masked else None,
    )
