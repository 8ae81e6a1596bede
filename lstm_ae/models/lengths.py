"""Sequences of unequal length in one tensor: each begins at step 0, and what is past its end is padding."""

import torch
from torch import Tensor


def past_end(lengths: Tensor, steps: int) -> Tensor:
    """Which of `steps` steps lie past the end of sequences of these `lengths` (batch,): (batch, steps), bool."""
    return torch.arange(steps, device=lengths.device) >= lengths[:, None]


def reverse_within(values: Tensor, lengths: Tensor) -> Tensor:
    """Each sequence of `values` (batch, steps, features) with its own steps in reverse; padding stays where it is."""
    time = torch.arange(values.shape[1], device=values.device)
    turned = torch.where(past_end(lengths, values.shape[1]), time, lengths[:, None] - 1 - time)
    return values.gather(1, turned[..., None].expand_as(values))


def align_ends(values: Tensor, lengths: Tensor) -> Tensor:
    """Move the sequences of `values` (batch, steps, features) to the end of its steps, zeros before them."""
    return shift(values, values.shape[1] - lengths, lengths, values.shape[1])


def at_last_step(values: Tensor, lengths: Tensor) -> Tensor:
    """What `values` (batch, steps, features) hold at each sequence's own last step: (batch, features)."""
    return values.gather(1, (lengths - 1)[:, None, None].expand(-1, 1, values.shape[2]))[:, 0]


def shift(values: Tensor, by: Tensor, lengths: Tensor, steps: int) -> Tensor:
    """Move each sequence along its steps: the value of step t goes to step t + by.

    Args:
        values: (batch, any, features).
        by: of each sequence, (batch,); may be negative.
        lengths: how many steps of the result count, from `max(by, 0)` on, (batch,).
        steps: of the result.

    Returns:
        (batch, steps, features), zeros outside of what was moved.
    """
    time = torch.arange(steps, device=values.device)
    first = by.clamp(min=0)[:, None]
    outside = (time < first) | (time >= first + lengths[:, None])  # (batch, steps)
    index = (time - by[:, None]).clamp(0, values.shape[1] - 1)[..., None].expand(-1, -1, values.shape[2])
    return values.gather(1, index).masked_fill(outside[..., None], 0)
