"""The closed form: what it is by definition, and what it keeps."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_ae.errors import ConfigError
from lstm_ae.models.linear_autoencoder import best_start, closed_form, linear_autoencoder, prefix_moments, refined
from tests.models.parts import make_autoencoder
from tests.models.test_pyramid import make_pyramid


def sequences(n, length, features, seed=0):
    """Smooth random sequences: sums of random walks."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, length, features, generator=generator).cumsum(1) / length**0.5


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 12), st.integers(1, 7), st.integers(1, 3))
def test_moments_are_those_of_all_prefixes(n, length, features):
    inputs = sequences(n, length, features).double()
    expected = torch.zeros(length * features, length * features, dtype=torch.double)
    for sequence in inputs:
        for end in range(1, length + 1):
            prefix = torch.zeros(length, features, dtype=torch.double)
            prefix[:end] = sequence[:end].flip(0)
            expected += torch.outer(prefix.flatten(), prefix.flatten())
    torch.testing.assert_close(prefix_moments(inputs), expected / (n * length))


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 8), st.integers(1, 3), st.integers(1, 30))
def test_codes_are_the_states_of_the_recurrence(length, features, size):
    inputs = sequences(5, length, features).double()
    write, turn = recurrence = closed_form(inputs, size)
    state = torch.zeros(5, size, dtype=torch.double)
    for step in inputs.unbind(1):
        state = state @ turn.T + step @ write.T
    torch.testing.assert_close(recurrence.codes(inputs), state)


@pytest.mark.parametrize(("length", "features", "size"), [(6, 2, 12), (6, 2, 15), (1, 3, 3), (9, 1, 9)])
def test_a_code_as_large_as_the_sequence_loses_nothing(length, features, size):
    inputs = sequences(40, length, features).double()
    recurrence = closed_form(inputs, size)
    torch.testing.assert_close(recurrence.unfold(recurrence.codes(inputs), length), inputs)


def test_four_numbers_keep_what_a_linear_recurrence_of_four_makes():
    """Two sines of any phase are four numbers: a linear readout of the code brings back all 60 steps of them."""
    time = torch.arange(60).double()
    generator = torch.Generator().manual_seed(0)
    phases = 6.28 * torch.rand(50, 2, 1, generator=generator, dtype=torch.double)
    inputs = (torch.sin(0.3 * time + phases[:, 0]) + torch.sin(0.7 * time + phases[:, 1]))[..., None]
    codes = closed_form(inputs, 4).codes(inputs)
    readout = torch.linalg.lstsq(codes, inputs.flatten(1)).solution
    torch.testing.assert_close(codes @ readout, inputs.flatten(1))
    recurrence = closed_form(inputs, 20)  # its own decoder has no readout for each step, and needs more numbers
    error = (recurrence.unfold(recurrence.codes(inputs), 60) - inputs).square().mean()
    assert error < 0.01 * inputs.square().mean()
    assert closed_form(inputs, 20)[1].equal(recurrence.turn)  # no random numbers


def walk_back(encoders, back, inputs, reverse):
    """The mean squared error of a linear pair, a step at a time, with the best function between the two."""
    orders = (inputs, inputs.flip(1))
    codes = torch.cat([recurrence.codes(order) for recurrence, order in zip(encoders, orders, strict=False)], dim=1)
    written = inputs.flip(1) if reverse else inputs
    weight, bias = best_start(back, codes, written)
    state, error = codes @ weight.T + bias, 0.0
    for step in written.unbind(1):
        state = state @ back.turn
        error += (state @ back.write - step).square().mean().item()
    return error / inputs.shape[1]


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 9), st.integers(1, 3), st.integers(1, 2), st.booleans(), st.integers(0, 5))
def test_refining_never_makes_a_pair_worse(length, features, directions, reverse, seed):
    inputs = sequences(60, length, features, seed).double()
    orders = (inputs, inputs.flip(1))
    encoders = [closed_form(order, 3) for order in orders[:directions]]
    back = closed_form(torch.nn.functional.pad(orders[not reverse], (0, 0, 0, 1)), 4)
    *better, better_back = refined(encoders, back, inputs, reverse, 30)
    before, after = (walk_back(*pair, inputs, reverse) for pair in ((encoders, back), (better, better_back)))
    assert after <= before * 1.0001


