"""Sequences of unequal length, padded: each comes out as if it had been read alone, and so do all gradients."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lstm_ae.data.sequence_data import Sequences
from lstm_ae.errors import ConfigError, UserError
from lstm_ae.kernels import use_backend
from lstm_ae.models.autoencoder import Autoencoder
from lstm_ae.models.contracts import Encoding
from lstm_ae.models.forecast_heads import ForecastLinear
from lstm_ae.models.inference import apply, predict
from lstm_ae.models.initialization import linear_memory
from lstm_ae.models.lengths import past_end, reverse_within, shift
from lstm_ae.models.pyramid import PyramidalDecoder, PyramidalEncoder
from lstm_ae.training.objective import Objective
from tests.models.parts import DECODERS, HEADS, OPEN_GATE, make_autoencoder, make_decoder, make_encoder, make_head

FEATURES, CLASSES, LONGEST = 3, 4, 11


def pyramid(reverse=False, masked=False):
    """Two levels of 2 and 3 steps below the top: 6 steps of the data are one of the top's."""
    shared = {"hidden_sizes": [4, 5], "strides": [2, 3]}
    top = partial(make_decoder, "initial_state", reverse=reverse)
    return Autoencoder(
        LONGEST, FEATURES, CLASSES,
        partial(PyramidalEncoder, top=make_encoder, **shared),
        partial(PyramidalDecoder, top=lambda *sizes: top(*sizes), output_activation="identity", **shared),
        make_head("context"), OPEN_GATE, varying=True, masked=masked,
    )  # fmt: skip


def autoencoder(**options):
    """An autoencoder for unequal lengths, the rest as `make_autoencoder` has it."""
    return make_autoencoder(length=LONGEST, features=FEATURES, num_classes=CLASSES, varying=True, **options)


# Every encoder, decoder and head, forwards and backwards, with and without holes.
MODELS = {
    **{f"{name}, {head}": partial(autoencoder, decoder=name, head=head) for name in DECODERS for head in HEADS},
    **{f"{name} backwards": partial(autoencoder, decoder=name, head="decoder", reverse=True) for name in DECODERS},
    "taught": partial(autoencoder, decoder="autoregressive", teacher_forcing=1.0, reverse=True),
    "stacked, both directions": partial(autoencoder, head="separate", num_layers=2, bidirectional=True),
    "mean": partial(autoencoder, head="context", pooling="mean", bidirectional=True),
    "masked": partial(autoencoder, head="separate", masked=True),
    "pyramid": pyramid,
    "pyramid, backwards, masked": partial(pyramid, reverse=True, masked=True),
}
lengths_of_a_batch = st.lists(st.integers(1, LONGEST), min_size=1, max_size=5)


def batch_of(lengths, masked, padding=0.0):
    """Random sequences of these lengths."""
    generator = torch.Generator().manual_seed(sum(lengths))
    lengths = torch.tensor(lengths)
    steps = int(lengths.max())
    outside = past_end(lengths, steps)[..., None]
    inputs = torch.randn(len(lengths), steps, FEATURES, generator=generator).masked_fill(outside, padding)
    mask = None
    if masked:
        mask = (torch.rand(inputs.shape, generator=generator) < 0.7) & ~outside
        mask[:, 0, 0] = True
    labels = torch.randint(CLASSES, (len(lengths),), generator=generator)
    return Sequences(inputs, labels, lengths=lengths, mask=mask)


def alone(batch, i):
    """Sequence `i` as a batch of its own, without lengths where there are no holes."""
    one = batch[i : i + 1].trimmed()
    return one if one.mask is not None else replace(one, lengths=None)


