"""The detectors of a run: its network, and the naive ones beside it, on the same windows with the same rules."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from lstm_ae.anomalies.naive import Z_SCORE, naive_detectors
from lstm_ae.anomalies.overlap import Cut, Overlap, Reduction, Smoothing
from lstm_ae.anomalies.scorers import Scorer
from lstm_ae.data.panel_scaling import own_scaler, scaler_of_series
from lstm_ae.data.panel_windows import interpolated
from lstm_ae.data.sequence_data import SequenceData
from lstm_ae.models.autoencoder import Autoencoder
from lstm_ae.models.inference import evaluating

NETWORK = "network"
HeldOut = Sequence[tuple[str, np.ndarray]]  # series (steps, features) with their names

FITTED_ERRORS = 20_000_000  # numbers that a scorer is fitted on, at most: 160 MB


class Network:
    """What a trained model makes wrong of windows.

    A model that forecasts is judged by the step after its input, one that does not by the reconstruction of its input.

    Errors are in the units in which the run scales values. Where it scales each window by its own values, they are
    converted to original units over the standard deviation of the channel in training: a window that hardly varies
    would otherwise turn its noise into alarms.

    Args:
        model: of the run.
        data: of the run; says how windows are scaled.
        stride: steps from one window to the next; None: a tenth of a window. A forecast is made for every step.
    """

    def __init__(self, model: Autoencoder, data: SequenceData, stride: int | None) -> None:
        self.model, self.spec, self.scaler = model, data.spec, data.scaler
        self.series_scalers = {} if self.scaler or self.spec.own_range else data.scalers_by_series()
        spec, spread = self.spec, deviations(data)
        self.unit = np.where(spread > 0, spread, 1) if spec.own_range else None
        self.forecasts = model.head is not None and model.head.task == "forecast"
        length = spec.length
        self.cut = Cut(length + 1, length, 1) if self.forecasts else Cut(length, 0, stride or max(1, length // 10))
        names = spec.feature_names or tuple(str(i) for i in range(spec.features))
        self.constant = [name for name, one in zip(names, spread, strict=True) if one == 0]  # in training
        self.channels = names[: spec.forecast_features] if self.forecasts else names

    def scaled(self, windows: np.ndarray, series: str | None = None) -> np.ndarray:
        """Windows (batch, span, features) in original units as the model was trained on them; NaN stays NaN.

        Args:
            windows: of one series.
            series: its name, where each series has its own scaling.

        Raises:
            UserError: the run was not trained on this series, and scales each by its own past.
        """
        values = torch.from_numpy(windows)
        scaler = self.scaler
        if scaler is None and self.spec.own_range:
            scaler = own_scaler(values[:, : self.spec.length], self.spec.own_range, self.spec.own_standardized)
        elif scaler is None:
            scaler = scaler_of_series(self.series_scalers, series or "")
        return scaler.transform(values).numpy()

    def units(self, windows: np.ndarray) -> np.ndarray:
        """What errors of scaled windows are multiplied by, (batch, 1, features); see the class."""
        if self.unit is None:
            return np.ones((1, 1, windows.shape[2]))
        read = torch.from_numpy(windows[:, : self.spec.length])
        scaler = own_scaler(read, self.spec.own_range, self.spec.own_standardized)
        assert isinstance(scaler.high, torch.Tensor)
        return (scaler.high - scaler.low).numpy() / self.unit

    def errors(self, scaled: np.ndarray) -> np.ndarray:
        """Scaled windows (batch, span, features) -> errors in scaled units (batch, span - first, channels).

        A missing value has no error; the model reads it interpolated within the window, as in training.
        """
        read = scaled[:, : self.spec.length]
        device = next(self.model.parameters()).device
        known = ~torch.from_numpy(np.isnan(read)).to(device) if self.spec.masked else None
        inputs = torch.from_numpy(filled(read)).float().to(device)
        with evaluating(self.model):
            output = self.model(inputs) if known is None else self.model(inputs, None, known)
        if self.forecasts:
            assert output.forecast is not None
            made = output.forecast[:, -self.spec.horizon, None]
        else:
            made = output.reconstruction
        truth = scaled[:, self.cut.first :, : len(self.channels)]
        return truth - made.cpu().double().numpy()


def deviations(data: SequenceData) -> np.ndarray:
    """The standard deviation of each channel over the training part in original units, (features,); 0 for constants."""
    part = data.train[:: max(1, data.train.inputs.numel() // FITTED_ERRORS)]
    values = data.scaler_of(part).inverse(part.inputs.double())
    found = values.std((0, 1), correction=0).cpu().numpy()
    return np.where(found > 1e-12 * np.abs(values.mean((0, 1)).cpu().numpy()), found, 0)


def filled(windows: np.ndarray) -> np.ndarray:
    """Missing values of (batch, steps, features) interpolated within each window; 0 where a window has none at all."""
    return np.nan_to_num(interpolated(windows)) if np.isnan(windows).any() else windows


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

    def residuals(self, windows: np.ndarray, series: str | None = None) -> dict[str, np.ndarray]:
        """The errors of each detector on windows (batch, span, features) of a series, in original units."""
        network = self.network
        scaled, units = network.scaled(windows, series), network.units(windows)
        found = {NETWORK: network.errors(scaled) * units[..., : len(network.channels)]}
        last = filled(scaled)[:, network.cut.span - network.spec.length :]  # as long as the training windows
        missing = np.isnan(scaled[:, network.cut.first :])
        for name, detector in self.naive.items():
            errors = detector(last)[:, network.spec.length - (network.cut.span - network.cut.first) :]
            found[name] = np.where(missing, np.nan, errors if name == Z_SCORE else errors * units)
        return found

    def scores(self, windows: np.ndarray, series: str | None = None) -> np.ndarray:
        """Windows of a series in original units (batch, span, features) -> (batch, span - first, columns)."""
        parts = [self.scorers[name](errors) for name, errors in self.residuals(windows, series).items()]
        return np.concatenate([parts[0], *(part[..., :1] for part in parts[1:])], axis=-1)


class Stream:
    """Scores one series that arrives in pieces: `push` each, then `finish`.

    Args:
        detectors: of a run.
        series: its name.
        reduction: of the windows that cover a step.
        smooth: steps of a centred moving mean over the scores; 1: none.
    """

    def __init__(self, detectors: Detectors, series: str, reduction: Reduction, smooth: int) -> None:
        features, columns = detectors.network.spec.features, len(detectors.columns)
        errors = partial(detectors.scores, series=series)
        self.overlap = Overlap(errors, detectors.network.cut, features, columns, reduction)
        self.smoothing = Smoothing(smooth, columns + 1)

    def push(self, values: np.ndarray) -> np.ndarray:
        """Take the next steps (n, features), in original units; returns the rows (m, columns + 1) that are final.

        The last column is the number of whole windows that cover the step.
        """
        return self.smoothing.push(self.overlap.push(values))

    def finish(self) -> np.ndarray:
        """The remaining rows."""
        return np.concatenate([self.smoothing.push(self.overlap.finish()), self.smoothing.finish()])


def fit_detectors(network: Network, data: SequenceData, held_out: HeldOut, scorer: Callable[[], Scorer]) -> Detectors:
    """Fit the naive detectors on the training part, and a scorer for each detector on held-out series.

    Args:
        network: of the run.
        data: of the run.
        held_out: see `validation_series`.
        scorer: makes an empty one.
    """
    naive = dict(naive_detectors(data.train, network.model.encoder.context_size))
    detectors = Detectors(network, naive, {name: scorer() for name in (NETWORK, *naive)})
    gathered: dict[str, list[np.ndarray]] = {name: [] for name in detectors.scorers}
    for series, windows in held_out_windows(network, held_out):
        for name, errors in detectors.residuals(windows, series).items():
            gathered[name].append(errors.reshape(-1, errors.shape[-1]))
    for name, parts in gathered.items():
        errors = np.concatenate(parts)
        detectors.scorers[name].fit(errors[~np.isnan(errors).any(1)])
    return detectors


def held_out_windows(network: Network, held_out: HeldOut) -> Iterator[tuple[str, np.ndarray]]:
    """Windows of held-out series, some at a time; evenly thinned where they are more than a scorer is fitted on."""
    cut = network.cut
    views = [
        (name, np.moveaxis(np.lib.stride_tricks.sliding_window_view(values, cut.span, axis=0), -1, 1)[:: cut.stride])
        for name, values in held_out
        if len(values) >= cut.span
    ]
    total = sum(len(view) for _, view in views) * (cut.span - cut.first) * len(network.channels)
    thinned = max(1, -(-total // FITTED_ERRORS))
    batch = cut.batch(network.spec.features)
    for name, view in views:
        chosen = view[::thinned]
        for start in range(0, len(chosen), batch):
            yield name, chosen[start : start + batch].copy()


def validation_series(data: SequenceData) -> HeldOut:
    """What the run was validated on, as series (steps, features) in original units, each with its name.

    Windows of a panel that follow each other are put together again; other sequences stand for themselves.
    """
    part = data.val
    if data.panel is None or part.series is None or part.time is None:
        values = data.scaler_of(part).inverse(part.inputs.double())
        if part.mask is not None:
            values = torch.where(part.mask, values, torch.nan)
        lengths = [part.inputs.shape[1]] * len(part) if part.lengths is None else part.lengths.tolist()
        return [("", one[:length].cpu().numpy()) for one, length in zip(values, lengths, strict=True)]
    span = data.spec.length + part.horizon
    order = np.lexsort([part.time.cpu(), part.series.cpu()])
    series, time = part.series.cpu().numpy()[order], part.time.cpu().numpy()[order]
    apart = np.flatnonzero((np.diff(series) != 0) | (np.diff(time) > span)) + 1
    return [
        (
            data.panel.series[series[group[0]]],
            data.panel.values[series[group[0]], time[group[0]] : time[group[-1]] + span],
        )
        for group in np.split(np.arange(len(series)), apart)
    ]
