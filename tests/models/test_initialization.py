"""How LSTMs start."""

from functools import partial

import pytest
import torch
from torch import nn

from lstm_ae.errors import ConfigError
from lstm_ae.models.initialization import chrono, linear_memory, orthogonal, pytorch
from tests.models.parts import make_autoencoder


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("num_layers", [1, 2])
def test_orthogonal_recurrent_blocks_and_an_open_forget_gate(num_layers, bidirectional):
    lstm = nn.LSTM(3, 8, num_layers, bidirectional=bidirectional)
    orthogonal(lstm, forget_bias=1.5)
    assert len(lstm.all_weights) == num_layers * (1 + bidirectional)
    for weight_ih, weight_hh, bias_ih, bias_hh in lstm.all_weights:
        blocks = weight_hh.view(4, 8, 8)
        torch.testing.assert_close(blocks @ blocks.transpose(1, 2), torch.eye(8).expand(4, 8, 8), atol=1e-5, rtol=0)
        assert not torch.allclose(blocks[0], blocks[1])
        total = (bias_ih + bias_hh).view(4, 8)  # input, forget, candidate, output
        assert (total[1] == 1.5).all()
        assert (total[[0, 2, 3]] == 0).all()
        bound = (6 / (8 + weight_ih.shape[1])) ** 0.5  # Glorot and Bengio 2010, for one gate
        assert 0.8 * bound < weight_ih.abs().max() <= bound
        assert weight_ih.requires_grad


def test_the_forget_gate_is_the_one_that_keeps_the_cell():
    lstm = nn.LSTM(3, 8, batch_first=True)
    orthogonal(lstm, forget_bias=50)
    with torch.no_grad():
        lstm.weight_hh_l0.zero_()
    cell = torch.rand(1, 2, 8)
    kept = lstm(torch.zeros(2, 20, 3), (torch.zeros(1, 2, 8), cell))[1][1]
    torch.testing.assert_close(kept, cell)


def test_identity_is_the_candidates_block_alone():
    lstm = nn.LSTM(3, 8)
    orthogonal(lstm, forget_bias=1.0, identity=True)
    blocks = lstm.weight_hh_l0.view(4, 8, 8)
    assert torch.equal(blocks[2], torch.eye(8))
    assert not any(torch.allclose(blocks[i], torch.eye(8)) for i in (0, 1, 3))


def test_chrono_units_remember_from_one_step_to_the_longest():
    lstm = nn.LSTM(3, 400)
    torch.manual_seed(0)
    chrono(lstm, longest=100)
    into, forget, candidate, out = (lstm.bias_ih_l0 + lstm.bias_hh_l0).view(4, -1)
    assert torch.equal(into, -forget)
    assert (candidate == 0).all() and (out == 0).all()
    memories = forget.exp()  # forget gate sigmoid(log T) = T / (T + 1)
    assert 1 <= memories.min() < 3 and 97 < memories.max() <= 99
    assert abs(memories.mean() - 50) < 6  # even over the steps, not over their logarithms


def test_pytorch_leaves_everything_as_it_was():
    lstm = nn.LSTM(3, 8)
    before = {name: weights.clone() for name, weights in lstm.state_dict().items()}
    pytorch(lstm)
    assert all(torch.equal(before[name], weights) for name, weights in lstm.state_dict().items())
    assert lstm.weight_hh_l0.abs().max() <= 8**-0.5


def test_every_lstm_of_a_model_is_initialised():
    seven = partial(orthogonal, forget_bias=7.0)
    model = make_autoencoder(head="separate", num_layers=2, bidirectional=True, initialization=seven)
    lstms = [module for module in model.modules() if isinstance(module, nn.LSTM)]
    assert len(lstms) == 3
    for lstm in lstms:
        for *_, bias_ih, bias_hh in lstm.all_weights:
            assert ((bias_ih + bias_hh).view(4, -1)[1] == 7).all()


OPEN = partial(linear_memory, gate_bias=20.0)  # so far open and closed that nothing is lost of small values


def test_linear_memory_keeps_every_step_whole():
    encoder = make_autoencoder(initialization=OPEN, length=9).double().encoder
    impulses = 1e-3 * torch.eye(9).double()[:, :, None] * torch.rand(3).double()  # the same step at 9 different times
    contexts = encoder(impulses).context
    torch.testing.assert_close(contexts.norm(dim=1), contexts[-1].norm().expand(9), rtol=1e-4, atol=0)
    torch.testing.assert_close(encoder(impulses.sum(0, keepdim=True)).context[0], contexts.sum(0), rtol=1e-3, atol=1e-8)
    assert len(contexts.round(decimals=6).unique(dim=0)) == 9  # and knows when it was


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("decoder", ["repeat_context", "initial_state"])
def test_linear_memory_brings_each_step_back_in_its_turn_under_one_readout(decoder, reverse):
    model = make_autoencoder(decoder, initialization=OPEN, length=9, reverse=reverse).double()
    impulses = 1e-3 * torch.eye(9).double()[:, :, None] * torch.rand(3).double()
    states = []
    model.decoder.output.register_forward_pre_hook(lambda module, inputs: states.append(inputs[0]))
    context = model(impulses).context
    written = model.decoder.in_data_order(states[0])
    if decoder == "repeat_context":
        written = written + context[:, None]
    back = written[torch.arange(9), torch.arange(9)]  # the state that writes step t, after an impulse at t alone
    torch.testing.assert_close(back, back[:1].expand(9, -1), rtol=1e-3, atol=1e-8)
    assert back[0].norm() > 0.9 * context[0].norm()


@pytest.mark.parametrize("options", [{"num_layers": 2}, {"hidden_size": 7}])
def test_linear_memory_needs_encoder_and_decoder_of_one_kind(options):
    with pytest.raises(ConfigError, match=r"^model\.initialization=linear_memory: needs"):
        make_autoencoder(initialization=OPEN, **options)


def test_the_seed_alone_decides_the_weights():
    def weights(seed):
        torch.manual_seed(seed)
        return nn.utils.parameters_to_vector(make_autoencoder(head="context").parameters())

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_chrono_takes_the_longest_from_the_length_that_the_decoder_writes():
    model = make_autoencoder(length=40, hidden_size=300, initialization=partial(chrono, longest=None))
    forget = model.encoder.lstm.bias_ih_l0.view(4, -1)[1]
    assert 36 < forget.exp().max() <= 39
