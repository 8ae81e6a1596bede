"""Rolling a forecaster forward: its own forecasts become the input for the steps after them."""

from collections.abc import Callable

import torch
from torch import Tensor
from tqdm import tqdm

from lstm_ae.data.panel_scaling import own_scaler
from lstm_ae.data.sequence_data import SequenceData
from lstm_ae.forecasting.baselines import drift, persistence
from lstm_ae.forecasting.plan import Plan
from lstm_ae.models.autoencoder import Autoencoder
from lstm_ae.models.inference import evaluating
from lstm_ae.spec import Scaler

Forecaster = Callable[[Tensor], Tensor]  # (n, length, features) -> (n, horizon, forecast_features), original units


def make_forecaster(model: Autoencoder, data: SequenceData, rows: Tensor) -> Forecaster:
    """A function that forecasts the steps after an input of the panel's series `rows` (n,), in original units.

    The input is scaled as in training: by its own range, or as the series is.
    """
    columns = data.spec.own_range
    device = next(model.parameters()).device
    fixed = data.scaler if columns or data.scaler is not None else series_scaler(data, rows)

    def forecast(inputs: Tensor) -> Tensor:
        scaler = fixed or own_scaler(inputs, columns, data.spec.own_standardized)
        with evaluating(model):
            made = model(scaler.transform(inputs).float().to(device)).forecast
        assert made is not None, "this model does not forecast"
        ahead = made[:, -data.spec.horizon :].cpu()
        return scaler.first(ahead.shape[2]).inverse(ahead.double())

    return forecast


def series_scaler(data: SequenceData, rows: Tensor) -> Scaler:
    """The scaling of the panel's series `rows` (n,), as their windows have it; NaN for a series without windows."""
    assert data.panel is not None
    bounds = torch.full((2, len(data.panel.series), 1, data.spec.features), torch.nan, dtype=torch.double)
    for part in (data.train, data.val, data.test):
        assert part.low is not None and part.high is not None
        bounds[0, part.series], bounds[1, part.series] = part.low.double(), part.high.double()
    return Scaler(bounds[0, rows], bounds[1, rows])


def roll_out(
    forecast: Forecaster,
    known: Tensor,
    steps: int,
    window: int | None,
    on_progress: Callable[[int], object] = lambda made: None,
) -> Tensor:
    """Forecast `steps` steps, appending what is forecast to what is read.

    Args:
        forecast: from `make_forecaster`. If its forecast has fewer features than its input, its horizon must cover all
            steps.
        known: the values before, (n, times, features), original units.
        steps: to forecast.
        window: read the last so many steps of the growing signal (report A); None: all of it (report B).
        on_progress: called after each forecast with the number of steps it made.

    Returns:
        the target (the first feature), (n, steps).
    """
    signal, made = known, known[:, :0, 0]
    while made.shape[1] < steps:
        ahead = forecast(signal if window is None else signal[:, -window:])
        made = torch.cat([made, ahead[..., 0]], dim=1)
        if ahead.shape[2] == signal.shape[2]:
            signal = torch.cat([signal, ahead], dim=1)
        on_progress(ahead.shape[1])
    return made[:, :steps]


def forecast_beside_baselines(
    model: Autoencoder, data: SequenceData, plan: Plan, growing: bool, show_progress: bool
) -> dict[str, Tensor]:
    """Roll a model forward as planned, and make the naive forecasts of the same times.

    Args:
        model: that forecasts.
        data: that it was trained on.
        plan: which series, from when.
        growing: read all that is known and forecast so far, not just as much as in training.
        show_progress: on a bar.

    Returns:
        `forecast`, `persistence` and `drift`, (rows, steps) each, in original units.
    """
    known, rows = torch.from_numpy(plan.known), torch.from_numpy(plan.rows)
    with tqdm(total=plan.steps, unit="step", leave=False, disable=not show_progress) as bar:
        rolled = roll_out(
            make_forecaster(model, data, rows), known, plan.steps, None if growing else data.spec.length, bar.update
        )
    return {
        "forecast": rolled,
        "persistence": persistence(known, plan.steps),
        "drift": drift(known, plan.steps),
    }
