"""The data's fingerprint: the same for the same data, another for any other; and those of all published experiments."""

from dataclasses import replace

import pytest
import torch
from hydra import compose, initialize_config_dir

from lstm_ae.config import CONF
from lstm_ae.config.build import build_data
from lstm_ae.data import sp500
from lstm_ae.data.sequence_data import SequenceData, Sequences, fingerprint
from lstm_ae.spec import DataSpec, Scaler

WITHOUT_FILES = {
    "experiment=digits": "039d528187de",
    "dataset=digits_pixels": "ab9e4a269386",
    "dataset=digits_rows split_seed=2": "61d80a4203de",
    "dataset=digits_rows dataset.num_folds=7 dataset.fold=6": "ca6f452c97af",
    "experiment=synthetic": "2ab70eee892e",
    "experiment=synthetic_a": "2ab70eee892e",
    "experiment=synthetic_c": "2ab70eee892e",
    "dataset=synthetic split_seed=1": "cd46675dc331",
    "dataset=synthetic dataset.num_folds=5 dataset.fold=3 dataset.num_train=100": "72dca2664302",
}
MNIST = {
    "experiment=mnist_rows": "70d8c684f922",
    "experiment=mnist_pixels": "8db8353d7d50",
    "dataset=mnist_rows dataset.num_folds=5 dataset.fold=0 split_seed=1": "8bdf1b3b3e0a",
}
SP500 = {
    "dataset=sp500": "7b77584c8c0b",
    "experiment=sp500_all_days": "4f13669fba11",
    "experiment=sp500_best": "2e52357d3d36",
    "experiment=sp500_c": "da68f95e9cf0",
    "experiment=sp500_c dataset.split=by_time": "cf4933eee241",
    "experiment=sp500_c dataset.split=by_time dataset.scaling=series": "2400f7f68435",
    "experiment=sp500_forecast": "8cfe1530ccad",
    "experiment=sp500_forecast dataset.features=null": "7ad67bf72077",
    "experiment=sp500_last_day": "7ad67bf72077",
    "experiment=sp500_reconstruction": "7ad67bf72077",
    "experiment=sp500_rollout": "a36bb33aa17c",
    "experiment=sp500_series_reconstruction": "88a21f5486c4",
    "dataset=sp500_series dataset.forecast_target=shifted": "7bb17d76caf9",
    "dataset=sp500 dataset.split=by_series dataset.num_folds=3 dataset.fold=1": "9cc06ddde182",
    "dataset=sp500 dataset.split=by_series dataset.test_start=2017-01-03 dataset.scaling=series": "913e059f6744",
    "dataset=sp500 dataset.split=random_windows dataset.stride=7": "2641891c3161",
    "dataset=sp500 dataset.scaling=none dataset.symbols=9 split_seed=3": "7c72c68a2632",
    "dataset=sp500 dataset.num_train=777 split_seed=5 dataset.symbols=[GOOGL,AMZN,AAPL]": "cce9f73050f4",
}


def composed(overrides: str) -> str:
    with initialize_config_dir(CONF):
        config = compose("config", overrides.split())
    return fingerprint(build_data(config, torch.device("cpu")))


@pytest.mark.parametrize("overrides", WITHOUT_FILES)
def test_published_data_without_files(overrides):
    assert composed(overrides) == WITHOUT_FILES[overrides]


@pytest.mark.parametrize("overrides", MNIST)
def test_published_data_of_mnist(overrides, real_data):
    assert composed(overrides) == MNIST[overrides]


@pytest.fixture(scope="module")
def prices(real_stocks):
    return sp500.read_prices()


@pytest.mark.parametrize("overrides", SP500)
def test_published_data_of_sp500(overrides, prices, monkeypatch):
    monkeypatch.setattr(sp500, "read_prices", lambda: prices)  # once for all of them
    assert composed(overrides) == SP500[overrides]


def test_the_seed_of_the_weights_does_not_move_the_splits():
    assert composed("dataset=digits_rows seed=7") == composed("dataset=digits_rows")


def data() -> SequenceData:
    def part(start: int) -> Sequences:
        return Sequences(torch.arange(start, start + 12.0).view(3, 2, 2), torch.tensor([0, 1, 2]))

    return SequenceData(DataSpec("made", 2, 2), Scaler(0, 1), part(0), part(20), part(40), batch_size=2)


def test_same_data_same_fingerprint():
    assert fingerprint(data()) == fingerprint(replace(data(), batch_size=3))
    assert len(fingerprint(data())) == 12


def test_any_change_changes_it():
    whole = data()
    value = whole.val.inputs.clone()
    value[2, 1, 1] += 1e-6 * value[2, 1, 1]
    others = [
        replace(whole, val=replace(whole.val, inputs=value)),
        replace(whole, test=replace(whole.test, labels=torch.tensor([0, 2, 1]))),
        replace(whole, test=replace(whole.test, labels=None)),
        replace(whole, train=whole.val, val=whole.train),
        replace(whole, train=replace(whole.train, inputs=whole.train.inputs.view(3, 4, 1))),
    ]
    assert len({fingerprint(other) for other in [whole, *others]}) == 6
