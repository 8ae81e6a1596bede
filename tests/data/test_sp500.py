"""What is particular to the stock prices: the published table, which file is read, and what its columns mean."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from lstm_ae.config import CONF
from lstm_ae.data import sp500 as module
from lstm_ae.data.contract import validate_data
from lstm_ae.data.sp500 import CSV, FEATURES, read_prices, sp500
from lstm_ae.errors import ConfigError, UserError
from tests.data.panels import make_panel


def make(**options):
    """The data set as `dataset=sp500` composes it."""
    defaults = OmegaConf.to_container(OmegaConf.load(f"{CONF}/dataset/sp500.yaml"), resolve=False)
    del defaults["_target_"]
    return sp500(**defaults | {"seed": 0} | options)


@pytest.fixture
def made_prices(monkeypatch):
    """A made table in place of the published one."""
    panel = make_panel(features=FEATURES)
    monkeypatch.setattr(module, "read_prices", lambda: panel)
    small = {"window": 5, "start": None, "end": None}
    return lambda **options: make(**small | options)


@pytest.fixture(scope="module")
def prices(real_stocks):
    return read_prices()


def test_the_published_table(prices):
    years = prices.between("2014-01-02", "2017-12-29")
    assert prices.values.shape == (505, 1259, 5) and len(years.times) == 1007
    assert years.complete().sum() == 477
    assert (~np.isnan(years.values[..., 3])).sum() == 497_472
    google = prices.position("series", "GOOGL")
    first = prices.values[google, prices.time_of("start", "2016-01-04")]
    assert first.tolist() == [762.2, 762.2, 747.54, 759.44, 3369068.0]
    with pytest.raises(ConfigError, match="GOOGL"):
        prices.position("series", "googl.")


def test_persistence_on_the_windows_of_the_study(real_stocks):
    """Tomorrow = today on the windows inside the last 15% of days: 48,654 windows, 0.01444."""
    data = make(complete=True)
    assert len(data.test) == 48_654 and len(data.test.time.unique()) == 102
    persistence = (data.test.inputs[:, -1:, 0] - data.test.truth()).square().mean().item()
    assert persistence == pytest.approx(0.01444, abs=5e-6)
    validate_data(data)


def test_prices_share_the_target_s_range_and_the_volume_has_its_own(made_prices):
    assert made_prices(features=list(FEATURES)).spec.own_range == (0, 0, 0, 0, 4)
    assert made_prices(target="volume", features=list(FEATURES)).spec.own_range == (0, 1, 1, 1, 1)


def test_what_figures_and_scores_are_told(made_prices):
    spec = made_prices().spec
    assert (spec.name, spec.unit, spec.shown) == ("sp500", "dollars", ("GOOGL", "AMZN"))
    assert made_prices(target="volume").spec.unit == "shares"
    whole = made_prices(window=None, split="by_series", forecast_target=None)
    assert whole.spec.name == "sp500_series" and whole.spec.length == 60


def test_symbols_are_named_or_counted(made_prices):
    assert made_prices(symbols=["S4", "S1"]).panel.series == ("S1", "S4")
    assert len(made_prices(symbols=3).panel.series) == 3
    with pytest.raises(ConfigError, match=r"dataset\.symbols=S9: is none of the 6 series"):
        made_prices(symbols=["S9"])


@pytest.mark.parametrize(
    "options",
    [
        {"split": "random_windows", "scaling": "series"},
        {"features": ["close", "close"]},
        {"forecast_target": "shifted", "horizon": 2},
    ],
)
def test_options_that_do_not_go_together_are_refused_before_the_file_is_read(options, monkeypatch):
    monkeypatch.setattr(module, "read_prices", None)
    with pytest.raises(ConfigError):
        make(**options)


def test_a_file_in_the_named_folder_is_what_is_read(tmp_path, monkeypatch, real_stocks, caplog):
    """However often the published prices were read before."""
    caplog.set_level("INFO")
    read_prices()
    assert f"read {real_stocks / CSV.name}" in caplog.text
    content = b"date,open,high,low,close,volume,Name\n2014-01-02,1,2,1,2,3,OWN\n"
    (tmp_path / "sp500").mkdir()
    (tmp_path / CSV.name).write_bytes(content)
    monkeypatch.setenv("LSTM_AE_DATA", str(tmp_path))
    with pytest.raises(UserError) as refusal:
        read_prices()
    for words in (str(tmp_path / CSV.name), "not the published content", "data set of your own"):
        assert words in str(refusal.value)
    assert (tmp_path / CSV.name).read_bytes() == content


def test_a_missing_table_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("LSTM_AE_DATA", str(tmp_path))
    monkeypatch.setattr(module, "CSV", replace(CSV, addresses=()))
    with pytest.raises(UserError, match=r"all_stocks_5yr\.csv"):
        read_prices()


@pytest.mark.parametrize("features", [None, ["open", "close"]])
def test_what_is_known_of_the_next_day_stands_beside_each_day(made_prices, features):
    plain, data = made_prices(features=features), made_prices(features=features, known=["open"])
    assert data.spec.feature_names == (*plain.spec.feature_names, "open_next")
    assert data.spec.known == (len(plain.spec.feature_names),) and set(data.spec.own_range) == {0}
    panel, test = data.panel, data.test
    opens = module.read_prices().values[..., FEATURES.index("open")]
    for row, time, inputs in zip(test.series, test.time, data.scaler_of(test).inverse(test.inputs), strict=True):
        following = opens[row, time + 1 : time + 1 + len(inputs)]
        np.testing.assert_allclose(inputs[:, -1], following, rtol=1e-5)
        assert panel.series[row] in module.read_prices().series
    assert torch.equal(test.inputs[..., :-1], plain.test.inputs) and torch.equal(test.targets, plain.test.targets)
    validate_data(data)


@pytest.mark.parametrize("options", [{"forecast_target": None}, {"forecast_features": "all"}])
def test_what_is_known_beforehand_needs_a_forecast_of_the_target(made_prices, options):
    with pytest.raises(ConfigError, match=r"dataset\.known"):
        made_prices(known=["open"], **options)
