"""One layer of the compiled library against its formulas in float64: results and all gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_ae.kernels import native
from lstm_ae.kernels.native import Reading
from tests.kernels import reference

TOLERANCE = 3e-5  # of the largest number in a tensor; rounding alone gives 1e-7 to 1e-5


def check(
    batch, steps, inputs, units, *, repeat=False, state=False, ragged=False, bidirectional=False, bias=True,
    threads=1, states=True, seed=0,
):  # fmt: skip
    """Both passes of a random layer, with random gradients arriving at all of its results."""
    torch.manual_seed(seed)
    directions = 1 + bidirectional

    def normal(*shape, scale=1.0):
        return (scale * torch.randn(*shape)).requires_grad_()

    x = None if inputs == 0 else normal(batch, inputs) if repeat else normal(batch, steps, inputs)
    first = [normal(directions, batch, units) if state else None for _ in range(2)]
    lengths = torch.randint(1, steps + 1, (batch,)) if ragged else None
    weights = []
    for _ in range(directions):
        weights += [
            normal(4 * units, max(inputs, 1), scale=max(inputs, 1) ** -0.5),
            normal(4 * units, units, scale=units**-0.5),
        ]
        weights += [normal(4 * units), normal(4 * units)] if bias else [None, None]
    reading = Reading(batch, steps, repeat, lengths, states, threads)
    results = native.layer(reading, x, *first, *weights)
    weighted = [(r, torch.randn_like(r)) for r in results if r is not None]
    sum((r * w).sum() for r, w in weighted).backward()

    leaves = [x, *first, *weights]
    exact = [None if t is None else t.detach().double().requires_grad_() for t in leaves]
    exact_x, hidden, cell, *exact_weights = exact
    zeros = torch.zeros(directions, batch, units, dtype=torch.float64)
    if exact_x is None:
        read = torch.zeros(batch, steps, 1, dtype=torch.float64)
    else:
        read = exact_x[:, None].expand(-1, steps, -1) if repeat else exact_x
    outs = []
    for d in range(directions):
        w_ih, w_hh, *biases = exact_weights[4 * d : 4 * d + 4]
        biases = biases if bias else [torch.zeros(4 * units, dtype=torch.float64)] * 2
        start = [zeros[d] if part is None else part[d] for part in (hidden, cell)]
        all_of_it = torch.full((batch,), steps) if lengths is None else lengths
        outs.append(reference.layer(read, *start, w_ih, w_hh, *biases, all_of_it, reverse=d == 1))
    expected = [torch.cat([o[0] for o in outs], dim=2) if states else None]
    expected += [torch.stack([o[k] for o in outs]) for k in (1, 2)]
    sum((e * w).sum() for e, (_, w) in zip([e for e in expected if e is not None], weighted, strict=True)).backward()

    for name, mine, theirs in zip(("states", "hidden", "cell"), results, expected, strict=True):
        assert (mine is None) == (theirs is None)
        if mine is not None:
            assert_close(name, mine, theirs)
    for number, (mine, theirs) in enumerate(zip(leaves, exact, strict=True)):
        if mine is not None:
            gradient = torch.zeros_like(theirs) if theirs.grad is None else theirs.grad
            assert_close(f"gradient {number}", mine.grad, gradient)
    if ragged and x is not None and not repeat:
        past = torch.arange(steps) >= lengths[:, None]
        assert (x.grad[past] == 0).all()


def assert_close(name, mine, exact):
    error = (mine.double() - exact).abs().max().item()
    assert error <= TOLERANCE * max(1.0, exact.abs().max().item()), f"{name}: {error:.1e}"


@st.composite
def layers(draw):
    """Sizes within what the library promises, the work within what a test may take."""
    units, steps = draw(st.integers(1, 200)), draw(st.integers(1, 60))
    batch = draw(st.integers(1, min(200, 1 + 60_000 // (steps * units))))
    inputs = draw(st.integers(0, 40))
    return batch, steps, inputs, units


@given(
    layers(), st.booleans(), st.booleans(), st.booleans(), st.booleans(), st.integers(1, 2), st.integers(0, 99)
)  # fmt: skip
@settings(max_examples=60)
def test_agrees_with_float64(compiled, sizes, repeat, state, ragged, bidirectional, threads, seed):
    check(
        *sizes, repeat=repeat, state=state, ragged=ragged, bidirectional=bidirectional, threads=threads, seed=seed
    )  # fmt: skip


@pytest.mark.parametrize("units", [1, 7, 8, 9, 15, 16, 17, 33])
@pytest.mark.parametrize("batch", [1, 2, 13])
def test_tiles_that_are_not_full(compiled, batch, units):
    check(batch, 3, 2, units, state=True, ragged=True, bidirectional=True)


@pytest.mark.parametrize("batch", [47, 48, 49, 97, 200])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_blocks_that_are_not_full(compiled, batch, threads):
    check(batch, 2, 1, 8, ragged=True, threads=threads)
    check(batch, 3, 3, 5, repeat=True, threads=threads)


@pytest.mark.parametrize(
    "options",
    [
        {"batch": 1, "steps": 1, "inputs": 1, "units": 1},
        {"batch": 3, "steps": 1, "inputs": 0, "units": 3, "state": True},
        {"batch": 2, "steps": 60, "inputs": 40, "units": 200},
        {"batch": 200, "steps": 60, "inputs": 1, "units": 2, "threads": 2},
        {"batch": 5, "steps": 7, "inputs": 3, "units": 20, "bias": False},
        {"batch": 5, "steps": 7, "inputs": 3, "units": 20, "states": False, "ragged": True},
        {"batch": 5, "steps": 7, "inputs": 3, "units": 20, "repeat": True, "states": False, "bidirectional": True},
        {"batch": 64, "steps": 8, "inputs": 64, "units": 128, "state": True, "threads": 2},
    ],
    ids=str,
)
def test_cases(compiled, options):
    check(**options)


def forward_and_backward(x, weights, threads, go):
    reading = Reading(x.shape[0], x.shape[1], False, None, True, threads)
    states, *_ = native.layer(reading, x, None, None, *weights)
    return [states.detach(), *torch.autograd.grad(states, [x, *weights], go)]


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_the_same_threads_give_the_same_bits(compiled, threads):
    x = torch.randn(150, 5, 3, requires_grad=True)
    weights = [torch.randn(80, 3), torch.randn(80, 20) / 5, torch.randn(80), torch.randn(80)]
    weights = [w.requires_grad_() for w in weights]
    go = torch.randn(150, 5, 20)
    first = forward_and_backward(x, weights, threads, go)
    for _ in range(5):
        again = forward_and_backward(x, weights, threads, go)
        assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


@pytest.mark.parametrize("repeat", [False, True], ids=["an input a step", "one for all steps"])
def test_weights_that_do_not_learn_change_no_other_gradient(compiled, repeat):
    torch.manual_seed(0)
    batch, steps, inputs, units = 70, 40, 3, 17
    weights = [torch.randn(4 * units, n) * 0.3 for n in (inputs, units)] + [torch.randn(4 * units) for _ in range(2)]
    reading = Reading(batch, steps, repeat, None, True, 1)
    read, state = (
        torch.randn(batch, inputs) if repeat else torch.randn(batch, steps, inputs),
        torch.randn(1, batch, units),
    )
    found = []
    for learn in (True, False):
        leaves = [tensor.clone().requires_grad_() for tensor in (read, state, state)]
        own = [weight.clone().requires_grad_(learn) for weight in weights]
        out, hidden, cell = native.layer(reading, *leaves, *own)
        (out.square().sum() + hidden.sum() + cell.sum()).backward()
        found.append([leaf.grad for leaf in leaves])
        assert all((weight.grad is not None) == learn for weight in own)
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)


def test_own_threads_where_torch_has_none_to_lend(compiled, monkeypatch):
    x = torch.randn(100, 5, 3, requires_grad=True)
    weights = [w.requires_grad_() for w in (torch.randn(40, 3), torch.randn(40, 10), torch.randn(40), torch.randn(40))]
    go = torch.randn(100, 5, 10)
    lent = forward_and_backward(x, weights, 3, go)
    alone = compiled._replace(team=None)
    monkeypatch.setattr(native, "library", lambda: alone)
    own = forward_and_backward(x, weights, 3, go)
    assert all(torch.equal(a, b) for a, b in zip(lent, own, strict=True))


def test_what_stands_past_the_end_is_never_read(compiled):
    lengths = torch.tensor([2, 4, 1])
    weights = [w.requires_grad_() for w in (torch.randn(20, 2), torch.randn(20, 5), torch.randn(20), torch.randn(20))]
    x = torch.randn(3, 4, 2)
    x[0, 2:] = x[2, 1:] = float("nan")
    x.requires_grad_()
    states, hidden, cell = native.layer(Reading(3, 4, False, lengths, True, 1), x, None, None, *weights)
    (states.sum() + hidden.sum() + cell.sum()).backward()
    for tensor in (states, hidden, cell, x.grad, *(w.grad for w in weights)):
        assert tensor.isfinite().all()


def test_memory_is_written_before_it_is_read(compiled):
    """With deterministic algorithms, torch fills new tensors with NaN: results, tape and workspace alike."""
    torch.use_deterministic_algorithms(True)
    try:
        check(5, 4, 3, 19, state=True, ragged=True, bidirectional=True)
        check(3, 4, 3, 5, ragged=True)
        check(50, 2, 3, 8, repeat=True, threads=2)
        check(3, 4, 0, 5)
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("lengths", [[0, 3], [4, 1], [-1, 2]])
def test_a_length_out_of_range_is_refused(compiled, lengths):
    weights = [torch.randn(20, 2), torch.randn(20, 5), torch.randn(20), torch.randn(20)]
    with pytest.raises(ValueError, match="within 1 and the number of steps, 3"):
        native.layer(Reading(2, 3, False, torch.tensor(lengths), True, 1), torch.randn(2, 3, 2), None, None, *weights)


def test_strided_tensors_are_read_where_they_lie(compiled):
    weights = [w.requires_grad_() for w in (torch.randn(28, 3), torch.randn(28, 7), torch.randn(28), torch.randn(28))]
    base = torch.randn(9, 12, 6)
    views = [
        base[::2, 1::3, :3],
        base.transpose(0, 1)[:, ::2, 2:5],
        base[:, :1, 3:].expand(-1, 4, -1),
        base[..., ::2],  # features apart: copied
        base.as_strided((5, 4, 3), (3, 3, 1)),  # windows that overlap
    ]
    for view in views:
        results = []
        for x in (view, view.contiguous()):
            x = x.detach().requires_grad_()
            states, *_ = native.layer(Reading(*x.shape[:2], False, None, True, 1), x, None, None, *weights)
            # A gradient that is a view of something larger, as those of slices are.
            go = torch.cat([states.detach()] * 2, dim=2)[..., :7].sin()
            results.append([states, *torch.autograd.grad(states, [x, *weights], go)])
        assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_gradients_cannot_be_differentiated_again(compiled):
    x = torch.randn(2, 3, 2, requires_grad=True)
    weights = [w.requires_grad_() for w in (torch.randn(8, 2), torch.randn(8, 2), torch.randn(8), torch.randn(8))]
    states, *_ = native.layer(Reading(2, 3, False, None, True, 1), x, None, None, *weights)
    with pytest.raises(RuntimeError, match="cannot be differentiated again"):
        torch.autograd.grad(states.sum(), x, create_graph=True)


@pytest.mark.filterwarnings("ignore:Input #:UserWarning")  # that float32 is a coarse thing to check
def test_finite_differences(compiled):
    x, weights = torch.randn(2, 3, 2), [torch.randn(12, 2), torch.randn(12, 3), torch.randn(12), torch.randn(12)]
    inputs = [t.requires_grad_() for t in (x, torch.randn(1, 2, 3), torch.randn(1, 2, 3), *weights)]

    def compute(*tensors):
        return native.layer(Reading(2, 3, False, torch.tensor([3, 2]), True, 1), *tensors)

    assert torch.autograd.gradcheck(compute, inputs, eps=1e-2, atol=3e-3, rtol=1e-2)
