"""How the weights of an LSTM start. PyTorch orders the gates: input, forget, cell candidate, output."""

import torch
from torch import nn


@torch.no_grad()
def orthogonal(lstm: nn.LSTM, forget_bias: float) -> None:
    """Orthogonal recurrent weights per gate, Xavier input weights, and a forget gate that starts open.

    Saxe, McClelland and Ganguli 2014 (orthogonal), Glorot and Bengio 2010 (Xavier), Jozefowicz, Zaremba and Sutskever
    2015 (forget bias): signals and gradients pass many steps without dying out. PyTorch adds two biases; the second
    starts at zero.
    """
    for weight_ih, weight_hh, bias_ih, bias_hh in lstm.all_weights:  # one entry per layer and direction
        for block in weight_ih.chunk(4):
            nn.init.xavier_uniform_(block)
        for block in weight_hh.chunk(4):
            nn.init.orthogonal_(block)
        bias_ih.zero_()
        bias_hh.zero_()
        bias_ih.chunk(4)[1].fill_(forget_bias)


def pytorch(lstm: nn.LSTM) -> None:
    """PyTorch's own: everything uniform in +-1/sqrt(hidden_size). Nothing is left to do."""
