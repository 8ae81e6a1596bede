"""Small data sets, and outputs of models that were never trained, for figures."""

from dataclasses import replace

import numpy as np
import torch

from lstm_ae.data.panel import Panel
from lstm_ae.data.sequence_data import SequenceData, Sequences
from lstm_ae.models.autoencoder import Output
from lstm_ae.spec import DataSpec, Scaler


def history(epochs=3, *names):
    """Rows of metrics that fall from epoch to epoch."""
    keys = [f"{part}/{name}" for name in ("loss", *names) for part in ("train", "val")]
    values = [{key: (i + 2) / epoch for i, key in enumerate(keys)} for epoch in range(1, epochs + 1)]
    return [{"epoch": epoch, "seconds": 0.5, "lr": 0.1, **row} for epoch, row in enumerate(values, start=1)]


def made(count=12, length=8, features=1, classes=(), labelled=True, constant=False, context=3, **spec):
    """Data with `count` sequences in each part, and an output for its test part."""
    generator = torch.Generator().manual_seed(0)

    def values(*shape):
        return torch.full(shape, 0.5) if constant else torch.rand(shape, generator=generator)

    labels = torch.arange(count) % len(classes) if classes and labelled else None
    part = Sequences(values(count, length, features), labels)
    spec = {"name": "made", "length": length, "features": features, "class_names": tuple(classes), **spec}
    logits = values(count, len(classes)) if labels is not None else None
    return (
        SequenceData(DataSpec(**spec), Scaler(0.0, 10.0), part, part, part, batch_size=4),
        Output(values(count, context), part.inputs if constant else values(count, length, features), logits),
    )


def made_panel(
    series=3, windows=4, length=6, horizon=2, constant=False, forecast=True, dated=True, features=("level",)
):
    """A panel's windows, as `made` makes sequences, with naive forecasts of them."""
    generator = np.random.default_rng(0)
    times = windows + length + horizon - 1
    values = np.full((series, times, len(features)), 2.0)
    if not constant:
        values = generator.normal(size=values.shape).cumsum(1)
    names = tuple(f"sensor {i}" for i in range(series))
    panel = Panel(
        np.datetime64("2020-01-30") + np.arange(times) if dated else np.arange(times), names, features, values
    )
    row, time = (torch.from_numpy(grid.flatten()) for grid in np.meshgrid(range(series), range(windows), indexing="ij"))
    whole = torch.tensor(
        np.stack([values[r, t : t + length + horizon] for r, t in zip(row, time, strict=True)])
    ).float()
    inputs, targets = whole[:, :length], whole[:, length:, :1]
    low, high = inputs.amin(1, keepdim=True), inputs.amax(1, keepdim=True)
    high = torch.where(high == low, low + 1, high)
    scaler = Scaler(low, high)
    part = Sequences(scaler.transform(inputs), None, scaler.first(1).transform(targets) if forecast else None,
                     horizon if forecast else 0, low, high, row, time)  # fmt: skip
    spec = DataSpec("made", length, len(features), feature_names=features, unit="metres", shown=("sensor 1",))
    if forecast:
        spec = replace(spec, forecast_steps=horizon, horizon=horizon, forecast_features=1)
    data = SequenceData(spec, None, part, part, part, batch_size=4, panel=panel)
    last = part.inputs[:, -1:, 0].expand(-1, horizon)
    noise = 0 if constant else 0.1
    output = Output(torch.rand(len(part), 3), part.inputs + noise, forecast=part.targets + noise if forecast else None)
    return data, output, {"persistence": last, "drift": last + noise / 2} if forecast else {}
