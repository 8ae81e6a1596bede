"""Every metric of training and test against scikit-learn's."""

import numpy as np
import pytest
import torch
from sklearn import metrics

from lstm_ae.data.sequence_data import Sequences
from lstm_ae.evaluation.baselines import accuracy_baselines
from lstm_ae.forecasting.scores import errors
from lstm_ae.models.autoencoder import Output
from lstm_ae.spec import Scaler
from lstm_ae.training.objective import Objective


def test_reconstruction_with_and_without_missing_values():
    generator = torch.Generator().manual_seed(0)
    inputs, made = (torch.rand(9, 5, 2, generator=generator) for _ in range(2))
    mask = torch.rand(9, 5, 2, generator=generator) > 0.4
    for exists in (None, mask):
        batch = Sequences(inputs if exists is None else inputs.masked_fill(~exists, 0), mask=exists)
        found = Objective(1.0)(Output(torch.zeros(9, 1), made), batch)["reconstruction"].item()
        weights = None if exists is None else exists.flatten().numpy()
        expected = metrics.mean_squared_error(inputs.flatten().numpy(), made.flatten().numpy(), sample_weight=weights)
        assert found == pytest.approx(expected, rel=1e-5)


def test_classification():
    generator = torch.Generator().manual_seed(1)
    logits, labels = torch.randn(50, 4, generator=generator), torch.randint(4, (50,), generator=generator)
    batch = Sequences(torch.rand(50, 3, 1), labels=labels)
    found = Objective(0.25)(Output(torch.zeros(50, 1), batch.inputs, logits), batch)
    assert found["accuracy"].item() == pytest.approx(metrics.accuracy_score(labels, logits.argmax(1)))
    expected = metrics.log_loss(labels, logits.double().softmax(1), labels=range(4))
    assert found["cross_entropy"].item() == pytest.approx(expected, rel=1e-5)
    assert found["loss"].item() == pytest.approx(0.75 * expected, rel=1e-5)


def test_forecast_errors_scaled_and_in_original_units():
    generator = torch.Generator().manual_seed(2)
    targets, forecast = torch.rand(20, 6, 1, generator=generator), torch.rand(20, 2, generator=generator)
    part = Sequences(torch.rand(20, 5, 1, generator=generator), targets=targets, horizon=2)
    found = errors(forecast, part, Scaler(10.0, 30.0), "kWh")
    truth = targets[:, -2:, 0].numpy()
    assert found["forecast_unseen"] == pytest.approx(metrics.mean_squared_error(truth, forecast), rel=1e-5)
    assert found["forecast_mae"] == pytest.approx(metrics.mean_absolute_error(truth, forecast), rel=1e-5)
    original = [10 + 20 * values for values in (truth, forecast.numpy())]
    assert found["forecast_mse_kWh"] == pytest.approx(metrics.mean_squared_error(*original), rel=1e-5)
    assert found["forecast_mae_kWh"] == pytest.approx(metrics.mean_absolute_error(*original), rel=1e-5)


def test_the_majority_is_scikit_learns_dummy():
    from sklearn.dummy import DummyClassifier

    generator = torch.Generator().manual_seed(3)
    parts = [Sequences(torch.rand(n, 3, 1), labels=torch.randint(3, (n,), generator=generator)) for n in (40, 30)]
    dummy = DummyClassifier(strategy="most_frequent").fit(np.zeros((40, 1)), parts[0].labels)
    expected = dummy.score(np.zeros((30, 1)), parts[1].labels)
    (found,) = (value for name, value in accuracy_baselines(*parts).items() if name.endswith("majority"))
    assert found == pytest.approx(expected)
