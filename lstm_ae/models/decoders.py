"""Decoders: one context vector in, the whole sequence out."""

from typing import Any, Literal

import torch
from torch import Tensor, nn

from lstm_ae.kernels import LSTM
from lstm_ae.models.contracts import Decoding
from lstm_ae.models.encoders import stacked_lstm
from lstm_ae.models.lengths import at_last_step, reverse_within
from lstm_ae.spec import Count, Fraction, Share, part

Activation = Literal["identity", "sigmoid"]
ACTIVATIONS: dict[str, type[nn.Module]] = {"identity": nn.Identity, "sigmoid": nn.Sigmoid}


class LSTMDecoder(nn.Module):
    """What all decoders here share: an LSTM, a linear layer on each of its outputs, an activation, an order of time.

    Args:
        context_size: numbers in the context (the encoder's).
        output_size: features of a step (the data's).
        length: steps to write (the data's). Where sequences have lengths of their own, as many steps are written as the
            inputs have, and each sequence's own are those that mean something.
        hidden_size, num_layers, dropout: of the LSTM; dropout acts between its layers.
        output_activation: `sigmoid` suits data in [0, 1].
        reverse: write the last step first (Srivastava, Mansimov and Salakhutdinov 2015), so that the step which the
            encoder saw last is asked for first. The reconstruction still comes out in the order of the data.
        input_size: what the LSTM reads at each step.
    """

    reads_truth: bool = False  # whether it is taught with the true sequence while it trains
    lstm: LSTM
    output: nn.Sequential

    def __init__(
        self,
        context_size: int,
        output_size: int,
        length: int,
        hidden_size: Count,
        num_layers: Count,
        dropout: Fraction,
        output_activation: Activation,
        reverse: bool,
        *,
        input_size: int,
    ) -> None:
        super().__init__()
        self.length = length
        self.hidden_size = hidden_size
        self.reverse = reverse
        self.lstm = stacked_lstm(input_size, hidden_size, num_layers, dropout)
        self.scale_context: nn.Module = (
            nn.Identity()
        )  # an initialization may put a `Standardize` here: of what the LSTM is given
        self.output = nn.Sequential(nn.Linear(hidden_size, output_size), ACTIVATIONS[output_activation]())

    def in_data_order(self, written: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Convert steps (batch, length, ...) from the order of writing to that of the data, or back.

        With `lengths` (batch,) each sequence is turned within its own length.
        """
        if not self.reverse:
            return written
        return written.flip(1) if lengths is None else reverse_within(written, lengths)

    def decoded(self, states: Tensor, lengths: Tensor | None) -> Decoding:
        """The decoding that the LSTM's `states` (batch, steps, hidden_size), in the order of writing, amount to."""
        last = states[:, -1] if lengths is None else at_last_step(states, lengths)
        return Decoding(self.in_data_order(self.output(states), lengths), last)

    def steps_of(self, inputs: Tensor, lengths: Tensor | None) -> int:
        """How many steps to write."""
        return self.length if lengths is None else inputs.shape[1]

    def start_linear(self, turn: Tensor, weight: Tensor, bias: Tensor | None = None, gain: float | None = None) -> None:
        """Set the weights that bring the context into the LSTM: its state starts as `weight` context + `bias`.

        Args:
            turn: (hidden_size, hidden_size), what a step multiplies the state by.
            weight: (hidden_size, context_size).
            bias: (hidden_size,); None: zeros.
            gain: what the open gates multiply the candidate by, if the recurrent weights make up for the gates.
        """


@part
class RepeatContextDecoder(LSTMDecoder):
    """Reads the context at every step, from a zero state: the classic decoder (Cho et al. 2014 feed it likewise)."""

    def __init__(self, context_size: int, output_size: int, length: int, **shared: Any) -> None:
        super().__init__(context_size, output_size, length, **shared, input_size=context_size)

    def forward(self, context: Tensor, inputs: Tensor, lengths: Tensor | None = None) -> Decoding:
        """context (batch, context_size) -> the decoding; `inputs`, the truth, is not read."""
        states, _ = self.lstm.repeat(self.scale_context(context), self.steps_of(inputs, lengths), lengths=lengths)
        return self.decoded(states, lengths)

    def start_linear(self, turn: Tensor, weight: Tensor, bias: Tensor | None = None, gain: float | None = None) -> None:
        """With input weights (`turn` - I) `weight` its state after t steps is (turn^t - I) weight context."""
        move = (turn - torch.eye(self.hidden_size)) / (gain or 1.0)
        weight_ih, _, bias_ih, _ = (weights.chunk(4)[2] for weights in self.lstm.all_weights[0])
        weight_ih.copy_(move @ weight)
        if bias is not None:
            bias_ih.copy_(self.scale_context(move @ bias))


@part
class InitialStateDecoder(LSTMDecoder):
    """Starts from a state that a linear layer makes of the context, and reads nothing (Srivastava et al. 2015).

    The LSTM's input weights stay idle; they are there because `nn.LSTM` has to read something.
    """

    def __init__(self, context_size: int, output_size: int, length: int, *, input_size: int = 1, **shared: Any) -> None:
        super().__init__(context_size, output_size, length, **shared, input_size=input_size)
        self.initial_state = nn.Linear(context_size, 2 * self.lstm.num_layers * self.hidden_size)

    def start(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """context (batch, context_size) -> hidden and cell state, each (num_layers, batch, hidden_size)."""
        state = self.scale_context(self.initial_state(context))
        state = state.view(context.shape[0], 2, self.lstm.num_layers, self.hidden_size)
        hidden, cell = state.permute(1, 2, 0, 3).contiguous()
        return hidden, cell

    def forward(self, context: Tensor, inputs: Tensor, lengths: Tensor | None = None) -> Decoding:
        """context (batch, context_size) -> the decoding; `inputs`, the truth, is not read."""
        states, _ = self.lstm.unroll(self.steps_of(inputs, lengths), self.start(context), lengths=lengths)
        return self.decoded(states, lengths)

    def start_linear(self, turn: Tensor, weight: Tensor, bias: Tensor | None = None, gain: float | None = None) -> None:
        """Hidden state = `weight` context + `bias`; cell state = 0 or, with a gain, the one that has this output."""
        nn.init.zeros_(self.initial_state.bias)
        nn.init.zeros_(self.initial_state.weight)
        cell = 0.0 if gain is None else gain**-0.5
        for rows, factor in ((slice(self.hidden_size), 1.0), (slice(self.hidden_size, None), cell)):
            self.initial_state.weight[rows].copy_(factor * weight)
            if bias is not None:
                self.initial_state.bias[rows].copy_(factor * bias)


@part
class AutoregressiveDecoder(InitialStateDecoder):
    """Starts from a state made of the context and reads its own last output (Sutskever, Vinyals and Le 2014).

    While training, a batch is taught with probability `teacher_forcing`: the decoder then reads the truth of the step
    before instead of its own output (Williams and Zipser 1989), in one call over the whole sequence. The other batches,
    like all of evaluation, run freely, one step at a time. A probability between 0 and 1 is scheduled sampling (Bengio
    et al. 2015) with one coin per batch.
    """

    def __init__(
        self, context_size: int, output_size: int, length: int, *, teacher_forcing: Share = 1.0, **shared: Any
    ) -> None:
        super().__init__(context_size, output_size, length, **shared, input_size=output_size)
        self.teacher_forcing = teacher_forcing
        self.reads_truth = teacher_forcing > 0

    def forward(self, context: Tensor, inputs: Tensor, lengths: Tensor | None = None) -> Decoding:
        """context (batch, context_size) -> the decoding; the truth `inputs` is read while training only."""
        state = self.start(context)
        step = context.new_zeros(context.shape[0], 1, self.lstm.input_size)
        if self.training and torch.rand(()).item() < self.teacher_forcing:
            taught = torch.cat([step, self.in_data_order(inputs, lengths)[:, :-1]], dim=1)
            states, _ = self.lstm(taught, state, lengths)
            return self.decoded(states, lengths)
        written, states_written = [], []
        for _ in range(self.steps_of(inputs, lengths)):  # past its end a sequence is written on, and nobody looks
            hidden, state = self.lstm(step, state)
            step = self.output(hidden)
            written.append(step)
            states_written.append(hidden)
        last = hidden[:, -1] if lengths is None else at_last_step(torch.cat(states_written, dim=1), lengths)
        return Decoding(self.in_data_order(torch.cat(written, dim=1), lengths), last)
