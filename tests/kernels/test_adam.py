"""clip_and_step against torch's clip_grad_norm_ and step."""

import copy

import pytest
import torch
from torch import nn

from lstm_ae.kernels import LSTM, clip_and_step


def make_model():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(3, 37), nn.Tanh(), nn.Linear(37, 2))


def train(model, optimizer, backend, max_norm, steps=8):
    generator = torch.Generator().manual_seed(2)
    for _ in range(steps):
        optimizer.zero_grad()
        inputs = torch.randn(5, 3, generator=generator)
        (10 * model(inputs)).square().mean().backward()
        clip_and_step(optimizer, max_norm, backend)


def assert_same_state(mine, theirs):
    mine, theirs = mine.state_dict(), theirs.state_dict()
    assert mine["param_groups"] == theirs["param_groups"]
    assert mine["state"].keys() == theirs["state"].keys()
    for number, state in theirs["state"].items():
        assert mine["state"][number].keys() == state.keys()
        for name, value in state.items():
            torch.testing.assert_close(mine["state"][number][name], value, rtol=1e-4, atol=1e-6)


SETTINGS = [
    (torch.optim.Adam, {}),
    (torch.optim.Adam, {"weight_decay": 0.1, "betas": (0.8, 0.95), "eps": 1e-4}),
    (torch.optim.Adam, {"fused": True}),
    (torch.optim.AdamW, {"lr": 0.01, "weight_decay": 0.3}),
]


@pytest.mark.parametrize("kind,settings", SETTINGS, ids=str)
@pytest.mark.parametrize("max_norm", [None, 0.5, 1e6])
def test_native_is_torch_up_to_rounding(compiled, kind, settings, max_norm):
    models = [make_model(), make_model()]
    optimizers = [kind(model.parameters(), **settings) for model in models]
    for model, optimizer, backend in zip(models, optimizers, ("native", "torch"), strict=True):
        train(model, optimizer, backend, max_norm)
    for mine, theirs in zip(*(model.parameters() for model in models), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)
    assert_same_state(*optimizers)


@pytest.mark.parametrize("first,then", [("native", "torch"), ("torch", "native")])
def test_the_state_goes_from_one_to_the_other(compiled, first, then):
    model = make_model()
    optimizer = torch.optim.Adam(model.parameters())
    train(model, optimizer, first, 1.0)
    expected = copy.deepcopy(model)
    continued = torch.optim.Adam(expected.parameters())
    continued.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    train(model, optimizer, then, 1.0)
    train(expected, continued, first, 1.0)
    for mine, theirs in zip(model.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)
    assert_same_state(optimizer, continued)


def test_groups_and_parameters_without_gradients(compiled):
    models = [make_model(), make_model()]
    for model, backend in zip(models, ("native", "torch"), strict=True):
        model[0].bias.requires_grad_(False)
        groups = [{"params": model[0].parameters(), "lr": 0.1}, {"params": model[2].parameters(), "weight_decay": 0.2}]
        train(model, torch.optim.AdamW(groups), backend, 0.5)
    for mine, theirs in zip(*(model.parameters() for model in models), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda parameters: torch.optim.Adam(parameters, amsgrad=True),
        lambda parameters: torch.optim.SGD(parameters, lr=0.1),
        lambda parameters: torch.optim.Adam(parameters, lr=torch.tensor(0.1)),
    ],
)
def test_other_optimizers_are_torchs(compiled, make):
    models = [make_model(), make_model()]
    for model, backend in zip(models, ("native", "torch"), strict=True):
        train(model, make(list(model.parameters())), backend, 0.5)
    for mine, theirs in zip(*(model.parameters() for model in models), strict=True):
        assert torch.equal(mine, theirs)


def test_torch_notices_that_values_have_changed(compiled):
    lstm = LSTM(2, 3)
    lstm.backend = "native"
    optimizer = torch.optim.Adam(lstm.parameters())
    lstm(torch.randn(2, 3, 2))[0].sum().backward()
    states, _ = lstm(torch.randn(2, 3, 2))
    clip_and_step(optimizer, None, "native")
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        states.sum().backward()
