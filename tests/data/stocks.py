"""A made-up panel, small enough to follow by hand, and the stock data set on it."""

import numpy as np

from lstm_ae.data import sp500
from lstm_ae.data.panel import Panel

DEFAULTS = {
    "window": 5,
    "features": None,
    "target": "high",
    "symbols": None,
    "complete": False,
    "start": None,
    "end": None,
    "split": "by_time",
    "scaling": "window",
    "forecast_target": "last_day",
    "horizon": 1,
    "forecast_features": "target",
    "stride": 1,
    "batch_size": 8,
    "val_fraction": 0.2,
    "test_fraction": 0.2,
    "seed": 0,
}


def make_panel(symbols=6, days=60, seed=0) -> Panel:
    """Random walks; open, low and close near the high."""
    random = np.random.default_rng(seed)
    high = 100 * np.exp(random.normal(0, 0.01, (symbols, days)).cumsum(1))
    spread = random.uniform(0.98, 1, (symbols, days, 3))
    volume = random.integers(1_000, 1_000_000, (symbols, days)).astype(float)
    values = np.stack([high * spread[..., 0], high, high * spread[..., 1], high * spread[..., 2], volume], axis=2)
    dates = np.datetime64("2014-01-01") + np.arange(days)
    return Panel(dates, tuple(f"S{i}" for i in range(symbols)), sp500.FEATURES, values)


def stocks(monkeypatch, panel, **options):
    """`dataset=sp500` as it would be if the file held `market`."""
    monkeypatch.setattr(sp500, "read_prices", lambda: panel)
    return sp500.sp500(**DEFAULTS | options)
