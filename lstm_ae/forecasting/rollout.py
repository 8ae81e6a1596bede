"""Rolling a forecaster forward: its own forecasts become the input for the days after them."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from lstm_ae.data.panel_scaling import min_max, range_columns
from lstm_ae.data.sequence_data import SequenceData
from lstm_ae.models.autoencoder import Autoencoder
from lstm_ae.models.inference import evaluating
from lstm_ae.spec import Scaler

Forecaster = Callable[[Tensor], Tensor]  # (n, length, features) -> (n, horizon, forecast_features), original units


def make_forecaster(model: Autoencoder, data: SequenceData, rows: Tensor, scaling: str) -> Forecaster:
    """What forecasts the days after an input of the companies `rows` (n,), in original units.

    The input is scaled as in training: by its own range with `scaling` "window", else by the range of each company.
    """
    columns = range_columns(data.spec.feature_names)
    device = next(model.parameters()).device
    fixed = None if scaling == "window" else series_scaler(data, rows)

    def forecast(inputs: Tensor) -> Tensor:
        scaler = fixed
        if scaler is None:
            low, high = min_max(inputs.numpy(), columns)
            scaler = Scaler(torch.from_numpy(low[:, None]), torch.from_numpy(high[:, None]))
        with evaluating(model):
            scaled = scaler.transform(inputs).float().to(device)
            # The head asks the encoder alone: an input of another length has no reconstruction.
            ahead = model.head(scaled, model.encoder(scaled), None)["forecast"][:, -data.spec.horizon :].cpu()
        return scaler.first(ahead.shape[2]).inverse(ahead.double())

    return forecast


def series_scaler(data: SequenceData, rows: Tensor) -> Scaler:
    """The range of each company, (n, 1, features), as its windows have it; NaN for a company without windows."""
    bounds = torch.full((2, len(data.panel.series), 1, data.spec.features), torch.nan, dtype=torch.double)
    for part in (data.train, data.val, data.test):
        bounds[0, part.series], bounds[1, part.series] = part.low.double(), part.high.double()
    return Scaler(bounds[0, rows], bounds[1, rows])


def roll_out(
    forecast: Forecaster, known: Tensor, steps: int, window: int | None, on_step: Callable[[int], None] = lambda n: None
) -> Tensor:
    """Forecast `steps` days, appending what is forecast to what is read.

    Args:
        forecast: from `make_forecaster`. If its forecast has fewer features than its input, its horizon must cover all
            steps.
        known: the days before, (n, days, features), original units.
        steps: days to forecast.
        window: read the last so many days of the growing signal (report A); None: all of it (report B).
        on_step: told how many days each step made.

    Returns:
        the target (the first feature), (n, steps).
    """
    signal, made = known, []
    while sum(part.shape[1] for part in made) < steps:
        ahead = forecast(signal if window is None else signal[:, -window:])
        made.append(ahead[..., 0])
        if ahead.shape[2] == signal.shape[2]:
            signal = torch.cat([signal, ahead], dim=1)
        on_step(ahead.shape[1])
    return torch.cat(made, dim=1)[:, :steps]


def used_until(data: SequenceData, split: str) -> np.ndarray:
    """(symbols,): up to which day training or validation looked at a company; 0 for one that they never saw.

    Days are shared by all companies, so unless the split is by company, a day that one of them was trained on counts
    for all.
    """
    span = data.spec.length + data.spec.horizon
    ends = np.zeros(len(data.panel.series), int)
    for part in (data.train, data.val):
        np.maximum.at(ends, part.series.numpy(), part.time.numpy() + span)
    return ends if split == "by_series" else np.full_like(ends, ends.max())
