"""Fixed factors between the parts of a model, for starts that need signals of another size than the layers around."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Standardize(nn.Module):
    """x -> (x - mean) / deviation, with fixed numbers that an initialization sets and a checkpoint keeps.

    Args:
        size: of the last dimension of x, for a mean and a deviation of each number; None: one for all.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, size: int | None = None) -> None:
        super().__init__()
        shape = () if size is None else (size,)
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("deviation", torch.ones(shape))

    def forward(self, values: Tensor) -> Tensor:
        """Values (..., size) -> values of the same shape."""
        return (values - self.mean) / self.deviation


class ScaledLinear(nn.Linear):
    """x -> `factor` weight x + bias, so that small x and weights of order one make outputs of order one."""

    factor: Tensor

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features)
        self.register_buffer("factor", torch.ones(()))

    def forward(self, values: Tensor) -> Tensor:
        """(..., in_features) -> (..., out_features)."""
        return F.linear(values, self.factor * self.weight, self.bias)
