"""What each decoder may look at, and in which order it writes."""

import pytest
import torch

from tests.models.parts import DECODERS, make_decoder

CONTEXT = torch.rand(2, 4, generator=torch.Generator().manual_seed(0))
TRUTH = torch.rand(2, 5, 3, generator=torch.Generator().manual_seed(1))


def twin(decoder, name, **options):
    """Another decoder with the same weights."""
    other = make_decoder(name, **options).train(decoder.training)
    other.load_state_dict(decoder.state_dict())
    return other


def free_run(decoder, context):
    """The autoregressive decoder step by step, from its parts."""
    state, step, written = decoder.start(context), torch.zeros(len(context), 1, 3), []
    for _ in range(decoder.length):
        hidden, state = decoder.lstm(step, state)
        step = decoder.output(hidden)
        written.append(step)
    return torch.cat(written, dim=1)


def taught_run(decoder, context, truth):
    """The autoregressive decoder step by step, reading the truth of the step before."""
    state, step, written = decoder.start(context), torch.zeros(len(context), 1, 3), []
    for t in range(decoder.length):
        hidden, state = decoder.lstm(step, state)
        written.append(decoder.output(hidden))
        step = truth[:, t : t + 1]
    return torch.cat(written, dim=1)


@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", DECODERS)
def test_last_state_is_that_of_the_step_written_last(name, reverse, num_layers):
    decoder = make_decoder(name, reverse=reverse, num_layers=num_layers).eval()
    decoding = decoder(CONTEXT, TRUTH)
    assert decoding.reconstruction.shape == TRUTH.shape
    assert decoding.last_state.shape == (2, 6)
    written_last = decoding.reconstruction[:, 0 if reverse else -1]
    torch.testing.assert_close(decoder.output(decoding.last_state), written_last)


@pytest.mark.parametrize("name", DECODERS)
def test_reverse_writes_the_same_steps_the_other_way_round(name):
    decoder = make_decoder(name).eval()
    reverse = twin(decoder, name, reverse=True)
    forward = decoder(CONTEXT, TRUTH).reconstruction
    assert torch.equal(reverse(CONTEXT, TRUTH).reconstruction, forward.flip(1))
    assert not torch.equal(forward, forward.flip(1))


def test_reverse_teaches_from_the_end():
    decoder = make_decoder("autoregressive")
    reverse = twin(decoder, "autoregressive", reverse=True)
    taught = decoder(CONTEXT, TRUTH.flip(1)).reconstruction
    assert torch.equal(reverse(CONTEXT, TRUTH).reconstruction, taught.flip(1))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", ["repeat_context", "initial_state"])
def test_these_never_look_at_the_truth(name, training):
    decoder = make_decoder(name).train(training)
    assert torch.equal(decoder(CONTEXT, TRUTH).reconstruction, decoder(CONTEXT, TRUTH + 1).reconstruction)


@pytest.mark.parametrize("name", DECODERS)
def test_the_output_depends_on_the_context(name):
    decoder = make_decoder(name)
    changed = (decoder(CONTEXT, TRUTH).reconstruction - decoder(CONTEXT + 1, TRUTH).reconstruction).abs()
    assert (changed.amax((0, 2)) > 0).all()  # at every step


def test_repeat_context_reads_the_context_at_every_step():
    decoder = make_decoder("repeat_context", num_layers=2)
    states = decoder.lstm(torch.stack([CONTEXT] * 5, dim=1))[0]
    torch.testing.assert_close(decoder(CONTEXT, TRUTH).reconstruction, decoder.output[0](states))


def test_initial_state_gives_every_layer_a_state_of_its_own():
    hidden, cell = make_decoder("initial_state", num_layers=3).start(CONTEXT)
    assert hidden.shape == cell.shape == (3, 2, 6)
    assert len(torch.cat([hidden, cell]).flatten(1).unique(dim=0)) == 6
    again = make_decoder("initial_state", num_layers=3)
    state = again.initial_state(CONTEXT)
    expected = {tuple(row.tolist()) for row in state.view(2, 6, 6)[1]}
    hidden, cell = again.start(CONTEXT)
    assert {tuple(row.tolist()) for row in torch.cat([hidden, cell])[:, 1]} == expected  # of the sample's own context


@pytest.mark.parametrize("teacher_forcing", [0.0, 0.5, 1.0])
def test_autoregressive_evaluation_reads_its_own_output_and_never_the_truth(teacher_forcing):
    decoder = make_decoder("autoregressive", num_layers=2, teacher_forcing=teacher_forcing).eval()
    reconstruction = decoder(CONTEXT, TRUTH).reconstruction
    torch.testing.assert_close(reconstruction, free_run(decoder, CONTEXT))
    assert torch.equal(decoder(CONTEXT, torch.full_like(TRUTH, torch.nan)).reconstruction, reconstruction)


def test_autoregressive_training_reads_the_truth_of_the_step_before():
    decoder = make_decoder("autoregressive", num_layers=2, teacher_forcing=1.0).train()
    torch.testing.assert_close(decoder(CONTEXT, TRUTH).reconstruction, taught_run(decoder, CONTEXT, TRUTH))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("t", range(5))
def test_a_taught_step_has_not_seen_the_truth_that_it_is_to_write(t, reverse):
    decoder = make_decoder("autoregressive", reverse=reverse).train()
    changed = TRUTH.clone()
    changed[:, t] += 1
    before, after = decoder(CONTEXT, TRUTH).reconstruction, decoder(CONTEXT, changed).reconstruction
    if reverse:
        before, after, t = before.flip(1), after.flip(1), 4 - t
    assert torch.equal(before[:, : t + 1], after[:, : t + 1])
    assert not torch.isclose(before[:, t + 1 :], after[:, t + 1 :]).any()


def test_teacher_forcing_is_the_share_of_taught_batches():
    torch.manual_seed(0)
    decoder = make_decoder("autoregressive", teacher_forcing=0.3).train()
    free, taught = free_run(decoder, CONTEXT), taught_run(decoder, CONTEXT, TRUTH)
    count = 0
    for _ in range(400):
        reconstruction = decoder(CONTEXT, TRUTH).reconstruction
        count += torch.allclose(reconstruction, taught)
        assert torch.allclose(reconstruction, taught) != torch.allclose(reconstruction, free)
    assert 85 < count < 155  # 120 expected, with a standard deviation of 9


def test_without_teaching_training_runs_free():
    decoder = make_decoder("autoregressive", teacher_forcing=0.0).train()
    torch.testing.assert_close(decoder(CONTEXT, TRUTH).reconstruction, free_run(decoder, CONTEXT))


@pytest.mark.parametrize("name", DECODERS)
def test_sigmoid_keeps_the_output_in_range_and_is_what_is_fed_back(name):
    decoder = make_decoder(name, output_activation="sigmoid").eval()
    plain = twin(decoder, name).eval()
    with torch.no_grad():
        for weights in (decoder.output[0].weight, plain.output[0].weight):
            weights.mul_(100)
    squashed, open_ended = decoder(CONTEXT, TRUTH).reconstruction, plain(CONTEXT, TRUTH).reconstruction
    assert squashed.min() >= 0
    assert squashed.max() <= 1
    assert open_ended.abs().max() > 1
    torch.testing.assert_close(squashed[:, 0], open_ended[:, 0].sigmoid())
    if name == "autoregressive":
        torch.testing.assert_close(squashed, free_run(decoder, CONTEXT))
