"""Encoders that read a sequence step by step into one context vector."""

from typing import Literal

from torch import Tensor, nn

from lstm_ae.kernels import LSTM
from lstm_ae.models.contracts import Encoding
from lstm_ae.spec import Count, Fraction, part


def stacked_lstm(
    input_size: int, hidden_size: int, num_layers: int, dropout: float, bidirectional: bool = False
) -> LSTM:
    """A batch-first LSTM. Dropout acts between its layers, so a single layer has none."""
    return LSTM(
        input_size,
        hidden_size,
        num_layers,
        dropout=dropout if num_layers > 1 else 0.0,
        bidirectional=bidirectional,
    )


@part
class LSTMEncoder(nn.Module):
    """A stacked LSTM (Hochreiter and Schmidhuber 1997). The context is the top layer's last hidden state.

    A bidirectional encoder's context is the last state of the forward pass followed by that of the backward pass
    (Schuster and Paliwal 1997), so it is twice as long. With mean pooling the context is the mean of the states over
    all steps instead (Lee and Dernoncourt 2016): every step is one step away from it, but the order of what was read
    fades.

    Args:
        input_size: features of a step (the data's).
        hidden_size, num_layers: of the LSTM.
        dropout: between layers.
        bidirectional: read the sequence backwards as well.
        pooling: which states make the context, the last one or the mean of all.
    """

    def __init__(
        self,
        input_size: Count,
        hidden_size: Count,
        num_layers: Count,
        dropout: Fraction,
        bidirectional: bool = False,
        pooling: Literal["last", "mean"] = "last",
    ) -> None:
        super().__init__()
        self.pooling = pooling
        self.lstm = stacked_lstm(input_size, hidden_size, num_layers, dropout, bidirectional)
        self.scale_inputs: nn.Module = nn.Identity()  # an initialization may put a `Standardize` in either place
        self.scale_states: nn.Module = nn.Identity()
        self.context_size = hidden_size * (2 if bidirectional else 1)
        self.causal = not bidirectional

    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> Encoding:
        """(batch, length, features) -> context (batch, context_size) and states (batch, length, context_size).

        With `lengths` (batch,) the last state and the mean are those within each sequence's own length.
        """
        states, (hidden, _) = self.lstm(self.scale_inputs(inputs), lengths=lengths)
        states = self.scale_states(states)
        if self.pooling == "last":
            return Encoding(self._last(hidden), states)
        mean = states.mean(dim=1) if lengths is None else states.sum(dim=1) / lengths[:, None]  # zeros past the end
        return Encoding(mean, states)

    def encode(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The context alone, (batch, context_size): where nobody reads the states, they are not computed."""
        if self.pooling == "mean":
            return self(inputs, lengths).context
        hidden, _ = self.lstm.last_state(self.scale_inputs(inputs), lengths=lengths)
        return self._last(hidden)

    def _last(self, hidden: Tensor) -> Tensor:
        """The top layer's last states, of both directions if there are two, side by side."""
        last = hidden[-2:] if self.lstm.bidirectional else hidden[-1:]  # (directions, batch, hidden_size)
        return self.scale_states(last.transpose(0, 1).flatten(1))
