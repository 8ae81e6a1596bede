"""What LSTMs keep that start as the linear autoencoder."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_ae.errors import ConfigError
from lstm_ae.models.lengths import align_ends, past_end
from lstm_ae.models.linear_autoencoder import linear_autoencoder
from lstm_ae.models.linear_recurrence import closed_form
from tests.models.parts import make_autoencoder, sequences
from tests.models.test_pyramid import make_pyramid


def started(inputs, decoder="initial_state", lengths=None, *, gate_bias=12.0, signal=1e-3, iterations=0, **options):
    """An autoencoder of 6 units after its linear start."""
    _, length, features = inputs.shape
    model = make_autoencoder(decoder, length=length, features=features, varying=lengths is not None, **options)
    linear_autoencoder(model, inputs, lengths, gate_bias=gate_bias, signal=signal, iterations=iterations)
    return model.eval()


def unequal(n, length, features, seed=0):
    """Sequences of 1 to `length` steps, zeros past their ends, and their lengths."""
    inputs = sequences(n, length, features, seed)
    lengths = torch.randint(1, length + 1, (n,), generator=torch.Generator().manual_seed(seed))
    return inputs.masked_fill(past_end(lengths, length)[..., None], 0), lengths


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 9), st.integers(1, 3), st.floats(0.5, 12), st.integers(0, 5))
def test_the_context_is_that_of_the_linear_recurrence(length, features, gate_bias, seed):
    """Its affine function, that is: contexts are standardised."""
    inputs = sequences(60, length, features, seed)
    with torch.no_grad():
        context = started(inputs, gate_bias=gate_bias)(inputs).context
    codes = closed_form(inputs, 6).codes(inputs).float()
    used = codes.std(0) > 1e-3 * codes.std(0).max()
    expected = (codes - codes.mean(0)) / codes.std(0, correction=0)
    torch.testing.assert_close(context[:, used], expected[:, used], atol=5e-3, rtol=0)
    torch.testing.assert_close(context.mean(0), torch.zeros(6), atol=1e-4, rtol=0)


@settings(max_examples=10, deadline=None)
@given(st.integers(2, 9), st.integers(1, 3), st.integers(0, 5))
def test_the_context_of_an_unequal_sequence_is_that_of_the_recurrence_over_its_own_steps(length, features, seed):
    inputs, lengths = unequal(60, length, features, seed)
    with torch.no_grad():
        context = started(inputs, lengths=lengths)(inputs, lengths).context
    recurrence = closed_form(align_ends(inputs, lengths), 6)
    codes = torch.cat([recurrence.codes(one[None, :end]) for one, end in zip(inputs, lengths, strict=True)]).float()
    used = codes.std(0) > 1e-3 * codes.std(0).max()
    expected = (codes - codes.mean(0)) / codes.std(0, correction=0)
    torch.testing.assert_close(context[:, used], expected[:, used], atol=5e-3, rtol=0)


@pytest.mark.parametrize("varying", [False, True], ids=["one length", "unequal lengths"])
@pytest.mark.parametrize("reverse", [True, False], ids=["newest first", "oldest first"])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["one way", "both ways"])
@pytest.mark.parametrize("decoder", ["repeat_context", "initial_state", "autoregressive"])
def test_what_fits_into_a_context_comes_back(decoder, bidirectional, reverse, varying):
    """Sequences of 4 values at most, a context of 6 numbers, a decoder that has not learnt anything."""
    inputs, lengths = unequal(80, 2, 2) if varying else (sequences(80, 2, 2), None)
    model = started(inputs, decoder, lengths, reverse=reverse, bidirectional=bidirectional)
    with torch.no_grad():
        error = (model(inputs, lengths).reconstruction - inputs).square().mean()
    if varying and not (reverse or bidirectional):  # how far back the first step lies depends on the length
        assert error < 0.5 * inputs.square().mean()
    else:
        assert error < 0.01 * inputs.square().mean()


def test_marks_of_missing_values_start_unread():
    inputs = sequences(80, 2, 2)
    model = started(inputs, masked=True, reverse=True)
    mask = torch.rand(inputs.shape, generator=torch.Generator().manual_seed(0)) < 0.5
    with torch.no_grad():
        marked = model(inputs, mask=mask).reconstruction
    torch.testing.assert_close(marked, model(inputs).reconstruction)
    assert (marked - inputs).square().mean() < 0.01 * inputs.square().mean()


@pytest.mark.parametrize("gate_bias", [1.0, 12.0])
def test_long_sequences_come_back_nearly_as_well_as_the_linear_pair_has_them(gate_bias):
    inputs = sequences(200, 100, 1)
    recurrence = closed_form(inputs, 6)
    pair = (recurrence.unfold(recurrence.codes(inputs), 100) - inputs).square().mean()
    with torch.no_grad():
        model = started(inputs, reverse=True, gate_bias=gate_bias)
        error = (model(inputs).reconstruction - inputs).square().mean()
    assert pair < 0.2 * inputs.square().mean() and error < 1.1 * pair


def test_a_refined_start_rebuilds_better_than_the_closed_form_alone():
    inputs = sequences(200, 40, 1)
    with torch.no_grad():
        errors = [
            (started(inputs, reverse=True, iterations=n)(inputs).reconstruction - inputs).square().mean()
            for n in (0, 60)
        ]  # fmt: skip
    assert errors[1] < 0.95 * errors[0]


def test_every_level_of_a_pyramid_starts_as_a_pair():
    inputs = sequences(150, 24, 1)
    with torch.no_grad():
        model = make_pyramid(length=24, features=1, hidden_sizes=[5, 6], strides=[4, 3])
        linear_autoencoder(model, inputs, gate_bias=12.0, signal=1e-3, iterations=100)
        error = (model.eval()(inputs).reconstruction - inputs).square().mean()
        assert error < 0.1 * inputs.square().mean()


def test_the_seed_changes_nothing():
    inputs = sequences(30, 5, 2)
    states = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        states.append(started(inputs, iterations=20).state_dict())
    for name, value in states[0].items():
        assert torch.equal(states[1][name], value), name


def test_without_inputs_only_the_places_are_made_and_a_checkpoint_fills_them():
    inputs = sequences(30, 5, 2)
    model = started(inputs)
    empty = make_autoencoder("initial_state", length=5, features=2)
    linear_autoencoder(empty, None)
    empty.load_state_dict(model.state_dict())
    torch.testing.assert_close(empty.eval()(inputs).reconstruction, model(inputs).reconstruction)


@pytest.mark.parametrize("fitted", [True, False], ids=["new", "to be filled by a checkpoint"])
def test_training_leaves_the_candidates_biases_alone(fitted):
    """A step of training would move them further than states reach that are as small as the signal."""
    inputs = sequences(30, 5, 2)
    model = started(inputs)
    if not fitted:
        weights = model.state_dict()
        model = make_autoencoder("initial_state", length=5, features=2)
        linear_autoencoder(model, None)
        model.load_state_dict(weights)
    before = model.encoder.lstm.bias_ih_l0.detach().clone().chunk(4)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    (model(inputs).reconstruction - inputs).square().mean().backward()
    optimizer.step()
    after = model.encoder.lstm.bias_ih_l0.detach().chunk(4)
    assert torch.equal(after[2], before[2]) and not torch.equal(after[0], before[0])


def test_a_pyramid_leaves_the_marks_of_missing_values_unread():
    inputs = sequences(80, 4, 1)
    model = make_pyramid(length=4, features=1, hidden_sizes=[5], strides=[2], masked=True)
    linear_autoencoder(model, inputs, gate_bias=12.0, signal=1e-3)
    mask = torch.rand(inputs.shape, generator=torch.Generator().manual_seed(0)) < 0.5
    with torch.no_grad():
        rebuilt = model.eval()(inputs, mask=mask).reconstruction
    assert (rebuilt - inputs).square().mean() < 0.02 * inputs.square().mean()


def test_constant_data_make_no_nan():
    inputs = torch.zeros(20, 5, 2)
    assert started(inputs, iterations=20)(inputs).reconstruction.isfinite().all()


def test_what_it_is_not_made_for_is_refused(monkeypatch):
    inputs = sequences(20, 5, 2)
    with pytest.raises(ConfigError, match="one LSTM layer each"):
        started(inputs, num_layers=2)
    with pytest.raises(ConfigError, match="identity"):
        started(inputs, output_activation="sigmoid")
    with pytest.raises(ConfigError, match="must be 0 where lengths differ"):
        started(inputs, lengths=torch.full((20,), 5), iterations=10)
    pyramid = make_pyramid(length=6, features=2, hidden_sizes=[5], strides=[2], varying=True)
    with pytest.raises(ConfigError, match="in a pyramid"):
        linear_autoencoder(pyramid, inputs, torch.full((20,), 5))
    monkeypatch.setattr("lstm_ae.models.linear_autoencoder.LARGEST", 4)
    for large in (inputs, sequences(20, 2, 5)):
        with pytest.raises(ConfigError, match="at most 4 steps and features"):
            started(large)
    with pytest.raises(ConfigError, match="more than 4 values"):
        started(inputs[:, :4], iterations=10)
