"""One function measures everything: the model and every baseline that fits what it does."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from lstm_ae.evaluation.measure import evaluate
from lstm_ae.models.autoencoder import Output
from lstm_ae.training.objective import Objective
from tests.data.panels import made_data
from tests.figures.made_data import made


class Model(nn.Module):
    """Answers with what it is given, as an autoencoder does."""

    def __init__(self, **outputs):
        super().__init__()
        self.outputs = outputs
        self.encoder = nn.Identity()
        self.encoder.context_size = 3

    def forward(self, inputs, lengths=None, mask=None):
        return Output(inputs[:, :3, 0], inputs + 0.1, **{name: make(inputs) for name, make in self.outputs.items()})


def test_an_autoencoder_stands_beside_the_mean_and_pca():
    data, _ = made(count=30, classes=("a", "b"))
    result = evaluate(Model(), Objective(1.0), data)
    assert result.test == pytest.approx({"test/loss": 0.01, "test/reconstruction": 0.01}, rel=1e-5)
    expected = {f"test/reconstruction/{name}" for name in ("mean", "pca", "linear_recurrence")}
    assert set(result.baselines) == expected  # it has no accuracy
    torch.testing.assert_close(result.output.reconstruction, data.test.inputs + 0.1)
    assert result.naive == {} and len(result.part) == 30


def test_a_classifier_stands_beside_the_majority_and_a_logistic_regression():
    data, _ = made(count=30, classes=("a", "b"))
    train = replace(data.train, labels=torch.tensor([1] * 20 + [0] * 10))
    model = Model(logits=lambda inputs: torch.tensor([[1.0, 0]]).expand(len(inputs), 2))
    result = evaluate(model, Objective(0.5), replace(data, train=train))
    assert result.test["test/accuracy"] == result.baselines["test/accuracy/majority"] == 0.5
    assert 0 <= result.baselines["test/accuracy/logistic_regression"] <= 1


def test_a_forecaster_stands_beside_the_naive_forecasts():
    data = made_data()
    model = Model(forecast=lambda inputs: inputs[:, -1:, :1])  # it is persistence
    result = evaluate(model, Objective(0.5), data)
    assert set(result.naive) == {"persistence", "drift", "moving_average", "ridge", "ridge_time_effects"}
    for name, forecast in result.naive.items():
        assert forecast.shape == (len(data.test), data.spec.horizon)
        assert f"test/forecast_unseen/{name}" in result.baselines
    assert result.test["test/forecast_unseen"] == pytest.approx(result.baselines["test/forecast_unseen/persistence"])
    assert result.test["test/forecast_skill"] == pytest.approx(0, abs=1e-6)
    assert list(result.test)[:2] == ["test/loss", "test/reconstruction"]


def test_the_model_sees_the_test_part_once_and_in_eval_mode():
    data, _ = made(count=30)
    model = Model()
    seen = []
    model.register_forward_hook(lambda module, inputs, output: seen.append((len(inputs[0]), module.training)))
    model.train()
    evaluate(model, Objective(1.0), data)
    assert seen == [(30, False)] and model.training
