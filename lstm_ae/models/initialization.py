"""How the weights of a model's LSTMs start. PyTorch orders the gates: input, forget, cell candidate, output."""

import torch
from torch import nn

from lstm_ae.errors import ConfigError
from lstm_ae.models.decoders import InitialStateDecoder, RepeatContextDecoder


def pytorch(model: nn.Module) -> None:
    """PyTorch's own: everything uniform in +-1/sqrt(hidden_size). Nothing is left to do."""


@torch.no_grad()
def orthogonal(model: nn.Module, forget_bias: float) -> None:
    """Orthogonal recurrent weights per gate, Xavier input weights, and a forget gate that starts open.

    Saxe, McClelland and Ganguli 2014 (orthogonal), Glorot and Bengio 2010 (Xavier), Jozefowicz, Zaremba and Sutskever
    2015 (forget bias): signals and gradients pass many steps without dying out. PyTorch adds two biases; the second
    starts at zero.
    """
    for lstm in model.modules():
        if isinstance(lstm, nn.LSTM):
            for weight_ih, weight_hh, bias_ih, bias_hh in lstm.all_weights:  # one entry per layer and direction
                for block in weight_ih.chunk(4):
                    nn.init.xavier_uniform_(block)
                for block in weight_hh.chunk(4):
                    nn.init.orthogonal_(block)
                bias_ih.zero_()
                bias_hh.zero_()
                bias_ih.chunk(4)[1].fill_(forget_bias)


@torch.no_grad()
def linear_memory(model: nn.Module, gate_bias: float) -> None:
    """Encoder and decoder start as a nearly linear memory and its way back.

    With the input and output gates open (bias `gate_bias`), the forget gate closed (bias -`gate_bias`) and an
    orthogonal matrix U as the candidate's recurrent weights, the encoder starts as h[t] = U h[t-1] + W x[t], nearly:
    the context holds U^j W x[T-j] for every j. A decoder that turns by the transpose, U' = U^-1, brings one value after
    another, the last first, under one and the same readout; writing forwards, it turns by U. A decoder that reads the
    context c at every step gets U' - I as its input weights, which makes its state (U'^t - I) c.

    After the linear-autoencoder starts of Pasa and Sperduti 2014 and Carta, Sperduti and Bacciu 2019, but without
    fitting U to the data. The weights of the gates stay PyTorch's.

    Args:
        model: an autoencoder whose encoder and decoder are one-layer, one-direction LSTMs of the same size.
        gate_bias: how far open and closed.

    Raises:
        ConfigError: an encoder or decoder that does not fit.
    """
    encoder, decoder = model.encoder.lstm, model.decoder.lstm
    if encoder.bidirectional or encoder.num_layers > 1 or decoder.num_layers > 1 or (
        encoder.hidden_size != decoder.hidden_size
    ):  # fmt: skip
        raise ConfigError(
            "model.initialization",
            "linear_memory",
            "needs encoder and decoder with one layer, one direction and the same hidden_size",
        )
    turn = nn.init.orthogonal_(torch.empty_like(encoder.weight_hh_l0.chunk(4)[2]))
    back = turn.T if model.decoder.reverse else turn
    for lstm, recurrent in ((encoder, turn), (decoder, back)):
        lstm.bias_hh_l0.zero_()
        for bias, start in zip(lstm.bias_ih_l0.chunk(4), (gate_bias, -gate_bias, 0.0, gate_bias), strict=True):
            bias.fill_(start)
        lstm.weight_hh_l0.chunk(4)[2].copy_(recurrent)
    if isinstance(model.decoder, RepeatContextDecoder):
        decoder.weight_ih_l0.chunk(4)[2].copy_(back - torch.eye(len(back)))
    elif isinstance(model.decoder, InitialStateDecoder):
        nn.init.eye_(model.decoder.initial_state.weight)  # hidden state = context, cell state = 0
        nn.init.zeros_(model.decoder.initial_state.bias)
