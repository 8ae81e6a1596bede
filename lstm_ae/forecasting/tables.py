"""A roll-out as tables: one series in original units, and the error by horizon over all series."""

from collections.abc import Sequence

import pandas as pd
from torch import Tensor

from lstm_ae.forecasting.plan import Plan


def series_table(plan: Plan, forecasts: dict[str, Tensor], leaky: Sequence[str]) -> pd.DataFrame:
    """The series asked for, a row per time: its time, truth, each forecast (in original units), and the sample.

    Args:
        plan: of the roll-out.
        forecasts: (rows, steps) each, by name.
        leaky: settings under which no sample is unseen; see `sample`.
    """
    mine = plan.rows.tolist().index(plan.row)
    columns = {name: values[mine].numpy() for name, values in forecasts.items()}
    return pd.DataFrame({"time": plan.times, "truth": plan.truth[mine], **columns, "sample": sample(plan, leaky)})


def horizon_table(plan: Plan, forecasts: dict[str, Tensor], leaky: Sequence[str], length: int) -> pd.DataFrame:
    """The error over all series, a row per horizon: its time, each forecast's mean squared error, how many series.

    Each series counts in units of its own range in the window before the start, as `dataset.scaling=window` scales it.

    Args:
        plan, forecasts, leaky: as in `series_table`.
        length: of that window.
    """
    recent = plan.known[:, -length:, 0]
    spread = recent.max(1, keepdims=True) - recent.min(1, keepdims=True)
    spread[spread == 0] = 1
    columns = {name: (((values.numpy() - plan.truth) / spread) ** 2).mean(0) for name, values in forecasts.items()}
    return pd.DataFrame(
        {"horizon": range(1, plan.steps + 1), "time": plan.times}
        | columns
        | {"series": len(plan.rows), "sample": sample(plan, leaky)}
    )


def sample(plan: Plan, leaky: Sequence[str]) -> str:
    """Whether the model has seen what is forecast: in-sample or out-of-sample, and the leaky settings if any."""
    words = "in-sample" if plan.in_sample else "out-of-sample"
    return f"{words}, leaky: {', '.join(leaky)}" if leaky else words
