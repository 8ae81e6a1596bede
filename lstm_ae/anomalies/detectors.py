"""The detectors of a run: its network, and the naive ones beside it, on the same windows with the same rules."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from lstm_ae.anomalies.naive import naive_detectors
from lstm_ae.anomalies.overlap import Cut, Overlap, Reduction, Smoothing
from lstm_ae.anomalies.scorers import Scorer
from lstm_ae.data.panel_scaling import own_scaler
from lstm_ae.data.sequence_data import SequenceData
from lstm_ae.models.autoencoder import Autoencoder
from lstm_ae.models.inference import evaluating
from lstm_ae.spec import DataSpec, Scaler

NETWORK = "network"
FITTED_ERRORS = 20_000_000  # numbers that a scorer is fitted on, at most: 160 MB


class Network:
    """What a trained model makes wrong of windows, in its scaled units.

    A model that forecasts is judged by the step after its input, one that does not by the reconstruction of its input.

    Args:
        model, spec, scaler: of the run; without a scaler each window is scaled by its own range.
        stride: steps from one window to the next; None: a tenth of a window. A forecast is made for every step.
    """

    def __init__(self, model: Autoencoder, spec: DataSpec, scaler: Scaler | None, stride: int | None) -> None:
        self.model, self.spec, self.scaler = model, spec, scaler
        self.forecasts = model.head is not None and model.head.task == "forecast"
        length = spec.length
        self.cut = Cut(length + 1, length, 1) if self.forecasts else Cut(length, 0, stride or max(1, length // 10))
        names = spec.feature_names or tuple(str(i) for i in range(spec.features))
        self.channels = names[: spec.forecast_features] if self.forecasts else names

    def scaled(self, windows: np.ndarray) -> np.ndarray:
        """Windows (batch, span, features) in original units as the model was trained on them; NaN stays NaN."""
        values = torch.from_numpy(windows)
        scaler = self.scaler or own_scaler(values[:, : self.spec.length], self.spec.own_range)
        return scaler.transform(values).numpy()

    def errors(self, scaled: np.ndarray) -> np.ndarray:
        """Scaled windows (batch, span, features) -> errors (batch, span - first, channels).

        A missing value is filled: by 0 for a model that reads which values are missing, else by interpolation within
        the window. It has no error.
        """
        missing = np.isnan(scaled)
        filled = np.where(missing, 0, scaled) if self.spec.masked else interpolated(scaled)
        device = next(self.model.parameters()).device
        known = ~torch.from_numpy(missing[:, : self.spec.length]).to(device) if self.spec.masked else None
        inputs = torch.from_numpy(filled[:, : self.spec.length]).float().to(device)
        with evaluating(self.model):
            output = self.model(inputs) if known is None else self.model(inputs, None, known)
        if self.forecasts:
            assert output.forecast is not None
            made = output.forecast[:, -self.spec.horizon, None]
        else:
            made = output.reconstruction
        truth = scaled[:, self.cut.first :, : len(self.channels)]
        return truth - made.cpu().double().numpy()


def interpolated(windows: np.ndarray) -> np.ndarray:
    """Missing values of (batch, steps, features) by linear interpolation within each window; 0 where all are missing."""
    filled = windows.copy()
    missing = np.isnan(windows)
    for row, channel in zip(*missing.any(1).nonzero(), strict=True):
        gap = missing[row, :, channel]
        steps = np.arange(len(gap))
        known = windows[row, ~gap, channel]
        filled[row, gap, channel] = np.interp(steps[gap], steps[~gap], known) if len(known) else 0
    return filled


@dataclass(frozen=True)
class Detectors:
    """The network and the naive detectors of a run, with a scorer for each; made by `fit_detectors`.

    A batch of windows becomes columns of scores: the network's (of the step, then of each channel), then the step's
    score of each naive detector.
    """

    network: Network
    naive: dict[str, Callable[[np.ndarray], np.ndarray]]
    scorers: dict[str, Scorer]  # by the name of the detector

    @property
    def columns(self) -> list[str]:
        """The names of the scores: `score`, `score/CHANNEL`, ... and the naive detectors' names."""
        return ["score", *(f"score/{name}" for name in self.network.channels), *self.naive]

    def residuals(self, windows: np.ndarray) -> dict[str, np.ndarray]:
        """The errors of each detector on windows (batch, span, features) in original units."""
        network = self.network
        scaled = network.scaled(windows)
        found = {NETWORK: network.errors(scaled)}
        last = interpolated(scaled)[:, network.cut.span - network.spec.length :]  # as long as the training windows
        missing = np.isnan(scaled[:, network.cut.first :])
        for name, detector in self.naive.items():
            errors = detector(last)[:, network.spec.length - (network.cut.span - network.cut.first) :]
            found[name] = np.where(missing, np.nan, errors)
        return found

    def scores(self, windows: np.ndarray) -> np.ndarray:
        """Windows in original units (batch, span, features) -> (batch, span - first, columns)."""
        parts = [self.scorers[name](errors) for name, errors in self.residuals(windows).items()]
        return np.concatenate([parts[0], *(part[..., :1] for part in parts[1:])], axis=-1)

    def stream(self, reduction: Reduction, smooth: int) -> "Stream":
        """A fresh scoring of one series; see `Stream`."""
        return Stream(self, reduction, smooth)


