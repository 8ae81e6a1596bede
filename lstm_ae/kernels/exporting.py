"""One direction of one LSTM layer in forms that can leave Python: an ONNX operator, and a scan of torch's own.

`torch.export` writes out every step of an `nn.LSTM`, so that what it exports reads sequences of one length only. With
the backends "onnx" and "scan" (see `lstm_ae.kernels.lstm.LSTM`) a layer keeps the number of steps open.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch._higher_order_ops.scan import scan
from torch.nn import functional as F

Layer = tuple[Tensor, Tensor, Tensor]  # all states (batch, steps, hidden_size), last hidden and cell state (batch, ...)


@torch.library.custom_op("lstm_ae::lstm", mutates_args=())
def onnx_layer(
    inputs: Tensor, hidden: Tensor, cell: Tensor, lengths: Tensor, weights: list[Tensor], backward: bool
) -> Layer:
    """A layer that is to become an ONNX operator; it computes nothing itself. Arguments as for `scan_layer`."""
    raise NotImplementedError("this operator exists to be exported: use backend=torch")


@onnx_layer.register_fake
def _(inputs: Tensor, hidden: Tensor, cell: Tensor, lengths: Tensor, weights: list[Tensor], backward: bool) -> Layer:
    return inputs.new_empty(*inputs.shape[:2], hidden.shape[1]), torch.empty_like(hidden), torch.empty_like(cell)


def to_onnx(inputs: Any, hidden: Any, cell: Any, lengths: Any, weights: Any, backward: bool) -> tuple[Any, Any, Any]:
    """`onnx_layer` in ONNX: its LSTM operator, whose gates come in the order input, output, forget, candidate."""
    from onnxscript import opset18

    op: Any = opset18  # its types say less than what it takes
    first, second = op.Constant(value_ints=[0]), op.Constant(value_ints=[1])
    size = weights[1].shape[1]
    gates = [range(gate * size, (gate + 1) * size) for gate in (0, 3, 1, 2)]
    order = op.Constant(value_ints=[row for gate in gates for row in gate])
    w_ih, w_hh, *biases = (op.Gather(part, order, axis=0) for part in weights)
    states, last_hidden, last_cell = op.LSTM(
        op.Transpose(inputs, perm=[1, 0, 2]),
        op.Unsqueeze(w_ih, first),
        op.Unsqueeze(w_hh, first),
        op.Unsqueeze(op.Concat(*biases, axis=0), first) if biases else None,
        op.Cast(lengths, to=6),  # int32
        op.Unsqueeze(hidden, first),
        op.Unsqueeze(cell, first),
        hidden_size=size,
        direction="reverse" if backward else "forward",
    )
    states = op.Transpose(op.Squeeze(states, second), perm=[1, 0, 2])
    return states, op.Squeeze(last_hidden, first), op.Squeeze(last_cell, first)


def scan_layer(
    inputs: Tensor, hidden: Tensor, cell: Tensor, lengths: Tensor, weights: list[Tensor], backward: bool
) -> Layer:
    """A layer as a scan over its steps.

    Args:
        inputs: (batch, steps, input_size).
        hidden, cell: the state to start from, (batch, hidden_size).
        lengths: of each sequence, (batch,); states past its end are zeros.
        weights: in the order of `nn.LSTM`, with or without biases.
        backward: read each sequence in reverse, within its own length.
    """
    w_ih, w_hh, *biases = weights
    time = torch.arange(inputs.shape[1], device=inputs.device)
    alive = time < lengths[:, None]  # (batch, steps)
    turned = torch.where(alive, lengths[:, None] - 1 - time, time)[..., None]
    if backward:
        inputs = inputs.gather(1, turned.expand_as(inputs))
    gates = F.linear(inputs, w_ih, biases[0] + biases[1] if biases else None)

    def step(state: tuple[Tensor, Tensor], given: tuple[Tensor, Tensor]) -> tuple[tuple[Tensor, Tensor], Tensor]:
        (hidden, cell), (gate, exists) = state, given
        i, f, g, o = (gate + hidden @ w_hh.t()).chunk(4, dim=1)
        new_cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
        new_hidden = o.sigmoid() * new_cell.tanh()
        return (torch.where(exists, new_hidden, hidden), torch.where(exists, new_cell, cell)), new_hidden * exists

    if type(inputs.shape[1]) is int and inputs.shape[1] == 1:  # of a decoder that goes step by step
        (last_hidden, last_cell), last = step((hidden, cell), (gates[:, 0], alive[:, :1]))
        return last[:, None], last_hidden, last_cell
    (last_hidden, last_cell), states = scan(
        step, (hidden.clone(), cell.clone()), (gates.transpose(0, 1), alive.t()[..., None]), dim=0
    )
    states = states.transpose(0, 1)
    return states.gather(1, turned.expand_as(states)) if backward else states, last_hidden, last_cell


LAYERS: dict[str, Callable[..., Layer]] = {"onnx": onnx_layer, "scan": scan_layer}
