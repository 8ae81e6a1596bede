"""Checkpoints: tensors and plain Python values only, loaded without running any code in them."""

import io
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lstm_ae.errors import UserError
from lstm_ae.files import write_whole

FORMAT = 1
OTHER = {"last.pt": "best.pt", "best.pt": "last.pt"}  # what may stand in for a damaged checkpoint


def save(path: Path, state: dict[str, Any]) -> None:
    """Write `state` to `path` in one step, its folder made where it is missing.

    Raises:
        OSError: the disk is full, or cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    archive = io.BytesIO()  # torch tells a full disk as a RuntimeError of its own
    torch.save({"format": FORMAT, **state}, archive)
    write_whole(path, archive.getvalue())


def load(path: Path) -> dict[str, Any]:
    """What `save` wrote, on the CPU.

    Raises:
        UserError: there is no such file, or it is not a checkpoint of this program (damaged, foreign, or holding
            anything but tensors and plain values: `weights_only=True` refuses to unpickle code).
    """
    if not path.is_file():
        raise UserError(f"{path}: no such checkpoint. A run writes its first one at the end of its first epoch.")
    try:
        return _read(path)
    except Exception as error:  # torch raises many kinds, by what is broken
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:100]
        raise UserError(
            f"{path}: not a readable checkpoint ({reason}). It is damaged or was written by another program; nothing "
            "in it was run." + _stand_in(path)
        ) from error


def _read(path: Path) -> dict[str, Any]:
    """What is in the file, once its checksums say that it is what was written; raises all kinds of exceptions."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        # torch compresses nothing, so what a checkpoint unpacks to is no larger than itself.
        if any(entry.compress_type for entry in entries) or sum(e.file_size for e in entries) > path.stat().st_size:
            raise ValueError("compressed")
        damaged = archive.testzip()
        if damaged is not None:
            raise ValueError(f"the checksum of {damaged} is wrong")
    state = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise ValueError(f"not in format {FORMAT}")
    return state


def _stand_in(path: Path) -> str:
    """What can be done about a damaged checkpoint, if the other one is whole."""
    other = path.with_name(OTHER.get(path.name, path.name))
    try:
        epoch = _read(other)["history"][-1]["epoch"]
    except Exception:
        return ""
    return f"\n{other.name} beside it is whole (epoch {epoch:.0f}); to use that one: cp '{other}' '{path}'"


def load_weights(path: Path, state: dict[str, Any], model: nn.Module) -> None:
    """Put the weights in `state`, loaded from `path`, into `model`.

    Raises:
        UserError: they do not fit.
    """
    try:
        model.load_state_dict(state["model"])
    except (KeyError, RuntimeError, TypeError, AttributeError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise UserError(f"{path}: does not fit the model of the config beside it: {reason}") from error