def test_refining_takes_most_of_what_the_closed_form_leaves():
    """Sequences that two numbers can tell apart, in a recurrence that would keep all prefixes alike."""
    inputs = sequences(200, 30, 1).double()
    encoders, back = [closed_form(inputs, 4)], closed_form(torch.nn.functional.pad(inputs, (0, 0, 0, 1)), 8)
    *better, better_back = refined(encoders, back, inputs, True, 100)
    before, after = walk_back(encoders, back, inputs, True), walk_back(better, better_back, inputs, True)
    pca = torch.linalg.svdvals((inputs - inputs.mean(0)).flatten(1))[4:].square().sum() / inputs.numel()
    assert pca < after < pca + 0.5 * (before - pca)


def started(inputs, decoder="initial_state", *, gate_bias=12.0, signal=1e-3, iterations=0, **options):
    """An autoencoder of 6 units after its linear start."""
    _, length, features = inputs.shape
    model = make_autoencoder(decoder, length=length, features=features, **options)
    linear_autoencoder(model, inputs, gate_bias=gate_bias, signal=signal, iterations=iterations)
    return model.eval()


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 9), st.integers(1, 3), st.integers(0, 5))
def test_the_context_is_that_of_the_linear_recurrence(length, features, seed):
    """Its affine function, that is: contexts are standardised."""
    inputs = sequences(60, length, features, seed)
    with torch.no_grad():
        context = started(inputs)(inputs).context
    codes = closed_form(inputs, 6).codes(inputs).float()
    used = codes.std(0) > 1e-3 * codes.std(0).max()
    expected = (codes - codes.mean(0)) / codes.std(0, correction=0)
    torch.testing.assert_close(context[:, used], expected[:, used], atol=5e-3, rtol=0)
    torch.testing.assert_close(context.mean(0), torch.zeros(6), atol=1e-4, rtol=0)


@pytest.mark.parametrize("reverse", [True, False], ids=["newest first", "oldest first"])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["one way", "both ways"])
@pytest.mark.parametrize("decoder", ["repeat_context", "initial_state", "autoregressive"])
def test_what_fits_into_a_context_comes_back(decoder, bidirectional, reverse):
    """Sequences of 4 values, a context of 6 numbers, a decoder that has not learnt anything."""
    inputs = sequences(80, 2, 2)
    model = started(inputs, decoder, reverse=reverse, bidirectional=bidirectional)
    with torch.no_grad():
        error = (model(inputs).reconstruction - inputs).square().mean()
    assert error < 0.01 * inputs.square().mean()


def test_long_sequences_come_back_nearly_as_well_as_the_linear_pair_has_them():
    inputs = sequences(200, 100, 1)
    recurrence = closed_form(inputs, 6)
    pair = (recurrence.unfold(recurrence.codes(inputs), 100) - inputs).square().mean()
    with torch.no_grad():
        error = (started(inputs, reverse=True)(inputs).reconstruction - inputs).square().mean()
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
        linear_autoencoder(model, inputs, gate_bias=12.0, signal=1e-3)  # refined
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


def test_constant_data_make_no_nan():
    inputs = torch.zeros(20, 5, 2)
    assert started(inputs, iterations=20)(inputs).reconstruction.isfinite().all()


def test_what_it_is_not_made_for_is_refused(monkeypatch):
    inputs = sequences(20, 5, 2)
    with pytest.raises(ConfigError, match="one LSTM layer each"):
        started(inputs, num_layers=2)
    with pytest.raises(ConfigError, match="identity"):
        started(inputs, output_activation="sigmoid")
    monkeypatch.setattr("lstm_ae.models.linear_autoencoder.LARGEST", 9)
    with pytest.raises(ConfigError, match="at most 9 values"):
        started(inputs)
