"""How good a forecast is, and whether it is better than a naive one by more than chance."""

import math
from typing import NamedTuple

import torch
from scipy.stats import t as student
from torch import Tensor

from lstm_ae.data.sequence_data import SequenceData, Sequences
from lstm_ae.spec import Scaler

TESTED = ("persistence", "ridge", "ridge_time_effects", "ridge_har")  # baselines that a forecast is tested against


class DieboldMariano(NamedTuple):
    """The outcome of a test."""

    statistic: float  # positive: the forecast is better than the baseline
    p: float  # two-sided
    times: int  # the sample size


def diebold_mariano(loss: Tensor, baseline: Tensor, time: Tensor, horizon: int = 1) -> DieboldMariano | None:
    """Whether a forecast's mean loss differs from a baseline's by more than chance (Diebold and Mariano 1995).

    Series move together, so the windows of one time are one observation: the sample is, for each time, the mean over
    series of the difference of losses. Its variance is Newey and West's (1987) with horizon - 1 lags, because forecasts
    of several steps overlap. The statistic has the small-sample correction of Harvey, Leybourne and Newbold (1997) and
    is compared with Student's t with times - 1 degrees of freedom.

    Args:
        loss, baseline: the two losses of each window, (n,).
        time: of each window, (n,).
        horizon: steps forecast at once.

    Returns:
        the outcome; None with too few times, or where the losses never differ.
    """
    times, index = time.unique(return_inverse=True)
    count = len(times)
    if count <= max(2, horizon):
        return None
    difference = (baseline - loss).double()
    means = torch.zeros(count, dtype=torch.double).index_add(0, index, difference) / index.bincount(minlength=count)
    centred = means - means.mean()
    variance = centred.square().mean()
    for lag in range(1, horizon):
        variance += 2 * (1 - lag / horizon) * (centred[lag:] * centred[:-lag]).sum() / count
    correction = (count + 1 - 2 * horizon + horizon * (horizon - 1) / count) / count
    if variance <= 0 or correction <= 0:
        return None
    statistic = math.sqrt(correction) * (means.mean() / (variance / count).sqrt()).item()
    return DieboldMariano(statistic, 2 * student.sf(abs(statistic), count - 1).item(), count)


def right_direction(forecast: Tensor, truth: Tensor, last: Tensor) -> float | None:
    """Share of changes from the last known value whose sign is forecast; steps without a change do not count.

    None for a forecast without any change, as persistence is, or where nothing changes.
    """
    actual, predicted = (truth - last).sign(), (forecast - last).sign()
    moved = actual != 0
    if not moved.any() or not predicted.any():
        return None
    return (actual == predicted)[moved].double().mean().item()


def errors(forecast: Tensor, part: Sequences, scaler: Scaler, unit: str) -> dict[str, float]:
    """The errors of a forecast of the steps after the input, (n, horizon), scaled like the inputs.

    Returns:
        `forecast_unseen` and `forecast_mae`: mean squared and mean absolute error, scaled;
        `forecast_mse_UNIT` and `forecast_mae_UNIT`: the same in original units;
        `forecast_mase`: mean absolute error over that of persistence inside the input (Hyndman and Koehler 2006), a
        mean over windows; those without any change in the input are left out;
        `forecast_direction`: see `right_direction`.
    """
    truth, history = part.truth(), part.inputs[..., 0]
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
    right = right_direction(forecast, truth, history[:, -1:])
    return found if right is None else found | {"forecast_direction": right}


def score(forecast: Tensor, naive: dict[str, Tensor], data: SequenceData) -> tuple[dict[str, float], dict[str, float]]:
    """Measure a model's forecast of the test part and the naive ones, on the same windows.

    Args:
        forecast: of the target on the steps after the input, (n, horizon), scaled, on the CPU.
        naive: from `baselines.naive_forecasts`.
        data: whose test part was forecast.

    Returns:
        for the model, what `errors` measures, `forecast_skill` (1 - MSE / MSE of persistence), `forecast_times` (the
        sample size of the tests), and for each baseline of `TESTED` `forecast_dm_NAME` and `forecast_p_NAME` (see
        `diebold_mariano`);
        for the baselines, the same errors and skills as `METRIC/NAME`, and `forecast_direction/majority`: of always
        forecasting the direction that is the more frequent in the training part.
    """
    test = data.test.to(torch.device("cpu"))
    scaler, unit = data.scaler_of(test), data.spec.unit or "original"
    measured = {name: errors(values, test, scaler, unit) for name, values in {"": forecast, **naive}.items()}
    base = measured["persistence"]["forecast_unseen"]
    for name, values in measured.items():
        if name != "persistence" and base > 0:
            values["forecast_skill"] = 1 - values["forecast_unseen"] / base
    model = measured.pop("")
    squares = {name: (values - test.truth()).square().mean(1) for name, values in {"": forecast, **naive}.items()}
    time = torch.arange(len(test)) if test.time is None else test.time
    for name in (name for name in TESTED if name in naive):
        outcome = diebold_mariano(squares[""], squares[name], time, test.horizon)
        if outcome is not None:
            model |= {f"forecast_dm_{name}": outcome.statistic, f"forecast_p_{name}": outcome.p}
    model["forecast_times"] = len(time.unique())
    found = {f"{metric}/{name}": value for name, values in measured.items() for metric, value in values.items()}
    up = (data.train.truth() - data.train.inputs[:, -1:, 0]).sign().sum() >= 0
    actual = (test.truth() - test.inputs[:, -1:, 0]).sign()
    if (actual != 0).any():
        found["forecast_direction/majority"] = (actual[actual != 0] == (1 if up else -1)).double().mean().item()
    return model, found
