"""How the weights of a model's LSTMs start. PyTorch orders the gates: input, forget, cell candidate, output."""

from collections.abc import Iterator
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from lstm_ae.errors import ConfigError
from lstm_ae.models.decoders import LSTMDecoder
from lstm_ae.models.encoders import LSTMEncoder
from lstm_ae.spec import NonNegative, part


@part
def pytorch(model: nn.Module) -> None:
    """PyTorch's own start: everything uniform in +-1/sqrt(hidden_size). Nothing is left to do."""


@part
@torch.no_grad()
def orthogonal(model: nn.Module, forget_bias: float, identity: bool = False) -> None:
    """Orthogonal recurrent weights per gate, Xavier input weights, and a forget gate that starts open.

    Saxe, McClelland and Ganguli 2014 (orthogonal), Glorot and Bengio 2010 (Xavier), Jozefowicz, Zaremba and Sutskever
    2015 (forget bias): signals and gradients pass many steps without dying out. PyTorch adds two biases; the second
    one starts at zero. Layers other than LSTMs keep PyTorch's start.

    Args:
        model: any; all of its LSTMs are set.
        forget_bias: of the forget gate.
        identity: the candidate's recurrent weights start as the identity (Cooijmans et al. 2017, for 784 pixels).
    """
    for weight_ih, weight_hh, bias_ih, bias_hh in lstm_weights(model):
        for block in weight_ih.chunk(4):
            nn.init.xavier_uniform_(block)
        for block in weight_hh.chunk(4):
            nn.init.orthogonal_(block)
        if identity:
            nn.init.eye_(weight_hh.chunk(4)[2])
        bias_ih.zero_()
        bias_hh.zero_()
        bias_ih.chunk(4)[1].fill_(forget_bias)


@part
@torch.no_grad()
def chrono(model: nn.Module, longest: Annotated[int, Field(ge=3)] | None, identity: bool = False) -> None:
    """Forget gates that start open for as long as the dependencies to learn (Tallec and Ollivier 2018).

    A unit whose forget bias is log(T) forgets within about T steps. T is drawn evenly from 1 to `longest` - 1 for each
    unit, and its input gate opens as little as its forget gate closes (bias -log(T)). The weights are those of
    `orthogonal`.

    Args:
        model: any; all of its LSTMs are set.
        longest: steps between cause and effect, at most; None: the length that the decoder writes.
        identity: see `orthogonal`.
    """
    orthogonal(model, 0.0, identity)
    steps = max(3, getattr(model, "decoder").length) if longest is None else longest  # noqa: B009
    for _, _, bias_ih, _ in lstm_weights(model):
        bias_in, bias_forget, *_ = bias_ih.chunk(4)
        bias_forget.uniform_(1, steps - 1).log_()
        bias_in.copy_(-bias_forget)