class Stream:
    """Scores one series that arrives in pieces: `push` each, then `finish`.

    Args:
        detectors: of a run.
        reduction: of the windows that cover a step.
        smooth: steps of a centred moving mean over the scores; 1: none.
    """

    def __init__(self, detectors: Detectors, reduction: Reduction, smooth: int) -> None:
        features, columns = detectors.network.spec.features, len(detectors.columns)
        self.overlap = Overlap(detectors.scores, detectors.network.cut, features, columns, reduction)
        self.smoothing = Smoothing(smooth, columns + 1)

    def push(self, values: np.ndarray) -> np.ndarray:
        """Take the next steps (n, features), in original units; returns the rows (m, columns + 1) that are final.

        The last column is the number of whole windows that cover the step.
        """
        return self.smoothing.push(self.overlap.push(values))

    def finish(self) -> np.ndarray:
        """The remaining rows."""
        return np.concatenate([self.smoothing.push(self.overlap.finish()), self.smoothing.finish()])


def fit_detectors(
    network: Network, data: SequenceData, held_out: list[np.ndarray], scorer: Callable[[], Scorer]
) -> Detectors:
    """Fit the naive detectors on the training part, and a scorer for each detector on held-out series.

    Args:
        network: of the run.
        data: of the run.
        held_out: series (steps, features) in original units, taken for normal.
        scorer: makes an empty one.
    """
    naive = dict(naive_detectors(data.train, network.model.encoder.context_size))
    detectors = Detectors(network, naive, {name: scorer() for name in (NETWORK, *naive)})
    gathered: dict[str, list[np.ndarray]] = {name: [] for name in detectors.scorers}
    for windows in held_out_windows(network, held_out):
        for name, errors in detectors.residuals(windows).items():
            gathered[name].append(errors.reshape(-1, errors.shape[-1]))
    for name, parts in gathered.items():
        errors = np.concatenate(parts)
        detectors.scorers[name].fit(errors[~np.isnan(errors).any(1)])
    return detectors


def held_out_windows(network: Network, held_out: list[np.ndarray]) -> Iterator[np.ndarray]:
    """Windows of held-out series, some at a time; evenly thinned where they are more than a scorer is fitted on."""
    cut = network.cut
    views = [
        np.moveaxis(np.lib.stride_tricks.sliding_window_view(values, cut.span, axis=0), -1, 1)[:: cut.stride]
        for values in held_out
        if len(values) >= cut.span
    ]
    total = sum(len(view) for view in views) * (cut.span - cut.first) * len(network.channels)
    thinned = max(1, -(-total // FITTED_ERRORS))
    batch = cut.batch(network.spec.features)
    for view in views:
        chosen = view[::thinned]
        for start in range(0, len(chosen), batch):
            yield np.ascontiguousarray(chosen[start : start + batch])


def validation_series(data: SequenceData) -> list[np.ndarray]:
    """What the run was validated on, as series (steps, features) in original units.

    Windows of a panel that follow each other are put together again; other sequences stand for themselves.
    """
    part = data.val
    if data.panel is None or part.series is None or part.time is None:
        scaler = data.scaler_of(part)
        lengths = part.lengths if part.lengths is not None else torch.full((len(part),), part.inputs.shape[1])
        values = scaler.inverse(part.inputs.double())
        if part.mask is not None:
            values = torch.where(part.mask, values, torch.nan)
        return [sequence[:length].cpu().numpy() for sequence, length in zip(values, lengths.tolist(), strict=True)]
    span = data.spec.length + part.horizon
    order = np.lexsort([part.time.cpu(), part.series.cpu()])
    series, time = part.series.cpu().numpy()[order], part.time.cpu().numpy()[order]
    apart = np.flatnonzero((np.diff(series) != 0) | (np.diff(time) > span)) + 1
    return [
        data.panel.values[series[group[0]], time[group[0]] : time[group[-1]] + span]
        for group in np.split(np.arange(len(series)), apart)
    ]
