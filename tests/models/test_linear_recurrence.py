"""The closed form: what it is by definition, and what it keeps; and what refining it gains."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from lstm_ae.models import linear_recurrence
from lstm_ae.models.linear_autoencoder import best_start
from lstm_ae.models.linear_recurrence import closed_form, prefix_moments, refined
from tests.models.parts import sequences


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
    back = closed_form(F.pad(orders[not reverse], (0, 0, 0, 1)), 4)
    *better, better_back = refined(encoders, back, inputs, reverse, 30)
    before, after = (walk_back(*pair, inputs, reverse) for pair in ((encoders, back), (better, better_back)))
    assert after <= before * 1.0001


def test_refining_takes_most_of_what_the_closed_form_leaves():
    """Sequences that two numbers can tell apart, in a recurrence that would keep all prefixes alike."""
    inputs = sequences(200, 30, 1).double()
    encoders, back = [closed_form(inputs, 4)], closed_form(F.pad(inputs, (0, 0, 0, 1)), 8)
    *better, better_back = refined(encoders, back, inputs, True, 100)
    before, after = walk_back(encoders, back, inputs, True), walk_back(better, better_back, inputs, True)
    pca = torch.linalg.svdvals((inputs - inputs.mean(0)).flatten(1))[4:].square().sum() / inputs.numel()
    assert pca < after < pca + 0.5 * (before - pca)


def test_a_search_that_breaks_down_leaves_the_closed_form(monkeypatch):
    inputs = sequences(50, 6, 1).double()
    encoders, back = [closed_form(inputs, 3)], closed_form(F.pad(inputs, (0, 0, 0, 1)), 3)

    def broken(known, wanted, readouts):
        return readouts.T @ wanted * float("nan")

    monkeypatch.setattr("lstm_ae.models.linear_recurrence.best_function", broken)
    found = refined(encoders, back, inputs, True, 10)
    for mine, start in zip(found, [*encoders, back], strict=True):
        assert torch.equal(mine.write, start.write) and torch.equal(mine.turn, start.turn)


def test_of_wide_sequences_the_leading_directions_are_kept(monkeypatch):
    """Six channels that are mixed from two: what two directions hold is all there is."""
    inputs = sequences(300, 10, 2) @ torch.randn(2, 6, generator=torch.Generator().manual_seed(1))
    whole = closed_form(inputs, 7)
    monkeypatch.setattr(linear_recurrence, "LARGEST", 20)
    kept = closed_form(inputs, 7)
    rebuilt = [one.unfold(one.codes(inputs), 10) for one in (whole, kept)]
    torch.testing.assert_close(rebuilt[1], rebuilt[0], atol=1e-5, rtol=0)
    assert (rebuilt[0] - inputs).square().mean() > 1e-4  # and it is not all kept by either
