"""The gradient of the loss against finite differences in double precision, for each kind of task and decoder."""

import pytest
import torch

from lstm_ae.data.sequence_data import Sequences
from lstm_ae.models.autoencoder import Output
from lstm_ae.training.objective import Objective
from tests.models.parts import make_autoencoder

STEP = 1e-6


@pytest.mark.parametrize("decoder", ["repeat_context", "initial_state", "autoregressive"])
@pytest.mark.parametrize("head", [None, "context", "separate"])
def test_the_gradient_of_a_whole_model(decoder, head):
    """Along random directions: (loss(w + h d) - loss(w - h d)) / 2h = gradient . d"""
    torch.manual_seed(0)
    model = make_autoencoder(decoder, head, num_layers=2).double()
    objective = Objective(0.3 if head else 1.0)
    batch = Sequences(torch.rand(7, 5, 3, dtype=torch.double), labels=torch.randint(4, (7,)) if head else None)
    parameters = list(model.parameters())

    def loss() -> torch.Tensor:
        return objective(model(batch.inputs), batch, training=True)["loss"]

    loss().backward()
    for _ in range(3):
        directions = [torch.randn_like(weights) for weights in parameters]
        found = []
        for sign in (1, -2):
            with torch.no_grad():
                for weights, direction in zip(parameters, directions, strict=True):
                    weights += sign * STEP * direction
                found.append(loss().item())
        with torch.no_grad():
            for weights, direction in zip(parameters, directions, strict=True):
                weights += STEP * direction
        expected = (found[0] - found[1]) / (2 * STEP)
        pairs = zip(parameters, directions, strict=True)
        slope = sum((w.grad * d).sum().item() for w, d in pairs if w.grad is not None)
        assert slope == pytest.approx(expected, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("time_effect_weight", [1.0, 0.4])
def test_the_gradient_of_the_objective(masked, time_effect_weight):
    """`gradcheck` on what a model returns: reconstruction and forecast, with and without missing values."""
    torch.manual_seed(1)
    inputs, targets = (torch.rand(6, 4, 2, dtype=torch.double) for _ in range(2))
    time = torch.tensor([0, 0, 1, 1, 1, 2])
    mask = torch.rand(6, 4, 2) > 0.3 if masked else None
    batch = Sequences(inputs, targets=targets, time=time, horizon=1, mask=mask)
    objective = Objective(0.6, time_effect_weight)

    def loss(reconstruction: torch.Tensor, forecast: torch.Tensor) -> torch.Tensor:
        return objective(Output(torch.zeros(6, 2), reconstruction, None, forecast), batch, training=True)["loss"]

    made = [torch.rand(6, 4, 2, dtype=torch.double, requires_grad=True) for _ in range(2)]
    assert torch.autograd.gradcheck(loss, made)


def test_the_gradient_of_the_cross_entropy():
    torch.manual_seed(2)
    batch = Sequences(torch.rand(6, 4, 2, dtype=torch.double), labels=torch.randint(3, (6,)))

    def loss(reconstruction: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        return Objective(0.2)(Output(torch.zeros(6, 2), reconstruction, logits, None), batch)["loss"]

    reconstruction = torch.rand(6, 4, 2, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(loss, [reconstruction, torch.rand(6, 3, dtype=torch.double, requires_grad=True)])
