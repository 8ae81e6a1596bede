"""Every decoder against the same arithmetic in plain tensor operations, a step and a layer at a time."""

import pytest
import torch

from tests.models.parts import DECODERS, make_decoder


def lstm_step(lstm, layer, value, hidden, cell):
    """One step of one layer (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000)."""
    w_input, w_hidden, b_input, b_hidden = lstm.all_weights[layer]
    gates = value @ w_input.T + b_input + hidden @ w_hidden.T + b_hidden
    i, f, g, o = gates.chunk(4, dim=1)
    cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(cell), cell


def written(decoder, name, context, truth):
    """The decoder's reconstruction and last state; `truth` is read if it is not None."""
    lstm, size = decoder.lstm, decoder.hidden_size
    state = [[context.new_zeros(len(context), size) for _ in range(2)] for _ in range(lstm.num_layers)]
    if name != "repeat_context":
        flat = context @ decoder.initial_state.weight.T + decoder.initial_state.bias
        pieces = flat.split(size, dim=1)  # the hidden states of all layers, then their cell states
        state = [[pieces[layer], pieces[lstm.num_layers + layer]] for layer in range(lstm.num_layers)]
    steps, last = [], context.new_zeros(len(context), lstm.input_size)
    for time in range(decoder.length):
        value = context if name == "repeat_context" else last if name == "autoregressive" else torch.zeros_like(last)
        for layer in range(lstm.num_layers):
            state[layer] = list(lstm_step(lstm, layer, value, *state[layer]))
            value = state[layer][0]
        linear = decoder.output[0]
        steps.append(decoder.output[1](value @ linear.weight.T + linear.bias))
        if name == "autoregressive":
            last = steps[-1] if truth is None else truth[:, time]
    if decoder.reverse:
        steps.reverse()
    return torch.stack(steps, dim=1), value


@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("activation", ["identity", "sigmoid"])
@pytest.mark.parametrize("name", DECODERS)
def test_a_decoder_step_by_step(name, activation, reverse, num_layers):
    torch.manual_seed(0)
    decoder = make_decoder(name, num_layers=num_layers, output_activation=activation, reverse=reverse)
    context, inputs = torch.randn(6, 4), torch.rand(6, 5, 3)
    for training in (False, True):
        decoder.train(training)
        truth = inputs.flip(1) if reverse else inputs
        expected, last = written(decoder, name, context, truth if training else None)
        found = decoder(context, inputs)
        torch.testing.assert_close(found.reconstruction, expected, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(found.last_state, last, rtol=1e-5, atol=1e-6)
