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

    Shorter ones are padded on the right with zeros. See `panel_data` for the arguments.

    Raises:
        ConfigError: options that do not fit the panel, or a part without sequences.
    """
    ahead = 0 if options.forecast_target is None else options.horizon
    steps = panel.extents[:, 1] - panel.extents[:, 0] - ahead
    usable = np.flatnonzero((steps >= 2) & _targets_known(panel, ahead, options.forecast_features))
    if len(usable) < len(steps):
        log.warning("%d of %d series are left out: too short, or what is to be forecast is missing",
                    len(steps) - len(usable), len(steps))  # fmt: skip
    varying = len(set(steps[usable])) > 1
    if varying and options.forecast_target == "shifted":
        raise ConfigError("dataset.forecast_target", "shifted", "needs series of one length; use ahead, or windows")
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
    count = 0 if ahead == 0 else len(panel.features) if options.forecast_features == "all" else 1
    target_steps = {None: 0, "ahead": ahead, "shifted": int(steps[usable].max(initial=0))}[options.forecast_target]
    spec = DataSpec(
        name, int(steps[rows["train"]].max()), len(panel.features), () if classes is None else classes[1],
        feature_names=panel.features, forecast_steps=target_steps, horizon=ahead, forecast_features=count,
        leaky=options.leaky, unit=unit, own_range=() if ranges is not None else tuple(range(len(panel.features))),
        own_standardized=ranges is None and options.standardize, varying=varying, masked=options.missing == "mask",
    )  # fmt: skip
    parts = [_sequences(panel, rows[part], spec, ranges, options.standardize) for part in PARTS]
    if classes is not None:
        labels = torch.from_numpy(classes[0])
        parts = [replace(part, labels=labels[part.series]) for part in parts]
    train, val, test = parts
    common = None if ranges is None else Scaler(*(torch.from_numpy(bound).float() for bound in ranges))
    return SequenceData(spec, common, train, val, test, options.batch_size, panel=panel)


def _targets_known(panel: Panel, ahead: int, forecast_features: str) -> np.ndarray:
    """Whether the last `ahead` steps of each series have the values to forecast, (series,)."""
    ends = panel.extents[:, 1]
    targets = slice(None) if forecast_features == "all" else slice(1)
    return np.array([not np.isnan(own[max(end - ahead, 0) : end, targets]).any() if ahead else True
                     for own, end in zip(panel.values, ends, strict=True)], bool)  # fmt: skip


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
    begins = panel.extents[rows, 0]
    lengths = panel.extents[rows, 1] - begins - spec.horizon
    inputs = np.zeros((len(rows), lengths.max(), spec.features), np.float32)
    there = np.zeros(inputs.shape, bool)
    targets = np.zeros((len(rows), spec.forecast_steps, spec.forecast_features), np.float32)
    low, high = np.empty((2, len(rows), 1, spec.features), np.float32)
    for i, (row, begin, length) in enumerate(zip(rows, begins, lengths, strict=True)):
        whole = panel.values[row, begin : begin + length + spec.horizon]
        own = known(measure_by(standardize)(whole[:length], range(spec.features))) if ranges is None else ranges
        low[i], high[i] = own
        scaled = (whole - own[0]) / (own[1] - own[0])
        there[i, :length] = ~np.isnan(whole[:length])
        inputs[i, :length] = np.nan_to_num(interpolated(scaled[None, :length]))[0]
        if spec.horizon:
            targets[i] = scaled[len(whole) - spec.forecast_steps :, : spec.forecast_features]
    return Sequences(
        inputs=torch.from_numpy(inputs),
        targets=torch.from_numpy(targets) if spec.horizon else None,
        horizon=spec.horizon,
        low=torch.from_numpy(low),
        high=torch.from_numpy(high),
        series=torch.from_numpy(rows),
        time=torch.from_numpy(begins),
        lengths=torch.from_numpy(lengths) if spec.varying else None,
        mask=torch.from_numpy(there) if spec.masked else None,
    )
