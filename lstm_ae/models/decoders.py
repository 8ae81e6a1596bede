"""Decoders: one context vector in, the whole sequence out."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lstm_ae.models.encoders import stacked_lstm

ACTIVATIONS = {"identity": nn.Identity, "sigmoid": nn.Sigmoid}


class Decoding(NamedTuple):
    """What a decoder hands on."""

    reconstruction: Tensor  # (batch, length, features)
    last_state: Tensor  # (batch, hidden_size): the top layer's output after the last step it took


class Decoder(nn.Module):
    """What all decoders share: an LSTM, a linear layer on each of its outputs, an activation, an order of time.

    Args:
        context_size: length of the context (the encoder's).
        output_size: features of a step (the data's).
        length: steps to write (the data's).
        hidden_size, num_layers, dropout: of the LSTM; dropout acts between its layers.
        output_activation: "identity", or "sigmoid" for data in [0, 1].
        reverse: write the last step first (Srivastava, Mansimov and Salakhutdinov 2015): the step that the encoder
            saw last is the first one asked for. The reconstruction comes out in the order of the data all the same.
        input_size: what the LSTM reads at each step.
    """

    def __init__(
        self,
        context_size: int,
        output_size: int,
        length: int,
        hidden_size: int,
        num_layers: int,
        dropout: float,
        output_activation: str,
        reverse: bool,
        *,
        input_size: int,
    ) -> None:
        super().__init__()
        self.length = length
        self.hidden_size = hidden_size
        self.reverse = reverse
        self.lstm = stacked_lstm(input_size, hidden_size, num_layers, dropout)
        self.output = nn.Sequential(nn.Linear(hidden_size, output_size), ACTIVATIONS[output_activation]())

    def in_data_order(self, written: Tensor) -> Tensor:
        """Steps (batch, length, ...) between the order of writing and that of the data; its own inverse."""
        return written.flip(1) if self.reverse else written


class RepeatContextDecoder(Decoder):
    """Reads the context at every step, from a zero state: the classic one (Cho et al. 2014 feed it likewise)."""

    def __init__(self, context_size: int, output_size: int, length: int, **shared: Any) -> None:
        super().__init__(context_size, output_size, length, **shared, input_size=context_size)

    def forward(self, context: Tensor, inputs: Tensor) -> Decoding:
        """context (batch, context_size) -> the decoding; `inputs`, the truth, is not looked at."""
        states, _ = self.lstm(context[:, None].expand(-1, self.length, -1))
        return Decoding(self.in_data_order(self.output(states)), states[:, -1])


class InitialStateDecoder(Decoder):
    """Starts from a state made of the context by a linear layer and reads nothing (Srivastava et al. 2015).

    `nn.LSTM` has to read something: zeros, so its input weights stay idle.
    """

    def __init__(self, context_size: int, output_size: int, length: int, *, input_size: int = 1, **shared: Any) -> None:
        super().__init__(context_size, output_size, length, **shared, input_size=input_size)
        self.initial_state = nn.Linear(context_size, 2 * self.lstm.num_layers * self.hidden_size)

    def start(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """context (batch, context_size) -> hidden and cell state, each (num_layers, batch, hidden_size)."""
        state = self.initial_state(context).view(len(context), 2, self.lstm.num_layers, self.hidden_size)
        hidden, cell = state.permute(1, 2, 0, 3).contiguous()
        return hidden, cell

    def forward(self, context: Tensor, inputs: Tensor) -> Decoding:
        """context (batch, context_size) -> the decoding; `inputs`, the truth, is not looked at."""
        silence = context.new_zeros(len(context), self.length, 1)
        states, _ = self.lstm(silence, self.start(context))
        return Decoding(self.in_data_order(self.output(states)), states[:, -1])


class AutoregressiveDecoder(InitialStateDecoder):
    """Starts from a state made of the context and reads its own last output (Sutskever, Vinyals and Le 2014).

    While training, a batch is taught with probability `teacher_forcing`: the decoder then reads the truth of the step
    before instead of its own output (Williams and Zipser 1989), in one call over the whole sequence; the other
    batches, like all of evaluation, run free, one step at a time. A probability between 0 and 1 is scheduled sampling
    (Bengio et al. 2015) with one coin per batch.
    """

    def __init__(
        self, context_size: int, output_size: int, length: int, *, teacher_forcing: float = 1.0, **shared: Any
    ) -> None:
        super().__init__(context_size, output_size, length, **shared, input_size=output_size)
        self.teacher_forcing = teacher_forcing

    def forward(self, context: Tensor, inputs: Tensor) -> Decoding:
        """context (batch, context_size) -> the decoding; the truth `inputs` is read while training only."""
        state = self.start(context)
        step = context.new_zeros(len(context), 1, inputs.shape[2])
        if self.training and torch.rand(()).item() < self.teacher_forcing:
            taught = torch.cat([step, self.in_data_order(inputs)[:, :-1]], dim=1)
            states, _ = self.lstm(taught, state)
            return Decoding(self.in_data_order(self.output(states)), states[:, -1])
        written = []
        for _ in range(self.length):
            hidden, state = self.lstm(step, state)
            step = self.output(hidden)
            written.append(step)
        return Decoding(self.in_data_order(torch.cat(written, dim=1)), hidden[:, -1])
