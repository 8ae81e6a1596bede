"""Clipping and Adam in one go: on a small model, their many calls cost more than the model itself."""

import ctypes

import torch
from torch import Tensor, nn

from lstm_ae.kernels import native


def clip_and_step(optimizer: torch.optim.Optimizer, max_norm: float | None, backend: str) -> None:
    """Clip the norm of the whole gradient (Pascanu, Mikolov and Bengio 2013) and take the optimizer's step.

    With backend "native", torch's own Adam and AdamW are computed by the compiled library if all is float32 on a CPU:
    the optimizer, its settings and its state are torch's, the results equal torch's up to rounding, and the gradients
    are left unclipped. Anything else goes through `clip_grad_norm_` and `optimizer.step()`.

    Args:
        optimizer: after the backward pass; its parameters are the whole model's.
        max_norm: largest norm of the gradient of all the optimizer's parameters; None: no clipping.
        backend: "native" or "torch".
    """
    groups = [
        (group, [parameter for parameter in group["params"] if parameter.grad is not None])
        for group in optimizer.param_groups
    ]
    if (
        backend == "native"
        and isinstance(optimizer, torch.optim.Adam)
        and type(optimizer) in (torch.optim.Adam, torch.optim.AdamW)
        and all(_is_plain(group) for group, _ in groups)
        and all(_is_simple(parameter) and _is_simple(parameter.grad) for _, chosen in groups for parameter in chosen)
        and native.usable()
    ):
        _native_step(optimizer, groups, max_norm)
        return
    if max_norm is not None:
        nn.utils.clip_grad_norm_([parameter for _, chosen in groups for parameter in chosen], max_norm)
    optimizer.step()


def _is_plain(group: dict) -> bool:
    """Whether a group asks for nothing but Adam's own formula; a rate that is a tensor belongs to captured graphs."""
    unusual = group["amsgrad"] or group["maximize"] or group["capturable"] or group["differentiable"]
    return not unusual and not isinstance(group["lr"], Tensor)


def _is_simple(tensor: Tensor) -> bool:
    """Whether a tensor is a plain array of float32 on the CPU."""
    return tensor.dtype is torch.float32 and tensor.is_cpu and tensor.layout is torch.strided and tensor.is_contiguous()


def _native_step(optimizer: torch.optim.Adam, groups: list[tuple[dict, list[Tensor]]], max_norm: float | None) -> None:
    functions = native.library().functions
    tables = []
    for _, parameters in groups:
        fields: list[int] = []
        for parameter in parameters:
            fields += _fields(optimizer.state[parameter], parameter)
        tables.append((ctypes.c_int64 * len(fields))(*fields))
    scale = 1.0
    if max_norm is not None:
        norms = [functions.gradient_norm(len(p), table) for (_, p), table in zip(groups, tables, strict=True)]
        scale = min(1.0, max_norm / (sum(norm**2 for norm in norms) ** 0.5 + 1e-6))
    for (group, parameters), table in zip(groups, tables, strict=True):
        functions.adam_step(
            len(parameters),
            table,
            group["lr"],
            *group["betas"],
            group["eps"],
            group["weight_decay"],
            scale,
            group.get("decoupled_weight_decay", type(optimizer) is torch.optim.AdamW),
        )
        torch.autograd.graph.increment_version(parameters)  # they were written behind torch's back


def _fields(state: dict, parameter: Tensor) -> tuple[int, ...]:
    """`Parameter` of adam.c, with the state that torch's first step would have made."""
    if not state:
        state["step"] = torch.tensor(0.0)
        state["exp_avg"] = torch.zeros_like(parameter)
        state["exp_avg_sq"] = torch.zeros_like(parameter)
    assert parameter.grad is not None
    return (
        parameter.data_ptr(),
        parameter.grad.data_ptr(),
        state["exp_avg"].data_ptr(),
        state["exp_avg_sq"].data_ptr(),
        state["step"].data_ptr(),
        parameter.numel(),
    )
