"""The compiled library from Python: loading it, and one LSTM layer as an autograd function."""

import ctypes
import logging
import sys
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lstm_ae.kernels.compiling import CannotCompile, compiled

log = logging.getLogger(__name__)

SOURCES = [Path(__file__).with_name(name) for name in ("lstm.c", "adam.c")]


class Call(ctypes.Structure):
    """`Layer` of lstm.c: what the caller asks for. Every field has 8 bytes."""

    _fields_ = [
        (name, ctypes.c_int64 if kind == "n" else ctypes.c_void_p)
        for kind, names in (
            ("n", "batch steps inputs units repeat reverse threads"),
            ("p", "team lengths x"),
            ("n", "x_batch x_time"),
            ("p", "weight_ih weight_hh bias_ih bias_hh h_first c_first out"),
            ("n", "out_batch out_time"),
            ("p", "h_last c_last tape workspace d_out"),
            ("n", "d_out_batch d_out_time"),
            ("p", "d_h_last d_c_last d_x"),
            ("n", "d_x_batch d_x_time"),
            ("p", "d_weight_ih d_weight_hh d_bias_ih d_bias_hh d_h_first d_c_first"),
        )
        for name in names.split()
    ]


class Library(NamedTuple):
    """The loaded library and what is asked of it at every call."""

    functions: ctypes.CDLL
    team: int | None  # address of OpenMP's GOMP_parallel
    compiler: str
    lanes: int  # floats in a vector


def library() -> Library:
    """The library, compiled and loaded at the first call of a process.

    Raises:
        CannotCompile: that is not possible here.
    """
    result = _attempt()
    if isinstance(result, CannotCompile):
        raise result
    return result


@cache
def usable() -> bool:
    """Whether the library can be had; if not, a line in the log says why, once."""
    result = _attempt()
    if isinstance(result, CannotCompile):
        log.warning("no native LSTM layer, torch computes instead: %s", result)
    return isinstance(result, Library)


@cache
def _attempt() -> Library | CannotCompile:
    """The library, or why not; the answer stands for the process, however often it is asked."""
    if sys.platform not in ("linux", "darwin"):
        return CannotCompile(f"the native LSTM layer is for Linux and macOS, not for {sys.platform}")
    try:
        return _load(*compiled(SOURCES))
    except CannotCompile as error:
        return error
    except OSError as error:  # a full disk, say
        return CannotCompile(f"the compiled library cannot be written: {error}")


def _load(path: Path, compiler: str) -> Library:
    """Load a compiled library and say what its functions take."""
    try:
        functions = ctypes.CDLL(str(path))
    except OSError as error:
        raise CannotCompile(f"the compiled library does not load: {error}") from error
    pointer = ctypes.POINTER(Call)
    for name, arguments, result in (
        ("lstm_workspace", [pointer, ctypes.c_int], ctypes.c_int64),
        ("lstm_tape", [pointer], ctypes.c_int64),
        ("lstm_forward", [pointer], ctypes.c_int),
        ("lstm_backward", [pointer], None),
        ("lstm_lanes", [], ctypes.c_int),
        ("lstm_activations", [ctypes.c_int64, *[ctypes.c_void_p] * 3], None),
        ("gradient_norm", [ctypes.c_int64, ctypes.c_void_p], ctypes.c_double),
        ("adam_step", [ctypes.c_int64, ctypes.c_void_p, *[ctypes.c_double] * 6, ctypes.c_int], None),
    ):
        function = getattr(functions, name)
        function.argtypes, function.restype = arguments, result
    return Library(functions, _team(), compiler, functions.lstm_lanes())


def _team() -> int | None:
    """How torch's own threads are given work; None where that is out of reach, and the library starts its own.

    torch's OpenMP is loaded with its names visible to all; GOMP_parallel is GCC's entry to it, which LLVM's runtime
    understands too.
    """
    try:
        return ctypes.cast(ctypes.CDLL(None).GOMP_parallel, ctypes.c_void_p).value
    except (AttributeError, OSError, TypeError):
        return None


