"""Who computes the LSTM layers of a run: torch, or the compiled layer."""

import logging

import torch
from torch import nn

from lstm_ae.errors import ConfigError
from lstm_ae.kernels import native
from lstm_ae.kernels.compiling import CannotCompile
from lstm_ae.kernels.lstm import LSTM

log = logging.getLogger(__name__)

BACKENDS = ("auto", "torch", "native")
WORTHWHILE_LANES = 8  # numbers in a vector; with 4 the native layer was slower than torch on large layers


def choose_backend(name: str, device: str | torch.device) -> str:
    """The root key `backend`, decided: "torch" or "native".

    Args:
        name: "auto" (native on a CPU where it can be compiled and is worth it, else torch, and a line in the log says
            why), "torch", or "native".
        device: of the run.

    Raises:
        ConfigError: another name, or "native" where that is impossible.
    """
    if name not in BACKENDS:
        raise ConfigError("backend", name, f"must be one of {', '.join(BACKENDS)}")
    if name == "torch":
        return "torch"
    if torch.device(device).type != "cpu":
        if name == "native":
            raise ConfigError("backend", name, f"is for the CPU; with device={device} use backend=auto")
        return "torch"
    try:
        lanes = native.library().lanes
    except CannotCompile as error:
        if name == "native":
            raise ConfigError(
                "backend", name, f"{error}. Install a C compiler, or pip install ziglang; or use backend=auto"
            ) from error
        log.info("backend=torch: %s", error)
        return "torch"
    if name == "auto" and lanes < WORTHWHILE_LANES:
        log.info("backend=torch: vectors of %d numbers make the native layer no faster; backend=native uses it", lanes)
        return "torch"
    return "native"


def use_backend(model: nn.Module, backend: str) -> None:
    """Let "torch" or "native" compute all LSTM layers of a model; a plain `nn.LSTM` in it stays torch's."""
    for module in model.modules():
        if isinstance(module, LSTM):
            module.backend = backend


def backend_of(model: nn.Module) -> str:
    """Who computes a model's LSTM layers: "native" if any of them is computed natively, else "torch"."""
    layers = (module for module in model.modules() if isinstance(module, LSTM))
    return "native" if any(layer.backend == "native" for layer in layers) else "torch"


def describe(backend: str) -> str:
    """The backend in words, for a run's summary: "torch", or "native (gcc 12.2.0, 16 lanes)"."""
    if backend != "native":
        return backend
    library = native.library()
    return f"native ({library.compiler}, {library.lanes} lanes)"