def read_alone(model, one):
    """What becomes of one sequence when the model is told of no lengths, made for sequences as long as this one."""
    model.decoder.length = one.inputs.shape[1]
    if hasattr(model.decoder, "top"):
        model.decoder.top.length = -(-one.inputs.shape[1] // 6)
    return model(one.inputs, mask=one.mask)


@pytest.mark.parametrize("backend", ["torch", "native"])
@pytest.mark.parametrize("name", list(MODELS))
@settings(max_examples=4)
@given(lengths=lengths_of_a_batch)
def test_outputs_losses_and_gradients_are_those_of_a_loop_over_single_sequences(name, backend, lengths):
    torch.manual_seed(0)
    model = MODELS[name]()
    use_backend(model, backend)
    batch = batch_of(lengths, model.masked, padding=1e3)  # what stands in the padding must not matter
    model.train(name == "taught")
    output = apply(model, batch)
    weight = 1.0 if output.logits is None else 0.4
    metrics = Objective(weight)(output, batch)
    together = torch.autograd.grad(metrics["loss"], model.parameters(), allow_unused=True)

    total, entropy, values = 0.0, 0.0, 0
    for i in range(len(batch)):
        one = alone(batch, i)
        single = read_alone(model, one)
        steps = one.inputs.shape[1]
        torch.testing.assert_close(output.context[i], single.context[0], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(output.reconstruction[i, :steps], single.reconstruction[0], atol=1e-5, rtol=1e-5)
        assert not output.reconstruction[i, steps:].any()
        error = (single.reconstruction - one.inputs).square()
        total, values = (
            total + (error if one.mask is None else error[one.mask]).sum(),
            values + int(error.numel() if one.mask is None else one.mask.sum()),
        )
        if output.logits is not None:
            torch.testing.assert_close(output.logits[i], single.logits[0], atol=1e-5, rtol=1e-5)
            entropy = entropy + nn.functional.cross_entropy(single.logits, one.labels) / len(batch)
    loss = weight * total / values + (1 - weight) * entropy
    torch.testing.assert_close(metrics["loss"], loss, atol=1e-5, rtol=1e-5)
    apart = torch.autograd.grad(loss, model.parameters(), allow_unused=True)
    for one, other in zip(together, apart, strict=True):
        if one is None or other is None:
            assert one is other or not (other if one is None else one).any()
        else:
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


@settings(max_examples=20)
@given(lengths=st.lists(st.integers(1, LONGEST), min_size=1, max_size=8), size=st.integers(1, 4))
def test_predicting_keeps_the_order_and_needs_no_whole_part(lengths, size):
    torch.manual_seed(0)
    model, batch = autoencoder(head="context"), batch_of(lengths, False)
    whole = model.eval()(batch.inputs, batch.lengths)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lstm_ae.models.inference.EVALUATION_BATCH", size)
        found = predict(model, batch)
    for name in ("context", "reconstruction", "logits"):
        torch.testing.assert_close(getattr(found, name), getattr(whole, name))


@given(lengths=lengths_of_a_batch)
def test_reversing_twice_and_shifting_back_change_nothing(lengths):
    batch = batch_of(lengths, False)
    turned = reverse_within(batch.inputs, batch.lengths)
    assert torch.equal(reverse_within(turned, batch.lengths), batch.inputs)
    for i, length in enumerate(lengths):
        assert torch.equal(turned[i, :length], batch.inputs[i, :length].flip(0))
    by = -batch.lengths % 4
    moved = shift(batch.inputs, by, batch.lengths, batch.inputs.shape[1] + 3)
    assert torch.equal(shift(moved, -by, batch.lengths, batch.inputs.shape[1]), batch.inputs)


def test_a_mask_that_is_not_given_says_that_all_is_there():
    torch.manual_seed(0)
    model, batch = autoencoder(masked=True), batch_of([3, 7], False)
    told = model(batch.inputs, batch.lengths, batch.exists())
    assert torch.equal(model(batch.inputs, batch.lengths).context, told.context)
    holes = batch.exists().clone()
    holes[0, 1] = False
    assert not torch.allclose(model(batch.inputs, batch.lengths, holes).context[0], told.context[0])


class OneLength(nn.Module):
    """An encoder that knows nothing of lengths."""

    context_size, causal = 4, True

    def __init__(self, input_size):
        super().__init__()

    def forward(self, inputs):
        return Encoding(inputs.new_zeros(len(inputs), 4), inputs)


def test_parts_for_one_length_are_refused_with_the_reason():
    parts = {"decoder": partial(make_decoder, "repeat_context"), "head": None, "initialization": OPEN_GATE}
    assert Autoencoder(5, 3, 0, OneLength, **parts)(torch.zeros(2, 5, 3)).context.shape == (2, 4)
    with pytest.raises(UserError, match=r"model\.encoder: OneLength reads sequences of one length only"):
        Autoencoder(5, 3, 0, OneLength, **parts, varying=True)
    head = partial(ForecastLinear, residual=True, output_activation="identity", skip=0, dropout=0.0)
    with pytest.raises(ConfigError, match=r"ForecastLinear.*dataset\.window"):
        Autoencoder(5, 3, 0, make_encoder, parts["decoder"], head, OPEN_GATE, 1, 1, 1, varying=True)
    linear = partial(linear_memory, gate_bias=3.0)
    with pytest.raises(ConfigError, match=r"model\.decoder\.reverse=true"):
        autoencoder(decoder="initial_state", initialization=linear)
    autoencoder(decoder="initial_state", initialization=linear, reverse=True)
