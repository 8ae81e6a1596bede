"""The closed form: what it is by definition, and what it keeps."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_ae.models.linear_autoencoder import closed_form, prefix_moments


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