class Reading(NamedTuple):
    """How a layer reads: everything about a call that is not a differentiable tensor."""

    batch: int
    steps: int
    repeat: bool  # x is (batch, inputs), read at every step
    lengths: Tensor | None  # (batch), int64
    need_states: bool
    threads: int


Weights = tuple[Tensor | None, ...]  # of a direction: weight_ih, weight_hh, bias_ih, bias_hh (None: no biases)


def layer(
    reading: Reading, x: Tensor | None, hidden: Tensor | None, cell: Tensor | None, *weights: Tensor | None
) -> tuple[Tensor | None, Tensor, Tensor]:
    """One layer, in one direction or both.

    Args:
        reading: how it reads.
        x: (batch, steps, inputs), or (batch, inputs) if repeated, or None: no input at all.
        hidden, cell: the initial state, (directions, batch, units), or None for zeros.
        weights: four for each direction, see `Weights`.

    Returns:
        the states (batch, steps, directions * units), None unless asked for, and the last hidden and cell state, each
        (directions, batch, units).

    Raises:
        ValueError: a length that is not within 1 and the number of steps.
    """
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (x, hidden, cell, *weights)):
        return LayerFunction.apply(reading, x, hidden, cell, *weights)
    return _forward(reading, x, hidden, cell, weights, None)


class LayerFunction(torch.autograd.Function):
    """`layer` with gradients for everything; can be differentiated once."""

    @staticmethod
    def forward(
        ctx: Any, reading: Reading, x: Tensor | None, hidden: Tensor | None, cell: Tensor | None, *weights: Tensor
    ) -> tuple[Tensor | None, Tensor, Tensor]:
        """As `layer`, and keeps what the gradients need."""
        tapes: list[Tensor] = []
        results = _forward(reading, x, hidden, cell, weights, tapes)
        ctx.save_for_backward(x, hidden, cell, *weights, *tapes)
        ctx.reading = reading
        ctx.set_materialize_grads(False)
        return results

    @staticmethod
    def backward(ctx: Any, d_out: Tensor | None, d_hidden: Tensor | None, d_cell: Tensor | None) -> tuple[Any, ...]:
        """Gradients of the results -> gradients of what is differentiable in `forward`'s arguments."""
        if torch.is_grad_enabled():  # create_graph=True: second derivatives would be wrong without a word
            raise RuntimeError("gradients of the native LSTM layer cannot be differentiated again; backend=torch can")
        x, hidden, cell, *rest = ctx.saved_tensors
        directions = len(rest) // 5
        weights, tapes = rest[:-directions], rest[-directions:]
        _, need_x, need_hidden, need_cell, *need_weights = ctx.needs_input_grad
        d_x = d_first_hidden = d_first_cell = None
        if hidden is not None and need_hidden:
            d_first_hidden = torch.empty_like(hidden, memory_format=torch.contiguous_format)
        if cell is not None and need_cell:
            d_first_cell = torch.empty_like(cell, memory_format=torch.contiguous_format)
        d_out = None if d_out is None else _rows(d_out)
        d_hidden = None if d_hidden is None else d_hidden.contiguous()
        d_cell = None if d_cell is None else d_cell.contiguous()
        x = None if x is None else _rows(x)
        hidden = None if hidden is None else hidden.contiguous()
        cell = None if cell is None else cell.contiguous()
        d_weights: list[Tensor | None] = []
        wanted = any(need_weights)
        for direction, tape in enumerate(tapes):
            own = weights[4 * direction : 4 * direction + 4]
            d_own = [torch.empty_like(weight) if wanted and weight is not None else None for weight in own]
            if x is None and d_own[0] is not None:
                d_own[0].zero_()
            d_weights += d_own
            d_this_x = torch.empty_like(x, memory_format=torch.contiguous_format) if need_x and x is not None else None
            call = _call(ctx.reading, x, hidden, cell, own, direction)
            call.tape = tape.data_ptr()
            units = own[1].shape[1]
            if d_out is not None:
                call.d_out = d_out.data_ptr() + 4 * direction * units
                call.d_out_batch, call.d_out_time = d_out.stride(0), d_out.stride(1)
            call.d_h_last, call.d_c_last = _pointer(d_hidden, direction), _pointer(d_cell, direction)
            if d_this_x is not None:
                call.d_x, call.d_x_batch, call.d_x_time = d_this_x.data_ptr(), d_this_x.stride(0), d_this_x.stride(-2)
            call.d_weight_ih, call.d_weight_hh, call.d_bias_ih, call.d_bias_hh = map(_pointer, d_own)
            call.d_h_first, call.d_c_first = _pointer(d_first_hidden, direction), _pointer(d_first_cell, direction)
            functions = library().functions
            workspace = own[1].new_empty(functions.lstm_workspace(call, 1))
            call.workspace = workspace.data_ptr()
            functions.lstm_backward(call)
            d_x = d_this_x if d_x is None or d_this_x is None else d_x.add_(d_this_x)
        return None, d_x, d_first_hidden, d_first_cell, *d_weights


