"""Roll a trained forecaster forward over stock prices, beside naive forecasts.

python -m lstm_ae.forecast run=RUN_DIR symbol=GOOGL start=2016-01-04 [steps=...] [feed=growing]
"""

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import hydra
from omegaconf import DictConfig

from lstm_ae.config import CONF
from lstm_ae.config.rules import READING, validate_keys
from lstm_ae.console import run_command
from lstm_ae.errors import ConfigError, UserError
from lstm_ae.files import write_whole

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from lstm_ae.data.sequence_data import SequenceData
    from lstm_ae.runs.reopen import Run

log = logging.getLogger(__name__)


class Plan(NamedTuple):
    """Which companies are rolled forward, from which day."""

    row: int  # the company asked for
    rows: "np.ndarray"  # it and all others that have the days that it takes
    begin: int  # the first day that is read
    start: int  # the first day that is forecast
    in_sample: bool


def forecast(config: DictConfig) -> list[Path]:
    """Roll the best checkpoint of `config.run` forward from `config.start` for `config.steps` days.

    Writes a CSV and a figure of the company asked for, in dollars, and a CSV and a figure of the error by horizon over
    all companies, into `config.output`, by default the folder `forecasts` of the run.

    Returns:
        the files written.

    Raises:
        UserError: no such run, or not one of a stock forecaster.
        ConfigError: a company, a day or a number of steps that cannot be had.
    """
    validate_keys(config, READING)
    import pandas as pd
    import torch
    from tqdm import tqdm

    from lstm_ae.config.build import build_data
    from lstm_ae.figures.rollout import draw_rollout
    from lstm_ae.figures.run import run_title
    from lstm_ae.forecasting.baselines import drift, persistence
    from lstm_ae.forecasting.rollout import make_forecaster, roll_out
    from lstm_ae.runs.reopen import load_run

    run = load_run(config.run, config.device)
    threads = config.threads or run.config.threads
    if threads is not None:
        torch.set_num_threads(threads)
    if run.spec.forecast_steps == 0 or run.model.head is None or run.model.head.task != "forecast":
        raise UserError(
            f"{run.directory.path}: this run forecasts nothing; train one with model=forecaster dataset=sp500"
        )
    data = build_data(run.config, torch.device("cpu"))
    found = plan(config, run, data)
    panel, length = data.panel, run.spec.length
    rows = torch.from_numpy(found.rows)
    known = torch.from_numpy(panel.values[found.rows, found.begin : found.start])
    with tqdm(total=config.steps, unit="day", leave=False, disable=not sys.stderr.isatty()) as bar:
        forecasts = {
            "forecast": roll_out(
                make_forecaster(run.model, data, rows, run.config.dataset.scaling),
                known,
                config.steps,
                length if config.feed == "sliding" else None,
                bar.update,
            )
        }
    forecasts |= {"persistence": persistence(known, config.steps), "drift": drift(known, config.steps)}
    days = slice(found.start, found.start + config.steps)
    truth = panel.values[found.rows, days, 0]
    sample = "in-sample" if found.in_sample else "out-of-sample"
    if run.spec.leaky:
        sample += f", leaky: {', '.join(run.spec.leaky)}"

    mine = found.rows.tolist().index(found.row)
    rolled = pd.DataFrame(
        {"date": panel.times[days], "truth": truth[mine]}
        | {name: values[mine].numpy() for name, values in forecasts.items()}
        | {"sample": sample}
    )
    # Each company in units of its range in the window before the start, as `dataset.scaling=window` has it.
    recent = known[:, -length:, 0].numpy()
    spread = recent.max(1, keepdims=True) - recent.min(1, keepdims=True)
    spread[spread == 0] = 1
    errors = pd.DataFrame(
        {"horizon": range(1, config.steps + 1), "date": panel.times[days]}
        | {name: (((values.numpy() - truth) / spread) ** 2).mean(0) for name, values in forecasts.items()}
        | {"series": len(found.rows), "sample": sample}
    )
    folder = Path(config.output or run.directory.path / "forecasts")
    folder.mkdir(parents=True, exist_ok=True)
    ending = f"{panel.times[found.start]}_{config.feed}" + ("_in-sample" if found.in_sample else "")
    symbol = panel.series[found.row]
    written = [folder / f"{symbol}_{ending}.csv", folder / f"error_by_horizon_{ending}.csv"]
    for path, table in zip(written, (rolled, errors), strict=True):
        write_whole(path, table.to_csv(index=False))
    heading = run_title(run.config, run.spec) + ("\nin-sample: these days were trained on" if found.in_sample else "")
    written += draw_rollout(
        [path.with_suffix(".png") for path in written],
        heading,
        data.spec,
        panel,
        found.row,
        (max(found.begin, found.start - 2 * max(length, config.steps)), found.start),
        rolled,
        errors,
    )
    tell(symbol, rolled, errors)
    log.info("look at %s", "  ".join(path.name for path in written))
    log.info("in %s", folder)
    return written


