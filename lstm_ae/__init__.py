"""LSTM autoencoders: an encoder reads a sequence into one context vector, a decoder rebuilds the sequence from it.

>>> import lstm_ae
>>> run = lstm_ae.load_run("outputs/2026-01-31/12-00-00")  # doctest: +SKIP
>>> classes = run.classify(images)  # doctest: +SKIP
>>> runs = lstm_ae.load_runs("multirun/synthetic_grid")  # doctest: +SKIP
>>> contexts = lstm_ae.LSTMAutoencoder(hidden_size=32).fit_transform(sequences)  # doctest: +SKIP
"""

from importlib import import_module
from typing import Any

__all__ = ["LSTMAutoencoder", "Run", "load_run", "load_runs"]


def __getattr__(name: str) -> Any:
    # Looked up late, so that printing a config or a help page never waits for torch.
    if name in __all__:
        return getattr(import_module("lstm_ae.api"), name)
    raise AttributeError(f"module 'lstm_ae' has no attribute {name!r}")
