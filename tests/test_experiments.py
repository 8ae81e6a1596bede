"""Every stock experiment composes, and its model makes of real prices what it says."""

import pytest
import torch
from hydra import compose, initialize_config_dir

from lstm_ae.config import CONF, build
from lstm_ae.config.rules import validate_config as check

NAMES = ("reconstruction", "series_reconstruction", "forecast", "best", "last_day", "all_days", "rollout", "c")


@pytest.mark.parametrize("name", NAMES)
def test_stock_experiments(name, real_stocks):
    with initialize_config_dir(CONF):
        config = compose("config", [f"experiment=sp500_{name}", "dataset.symbols=8", "model.hidden_size=4"])
    check(config)
    data = build.build_data(config, torch.device("cpu"))
    model, objective = build.build_model(config, data.spec, data.train), build.build_objective(config)
    batch = data.train[:4]
    metrics = objective(model(batch.inputs), batch)
    metrics["loss"].backward()
    forecasts = "reconstruction" not in name
    assert ("forecast_unseen" in metrics) == forecasts
    assert config.monitor.removeprefix("val/") in metrics
    assert bool(data.spec.leaky) == (name == "c")
