"""Small models, each part of them chosen by name."""

from functools import partial

import torch

from lstm_ae.models.autoencoder import Autoencoder
from lstm_ae.models.decoders import AutoregressiveDecoder, InitialStateDecoder, RepeatContextDecoder
from lstm_ae.models.encoders import LSTMEncoder
from lstm_ae.models.heads import Classifier, SeparateClassifier
from lstm_ae.models.initialization import orthogonal

DECODERS = {
    "repeat_context": RepeatContextDecoder,
    "initial_state": InitialStateDecoder,
    "autoregressive": AutoregressiveDecoder,
}
HEADS = ("context", "decoder", "separate")
OPEN_GATE = partial(orthogonal, forget_bias=1.0)


def make_encoder(input_size, hidden_size=6, num_layers=1, dropout=0.0, bidirectional=False, pooling="last"):
    return LSTMEncoder(input_size, hidden_size, num_layers, dropout, bidirectional, pooling)


def make_decoder(
    name,
    context_size=4,
    output_size=3,
    length=5,
    hidden_size=6,
    num_layers=1,
    dropout=0.0,
    output_activation="identity",
    reverse=False,
    **options,
):
    return DECODERS[name](
        context_size,
        output_size,
        length,
        hidden_size=hidden_size,
        num_layers=num_layers,
        dropout=dropout,
        output_activation=output_activation,
        reverse=reverse,
        **options,
    )


def make_head(name, hidden_layers=(), dropout=0.0, **encoder):
    if name is None:
        return None
    shared = {"hidden_layers": list(hidden_layers), "dropout": dropout}
    if name == "separate":
        return partial(SeparateClassifier, encoder=partial(make_encoder, dropout=dropout, **encoder), **shared)
    return partial(Classifier, source=name, **shared)


def make_autoencoder(
    decoder="repeat_context",
    head=None,
    length=5,
    features=3,
    num_classes=4,
    num_layers=1,
    dropout=0.0,
    bidirectional=False,
    hidden_layers=(),
    initialization=OPEN_GATE,
    pooling="last",
    varying=False,
    masked=False,
    **decoder_options,
):
    shared = {"num_layers": num_layers, "bidirectional": bidirectional, "pooling": pooling}
    return Autoencoder(
        length,
        features,
        num_classes,
        encoder=partial(make_encoder, dropout=dropout, **shared),
        decoder=partial(make_decoder, decoder, num_layers=num_layers, dropout=dropout, **decoder_options),
        head=make_head(head, hidden_layers, dropout, **shared),
        initialization=initialization,
        varying=varying,
        masked=masked,
    )


def sequences(n, length, features, seed=0):
    """Smooth random sequences: sums of random walks."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, length, features, generator=generator).cumsum(1) / length**0.5
