"""The class: nn.LSTM's parameters and results under both backends."""

import contextlib
import copy
import pickle

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from lstm_ae.kernels import LSTM, native, use_backend

BATCH, STEPS, INPUTS, UNITS = 6, 9, 5, 7
LENGTHS = torch.tensor([9, 1, 3, 9, 4, 5])
SHAPES = [
    {},
    {"num_layers": 2},
    {"bidirectional": True},
    {"num_layers": 3, "bidirectional": True, "dropout": 0.5},
    {"bias": False},
]


@pytest.fixture(params=["torch", "native"])
def backend(request):
    if request.param == "native":
        request.getfixturevalue("compiled")
    return request.param


def pair(backend, **shape):
    """A plain `nn.LSTM` and ours with its weights, both without dropout."""
    plain = nn.LSTM(INPUTS, UNITS, batch_first=True, **shape).eval()
    ours = LSTM(INPUTS, UNITS, **shape).eval()
    ours.load_state_dict(plain.state_dict())
    use_backend(ours, backend)
    return plain, ours


def results(lstm, call, *leaves):
    """What `call` returns, states and last state, and all gradients of something nonlinear in them."""
    states, (hidden, cell) = call(lstm)
    loss = hidden.cos().sum() + (cell * cell).sum() + (0 if states is None else states.sin().sum())
    inputs = [*leaves, *lstm.parameters()]
    gradients = torch.autograd.grad(loss, inputs, allow_unused=True, materialize_grads=True)
    return [*([] if states is None else [states]), hidden, cell, *gradients]


def assert_same(mine, theirs):
    for a, b in zip(mine, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=2e-5)


def make_state(lstm):
    shape = (lstm.num_layers * (1 + lstm.bidirectional), BATCH, UNITS)
    return tuple(torch.randn(shape, requires_grad=True) for _ in range(2))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_forward_is_that_of_nn_lstm(backend, shape):
    plain, ours = pair(backend, **shape)
    inputs, state = torch.randn(BATCH, STEPS, INPUTS, requires_grad=True), make_state(plain)
    assert_same(results(ours, lambda m: m(inputs), inputs), results(plain, lambda m: m(inputs), inputs))
    leaves = (inputs, *state)
    assert_same(results(ours, lambda m: m(inputs, state), *leaves), results(plain, lambda m: m(inputs, state), *leaves))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_lengths_give_what_packing_gives(backend, shape):
    plain, ours = pair(backend, **shape)
    inputs, state = torch.randn(BATCH, STEPS, INPUTS, requires_grad=True), make_state(plain)

    def packed(lstm):
        read = pack_padded_sequence(inputs, LENGTHS, batch_first=True, enforce_sorted=False)
        states, last = lstm(read, state)
        return pad_packed_sequence(states, batch_first=True)[0], last

    leaves = (inputs, *state)
    assert_same(results(ours, lambda m: m(inputs, state, LENGTHS), *leaves), results(plain, packed, *leaves))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["equal", "ragged"])
def test_repeat_reads_a_sequence_of_one_vector(backend, shape, lengths):
    plain, ours = pair(backend, **shape)
    context = torch.randn(BATCH, INPUTS, requires_grad=True)
    reference = LSTM(INPUTS, UNITS, **shape).eval()
    reference.load_state_dict(plain.state_dict())
    expected = results(reference, lambda m: m(context[:, None].expand(-1, STEPS, -1), None, lengths), context)
    assert_same(results(ours, lambda m: m.repeat(context, STEPS, lengths=lengths), context), expected)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_unroll_reads_zeros(backend, shape):
    plain, ours = pair(backend, **shape)
    state = make_state(plain)
    zeros = torch.zeros(BATCH, STEPS, INPUTS)
    mine = results(ours, lambda m: m.unroll(STEPS, state), *state)
    assert_same(mine, results(plain, lambda m: m(zeros, state), *state))


def test_the_last_state_alone(backend):
    _, ours = pair(backend, num_layers=2)
    inputs = torch.randn(BATCH, STEPS, INPUTS)
    assert_same(ours.last_state(inputs), ours(inputs)[1])


def test_dropout_acts_between_layers_while_training(backend):
    _, ours = pair(backend, num_layers=2, dropout=0.5)
    inputs = torch.randn(BATCH, STEPS, INPUTS)
    ours.train()
    assert not torch.equal(ours(inputs)[0], ours(inputs)[0])
    for lengths in (None, LENGTHS):
        first_layer = [ours(inputs, lengths=lengths)[1][0][0] for _ in range(2)]
        assert torch.equal(*first_layer)
    ours.eval()
    assert torch.equal(ours(inputs)[0], ours(inputs)[0])


