"""A panel of random walks, small enough to follow by hand, and data sets made of it."""

import numpy as np

from lstm_ae.data.panel import Panel, choose_series, target_first
from lstm_ae.data.panel_data import PanelOptions, panel_data
from lstm_ae.data.sequence_data import SequenceData

FEATURES = ("left", "level", "lower", "right", "flow")
LEVELS = FEATURES[:4]  # they share one range
DEFAULTS = {
    "window": 5,
    "forecast_target": "ahead",
    "horizon": 1,
    "forecast_features": "target",
    "split": "by_time",
    "scaling": "window",
    "stride": 1,
    "val_fraction": 0.2,
    "test_fraction": 0.2,
    "test_start": None,
    "num_train": None,
    "num_folds": None,
    "fold": 0,
    "seed": 0,
    "batch_size": 8,
}


def make_panel(series=6, times=60, seed=0, features=FEATURES) -> Panel:
    """Random walks; `left`, `lower` and `right` lie a little below the `level`, `flow` is of another size."""
    random = np.random.default_rng(seed)
    level = 100 * np.exp(random.normal(0, 0.01, (series, times)).cumsum(1))
    below = random.uniform(0.98, 1, (series, times, 3))
    flow = random.integers(1_000, 1_000_000, (series, times)).astype(float)
    values = np.stack([level * below[..., 0], level, level * below[..., 1], level * below[..., 2], flow], axis=2)
    dates = np.datetime64("2014-01-01") + np.arange(times)
    return Panel(dates, tuple(f"S{i}" for i in range(series)), features, values)


def made_data(
    panel: Panel | None = None, target="level", features=None, chosen=None, complete=False, unit="metres", **options
) -> SequenceData:
    """A data set of a made panel."""
    options = PanelOptions(**DEFAULTS | options)
    panel = (panel or make_panel()).with_features(target_first(target, features))
    panel = choose_series(panel, "dataset.series", chosen, complete or options.window is None, options.seed)
    return panel_data(panel, options, name="made", share_range=LEVELS, unit=unit)
