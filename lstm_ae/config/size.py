"""Whether a model fits into memory, from its config alone: asked before any of it is made."""

import math
from typing import Any

from omegaconf import DictConfig

from lstm_ae.config.parts import source_of
from lstm_ae.errors import ConfigError
from lstm_ae.memory import require

FLOAT = 4  # bytes
COPIES = 4  # of a weight: itself, its gradient, and two moments of the optimizer
KEPT = 6  # numbers that a step of an LSTM keeps for each of its units until the backward pass: gates, cell and state
MAX_LAYERS = 1000  # making more takes minutes, and nobody has trained them


def check_size(config: DictConfig, length: int, features: int, batch: int) -> None:
    """Refuse a model that this machine cannot hold, or whose pyramid is longer than the sequences.

    The estimate looks at `hidden_size` and `num_layers` of all parts in `config.model`; it is a lower bound.

    Args:
        config: the composed config.
        length, features: of the sequences.
        batch: sequences of the largest batch that is trained on; 0: the model is only to be used.

    Raises:
        ConfigError: names the setting.
    """
    for node, key in nodes(config.model, "model"):
        if "_target_" not in node:  # no part: nothing is built from it, and nobody has looked at its values
            continue
        strides = node.get("strides")
        if strides is not None and math.prod(strides) > length:
            raise ConfigError(f"{key}.strides", strides, f"their product must be at most {length}, the steps of a "
                              "sequence")  # fmt: skip
        if "hidden_size" not in node:
            continue
        hidden, layers = node.hidden_size, node.get("num_layers", 1)
        if layers > MAX_LAYERS:
            raise ConfigError(source_of(node, "num_layers", key), layers, f"must be at most {MAX_LAYERS}")
        units = hidden * (2 if node.get("bidirectional", False) else 1)
        weights = 4 * units * (hidden + features) + (layers - 1) * 4 * units * (hidden + units)
        steps = batch * length * units * layers * KEPT
        key = source_of(node, "hidden_size", key)
        require(FLOAT * (COPIES * weights + steps), key, hidden, f"training {layers} layer(s) of it")


def nodes(node: DictConfig, key: str) -> list[tuple[DictConfig, str]]:
    """A node and all groups below it, each with its full key."""
    found = [(node, key)]
    for name in node:
        child: Any = node[name]
        if isinstance(child, DictConfig) and not child._is_none():
            found += nodes(child, f"{key}.{name!s}")
    return found