def test_one_is_the_other_after_load_state_dict(backend):
    plain, ours = pair(backend, num_layers=2, bidirectional=True)
    assert isinstance(ours, nn.LSTM)
    assert list(ours.state_dict()) == list(plain.state_dict())
    plain.load_state_dict(ours.state_dict())


@pytest.mark.parametrize("again", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["deepcopy", "pickle"])
def test_copies(backend, again):
    _, ours = pair(backend)
    copied = again(ours)
    assert copied.backend == backend
    inputs = torch.randn(BATCH, STEPS, INPUTS)
    assert torch.equal(copied(inputs)[0], ours(inputs)[0])
    with torch.no_grad():
        copied.weight_hh_l0.zero_()
    assert not torch.equal(copied(inputs)[0], ours(inputs)[0])


def test_inference_mode(backend):
    _, ours = pair(backend, bidirectional=True)
    inputs = torch.randn(BATCH, STEPS, INPUTS)
    with torch.inference_mode():
        states, _ = ours(inputs)
    assert states.is_inference()
    assert torch.equal(states, ours(inputs)[0])


def test_weights_changed_between_passes_are_noticed(compiled):
    _, ours = pair("native")
    states, _ = ours(torch.randn(BATCH, STEPS, INPUTS))
    with torch.no_grad():
        ours.weight_hh_l0.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        states.sum().backward()


def test_frozen_weights_get_no_gradient(compiled):
    _, ours = pair("native")
    ours.weight_hh_l0.requires_grad_(False)
    inputs = torch.randn(BATCH, STEPS, INPUTS, requires_grad=True)
    ours(inputs)[0].sum().backward()
    assert ours.weight_hh_l0.grad is None
    assert ours.weight_ih_l0.grad is not None and inputs.grad is not None


# What torch says of any nn.LSTM that is traced or exported.
exporting = pytest.mark.filterwarnings(
    "ignore:The tensor attributes self._flat_weights:UserWarning",
    "ignore::torch.jit.TracerWarning",
    "ignore:`torch.jit.trace:DeprecationWarning",
)


def native_calls(monkeypatch):
    """A list that grows with every call of the compiled layer."""
    calls = []
    compute = native.layer
    monkeypatch.setattr(native, "layer", lambda *arguments: calls.append(arguments) or compute(*arguments))
    return calls


@exporting
def test_native_computes_float32_on_the_cpu_and_torch_the_rest(compiled, monkeypatch):
    calls = native_calls(monkeypatch)
    _, ours = pair("native")
    inputs = torch.randn(BATCH, STEPS, INPUTS)
    ours(inputs)
    assert len(calls) == 1
    copy.deepcopy(ours).double()(inputs.double())
    copy.deepcopy(ours).to("meta")(inputs.to("meta"))
    # Of bfloat16, torch's own layer computes nothing on processors without AVX-512.
    with torch.autocast("cpu", torch.bfloat16), contextlib.suppress(RuntimeError):
        ours(inputs)
    ours(torch.randn(STEPS, INPUTS))
    assert isinstance(
        ours(pack_padded_sequence(inputs, LENGTHS.sort().values.flip(0), batch_first=True))[0], PackedSequence
    )
    torch.jit.trace(ours, inputs, check_trace=False)
    torch.export.export(ours, (inputs,))
    assert len(calls) == 1


@exporting
def test_an_exported_model_computes_what_the_native_one_does(compiled):
    _, ours = pair("native", num_layers=2)
    inputs = torch.randn(BATCH, STEPS, INPUTS)
    exported = torch.export.export(ours, (inputs,)).module()
    torch.testing.assert_close(exported(inputs)[0], ours(inputs)[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "call",
    [
        lambda m: m(torch.randn(BATCH, STEPS, INPUTS + 1)),
        lambda m: m(torch.randn(BATCH, STEPS, INPUTS), (torch.zeros(1, BATCH, UNITS), torch.zeros(1, 1, UNITS))),
        lambda m: m(torch.randn(BATCH, STEPS, INPUTS), lengths=torch.tensor([3])),
        lambda m: m(torch.randn(BATCH, STEPS, INPUTS), lengths=LENGTHS + 1),
        lambda m: m(torch.randn(BATCH, STEPS, INPUTS), lengths=LENGTHS - 1),
        lambda m: m.repeat(torch.randn(BATCH, STEPS, INPUTS), 3),
        lambda m: m.repeat(torch.randn(BATCH, INPUTS), 0),
        lambda m: m(torch.randn(STEPS, INPUTS), lengths=torch.tensor([3])),
        lambda m: LSTM(2, 3, batch_first=False),
    ],
)
def test_what_does_not_fit_is_refused(backend, call):
    _, ours = pair(backend)
    with pytest.raises(ValueError):
        call(ours)
