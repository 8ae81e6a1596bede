"""Daily prices of 505 S&P 500 companies, 2013-02-08 to 2018-02-07, as windows of days or as whole series.

Source: C. Nugent, S&P 500 stock data, Kaggle, 2018 (CC0).
"""

import io
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from lstm_ae.data.files import PublicFile
from lstm_ae.data.panel import Panel, choose_series, target_first
from lstm_ae.data.panel_data import ForecastFeatures, ForecastTarget, PanelOptions, Window, panel_data
from lstm_ae.data.panel_scaling import ScalingName
from lstm_ae.data.panel_splits import SplitName
from lstm_ae.data.sequence_data import SequenceData
from lstm_ae.data.splitting import Fold, NumFolds, Portion
from lstm_ae.errors import ConfigError
from lstm_ae.spec import Count, part

PRICES = ("open", "high", "low", "close")
FEATURES = (*PRICES, "volume")
SHOWN = ("GOOGL", "AMZN")
CSV = PublicFile(
    "sp500/all_stocks_5yr.csv",
    "6aea253cd19de60b568143991aaf1fa482456565c389205658d236e595e716cf",
    ("https://raw.githubusercontent.com/plotly/datasets/master/all_stocks_5yr.csv",),
)
Feature = Literal["open", "high", "low", "close", "volume"]
Symbols = Annotated[list[str], Field(min_length=1, description="a list of companies, as [GOOGL,AMZN]")]


@part
def sp500(
    target: Feature,
    features: list[Feature] | None,
    symbols: Symbols | Count | None,
    complete: bool,
    start: str | None,
    end: str | None,
    window: Window | None,
    forecast_target: ForecastTarget | None,
    horizon: Count,
    forecast_features: ForecastFeatures,
    split: SplitName,
    scaling: ScalingName,
    stride: Count,
    batch_size: Count,
    val_fraction: Portion,
    test_fraction: Portion,
    seed: int,
    test_start: str | None = None,
    num_train: Count | None = None,
    num_folds: NumFolds | None = None,
    fold: Fold = 0,
    known: list[Feature] | None = None,
) -> SequenceData:
    """Windows of consecutive trading days of one company each, or whole series; all prices share the target's range.

    Args:
        target: the feature that is forecast, the first of a sequence's features.
        features: to read; None: the target alone.
        symbols: companies: None (all), names, or how many to choose at random.
        complete: leave out companies with missing values. (This looks at all days, those of the test included.)
        start, end: first and last date.
        known: features of the day to forecast that are known when it is forecast, as its open is during the day. Each
            day of the input then has the next day's, so that the last one has that of the day to forecast.

    The others are those of `PanelOptions`.

    Raises:
        UserError: the file is missing and cannot be downloaded, or is not the published one.
        ConfigError: options that do not go together, or a part without windows.
    """
    names = target_first(target, features)
    options = PanelOptions(
        window=window, forecast_target=forecast_target, horizon=horizon, forecast_features=forecast_features,
        split=split, scaling=scaling, stride=stride, val_fraction=val_fraction, test_fraction=test_fraction,
        test_start=test_start, num_train=num_train, num_folds=num_folds, fold=fold, seed=seed, batch_size=batch_size,
    )  # fmt: skip
    if known and (forecast_target is None or forecast_features == "all"):
        raise ConfigError("dataset.known", list(known), "is of the day to forecast: it needs dataset.forecast_target "
                          "and dataset.forecast_features=target")  # fmt: skip
    following = tuple(f"{name}_next" for name in dict.fromkeys(known or ()))
    panel = read_prices().between(start, end).with_next(list(dict.fromkeys(known or ())))
    panel = panel.with_features([*names, *following])
    return panel_data(
        choose_series(panel, "dataset.symbols", symbols, complete or window is None, seed),
        options,
        name="sp500" if window else "sp500_series",
        share_range=(*PRICES, *(f"{name}_next" for name in PRICES)),
        known=following,
        unit="dollars" if target in PRICES else "shares",
        shown=SHOWN,
    )


def read_prices() -> Panel:
    """All of the published table, a row per company and day: `date,open,high,low,close,volume,Name`.

    Raises:
        UserError: the file is missing and cannot be downloaded, or is not the published one.
    """
    table = pd.read_csv(io.BytesIO(CSV.read()))
    times, dates = pd.factorize(table["date"], sort=True)
    rows, symbols = pd.factorize(table["Name"], sort=True)
    values = np.full((len(symbols), len(dates), len(FEATURES)), np.nan)
    values[rows, times] = table[list(FEATURES)].to_numpy(float)
    return Panel(np.array(dates, "datetime64[D]"), tuple(symbols), FEATURES, values)
