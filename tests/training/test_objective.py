"""The loss and the metrics, held against numbers worked out by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lstm_ae.data.sequence_data import Sequences
from lstm_ae.errors import ConfigError
from lstm_ae.models.autoencoder import Output
from lstm_ae.training.objective import Objective, time_effect_loss

BATCH = Sequences(torch.zeros(2, 3, 2), torch.tensor([0, 1]))
CONTEXT = torch.zeros(2, 1)
# Squared errors: 4 in each of the 6 values of the first sequence, 0 in the second.
RECONSTRUCTION = torch.stack([torch.full((3, 2), 2.0), torch.zeros(3, 2)])
# Class probabilities: 3/4 for the true class of the first, 1/2 for that of the second, which goes to the other.
LOGITS = torch.tensor([[math.log(3.0), 0.0, -torch.inf], [0.01, 0.0, -torch.inf]])


@pytest.mark.parametrize("reconstruction_weight", [0.0, 0.3, 0.5, 1.0])
def test_joint_loss_by_hand(reconstruction_weight):
    metrics = Objective(reconstruction_weight)(Output(CONTEXT, RECONSTRUCTION, LOGITS), BATCH)
    cross_entropy = (math.log(4 / 3) + math.log(1 + math.exp(0.01))) / 2
    assert metrics["reconstruction"].item() == pytest.approx(2.0)
    assert metrics["cross_entropy"].item() == pytest.approx(cross_entropy)
    assert metrics["accuracy"].item() == 0.5
    expected = reconstruction_weight * 2 + (1 - reconstruction_weight) * cross_entropy
    assert metrics["loss"].item() == pytest.approx(expected)
    assert list(metrics) == ["loss", "reconstruction", "cross_entropy", "accuracy"]


def test_reconstruction_alone_without_logits():
    metrics = Objective(1.0)(Output(CONTEXT, RECONSTRUCTION), BATCH)
    assert {name: value.item() for name, value in metrics.items()} == {"loss": 2.0, "reconstruction": 2.0}


def test_labels_without_a_classifier_are_left_alone():
    one = Objective(1.0)(Output(CONTEXT, RECONSTRUCTION), BATCH)
    two = Objective(1.0)(Output(CONTEXT, RECONSTRUCTION), Sequences(BATCH.inputs))
    assert one == two


@pytest.mark.parametrize(("weight", "fields"), [(1.0, {"reconstruction"}), (0.0, {"logits"})])
def test_the_weight_decides_what_is_learnt(weight, fields):
    parts = {"reconstruction": RECONSTRUCTION.clone(), "logits": torch.rand(2, 3)}
    for part in parts.values():
        part.requires_grad_()
    Objective(weight)(Output(CONTEXT, **parts), BATCH)["loss"].backward()
    assert {name for name, part in parts.items() if part.grad.abs().sum() > 0} == fields


FORECAST = Sequences(torch.zeros(2, 3, 2), targets=torch.zeros(2, 3, 2), horizon=1)


def test_forecast_loss_by_hand():
    forecast = torch.zeros(2, 3, 2)
    forecast[0, 2] = torch.tensor([2.0, 4.0])  # the unseen day of one sequence: target, other feature
    forecast[1, 0, 0] = 1.0  # a seen day of the other
    metrics = Objective(0.25)(Output(CONTEXT, RECONSTRUCTION, forecast=forecast), FORECAST)
    assert metrics["forecast"].item() == pytest.approx((4 + 16 + 1) / 12)
    assert metrics["forecast_unseen"].item() == pytest.approx(4 / 2)
    assert metrics["forecast_seen"].item() == pytest.approx(1 / 4)
    assert metrics["loss"].item() == pytest.approx(0.25 * 2 + 0.75 * 21 / 12)


def test_without_seen_days_nothing_is_said_of_them():
    part = Sequences(torch.zeros(2, 3, 2), targets=torch.zeros(2, 3, 1), horizon=3)
    metrics = Objective(0.5)(Output(CONTEXT, RECONSTRUCTION, forecast=torch.ones(2, 3, 1)), part)
    assert list(metrics) == ["loss", "reconstruction", "forecast", "forecast_unseen"]
    assert metrics["forecast"] == metrics["forecast_unseen"] == 1


def test_targets_without_a_forecaster_are_left_alone():
    assert list(Objective(1.0)(Output(CONTEXT, RECONSTRUCTION), FORECAST)) == ["loss", "reconstruction"]


def stocks(forecast, day):
    inputs = torch.zeros(len(day), 3, 1)
    part = Sequences(inputs, targets=torch.zeros_like(forecast), horizon=1, time=torch.tensor(day))
    return Output(torch.zeros(len(day), 1), inputs, forecast=forecast), part


def test_the_shared_part_of_a_days_error_by_hand():
    # Day 7: errors 3 and 1, so 2 is shared and 1 each one's own. Day 5: all of its one error is shared.
    output, part = stocks(torch.tensor([3.0, 4.0, 1.0]).view(3, 1, 1), [7, 5, 7])
    for weight in (0.0, 0.1, 1.0):
        metrics = Objective(0.0, weight)(output, part, training=True)
        assert metrics["loss"].item() == pytest.approx((1 + 1 + weight * (4 + 4 + 16)) / 3)
        assert metrics["forecast"].item() == pytest.approx(26 / 3)
        assert Objective(0.0, weight)(output, part)["loss"].item() == pytest.approx(26 / 3)  # what is validated


@given(st.floats(0, 1), st.integers(0, 1000))
def test_it_is_the_square_of_the_quasi_demeaned_error(theta, seed):
    generator = torch.Generator().manual_seed(seed)
    day = torch.randint(0, 4, (12,), generator=generator)
    error = torch.randn(12, 2, 1, generator=generator, dtype=torch.double)
    shared = torch.stack([error[day == d].mean(0) for d in day])
    assert time_effect_loss(error, day, (1 - theta) ** 2).item() == pytest.approx(
        (error - theta * shared).square().mean().item()
    )


def test_only_stocks_share_a_market():
    with pytest.raises(ConfigError, match=r"objective\.time_effect_weight=0\.5"):
        Objective(0.5, 0.5)(Output(CONTEXT, RECONSTRUCTION, LOGITS), BATCH)