def plan(config: DictConfig, run: "Run", data: "SequenceData") -> Plan:
    """Which days to read and to forecast, checked against what there is and what the run was trained on.

    Raises:
        ConfigError: see `forecast`.
    """
    import numpy as np

    from lstm_ae.forecasting.rollout import used_until

    panel, spec = data.panel, run.spec
    row = panel.position("symbol", config.symbol)
    used = used_until(data, run.config.dataset.split)
    if config.start is not None:
        start = panel.time_of("start", config.start)
    elif used[row] < len(panel.times):
        start = max(int(used[row]), spec.length)
    else:
        raise ConfigError("start", None, "every day of this company was trained on; give a date, and in_sample=true")
    if spec.forecast_features < spec.features and config.steps > spec.horizon:
        raise ConfigError(
            "steps", config.steps, f"this model reads {', '.join(spec.feature_names)} and forecasts only "
            f"{spec.feature_names[0]}, so steps must be at most {spec.horizon}; or train with "
            "dataset.forecast_features=all"
        )  # fmt: skip
    if start + config.steps > len(panel.times):
        raise ConfigError("steps", config.steps, f"must be at most {len(panel.times) - start}: the data end on "
                          f"{panel.times[-1]}")  # fmt: skip
    if start < spec.length:
        raise ConfigError("start", panel.times[start], f"must be {panel.times[spec.length]} or later: the model "
                          f"reads {spec.length} days before it")  # fmt: skip
    in_sample = bool(start < used[row])
    if in_sample and not config.in_sample:
        later = f"start on {panel.times[used[row]]} or later" if used[row] < len(panel.times) else "take another symbol"
        raise ConfigError(
            "start", panel.times[start], f"the run was trained and validated on {panel.series[row]} up to "
            f"{panel.times[used[row] - 1]}; {later}, or add in_sample=true to see it fit what it knows"
        )  # fmt: skip
    if config.feed == "growing" and run.model.head.fixed_length:
        raise ConfigError(
            "feed", config.feed, "this model forecasts a shifted input of fixed length; use feed=sliding, or train "
            "with dataset.forecast_target=last_day or model/head=forecast_linear"
        )  # fmt: skip
    begin = 0 if config.feed == "growing" else start - spec.length
    whole = ~np.isnan(panel.values[:, begin : start + config.steps]).any((1, 2))
    if not whole[row]:
        raise ConfigError("symbol", config.symbol, f"has missing days or values between {panel.times[begin]} and "
                          f"{panel.times[start + config.steps - 1]}")  # fmt: skip
    # The other companies are judged on the same footing as this one.
    same = whole & ((start < used) == in_sample)
    if run.config.dataset.scaling not in ("window", "none"):
        placed = np.zeros(len(panel.series), bool)
        for part in (data.train, data.val, data.test):
            placed[part.series.numpy()] = True
        if not placed[row]:
            raise ConfigError("symbol", config.symbol, "the run has no window of it, and so no range to scale it by")
        same &= placed
    return Plan(row, same.nonzero()[0], begin, start, in_sample)


def tell(symbol: str, rolled: "pd.DataFrame", errors: "pd.DataFrame") -> None:
    """Log the errors of the company, in original units, and of all companies."""
    names = ("forecast", "persistence", "drift")
    absolute = {name: (rolled[name] - rolled["truth"]).abs().mean() for name in names}
    told = ", ".join(f"{name} {value:.4g}" for name, value in absolute.items())
    first = rolled.iloc[0]
    log.info("%s, %d days from %s (%s), mean absolute error: %s",
             symbol, len(rolled), first["date"].date(), first["sample"], told)  # fmt: skip
    for step in sorted({1, 5, 20, len(errors)} & set(range(1, len(errors) + 1))):
        row = errors.iloc[step - 1]
        log.info("%d companies, day %d, mean squared error (scaled): %s", row["series"], step,
                 ", ".join(f"{name} {row[name]:.4g}" for name in names))  # fmt: skip


@hydra.main(config_path=CONF, config_name="forecast", execution_whitelist=())
def hydra_main(config: DictConfig) -> None:
    """What Hydra calls with the composed config."""
    forecast(config)


def main() -> None:
    """The command."""
    run_command(hydra_main)


if __name__ == "__main__":
    main()