def _forward(
    reading: Reading,
    x: Tensor | None,
    hidden: Tensor | None,
    cell: Tensor | None,
    weights: tuple[Tensor | None, ...],
    tapes: list[Tensor] | None,
) -> tuple[Tensor | None, Tensor, Tensor]:
    """`layer` without gradients; leaves in `tapes`, if there are to be some, what a direction's gradients need."""
    functions = library().functions
    recurrent = _recurrent(weights)
    directions, units = len(weights) // 4, recurrent.shape[1]
    x = None if x is None else _rows(x)
    hidden = None if hidden is None else hidden.contiguous()
    cell = None if cell is None else cell.contiguous()
    new = recurrent.new_empty
    out = new(reading.batch, reading.steps, directions * units) if reading.need_states else None
    last_hidden, last_cell = new(directions, reading.batch, units), new(directions, reading.batch, units)
    for direction in range(directions):
        call = _call(reading, x, hidden, cell, weights[4 * direction : 4 * direction + 4], direction)
        if out is not None:
            call.out, call.out_batch, call.out_time = (
                out.data_ptr() + 4 * direction * units,
                out.stride(0),
                out.stride(1),
            )
        call.h_last, call.c_last = _pointer(last_hidden, direction), _pointer(last_cell, direction)
        if tapes is not None:
            tapes.append(new(functions.lstm_tape(call)))
            call.tape = tapes[-1].data_ptr()
        workspace = new(functions.lstm_workspace(call, 0))
        call.workspace = workspace.data_ptr()
        if functions.lstm_forward(call):
            raise ValueError(f"lengths must be within 1 and the number of steps, {reading.steps}")
    return out, last_hidden, last_cell


def _call(
    reading: Reading,
    x: Tensor | None,
    hidden: Tensor | None,
    cell: Tensor | None,
    weights: tuple[Tensor | None, ...],
    direction: int,
) -> Call:
    """What both passes have in common."""
    repeat = reading.repeat or x is None
    return Call(
        reading.batch,
        reading.steps,
        0 if x is None else x.shape[-1],
        _recurrent(weights).shape[1],
        repeat,
        direction,
        reading.threads,
        library().team,
        _pointer(reading.lengths),
        _pointer(x),
        0 if x is None else x.stride(0),
        0 if repeat or x is None else x.stride(1),
        *map(_pointer, weights),
        _pointer(hidden, direction),
        _pointer(cell, direction),
    )


def _recurrent(weights: tuple[Tensor | None, ...]) -> Tensor:
    """The recurrent weights among those of a direction, which always has them."""
    assert weights[1] is not None
    return weights[1]


def _pointer(tensor: Tensor | None, index: int = 0) -> int | None:
    """The address of a contiguous tensor's `index`-th entry."""
    if tensor is None:
        return None
    return tensor.data_ptr() + 4 * index * tensor.stride(0) if index else tensor.data_ptr()


def _rows(tensor: Tensor) -> Tensor:
    """A tensor whose features stand side by side: the same one, if they do."""
    return tensor if tensor.stride(-1) == 1 or tensor.shape[-1] == 1 else tensor.contiguous()
