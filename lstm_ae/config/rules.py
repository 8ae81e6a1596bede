"""What every setting may be, in one table, checked before anything is built or written.

A rule is found by the last part of a key: `hidden_size` holds for `model.hidden_size` and for
`model.encoder.hidden_size`, because one name means one thing everywhere in the config tree.
"""

import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from omegaconf import DictConfig, ListConfig, OmegaConf

from lstm_ae.errors import ConfigError


class Rule(NamedTuple):
    """A test of a value and the words that say what passes it."""

    accepts: Callable[[Any], bool]
    words: str

    def or_null(self) -> "Rule":
        """The same rule, null accepted as well."""
        return Rule(lambda value: value is None or self.accepts(value), f"{self.words}, or null")

    def listed(self, count: int | None = None) -> "Rule":
        """A list of values that each pass this rule: `count` of them, or any number, none included."""
        return Rule(
            lambda value: (
                isinstance(value, ListConfig | list) and count in (None, len(value)) and all(map(self.accepts, value))
            ),
            f"a list{f' of {count}' if count else ''}, each {self.words}",
        )

    def or_two(self) -> "Rule":
        """The same rule, or a list of two values that each pass it."""
        both = self.listed(2)
        return Rule(lambda value: self.accepts(value) or both.accepts(value), f"{self.words}, or {both.words}")


def integer(low: int, high: float = math.inf) -> Rule:
    """A whole number from `low` to `high`."""
    upper = "" if high == math.inf else f" and <= {high}"
    return Rule(
        lambda v: isinstance(v, int) and not isinstance(v, bool) and low <= v <= high,
        f"a whole number >= {low}{upper}",
    )


def number(low: float, high: float = math.inf, *, above: bool = False, below: bool = False) -> Rule:
    """A finite number from `low` to `high`; `above` and `below` leave the bound itself out."""

    def accepts(value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return False
        return (value > low if above else value >= low) and (value < high if below else value <= high)

    upper = "" if high == math.inf else f" and {'<' if below else '<='} {high:g}"
    return Rule(accepts, f"a number {'>' if above else '>='} {low:g}{upper}")


def choice(*options: Any) -> Rule:
    """One of the options."""
    return Rule(lambda value: value in options, "one of " + ", ".join("null" if o is None else str(o) for o in options))


TRUTH = Rule(lambda value: isinstance(value, bool), "true or false")
TEXT = Rule(lambda value: isinstance(value, str) and value != "", "a text")
NAME = Rule(
    lambda value: isinstance(value, str) and re.fullmatch(r"\w[\w.-]*", value) is not None,
    "a name of letters, digits, '_', '-' and '.'",
)
STOCK_FEATURES = ("open", "high", "low", "close", "volume")
SYMBOLS = Rule(
    lambda value: integer(1).accepts(value) or (TEXT.listed().accepts(value) and len(value) > 0),
    "a whole number >= 1 or a list of companies, as [GOOGL,AMZN]",
)

RULES: dict[str, Rule] = {
    # the root
    "seed": integer(0, 2**32 - 1),
    "monitor": TEXT.or_two(),
    "mode": choice("min", "max").or_two(),
    "device": choice("auto", "cpu", "cuda"),
    "threads": integer(1).or_null(),
    "cross_validation": integer(2).or_null(),
    "study_name": NAME.or_null(),
    "workers": integer(1),
    "revalidate": integer(1).or_null(),
    # dataset
    "batch_size": integer(1),
    "num_train": integer(1).or_null(),
    "val_fraction": number(0, 1, above=True, below=True),
    "test_fraction": number(0, 1, above=True, below=True),
    "num_folds": integer(2).or_null(),
    "fold": integer(0),
    "num_sequences": integer(10),
    "length": integer(1),
    "dip_length": integer(0),
    "dip_scale": number(0),
    "dip_center": integer(0).listed(2),
    "order": choice("rows", "pixels"),
    "shift": number(0),
    "rotation": number(0, 180),
    "window": integer(2).or_null(),
    "target": choice(*STOCK_FEATURES),
    "features": choice(*STOCK_FEATURES).listed().or_null(),
    "symbols": SYMBOLS.or_null(),
    "complete": TRUTH,
    "start": TEXT.or_null(),
    "end": TEXT.or_null(),
    "test_start": TEXT.or_null(),
    "split": choice("by_time", "by_series", "random_windows"),
    "scaling": choice("window", "series", "none", "series_full"),
    "forecast_target": choice("last_day", "shifted", None),
    "horizon": integer(1),
    "forecast_features": choice("target", "all"),
    "stride": integer(1),
    # forecast
    "symbol": TEXT,
    "steps": integer(1),
    "feed": choice("sliding", "growing"),
    "in_sample": TRUTH,
    # model
    "hidden_size": integer(1),
    "num_layers": integer(1),
    "dropout": number(0, 1, below=True),
    "bidirectional": TRUTH,
    "pooling": choice("last", "mean"),
    "forget_bias": number(-math.inf),
    "gate_bias": number(0),
    "identity": TRUTH,
    "longest": integer(3),
    "output_activation": choice("identity", "sigmoid"),
    "reverse": TRUTH,
    "teacher_forcing": number(0, 1),
    "source": choice("context", "decoder"),
    "hidden_layers": integer(1).listed(),
    "lower_sizes": integer(1).listed(),
    "strides": integer(1).listed(),
    "residual": TRUTH,
    "skip": integer(0),
    # objective
    "reconstruction_weight": number(0, 1),
    "time_effect_weight": number(0, 1),
    # optimizer
    "lr": number(0, above=True),
    "weight_decay": number(0),
    "momentum": number(0, 1, below=True),
    "alpha": number(0, 1, below=True),
    "betas": number(0, 1, below=True).listed(2),
    "nesterov": TRUTH,
    # scheduler
    "warmup": number(0, 1, below=True),
    "final": number(0, 1),
    "factor": number(0, 1, above=True, below=True),
    "plateau_patience": integer(0),
    # trainer
    "max_epochs": integer(1),
    "gradient_clip_norm": number(0, above=True).or_null(),
    "patience": integer(1).or_null(),
    "mixed_precision": TRUTH,
    "max_batches": integer(1).or_null(),
    # pruner
    "n_startup_trials": integer(0),
    "n_warmup_steps": integer(0),
    "interval_steps": integer(1),
    "min_resource": integer(1),
    "reduction_factor": integer(2),
    "min_delta": number(0),
}


def check(config: DictConfig) -> None:
    """Hold every value in `config` against the table.

    Interpolations are passed over: the key they point to is checked in its own place, and that is the key to name.

    Raises:
        ConfigError: the first value that its rule does not accept.
    """

    def walk(node: DictConfig, prefix: str) -> None:
        for name in node:
            key = f"{prefix}{name}"
            if OmegaConf.is_interpolation(node, name):
                continue
            if OmegaConf.is_missing(node, name):
                raise ConfigError(key, "???", "needs a value")
            value = node[name]
            if name in RULES:
                if not RULES[name].accepts(value):
                    raise ConfigError(key, value, f"must be {RULES[name].words}")
            elif isinstance(value, DictConfig):
                walk(value, f"{key}.")

    walk(config, "")
