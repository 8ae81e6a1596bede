"""Which parameters learn at which rate."""

from typing import Any

from torch import nn


def parameter_groups(model: nn.Module, recurrent_lr: float | None = None) -> list[dict[str, Any]]:
    """The parameters of `model` for a torch optimizer, the LSTMs' apart where they have a learning rate of their own.

    What is multiplied into a state at every step adds up over the steps: 784 of them make a small change a large one.
    So a recurrence that starts well (`lstm_ae.models.linear_autoencoder`) is kept by a rate below that of the heads.

    Args:
        model: any.
        recurrent_lr: the learning rate of all weights and biases of its LSTM layers; None: that of the others; 0: they
            stay as they are, and no gradient is computed for them.
    """
    if recurrent_lr is None:
        return [{"params": list(model.parameters())}]
    recurrent = {id(weights) for lstm in model.modules() if isinstance(lstm, nn.LSTM) for weights in lstm.parameters()}
    groups: list[list[nn.Parameter]] = [[], []]
    for weights in model.parameters():
        groups[id(weights) in recurrent].append(weights)
    if recurrent_lr == 0:
        for weights in groups[1]:
            weights.requires_grad_(False)
        return [{"params": groups[0]}]
    return [{"params": groups[0]}, {"params": groups[1], "lr": recurrent_lr}]
