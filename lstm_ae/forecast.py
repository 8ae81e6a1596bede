"""Roll a trained forecaster forward over the series of its data set, beside naive forecasts.

python -m lstm_ae.forecast run=RUN_DIR [series=NAME] [start=2016-01-04] [steps=...] [feed=growing]
"""

from lstm_ae.stopping import stop_on_signals

if __name__ == "__main__":
    stop_on_signals(at_once=False)  # already now: the imports below take a second or two

import logging
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import hydra
from omegaconf import DictConfig

from lstm_ae.config import CONF
from lstm_ae.config.rules import READING, Count, Text, validate_keys
from lstm_ae.console import run_command
from lstm_ae.errors import ConfigError, UserError
from lstm_ae.files import write_whole

if TYPE_CHECKING:
    import pandas as pd

    from lstm_ae.forecasting.plan import Plan

log = logging.getLogger(__name__)

KEYS = READING | {
    "series": Text | None,
    "start": Text | None,
    "steps": Count,
    "feed": Literal["sliding", "growing"],
    "in_sample": bool,
}
LOGGED_HORIZONS = (1, 5, 20)  # and the last


def forecast(config: DictConfig) -> list[Path]:
    """Roll the best checkpoint of `config.run` forward from `config.start` for `config.steps` steps.

    Writes a CSV file and a figure of the series asked for, in original units, and a CSV file and a figure of the error
    by horizon over all series, into `config.output`, by default the folder `forecasts` of the run.

    Returns:
        the files written.

    Raises:
        UserError: no such run, or not one of a forecaster on a panel.
        ConfigError: a series, a time or a number of steps that is not possible.
    """
    validate_keys(config, KEYS)
    import torch

    from lstm_ae.config.build import build_data
    from lstm_ae.figures.rollout import draw_rollout
    from lstm_ae.figures.run import run_title
    from lstm_ae.forecasting.plan import make_plan
    from lstm_ae.forecasting.rollout import forecast_beside_baselines
    from lstm_ae.forecasting.tables import horizon_table, series_table
    from lstm_ae.runs.reopen import load_run

    run = load_run(config.run, config.device)
    threads = config.threads or run.config.threads
    if threads is not None:
        torch.set_num_threads(threads)
    head = run.model.head
    if head is None or head.task != "forecast":
        raise UserError(f"{run.directory.path}: this run does not forecast; train one with model=forecaster")
    growing = config.feed == "growing"
    if growing and getattr(head, "fixed_length", False):
        raise ConfigError("feed", config.feed, "this model forecasts a shifted input of fixed length; use feed=sliding,"
                          " or train with dataset.forecast_target=ahead or model/head=forecast_linear")  # fmt: skip
    data = build_data(run.config, torch.device("cpu"))
    plan = make_plan(data, config.series, config.start, config.steps, growing=growing, in_sample=config.in_sample)
    if config.start is not None and not str(plan.times[0]).startswith(config.start):
        log.warning("start=%s: the data has no such time; the forecast begins at the next one, %s", config.start,
                    plan.times[0])  # fmt: skip
    forecasts = forecast_beside_baselines(run.model, data, plan, growing, show_progress=sys.stderr.isatty())
    rolled = series_table(plan, forecasts, run.spec.leaky)
    errors = horizon_table(plan, forecasts, run.spec.leaky, run.spec.length)

    folder = run.directory.output(config.output, "forecasts")
    ending = f"{plan.times[0]}_{config.feed}" + ("_in-sample" if plan.in_sample else "")
    stems = [f"{plan.name}_{ending}", f"error_by_horizon_{ending}"]
    written = [folder / (re.sub(r"[^\w.-]+", "_", stem) + ".csv") for stem in stems]
    for path, table in zip(written, (rolled, errors), strict=True):
        write_whole(path, table.to_csv(index=False))
    heading = run_title(run.config, run.spec) + ("\nin-sample: trained on these times" if plan.in_sample else "")
    before = max(plan.begin, plan.start - 2 * max(run.spec.length, plan.steps)), plan.start
    files = [path.with_suffix(".png") for path in written]
    written += draw_rollout(files, heading, run.spec, plan.panel, plan.row, before, rolled, errors)
    log_errors(plan, rolled, errors, list(forecasts))
    log.info("look at %s", "  ".join(path.name for path in written))
    log.info("in %s", folder)
    return written


def log_errors(plan: "Plan", rolled: "pd.DataFrame", errors: "pd.DataFrame", names: list[str]) -> None:
    """Log the mean absolute error of the series, in original units, and the error of all series at some horizons."""
    absolute = ", ".join(f"{name} {(rolled[name] - rolled['truth']).abs().mean():.4g}" for name in names)
    log.info("%s, %d steps from %s (%s), mean absolute error: %s",
             plan.name, plan.steps, plan.times[0], rolled["sample"].iloc[0], absolute)  # fmt: skip
    for _, row in errors[errors["horizon"].isin({*LOGGED_HORIZONS, len(errors)})].iterrows():
        log.info("%d series, step %d, mean squared error (scaled): %s", row["series"], row["horizon"],
                 ", ".join(f"{name} {row[name]:.4g}" for name in names))  # fmt: skip


@hydra.main(config_path=CONF, config_name="forecast", execution_whitelist=())
def hydra_main(config: DictConfig) -> None:
    """What Hydra calls with the composed config."""
    forecast(config)


def main() -> None:
    """The command."""

    def command() -> None:
        given = next((argument for argument in sys.argv[1:] if argument.startswith("symbol=")), None)
        if given:
            raise UserError(f"{given}: this key is called series; write {given.replace('symbol', 'series', 1)}")
        hydra_main()

    run_command(command)


if __name__ == "__main__":
    main()