@part
@torch.no_grad()
def linear_memory(model: nn.Module, gate_bias: NonNegative) -> None:
    """Encoder and decoder start as a nearly linear memory and its way back.

    With the input and output gates open (bias `gate_bias`), the forget gate closed (bias -`gate_bias`) and an
    orthogonal matrix U as the candidate's recurrent weights, the encoder starts as h[t] = U h[t-1] + W x[t], nearly:
    the context holds U^j W x[T-j] for every j. A decoder that turns by the transpose, U' = U^-1, brings back one value
    after another, the last first, under one and the same readout; a decoder that writes forwards turns by U.

    After the linear-autoencoder starts of Pasa and Sperduti 2014 and Carta, Sperduti and Bacciu 2019, but without
    fitting U to the data. The weights of the gates stay PyTorch's.

    A bidirectional encoder's context begins with its forward half, and the decoder starts from that.

    In a pyramid each pair of levels is such a memory. A slice is short enough to be kept without loss: below the top, U
    shifts the state on by one step's features (in a random orthogonal basis) and W writes the new step into the place
    that is free, so a level with at least stride times as many units as features hands up the whole slice, and the
    decoder's readout takes each step out again. Without this, what the levels hand up and down starts as a blur.

    Args:
        model: an autoencoder whose encoder and decoder have one LSTM layer each, of the same size.
        gate_bias: how far the gates start open or closed.

    Raises:
        ConfigError: an encoder or decoder that does not fit, or a decoder that writes forwards where sequences have
            lengths of their own: how far it would have to turn back before it starts depends on the length.
    """
    *lower, top = levels(model, "linear_memory")
    if getattr(model, "varying", False) and not top[1].reverse:
        raise ConfigError(
            "model.initialization", "linear_memory", "finds the first step again only if all sequences have one "
            "length; where they differ, let the decoder write the last step first (model.decoder.reverse=true, or "
            "model.decoder.top.reverse=true in a pyramid) or use model/initialization=orthogonal"
        )  # fmt: skip
    for encoder, decoder in (*lower, top):
        check_pair(encoder, decoder, "linear_memory", same_size=True)
        for lstm in (encoder.lstm, decoder.lstm):
            for _, weight_hh, bias_ih, bias_hh in lstm_weights(lstm):
                nn.init.orthogonal_(weight_hh.chunk(4)[2])
                bias_hh.zero_()
                for bias, start in zip(bias_ih.chunk(4), (gate_bias, -gate_bias, 0.0, gate_bias), strict=True):
                    bias.fill_(start)
        # The candidate's weights on the input and on the state, of the first layer's forward direction.
        write_to, turn = (weights.chunk(4)[2] for weights in encoder.lstm.all_weights[0][:2])
        if (encoder, decoder) in lower:
            size, features = encoder.lstm.hidden_size, encoder.lstm.input_size
            basis = turn.clone()
            turn.copy_(basis @ torch.eye(size).roll(features, dims=0) @ basis.T)
            write = basis[:, :features]
            write_to.copy_(write)
            steps_back = -1 if decoder.reverse else decoder.length
            readout = next(layer for layer in decoder.output if isinstance(layer, nn.Linear))
            write = write[:, : readout.out_features]  # the values; the masks beside them are not written
            readout.weight.copy_(write.T @ torch.linalg.matrix_power(turn.T, steps_back))
            readout.bias.zero_()
        back = turn.T if decoder.reverse else turn
        decoder.lstm.all_weights[0][1].chunk(4)[2].copy_(back)
        decoder.start_linear(back, torch.eye(encoder.lstm.hidden_size, encoder.context_size))


def lstm_weights(module: nn.Module) -> Iterator[tuple[Tensor, ...]]:
    """The weights of every layer and direction of every LSTM in `module`: input and recurrent weights, two biases."""
    for lstm in module.modules():
        if isinstance(lstm, nn.LSTM):
            yield from map(tuple, lstm.all_weights)


def levels(model: nn.Module, name: str) -> list[tuple[LSTMEncoder, LSTMDecoder]]:
    """The pairs of an encoder and the decoder that undoes it, the top last: one pair, or all levels of a pyramid.

    Args:
        model: the autoencoder.
        name: of the initialization that asks, for messages.

    Raises:
        ConfigError: pyramids of different heights.
    """
    parts: tuple[Any, Any] = (model.encoder, model.decoder)
    lower = [list(getattr(one, "lower", ())) for one in parts]
    if len(lower[0]) != len(lower[1]):
        raise ConfigError("model.initialization", name, "needs an encoder and a decoder with equally many levels")
    encoder, decoder = (getattr(one, "top", one) for one in parts)
    return [*zip(*lower, strict=True), (encoder, decoder)]


def check_pair(encoder: nn.Module, decoder: nn.Module, name: str, same_size: bool) -> None:
    """Check that a decoder can undo an encoder linearly.

    Args:
        encoder, decoder: of one level.
        name: of the initialization that asks, for messages.
        same_size: whether they must have equally many units.

    Raises:
        ConfigError: it cannot.
    """
    lstms = [getattr(one, "lstm", None) for one in (encoder, decoder)]
    fit = all(isinstance(lstm, nn.LSTM) and lstm.num_layers == 1 for lstm in lstms) and hasattr(decoder, "start_linear")
    if not fit or (same_size and len({lstm.hidden_size for lstm in lstms if isinstance(lstm, nn.LSTM)}) > 1):
        raise ConfigError(
            "model.initialization", name, "needs an encoder and a decoder with one LSTM layer each"
            + (", of the same hidden_size" if same_size else "") + "; use model/initialization=orthogonal for others"
        )  # fmt: skip
