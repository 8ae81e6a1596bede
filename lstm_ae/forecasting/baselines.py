"""Naive forecasts to compare every forecast with (Hyndman and Athanasopoulos, Forecasting, 2021, chapter 5).

Each forecasts the target, the first feature of `inputs` (n, length, features), for the `horizon` steps after them:
(n, horizon).
"""

import math
from dataclasses import replace

import torch
from torch import Tensor

from lstm_ae.data.sequence_data import SequenceData, Sequences

MOVING_AVERAGE_STEPS = 5
PENALTIES = [10.0**power for power in range(-6, 3)]  # beside a mean squared value of 1
MEAN_STEPS = (22, 5)
RIDGE_STEPS = (5, 10, 20)  # how many of the last steps the ridge regression may read; and the whole window
TIME_EFFECT_WEIGHT = 0.0025  # in the ridge regression with time effects, of what the windows of one time share
CHUNK = 20_000  # windows in double precision at a time


def persistence(inputs: Tensor, horizon: int) -> Tensor:
    """The last known value, at every step."""
    return inputs[:, -1:, 0].expand(-1, horizon)


def drift(inputs: Tensor, horizon: int) -> Tensor:
    """The line through the first and the last known value, continued."""
    slope = (inputs[:, -1:, 0] - inputs[:, :1, 0]) / max(inputs.shape[1] - 1, 1)
    return inputs[:, -1:, 0] + slope * torch.arange(1, horizon + 1, device=inputs.device)


def moving_average(inputs: Tensor, horizon: int) -> Tensor:
    """The mean of the last `MOVING_AVERAGE_STEPS` known values, at every step."""
    return inputs[:, -MOVING_AVERAGE_STEPS:, 0].mean(1, keepdim=True).expand(-1, horizon)


def from_known(train: Sequences, test: Sequences, feature: int) -> Tensor:
    """What is known of the step to forecast, and what usually comes on top of it: the mean over the training part.

    Args:
        train, test: windows with targets.
        feature: holds at the last step what is known of the next one.
    """
    usual = (train.truth() - train.inputs[:, -1:, feature]).mean(0)
    return test.inputs[:, -1:, feature] + usual


def summarised(part: Sequences) -> Sequences:
    """The last steps, and before them the means of ever more of them: a heterogeneous autoregression (Corsi 2009).

    Of each feature the means over the whole window, 22 and 5 steps (of days: a month, and a week), then the steps that
    the longest of the short ridge regressions reads.
    """
    means = [part.inputs[:, -steps:].mean(1, keepdim=True) for steps in (part.inputs.shape[1], *MEAN_STEPS)]
    return replace(part, inputs=torch.cat([*means, part.inputs[:, -max(RIDGE_STEPS) :]], dim=1))


