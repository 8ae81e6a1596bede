"""The weights inside the LSTMs may learn at a rate of their own."""

import torch

from lstm_ae.training.parameter_groups import parameter_groups
from tests.models.parts import make_autoencoder


def test_all_parameters_are_in_one_group_or_in_two():
    model = make_autoencoder("initial_state", head="separate")
    (everything,) = parameter_groups(model)
    assert set(map(id, everything["params"])) == set(map(id, model.parameters())) and set(everything) == {"params"}
    others, recurrent = parameter_groups(model, 1e-4)
    named = {id(weights): name for name, weights in model.named_parameters()}
    inside = {named[id(weights)] for weights in recurrent["params"]}
    assert recurrent["lr"] == 1e-4 and "lr" not in others
    assert inside == {name for name in named.values() if ".lstm." in name}
    assert len(others["params"]) + len(recurrent["params"]) == len(named)


def test_each_group_takes_steps_of_its_own_size():
    model = make_autoencoder("initial_state", head="context")
    before = {name: weights.detach().clone() for name, weights in model.named_parameters()}
    optimizer = torch.optim.Adam(parameter_groups(model, 1e-5), lr=1e-2)
    output = model(torch.rand(4, 5, 3))
    (output.reconstruction.square().mean() + output.logits.square().mean()).backward()
    optimizer.step()
    for name, weights in model.named_parameters():
        step = (weights.detach() - before[name]).abs().max()
        assert step <= (1.01e-5 if ".lstm." in name else 1.01e-2), name
        assert step > 0 or weights.grad.abs().max() == 0, name


def test_a_rate_of_zero_keeps_the_lstms_as_they_start():
    model = make_autoencoder("initial_state", head="context")
    (others,) = parameter_groups(model, 0)
    output = model(torch.rand(4, 5, 3))
    (output.reconstruction.square().mean() + output.logits.square().mean()).backward()
    learning = {name for name, weights in model.named_parameters() if weights.grad is not None}
    assert learning == {name for name, _ in model.named_parameters() if ".lstm." not in name}
    assert len(others["params"]) == len(learning)
