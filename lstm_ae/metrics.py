"""What is known of a metric by its name: which way is better, how its axis is drawn, and its words.

One table for whoever chooses a checkpoint, sweeps, sorts, draws or prints. A full name is `PART/METRIC`, or
`PART/METRIC/BASELINE` for a baseline: `val/accuracy`, `test/forecast_skill/ridge`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from lstm_ae.errors import ConfigError

Better = Literal["min", "max"]


@dataclass(frozen=True)
class Metric:
    """One line of the table."""

    name: str  # without part and baseline; `*` stands for any text
    better: Better | None  # None: it is neither good nor bad
    words: str  # for an axis or a heading
    logarithmic: bool = False  # whether its axis is, where the values spread far


TABLE = (
    Metric("loss", "min", "loss", logarithmic=True),
    Metric("reconstruction", "min", "reconstruction error (mean squared)", logarithmic=True),
    Metric("cross_entropy", "min", "cross-entropy of the class", logarithmic=True),
    Metric("accuracy", "max", "accuracy"),
    Metric("forecast", "min", "forecast error (mean squared)", logarithmic=True),
    Metric("forecast_unseen", "min", "forecast error after the input (mean squared)", logarithmic=True),
    Metric("forecast_seen", "min", "forecast error inside the input (mean squared)", logarithmic=True),
    Metric("forecast_mae", "min", "forecast error (mean absolute)", logarithmic=True),
    Metric("forecast_mse_*", "min", "forecast error (mean squared, original units)", logarithmic=True),
    Metric("forecast_mae_*", "min", "forecast error (mean absolute, original units)", logarithmic=True),
    Metric("forecast_mase", "min", "forecast error over that of persistence inside the input (MASE)"),
    Metric("forecast_skill", "max", "forecast skill against persistence"),
    Metric("forecast_direction", "max", "share of directions forecast"),
    Metric("forecast_dm_*", "max", "Diebold-Mariano statistic (positive: the forecast is better)"),
    Metric("forecast_p_*", "min", "p-value of the Diebold-Mariano test", logarithmic=True),
    Metric("forecast_times", None, "times in the Diebold-Mariano test"),
)


def find(name: str) -> Metric:
    """What is known of the metric with this full name.

    A metric that is not in the table, as a user's own objective may measure, is neither good nor bad and is called by
    its name.
    """
    bare = name.split("/")[1] if "/" in name else name
    return next((metric for metric in TABLE if fnmatchcase(bare, metric.name)), Metric(bare, None, bare))


def monitored(monitor: str | Sequence[str], mode: str | Sequence[str]) -> dict[str, Better]:
    """The monitored metrics, each with the mode that its best value has.

    Args:
        monitor: the root key `monitor`: a full name, or two of them.
        mode: the root key `mode`: `min` or `max`, one for each name.

    Raises:
        ConfigError: not one mode for each name, or a mode against the table.
    """
    names = [monitor] if isinstance(monitor, str) else list(monitor)
    modes = [mode] if isinstance(mode, str) else list(mode)
    given_modes = dict(zip(names, modes, strict=False))
    right: list[Better] = [find(name).better or ("max" if given_modes.get(name) == "max" else "min") for name in names]
    if modes != right:
        wanted = right[0] if len(right) == 1 else f"[{','.join(right)}]"
        given = mode if isinstance(mode, str) else f"[{','.join(modes)}]"
        best = ", and ".join(f"the best {name} is its {better}" for name, better in zip(names, right, strict=True))
        raise ConfigError("mode", given, f"{best}; add mode={wanted}")
    return dict(zip(names, right, strict=True))
