"""The context is what the recurrences leave behind at the end of each direction."""

import pytest
import torch
from torch import nn

from tests.models.parts import make_encoder


def plain_lstm(source, suffix, num_layers=1):
    """A one-directional LSTM with the weights that `source` has under `suffix`."""
    lstm = nn.LSTM(source.input_size, source.hidden_size, num_layers, batch_first=True)
    weights = source.state_dict()
    lstm.load_state_dict({name: weights[name + suffix] for name in lstm.state_dict()})
    return lstm


@pytest.mark.parametrize("num_layers", [1, 3])
def test_context_is_the_last_state_of_the_top_layer(num_layers):
    encoder, inputs = make_encoder(3, num_layers=num_layers), torch.rand(4, 7, 3)
    states, (hidden, _) = plain_lstm(encoder.lstm, "", num_layers)(inputs)
    encoding = encoder(inputs)
    assert encoding.context.shape == (4, encoder.context_size) == (4, 6)
    torch.testing.assert_close(encoding.context, hidden[-1])
    torch.testing.assert_close(encoding.context, states[:, -1])
    torch.testing.assert_close(encoding.states, states)


def test_bidirectional_context_is_the_end_of_each_direction():
    encoder, inputs = make_encoder(3, bidirectional=True), torch.rand(4, 7, 3)
    encoding = encoder(inputs)
    forward = plain_lstm(encoder.lstm, "")(inputs)[0]
    backward = plain_lstm(encoder.lstm, "_reverse")(inputs.flip(1))[0]
    assert encoding.context.shape == (4, encoder.context_size) == (4, 12)
    torch.testing.assert_close(encoding.context, torch.cat([forward[:, -1], backward[:, -1]], dim=1))
    torch.testing.assert_close(encoding.states, torch.cat([forward, backward.flip(1)], dim=2))


def test_stacked_bidirectional_context_is_of_the_top_layer():
    encoder, inputs = make_encoder(3, num_layers=2, bidirectional=True), torch.rand(4, 7, 3)
    encoding = encoder(inputs)
    ends = torch.cat([encoding.states[:, -1, :6], encoding.states[:, 0, 6:]], dim=1)
    torch.testing.assert_close(encoding.context, ends)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_pooled_context_is_the_mean_over_the_steps(bidirectional):
    encoder, inputs = make_encoder(3, bidirectional=bidirectional, pooling="mean"), torch.rand(4, 7, 3)
    encoding = encoder(inputs)
    assert encoding.context.shape == (4, encoder.context_size)
    torch.testing.assert_close(encoding.context, sum(encoding.states[:, step] for step in range(7)) / 7)


def test_states_of_one_direction_have_not_seen_what_comes_after():
    encoder, inputs = make_encoder(3, num_layers=2), torch.rand(1, 7, 3)
    changed = inputs.clone()
    changed[:, 4:] += 1
    before, after = encoder(inputs).states, encoder(changed).states
    assert torch.equal(before[:, :4], after[:, :4])
    assert not torch.equal(before[:, 4], after[:, 4])


def test_dropout_acts_between_layers_while_training_only():
    inputs = torch.rand(4, 7, 3)
    stacked, single = make_encoder(3, num_layers=2, dropout=0.5), make_encoder(3, dropout=0.5)
    assert not torch.equal(stacked(inputs).context, stacked(inputs).context)
    assert torch.equal(single(inputs).context, single(inputs).context)
    stacked.eval()
    assert torch.equal(stacked(inputs).context, stacked(inputs).context)
