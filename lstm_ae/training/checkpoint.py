"""Checkpoints: tensors and plain Python values only, loaded without running any code in them."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from lstm_ae.errors import UserError
from lstm_ae.files import replacing

FORMAT = 1


def save(path: Path, state: dict[str, Any]) -> None:
    """Write `state` to `path` in one step, its folder made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        torch.save({"format": FORMAT, **state}, temporary)


def load(path: Path) -> dict[str, Any]:
    """What `save` wrote, on the CPU.

    Raises:
        UserError: there is no such file, or it is not a checkpoint of this program (cut off, foreign, or holding
            anything but tensors and plain values: `weights_only=True` refuses to unpickle code).
    """
    if not path.is_file():
        raise UserError(f"{path}: no such checkpoint. A run writes its first one at the end of its first epoch.")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds, by what is broken
        raise UserError(
            f"{path}: not a readable checkpoint ({type(error).__name__}). It is cut off or was written by another "
            "program; nothing in it was run."
        ) from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise UserError(f"{path}: not a checkpoint of this program (format {FORMAT} expected).")
    return state


def load_weights(path: Path, state: dict[str, Any], model: nn.Module) -> None:
    """Put the weights in `state`, loaded from `path`, into `model`.

    Raises:
        UserError: they do not fit.
    """
    try:
        model.load_state_dict(state["model"])
    except (KeyError, RuntimeError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise UserError(f"{path}: does not fit the model of the config beside it: {reason}") from error
