"""How good a forecast is, and whether it is better than a naive one by more than luck."""

import math
from typing import NamedTuple

import torch
from scipy.stats import t as student
from torch import Tensor

from lstm_ae.data.sequence_data import SequenceData, Sequences
from lstm_ae.forecasting.baselines import unseen
from lstm_ae.spec import Scaler


class DieboldMariano(NamedTuple):
    """The outcome of a test."""

    statistic: float  # positive: the forecast is better than the rival
    p: float  # two-sided
    days: int  # the sample size


def diebold_mariano(loss: Tensor, rival: Tensor, day: Tensor, horizon: int = 1) -> DieboldMariano | None:
    """Whether a forecast's mean loss differs from a rival's by more than chance (Diebold and Mariano 1995).

    Companies move together, so the windows of a day are one observation: the sample is the daily mean, across
    companies, of the difference of losses. Its variance is Newey and West's (1987) with horizon - 1 lags, because
    forecasts of several days overlap; the statistic has the small-sample correction of Harvey, Leybourne and Newbold
    (1997) and is held against Student's t with days - 1 degrees of freedom.

    Args:
        loss, rival: of each window, (n,).
        day: of each window, (n,).
        horizon: days forecast at once.

    Returns:
        the outcome; None with too few days, or where the losses never differ.
    """
    days, index = day.unique(return_inverse=True)
    count = len(days)
    if count <= max(2, horizon):
        return None
    difference = (rival - loss).double()
    daily = torch.zeros(count, dtype=torch.double).index_add(0, index, difference) / index.bincount(minlength=count)
    centred = daily - daily.mean()
    variance = centred.square().mean()
    for lag in range(1, horizon):
        variance += 2 * (1 - lag / horizon) * (centred[lag:] * centred[:-lag]).sum() / count
    correction = (count + 1 - 2 * horizon + horizon * (horizon - 1) / count) / count
    if variance <= 0 or correction <= 0:
        return None
    statistic = math.sqrt(correction) * (daily.mean() / (variance / count).sqrt()).item()
    return DieboldMariano(statistic, 2 * student.sf(abs(statistic), count - 1).item(), count)


def direction(forecast: Tensor, truth: Tensor, last: Tensor) -> float | None:
    """Share of changes, from the last known value, whose sign is forecast; days without a change do not count.

    None for a forecast without any change, as persistence is, or where nothing changes.
    """
    actual, said = (truth - last).sign(), (forecast - last).sign()
    moved = actual != 0
    if not moved.any() or not said.any():
        return None
    return (actual == said)[moved].double().mean().item()


def errors(forecast: Tensor, part: Sequences, scaler: Scaler, unit: str) -> dict[str, float]:
    """The errors of a forecast (n, horizon), scaled like the inputs, of the days after the input.

    Returns:
        `forecast_unseen` and `forecast_mae`, mean squared and mean absolute error, scaled;
        `forecast_mse_UNIT` and `forecast_mae_UNIT`, the same in original units;
        `forecast_mase`: mean absolute error over that of persistence inside the input (Hyndman and Koehler 2006), a
        mean over windows, those without any change in the input left out;
        `forecast_direction`: see `direction`.
    """
    truth, history = unseen(part), part.inputs[..., 0]
    error = (forecast - truth).double()
    target = scaler.first(1)
    original = (target.inverse(forecast[..., None]) - target.inverse(truth[..., None])).double()
    usual = history.diff(dim=1).abs().double().mean(1)
    found = {
        "forecast_unseen": error.square().mean().item(),
        "forecast_mae": error.abs().mean().item(),
        f"forecast_mse_{unit}": original.square().mean().item(),
        f"forecast_mae_{unit}": original.abs().mean().item(),
    }
    if (usual > 0).any():
        found["forecast_mase"] = (error.abs().mean(1)[usual > 0] / usual[usual > 0]).mean().item()
    right = direction(forecast, truth, history[:, -1:])
    return found if right is None else found | {"forecast_direction": right}


def score(forecast: Tensor, naive: dict[str, Tensor], data: SequenceData) -> tuple[dict[str, float], dict[str, float]]:
    """A model's forecast of the test part, and the naive ones, measured on the same windows.

    Args:
        forecast: of the target on the days after the input, (n, horizon), scaled, on the CPU.
        naive: from `baselines.naive_forecasts`.
        data: of which the test part was forecast.

    Returns:
        for the model, what `errors` measures, and `forecast_skill` (1 - MSE / MSE of persistence), `forecast_times`
        (the sample size of the tests), and `forecast_dm_NAME` and `forecast_p_NAME` (see `diebold_mariano`) against
        persistence and both ridge regressions; for the baselines the same errors and skills as `METRIC/NAME`, and
        `forecast_direction/majority`, of always naming the direction that is the more frequent in the training part.
    """
    test = data.test.to(torch.device("cpu"))
    scaler = test.scaler or data.scaler
    unit = "shares" if data.spec.feature_names[:1] == ("volume",) else "dollars"
    measured = {name: errors(values, test, scaler, unit) for name, values in {"": forecast, **naive}.items()}
    base = measured["persistence"]["forecast_unseen"]
    for name, values in measured.items():
        if name != "persistence" and base > 0:
            values["forecast_skill"] = 1 - values["forecast_unseen"] / base
    model = measured.pop("")
    squares = {name: (values - unseen(test)).square().mean(1) for name, values in {"": forecast, **naive}.items()}
    for name in ("persistence", "ridge", "ridge_time_effects"):
        outcome = diebold_mariano(squares[""], squares[name], test.time, test.horizon)
        if outcome is not None:
            model |= {f"forecast_dm_{name}": outcome.statistic, f"forecast_p_{name}": outcome.p}
    model["forecast_times"] = len(test.time.unique())
    found = {f"{metric}/{name}": value for name, values in measured.items() for metric, value in values.items()}
    up = (unseen(data.train) - data.train.inputs[:, -1:, 0]).sign().sum() >= 0
    actual = (unseen(test) - test.inputs[:, -1:, 0]).sign()
    if (actual != 0).any():
        found["forecast_direction/majority"] = (actual[actual != 0] == (1 if up else -1)).double().mean().item()
    return model, found
