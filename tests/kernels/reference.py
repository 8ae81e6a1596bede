"""The LSTM's formulas, one step after another, in float64."""

import torch


def turn(sequences, lengths):
    """Each sequence (batch, steps, ...) reversed within its own length; its own inverse."""
    time = torch.arange(sequences.shape[1])
    index = torch.where(time < lengths[:, None], lengths[:, None] - 1 - time, time)
    return sequences.gather(1, index[..., None].expand_as(sequences))


def layer(inputs, hidden, cell, weight_ih, weight_hh, bias_ih, bias_hh, lengths, reverse=False):
    """One direction: (batch, steps, features) -> states (batch, steps, units), hidden and cell (batch, units)."""
    if reverse:
        inputs = turn(inputs, lengths)
    states = []
    for t in range(inputs.shape[1]):
        gates = inputs[:, t] @ weight_ih.T + hidden @ weight_hh.T + bias_ih + bias_hh
        i, f, g, o = gates.chunk(4, dim=1)
        new_cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
        new_hidden = o.sigmoid() * new_cell.tanh()
        exists = (t < lengths)[:, None]
        cell, hidden = torch.where(exists, new_cell, cell), torch.where(exists, new_hidden, hidden)
        states.append(torch.where(exists, new_hidden, 0.0))
    states = torch.stack(states, dim=1)
    return (turn(states, lengths) if reverse else states), hidden, cell
