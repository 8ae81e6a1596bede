"""Pyramids: what each level reads and writes, at any length, and what their linear start keeps."""

from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_ae.errors import ConfigError
from lstm_ae.models.autoencoder import Autoencoder
from lstm_ae.models.initialization import linear_memory
from lstm_ae.models.pyramid import PyramidalDecoder, PyramidalEncoder
from tests.models.parts import OPEN_GATE, make_autoencoder, make_decoder, make_encoder, make_head

OPEN = partial(linear_memory, gate_bias=20.0)  # so far open and closed that nothing is lost of small values


def make_pyramid(
    length=24,
    features=1,
    hidden_sizes=(4, 12),
    strides=(4, 3),
    top="initial_state",
    bidirectional=False,
    reverse=True,
    head=None,
    initialization=OPEN_GATE,
    varying=False,
    masked=False,
):
    levels = {"hidden_sizes": list(hidden_sizes), "strides": list(strides)}
    return Autoencoder(
        length,
        features,
        4,
        encoder=partial(PyramidalEncoder, top=partial(make_encoder, bidirectional=bidirectional), **levels),
        decoder=partial(
            PyramidalDecoder, top=partial(make_decoder, top, reverse=reverse), output_activation="identity", **levels
        ),
        head=make_head(head),
        initialization=initialization,
        varying=varying,
        masked=masked,
    )


@settings(max_examples=25, deadline=None)
@given(
    length=st.integers(1, 40),
    features=st.integers(1, 3),
    levels=st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=1, max_size=3),
    bidirectional=st.booleans(),
    reverse=st.booleans(),
    top=st.sampled_from(["initial_state", "repeat_context"]),
    head=st.sampled_from([None, "context", "decoder"]),
)
def test_any_length_strides_and_sizes(length, features, levels, bidirectional, reverse, top, head):
    sizes, strides = zip(*levels, strict=True)
    model = make_pyramid(length, features, sizes, strides, top, bidirectional, reverse, head)
    output = model(torch.rand(3, length, features))
    assert output.context.shape == (3, 12 if bidirectional else 6)
    assert output.reconstruction.shape == (3, length, features)
    assert output.logits is None if head is None else output.logits.shape == (3, 4)
    output.reconstruction.square().sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_each_level_reads_its_slices_from_a_zero_state():
    encoder = make_pyramid().encoder
    first, second = (level.lstm for level in encoder.lower)
    inputs = torch.rand(2, 24, 1)
    slices = [torch.stack([first(inputs[:, i : i + 4])[0][:, -1] for i in range(s, s + 12, 4)], 1) for s in (0, 12)]
    steps = torch.stack([second(s)[0][:, -1] for s in slices], dim=1)
    expected = encoder.top(steps)
    encoding = encoder(inputs)
    torch.testing.assert_close(encoding.context, expected.context)
    torch.testing.assert_close(encoding.states, expected.states)
    assert encoding.states.shape == (2, 2, 6)


def test_a_length_that_does_not_divide_is_filled_before_its_first_step():
    model, inputs = make_pyramid(length=23), torch.rand(2, 23, 1)
    filled = torch.cat([torch.zeros(2, 1, 1), inputs], dim=1)
    torch.testing.assert_close(model.encoder(inputs).context, model.encoder(filled).context)
    whole = make_pyramid(length=24)
    whole.load_state_dict(model.state_dict())
    torch.testing.assert_close(model(inputs).reconstruction, whole(filled).reconstruction[:, 1:])


def test_each_slice_is_written_from_its_own_context():
    model = make_pyramid()
    written = []
    model.decoder.top.register_forward_hook(lambda module, inputs, outputs: written.append(outputs.reconstruction))
    reconstruction = model(torch.rand(2, 24, 1)).reconstruction
    upper, lower = model.decoder.lower[1], model.decoder.lower[0]
    for i in range(2):  # the slices of the upper level, 12 steps each
        for j, context in enumerate(upper(written[0][:, i], None).reconstruction.unbind(1)):
            start = 12 * i + 4 * j
            expected = lower(context, None).reconstruction
            torch.testing.assert_close(reconstruction[:, start : start + 4], expected)


def test_sequences_of_a_batch_do_not_mix():
    model, inputs = make_pyramid(head="context", bidirectional=True), torch.rand(5, 24, 1)
    together, alone = model(inputs), model(inputs[2:3])
    for field in ("context", "reconstruction", "logits"):
        torch.testing.assert_close(getattr(together, field)[2:3], getattr(alone, field))


def test_every_level_learns():
    torch.manual_seed(0)
    model, inputs = make_pyramid(), torch.rand(8, 24, 1)
    (model(inputs).reconstruction - inputs).square().mean().backward()
    still = {name for name, p in model.named_parameters() if p.grad is None or p.grad.abs().max() == 0}
    # The decoders' LSTMs read zeros, so their input weights have nothing to do.
    assert still == {f"decoder.{level}.lstm.weight_ih_l0" for level in ("top", "lower.0", "lower.1")}


@pytest.mark.parametrize("reverse", [False, True])
def test_linear_memory_hands_slices_up_and_down_without_loss(reverse):
    model = make_pyramid(reverse=reverse, initialization=OPEN).double()
    inputs = 1e-3 * torch.rand(3, 24, 1).double()
    steps = inputs
    for encoder, stride in zip(model.encoder.lower, model.encoder.strides, strict=True):
        steps = encoder(steps.reshape(-1, stride, steps.shape[2])).context.unflatten(0, (3, -1))
    for decoder in reversed(model.decoder.lower):
        slices = decoder(steps.flatten(0, 1), inputs).reconstruction
        steps = slices.reshape(3, -1, slices.shape[2])
    torch.testing.assert_close(steps, inputs, rtol=1e-2, atol=1e-6)


def test_linear_memory_starts_the_decoder_from_the_forward_half():
    model = make_autoencoder("initial_state", initialization=OPEN, length=9, bidirectional=True, reverse=True)
    context = torch.rand(2, 12)
    hidden, cell = model.decoder.start(context)
    torch.testing.assert_close(hidden[0], context[:, :6])
    assert (cell == 0).all()


@pytest.mark.parametrize("strides", [[], [4], [4, 3, 2]])
def test_every_lower_level_needs_a_stride(strides):
    with pytest.raises(ConfigError, match=r"^model\.encoder\.strides=\[.*\]: must be as many as .*hidden_sizes"):
        make_pyramid(strides=strides)


def test_the_top_cannot_be_taught():
    with pytest.raises(ConfigError, match=r"^model\.decoder\.top=AutoregressiveDecoder: .* use initial_state or"):
        make_pyramid(top="autoregressive")


def test_linear_memory_needs_both_sides_of_the_pyramid():
    encoder = partial(PyramidalEncoder, hidden_sizes=[4], strides=[3], top=make_encoder)
    with pytest.raises(ConfigError, match="equally many levels"):
        Autoencoder(6, 1, 0, encoder, partial(make_decoder, "initial_state"), None, OPEN)
