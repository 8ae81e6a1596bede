"""Stocks through the commands: what a forecasting run leaves behind, on real prices."""

import csv
import json

import numpy as np
import pytest

import lstm_ae
from lstm_ae import train as train_command
from lstm_ae.data.sp500 import CSV, read_prices
from lstm_ae.errors import UserError
from tests.commands import call, run, train

TINY = ("dataset=sp500", "dataset.symbols=[GOOGL,AMZN,AAPL]", "model.hidden_size=8", "trainer=debug", "threads=1")


@pytest.fixture(scope="module")
def forecaster(tmp_path_factory, real_stocks):
    folder = tmp_path_factory.mktemp("forecaster")
    return train(*TINY, "model=forecaster", "monitor=val/forecast_unseen", cwd=folder)


def test_the_summary_holds_the_forecast_beside_its_baselines(forecaster):
    summary = json.loads((forecaster / "summary.json").read_text())
    test, baselines = summary["test"], summary["baselines"]
    assert summary["monitor"] == "val/forecast_unseen" and "leaky" not in summary
    for name in ("persistence", "drift", "moving_average", "ridge", "ridge_time_effects"):
        assert baselines[f"test/forecast_unseen/{name}"] > 0 and baselines[f"test/forecast_mae_dollars/{name}"] > 0
    skill = 1 - test["test/forecast_unseen"] / baselines["test/forecast_unseen/persistence"]
    assert test["test/forecast_skill"] == pytest.approx(skill, abs=1e-5)
    assert test["test/forecast_times"] == 102 and 0 <= test["test/forecast_p_persistence"] <= 1
    assert 0.3 < baselines["test/forecast_direction/majority"] < 0.7


FIGURES = {"series", "reconstructions", "forecast", "next_step", "window", "baselines", "loss"}


def test_a_forecasting_run_draws_its_figures(forecaster):
    drawn = {path.stem for path in (forecaster / "figures").iterdir() if path.stat().st_size > 5000}
    assert drawn >= FIGURES and "samples" not in drawn


@pytest.mark.parametrize(
    ("overrides", "missing"),
    [
        (["dataset.horizon=5", "model=forecaster"], set()),
        (["dataset.forecast_target=shifted", "model=forecaster"], set()),
        (
            ["dataset=sp500_series", "dataset.forecast_target=shifted", "model=forecaster", "dataset.symbols=6"],
            {"forecast"},
        ),
        (["dataset=sp500_series", "dataset.symbols=6"], FIGURES - {"series", "reconstructions", "loss"}),
    ],
)
def test_figures_of_other_settings(overrides, missing, tmp_path, real_stocks):
    directory = train(*TINY, *overrides, cwd=tmp_path)
    drawn = {path.stem for path in (directory / "figures").iterdir()}
    assert drawn & FIGURES == FIGURES - missing


def test_what_all_stocks_share_weighs_less_in_training_alone(tmp_path, real_stocks):
    directory = train(
        *TINY, "model=forecaster", "objective.time_effect_weight=0", "dataset.batch_size=64", cwd=tmp_path
    )
    with (directory / "metrics.csv").open() as file:
        last = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)][-1]
    plain = {part: (last[f"{part}/reconstruction"] + last[f"{part}/forecast"]) / 2 for part in ("train", "val")}
    assert last["val/loss"] == pytest.approx(plain["val"], rel=1e-4)
    # Three companies on each of some twenty days: their own errors are part of the whole.
    assert last["train/reconstruction"] / 2 < last["train/loss"] < 0.99 * plain["train"]


def test_evaluate_reproduces_it(forecaster, tmp_path):
    done = run("evaluate", f"run={forecaster}", "output=again", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    again = json.loads((tmp_path / "again" / "evaluation.json").read_text())["test"]
    assert again == pytest.approx(json.loads((forecaster / "summary.json").read_text())["test"], rel=1e-6)


def test_a_reopened_run_speaks_dollars(forecaster):
    panel = read_prices()
    prices = panel.values[[panel.series.index(name) for name in ("GOOGL", "MSFT")], 700:750, 1:2]
    loaded = lstm_ae.load_run(forecaster)
    forecast, rebuilt = loaded.forecast(prices), loaded.reconstruct(prices)
    assert forecast.shape == (2, 1, 1) and rebuilt.shape == prices.shape
    ranges = np.ptp(prices, axis=1)
    assert (np.abs(forecast[:, 0] - prices[:, -1]) < ranges).all()  # nearly persistence after so little training
    assert (np.abs(rebuilt - prices).max(1) < 2 * ranges).all()


def test_leaky_settings_say_so(tmp_path, real_stocks):
    done = run("train", *TINY, "dataset.split=random_windows", "dataset.scaling=series_full", "hydra.run.dir=run",
               cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"read {real_stocks / CSV.name}" in (tmp_path / "run" / "train.log").read_text()
    words = "leaky: split=random_windows, scaling=series_full"
    assert words in done.stdout + done.stderr and words in (tmp_path / "run" / "train.log").read_text()
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["leaky"] == words.removeprefix("leaky: ").split(
        ", "
    )
    with pytest.raises(UserError, match="sp500, scales each sequence in a way that only it knows"):
        lstm_ae.load_run(tmp_path / "run").encode(np.ones((2, 50, 1)))


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["dataset=sp500", "dataset.symbols=[GOOGL,GOGL]"], "dataset.symbols=GOGL"),
        (["dataset=sp500", "dataset.symbols=[]"], "dataset.symbols="),
        (["dataset=sp500", "dataset.target=price"], "dataset.target=price: must be one of open, high"),
        (["dataset=sp500", "dataset.forecast_target=null", "model=forecaster"], "needs data with steps to forecast"),
        (["dataset=sp500_series", "dataset.split=by_time"], "dataset.split=by_time"),
        (["dataset=sp500", "model=classifier"], "needs data with classes"),
        (
            ["dataset=digits_rows", "model=classifier", "objective.time_effect_weight=0.5"],
            "objective.time_effect_weight=0.5: must be 1",
        ),
        (
            ["dataset=sp500", "model=forecaster", "objective.time_effect_weight=2"],
            "objective.time_effect_weight=2: must be a number",
        ),
        (["dataset=sp500", "model=forecaster", "monitor=val/loss2"], "val/forecast_unseen"),
        (["dataset=sp500", "dataset.forecast_target=last_day"], "one of ahead (once called last_day), shifted"),
        (["dataset=sp500", "dataset.window=1"], "dataset.window=1: must be a whole number >= 2, or null"),
        (["dataset=sp500", "model=forecaster", "monitor=val/forecast", "mode=max"], "mode=min"),
    ],
)
def test_mistakes_are_named(overrides, words, tmp_path, monkeypatch, real_stocks):
    monkeypatch.chdir(tmp_path)
    few = [] if "dataset=digits_rows" in overrides else ["dataset.symbols=3"]
    code, said = call(train_command.main, [*few, "threads=1", *overrides], monkeypatch)
    assert code == 1 and words in said
