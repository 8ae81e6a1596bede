"""Every stock experiment composes, and its model makes of real prices what it says; `own` takes any sequences."""

import pytest
import torch
from hydra import compose, initialize_config_dir

from lstm_ae.config import CONF, build
from lstm_ae.config.rules import validate_config as check
from lstm_ae.data.sequence_data import Sequences
from lstm_ae.spec import DataSpec
from tests.models.parts import sequences

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


def test_own_starts_near_the_data_of_unequal_sequences_with_holes():
    inputs, draw = sequences(200, 12, 2), torch.Generator().manual_seed(0)
    lengths = torch.randint(3, 13, (200,), generator=draw)
    there = (torch.arange(12) < lengths[:, None])[..., None].expand_as(inputs)
    train = Sequences(inputs * there, lengths=lengths, mask=there & (torch.rand(inputs.shape, generator=draw) < 0.8))
    with initialize_config_dir(CONF):
        config = compose("config", ["experiment=own", "model.hidden_size=8"])
    spec = DataSpec("made", length=12, features=2, varying=True, masked=True)
    model = build.build_model(config, spec, train).eval()
    with torch.no_grad():
        errors = model(train.inputs, lengths, train.mask).reconstruction - inputs
    assert errors[train.mask].square().mean() < 0.1 * inputs[train.mask].square().mean()
