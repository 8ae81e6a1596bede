"""Naive forecasts that every forecast is held against (Hyndman and Athanasopoulos, Forecasting, 2021, chapter 5).

Each forecasts the target, the first feature of `inputs` (n, length, features), for `horizon` days: (n, horizon).
"""

import math

import torch
from torch import Tensor

from lstm_ae.data.sequence_data import SequenceData, Sequences

MOVING_AVERAGE_DAYS = 5  # a trading week
PENALTIES = [10.0**power for power in range(-6, 3)]  # beside a mean squared value of 1
RIDGE_DAYS = (5, 10, 20)  # and the whole window
TIME_EFFECT_WEIGHT = 0.0025  # of what a day's windows share, in the ridge regression with day effects
CHUNK = 20_000  # windows in double precision at a time


def persistence(inputs: Tensor, horizon: int) -> Tensor:
    """Every day as the last known one."""
    return inputs[:, -1:, 0].expand(-1, horizon)


def drift(inputs: Tensor, horizon: int) -> Tensor:
    """The line through the first and the last known day, drawn on."""
    slope = (inputs[:, -1:, 0] - inputs[:, :1, 0]) / max(inputs.shape[1] - 1, 1)
    return inputs[:, -1:, 0] + slope * torch.arange(1, horizon + 1, device=inputs.device)


def moving_average(inputs: Tensor, horizon: int) -> Tensor:
    """Every day as the mean of the last `MOVING_AVERAGE_DAYS`."""
    return inputs[:, -MOVING_AVERAGE_DAYS:, 0].mean(1, keepdim=True).expand(-1, horizon)


class Ridge:
    """Ridge regression (Hoerl and Kennard 1970) of the change from the last known value on the values of the window.

    The values are standardised. The penalty, and how many of the window's last days are read, are those with the
    smallest squared error on the validation part. Solved by the normal equations, gathered in chunks, so that the
    memory needed does not grow with the number of windows.

    Args:
        train, val: windows with targets.
        time_effect_weight: of the part of the training error that all windows of a time share: below 1, the
            regression is one with random time effects (Balestra and Nerlove 1966), as a network's objective has them.
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
        for days in sorted({min(days, length) for days in (*RIDGE_DAYS, length)}):
            for penalty in PENALTIES:
                recent = slice(-(days * features + 1), None)
                weights = torch.zeros_like(cross)
                system = (gram + penalty * identity)[recent, recent]
                weights[recent] = torch.linalg.lstsq(system, cross[recent]).solution
                error = ((val_gram @ weights - 2 * val_cross) * weights).sum().item() + val_square
                if error < best:
                    self.weights, self.penalty, self.days, best = weights, penalty, days, error

    def _products(self, part: Sequences) -> tuple[Tensor, Tensor, float]:
        """Mean products of values with values, of values with changes, and of changes with themselves."""
        gram, cross, square = 0.0, 0.0, 0.0
        for batch in part.chunks(CHUNK):
            values, change = self._standardised(batch.inputs), unseen(batch).double() - batch.inputs[:, -1:, 0]
            gram, cross = gram + values.T @ values / len(part), cross + values.T @ change / len(part)
            square += change.square().sum().item() / len(part)
        return gram, cross, square

    def _shared_products(self, part: Sequences) -> tuple[Tensor, Tensor]:
        """As `_products`, of each window's day mean instead of its own values and changes."""
        days, group = part.time.unique(return_inverse=True)
        sums = 0.0
        for batch, place in zip(part.chunks(CHUNK), group.split(CHUNK), strict=True):
            values, change = self._standardised(batch.inputs), unseen(batch).double() - batch.inputs[:, -1:, 0]
            both = torch.cat([values, change], dim=1)
            sums = sums + both.new_zeros(len(days), both.shape[1]).index_add(0, place, both)
        products = sums.T @ (sums / group.bincount()[:, None]) / len(part)
        width = values.shape[1]
        return products[:width, :width], products[:width, width:]

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
    """Mean and standard deviation (1 where it is 0) of each value of the windows, (length * features)."""
    total, squares = 0.0, 0.0
    for batch in part.chunks(CHUNK):
        total = total + batch.inputs.flatten(1).double().sum(0)
    mean = total / len(part)
    for batch in part.chunks(CHUNK):
        squares = squares + (batch.inputs.flatten(1).double() - mean).square().sum(0)
    std = (squares / len(part)).sqrt()
    return mean, torch.where(std == 0, 1.0, std)


def unseen(part: Sequences) -> Tensor:
    """The target on the days after the input, (n, horizon)."""
    return part.targets[:, -part.horizon :, 0]


def naive_forecasts(data: SequenceData) -> dict[str, Tensor]:
    """Each baseline's forecast of the test part (n, horizon), scaled, on the CPU; what is fitted sees no test."""
    train, val, test = (part.to(torch.device("cpu")) for part in (data.train, data.val, data.test))
    return {
        "persistence": persistence(test.inputs, test.horizon),
        "drift": drift(test.inputs, test.horizon),
        "moving_average": moving_average(test.inputs, test.horizon),
        "ridge": Ridge(train, val)(test.inputs),
        "ridge_time_effects": Ridge(train, val, TIME_EFFECT_WEIGHT)(test.inputs),
    }