class Ridge:
    """Ridge regression (Hoerl and Kennard 1970) of the change from the last known value on the values of the window.

    The values are standardised. The penalty, and how many of the window's last steps are read, are those with the
    smallest squared error on the validation part. Solved by the normal equations, which are summed up in chunks, so
    that the memory needed does not grow with the number of windows.

    Args:
        train, val: windows with targets.
        time_effect_weight: of the part of the training error that all windows of one time share: below 1 this is a
            regression with random time effects (Balestra and Nerlove 1966), as in a network's objective.
    """

    def __init__(self, train: Sequences, val: Sequences, time_effect_weight: float = 1.0) -> None:
        self.mean, self.std = moments(train)
        gram, cross, _ = self._products(train)
        if time_effect_weight < 1:
            shared_gram, shared_cross = self._shared_products(train)
            gram, cross = gram - (1 - time_effect_weight) * shared_gram, cross - (1 - time_effect_weight) * shared_cross
        val_gram, val_cross, val_square = self._products(val)
        identity = torch.eye(len(gram), dtype=gram.dtype)
        identity[-1, -1] = 0  # the intercept is not penalised
        length, features = train.inputs.shape[1:]
        best = math.inf
        for steps in sorted({min(steps, length) for steps in (*RIDGE_STEPS, length)}):
            for penalty in PENALTIES:
                recent = slice(-(steps * features + 1), None)
                weights = torch.zeros_like(cross)
                system = (gram + penalty * identity)[recent, recent]
                weights[recent] = torch.linalg.lstsq(system, cross[recent]).solution
                error = ((val_gram @ weights - 2 * val_cross) * weights).sum().item() + val_square
                if error < best:
                    self.weights, self.penalty, self.steps, best = weights, penalty, steps, error

    def _products(self, part: Sequences) -> tuple[Tensor, Tensor, float]:
        """Mean products of values with values, of values with changes, and of changes with themselves."""
        gram = cross = torch.zeros((), dtype=torch.double)
        square = 0.0
        for batch in part.chunks(CHUNK):
            values, change = self._values_and_change(batch)
            gram, cross = gram + values.T @ values / len(part), cross + values.T @ change / len(part)
            square += change.square().sum().item() / len(part)
        return gram, cross, square

    def _shared_products(self, part: Sequences) -> tuple[Tensor, Tensor]:
        """As `_products`, with the mean over all windows of its time in place of each window's values and changes."""
        assert part.time is not None
        times, group = part.time.unique(return_inverse=True)
        sums = torch.zeros((), dtype=torch.double)
        for batch, place in zip(part.chunks(CHUNK), group.split(CHUNK), strict=True):
            both = torch.cat(self._values_and_change(batch), dim=1)
            sums = sums + both.new_zeros(len(times), both.shape[1]).index_add(0, place, both)
        products = sums.T @ (sums / group.bincount()[:, None]) / len(part)
        width = len(products) - part.horizon
        return products[:width, :width], products[:width, width:]

    def _values_and_change(self, batch: Sequences) -> tuple[Tensor, Tensor]:
        """Standardised values (n, values + 1), and the change from the last known value (n, horizon)."""
        return self._standardised(batch.inputs), batch.truth().double() - batch.inputs[:, -1:, 0]

    def __call__(self, inputs: Tensor) -> Tensor:
        """Inputs (n, length, features) -> forecasts (n, horizon)."""
        forecasts = [
            chunk[:, -1:, 0] + (self._standardised(chunk) @ self.weights).float() for chunk in inputs.split(CHUNK)
        ]
        return torch.cat(forecasts)

    def _standardised(self, inputs: Tensor) -> Tensor:
        values = (inputs.flatten(1).double() - self.mean) / self.std
        return torch.cat([values, values.new_ones(len(values), 1)], dim=1)


def moments(part: Sequences) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each value of a window, in double precision; a constant's deviation is 1."""
    total = squares = torch.zeros((), dtype=torch.double)
    for batch in part.chunks(CHUNK):
        total = total + batch.inputs.flatten(1).double().sum(0)
    mean = total / len(part)
    for batch in part.chunks(CHUNK):
        squares = squares + (batch.inputs.flatten(1).double() - mean).square().sum(0)
    std = (squares / len(part)).sqrt()
    return mean, torch.where(std == 0, 1.0, std)


def naive_forecasts(data: SequenceData) -> dict[str, Tensor]:
    """Each baseline's forecast of the test part (n, horizon), scaled, on the CPU; nothing is fitted on the test part.

    `ridge_time_effects` is only there for series that share their times (and `ridge_har`, a ridge regression on what
    `summarised` makes of windows longer than that, has time effects there too), `known` where something is known of
    the step to forecast.
    """
    train, val, test = (part.to(torch.device("cpu")) for part in (data.train, data.val, data.test))
    forecasts = {
        "persistence": persistence(test.inputs, test.horizon),
        "drift": drift(test.inputs, test.horizon),
        "moving_average": moving_average(test.inputs, test.horizon),
        "ridge": Ridge(train, val)(test.inputs),
    }
    for feature in data.spec.known[:1]:
        forecasts["known"] = from_known(train, test, feature)
    shared = train.time is not None and (data.panel is None or data.panel.shared)
    if shared:
        forecasts["ridge_time_effects"] = Ridge(train, val, TIME_EFFECT_WEIGHT)(test.inputs)
    if train.inputs.shape[1] > max(RIDGE_STEPS):
        har = Ridge(summarised(train), summarised(val), TIME_EFFECT_WEIGHT if shared else 1.0)
        forecasts["ridge_har"] = har(summarised(test).inputs)
    return forecasts
