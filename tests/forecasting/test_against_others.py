"""The scores of forecasts against other people's programs, whose numbers were computed once and stand here."""

import numpy as np
import pytest
import torch

from lstm_ae.data.sequence_data import Sequences
from lstm_ae.forecasting.scores import diebold_mariano, errors
from lstm_ae.spec import Scaler

# dieboldmariano 1.1.0 (PyPI): dm_test(0, one, two, h=h, variance_estimator="bartlett", harvey_correction=True), whose
# statistic is negative where the first forecast is the better one.
DIEBOLD_MARIANO = {
    1: (-3.397146900359457, 0.001224637243111981),
    3: (-3.070230730665125, 0.003231177779122367),
    5: (-4.665656056118509, 1.8127382314098976e-05),
}


@pytest.mark.parametrize("horizon", DIEBOLD_MARIANO)
def test_diebold_mariano(horizon):
    time = np.arange(60)
    one = 0.8 * np.sin(0.7 * time) + 0.1 * np.cos(2.3 * time)
    two = np.cos(0.5 * time) + 0.2 * np.sin(1.1 * time + 1)
    losses = (torch.from_numpy(error**2) for error in (one, two))
    outcome = diebold_mariano(*losses, torch.from_numpy(time), horizon)
    statistic, p = DIEBOLD_MARIANO[horizon]
    assert outcome.statistic == pytest.approx(-statistic, rel=1e-9)
    assert outcome.p == pytest.approx(p, rel=1e-6)


def test_mean_absolute_scaled_error():
    """utilsforecast 0.2.17 (PyPI): mase(..., seasonality=1) of this history, truth and forecast."""
    history = [0.0, 2.65, 3.522, 2.182, -0.128, -1.433, -0.518, 2.15, 4.781, 5.61, 4.236, 1.927]
    truth = torch.tensor([[0.657, 1.614, 4.301, 6.911]], dtype=torch.double)
    forecast = truth + torch.tensor([0.5, -0.25, 1.0, 0.125])
    inputs = torch.tensor(history, dtype=torch.double)[None, :, None]
    part = Sequences(inputs, targets=truth[..., None], horizon=4)
    found = errors(forecast, part, Scaler(0.0, 1.0), "unit")
    assert found["forecast_mase"] == pytest.approx(0.2685127323855648, rel=1e-9)
