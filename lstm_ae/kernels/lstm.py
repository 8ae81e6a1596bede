"""An `nn.LSTM` that computes natively where it can."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence

from lstm_ae.kernels import native

State = tuple[Tensor, Tensor]  # hidden and cell state, each (num_layers * directions, batch, hidden_size)
PAST_END = 1e4  # added to a gate, it makes a sigmoid exactly 0 or 1


class LSTM(nn.LSTM):
    """`nn.LSTM`, batch first, with lengths, and with two ways of reading that need no sequence: `repeat` and `unroll`.

    Its parameters, its state dict and its results are those of `nn.LSTM` (results: up to rounding). Who computes is the
    attribute `backend`:

    - "torch": `nn.LSTM`.
    - "native": the compiled layer, for float32 tensors on a CPU; for all others, under autocast, and while a model is
      traced, compiled or exported, `nn.LSTM` all the same. Its gradients cannot be differentiated again.
    - "onnx", "scan": forms that can be exported for any number of steps (see `lstm_ae.kernels.exporting`); for nothing
      else.

    Dropout between layers draws other random numbers natively than in `nn.LSTM`.

    Args:
        input_size, hidden_size: features and units.
        num_layers, bias, dropout, bidirectional, device, dtype: as in `nn.LSTM`.
        batch_first: must stay True.
    """

    backend: str = "torch"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = True,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if not batch_first:
            raise ValueError("LSTM reads (batch, steps, features): batch_first must be True")
        super().__init__(
            input_size, hidden_size, num_layers, bias, True, dropout, bidirectional, device=device, dtype=dtype
        )

    def forward(  # type: ignore[override]  # nn.LSTM's arguments have other names; sequences are given by position
        self, inputs: Tensor, state: State | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Read a sequence.

        Args:
            inputs: (batch, steps, input_size).
            state: to start from; None: zeros.
            lengths: (batch), integers from 1 to steps: how many steps of each sequence exist. A backward direction then
                reads each sequence reversed within its own length, the last state is that after a sequence's own last
                step (backward: its first), states past the end are zeros, and nothing there has a gradient. None: all.

        Returns:
            the top layer's states, (batch, steps, directions * hidden_size), and the last state.

        Raises:
            ValueError: tensors whose shapes do not fit, or lengths out of range.
        """
        if isinstance(inputs, PackedSequence) or inputs.dim() != 3:
            if lengths is not None:
                raise ValueError("lengths go with inputs of shape (batch, steps, features)")
            return super().forward(inputs, state)
        return self._all_states(inputs, inputs.shape[1], False, state, lengths)

    def last_state(self, inputs: Tensor, state: State | None = None, lengths: Tensor | None = None) -> State:
        """Read a sequence as `forward` does, but return the last state alone, which takes less work."""
        return self._read(inputs, inputs.shape[1], False, state, lengths, need_states=False)[1]

    def repeat(
        self, context: Tensor, steps: int, state: State | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Read one and the same vector at every step: context (batch, input_size). Else as `forward`."""
        return self._all_states(context, steps, True, state, lengths)

    def unroll(self, steps: int, state: State, lengths: Tensor | None = None) -> tuple[Tensor, State]:
        """Read nothing: go on from a state. `nn.LSTM` would read zeros; the input weights stay idle either way.

        Else as `forward`.
        """
        return self._all_states(None, steps, True, state, lengths)

    def _all_states(
        self, inputs: Tensor | None, steps: int, repeat: bool, state: State | None, lengths: Tensor | None
    ) -> tuple[Tensor, State]:
        states, last = self._read(inputs, steps, repeat, state, lengths, need_states=True)
        assert states is not None
        return states, last

    def _read(
        self,
        inputs: Tensor | None,
        steps: int,
        repeat: bool,
        state: State | None,
        lengths: Tensor | None,
        need_states: bool,
    ) -> tuple[Tensor | None, State]:
        """All three ways of reading: a sequence, or (batch, input_size) to repeat, or None."""
        given = inputs
        if given is None:
            assert state is not None
            given = state[0][0]  # its first dimension is the batch's, too
        batch = given.shape[0]
        self._check(inputs, batch, steps, repeat, state, lengths)
        if self._computes_natively(inputs, state) and batch:
            return self._read_natively(inputs, batch, steps, repeat, state, lengths, need_states)
        if inputs is None:
            inputs = given.new_zeros(batch, steps, self.input_size)
        elif repeat:
            inputs = inputs[:, None].expand(-1, steps, -1)
        if self.backend in ("onnx", "scan"):
            return self._read_for_export(inputs, state, lengths)
        states, last = super().forward(inputs, state) if lengths is None else self._read_ragged(inputs, state, lengths)
        return (states if need_states else None), last

    def _check(
        self,
        inputs: Tensor | None,
        batch: int,
        steps: int,
        repeat: bool,
        state: State | None,
        lengths: Tensor | None,
    ) -> None:
        """Raises ValueError for shapes that do not fit; the compiled layer would read past the end of such tensors."""
        if inputs is not None and inputs.shape[-1] != self.input_size:
            raise ValueError(f"inputs have {inputs.shape[-1]} features, the LSTM reads {self.input_size}")
        if repeat and inputs is not None and inputs.dim() != 2:
            raise ValueError(f"a context has the shape (batch, input_size), not {tuple(inputs.shape)}")
        if steps < 1:
            raise ValueError("a sequence has at least one step")
        if state is not None:
            expected = (self.num_layers * (1 + self.bidirectional), batch, self.hidden_size)
            for part in state:
                if part.shape != expected:
                    raise ValueError(f"a state has the shape {expected}, not {tuple(part.shape)}")
        if lengths is not None and lengths.shape != (batch,):
            raise ValueError(f"lengths have the shape {(batch,)}, not {tuple(lengths.shape)}")

    def _computes_natively(self, inputs: Tensor | None, state: State | None) -> bool:
        if self.backend != "native" or torch.jit.is_tracing() or torch.compiler.is_compiling():
            return False
        for tensor in (inputs, self.weight_hh_l0, *(state or ())):
            # A subclass of Tensor may hold no numbers at all (a FakeTensor), or have a say in what is done with them.
            if tensor is not None and not (
                type(tensor) in (Tensor, nn.Parameter) and tensor.dtype is torch.float32 and tensor.device.type == "cpu"
            ):
                return False
        return not torch.is_autocast_enabled("cpu") and native.usable()

    def _read_natively(
        self,
        inputs: Tensor | None,
        batch: int,
        steps: int,
        repeat: bool,
        state: State | None,
        lengths: Tensor | None,
        need_states: bool,
    ) -> tuple[Tensor | None, State]:
        directions = 1 + self.bidirectional
        lengths = None if lengths is None else lengths.to("cpu", torch.int64).contiguous()
        threads = torch.get_num_threads()
        weights = self.all_weights
        last: list[State] = []
        for number in range(self.num_layers):
            own = slice(number * directions, (number + 1) * directions)
            top = number == self.num_layers - 1
            reading = native.Reading(batch, steps, repeat, lengths, need_states or not top, threads)
            hidden, cell = (None, None) if state is None else (state[0][own], state[1][own])
            flat = [weight for direction in weights[own] for weight in (*direction, *[None] * (4 - len(direction)))]
            inputs, last_hidden, last_cell = native.layer(reading, inputs, hidden, cell, *flat)
            last.append((last_hidden, last_cell))
            repeat = False
            if inputs is not None and self.dropout and self.training and not top:
                inputs = F.dropout(inputs, self.dropout)
        if len(last) == 1:
            return inputs, last[0]
        hidden, cell = (torch.cat(parts) for parts in zip(*last, strict=True))
        return inputs, (hidden, cell)

    def _read_ragged(self, inputs: Tensor, state: State | None, lengths: Tensor) -> tuple[Tensor, State]:
        """`nn.LSTM` on sequences of unequal lengths, padded: packed ones leave oneDNN.

        Every layer reads one more input, which is 0 within a sequence and 1 past its end. Its weights open the forget
        gate and close the input gate, so that the cell stays what it was after the last step.
        """
        batch, steps, _ = inputs.shape
        lengths = lengths.to(inputs.device, torch.int64)
        looked_at = not (torch.jit.is_tracing() or torch.compiler.is_compiling())
        if looked_at and not 1 <= int(lengths.min()) <= int(lengths.max()) <= steps:
            raise ValueError(f"lengths must be within 1 and the number of steps, {steps}")
        time = torch.arange(steps, device=inputs.device)
        past = (time >= lengths[:, None])[..., None]  # (batch, steps, 1)
        turned = torch.where(past[..., 0], time, lengths[:, None] - 1 - time)[..., None]  # its own inverse
        brake = inputs.new_zeros(4, self.hidden_size, 1)
        brake[0], brake[1] = -PAST_END, PAST_END
        directions = 1 + self.bidirectional
        if state is None:
            zeros = inputs.new_zeros(self.num_layers * directions, batch, self.hidden_size)
            state = zeros, zeros
        last: list[State] = []
        for number in range(self.num_layers):
            inputs = torch.cat([inputs.masked_fill(past, 0), past.to(inputs.dtype)], dim=2)
            outputs = []
            for direction in range(directions):
                index = number * directions + direction
                weight_ih, *others = self.all_weights[index]
                read = inputs.gather(1, turned.expand_as(inputs)) if direction else inputs
                states, _, cell = torch.lstm(
                    read,
                    [part[index : index + 1].contiguous() for part in state],
                    [torch.cat([weight_ih, brake.flatten(0, 1)], dim=1), *others],
                    self.bias,
                    1,
                    0.0,
                    self.training,
                    False,
                    True,
                )
                hidden = states.gather(1, (lengths - 1)[:, None, None].expand(-1, 1, self.hidden_size))
                last.append((hidden.transpose(0, 1), cell))
                outputs.append(states.gather(1, turned.expand_as(states)) if direction else states)
            inputs = torch.cat(outputs, dim=2).masked_fill(past, 0)
            if number < self.num_layers - 1:
                inputs = F.dropout(inputs, self.dropout, self.training)
        hidden, cell = (torch.cat(parts) for parts in zip(*last, strict=True))
        return inputs, (hidden, cell)

    def _read_for_export(self, inputs: Tensor, state: State | None, lengths: Tensor | None) -> tuple[Tensor, State]:
        """In a form that `torch.export` keeps as it is, instead of writing out every step."""
        from lstm_ae.kernels.exporting import LAYERS  # late: few processes export

        layer, directions = LAYERS[self.backend], 1 + self.bidirectional
        batch, steps, _ = inputs.shape
        if state is None:
            zeros = inputs.new_zeros(self.num_layers * directions, batch, self.hidden_size)
            state = zeros, zeros
        if lengths is None:
            lengths = torch.full((batch,), steps, dtype=torch.int64, device=inputs.device)
        last: list[State] = []
        for number in range(self.num_layers):
            outputs = []
            for index in range(number * directions, (number + 1) * directions):
                hidden, cell = state[0][index], state[1][index]
                states, *after = layer(inputs, hidden, cell, lengths, self.all_weights[index], index % directions == 1)
                outputs.append(states)
                last.append((after[0], after[1]))
            inputs = torch.cat(outputs, dim=2)
        hidden, cell = (torch.stack(parts) for parts in zip(*last, strict=True))
        return inputs, (hidden, cell)
