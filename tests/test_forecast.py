"""The forecast command: on a made panel of a user's own, and on real prices."""

import csv

import numpy as np
import pytest

from lstm_ae import forecast as forecast_command
from lstm_ae.config import ALLOW
from lstm_ae.data.sp500 import read_prices
from tests.commands import TINY_SYNTHETIC, call, run, train
from tests.test_stocks import TINY

OWN = """
import numpy as np

from lstm_ae.data.panel import Panel
from lstm_ae.data.panel_data import PanelOptions, panel_data
from lstm_ae.spec import part

@part
def waves(horizon: int, features: int, seed: int):
    times = np.datetime64("2020-03-01T00:00") + 6 * np.arange(80) * np.timedelta64(1, "h")
    values = np.sin(np.arange(80) / 5 + np.arange(3)[:, None])[..., None] + np.random.default_rng(seed).normal(
        0, 0.01, (3, 80, features)
    )
    panel = Panel(times, ("pump 1", "pump 2", "pump 3"), ("load", "heat")[:features], values)
    options = PanelOptions(
        window=6, forecast_target="ahead", horizon=horizon, forecast_features="target", split="by_time",
        scaling="series", stride=1, val_fraction=0.2, test_fraction=0.2, test_start=None, num_train=None,
        num_folds=None, fold=0, seed=seed, batch_size=16,
    )
    return panel_data(panel, options, name="waves", unit="kW", shown=("pump 2",))
"""
OWN_YAML = "_target_: own_panel.waves\nhorizon: 2\nfeatures: 1\nseed: 0\n"
OWN_ARGUMENTS = ("--config-dir=conf", "dataset=waves", "model=forecaster", "model.hidden_size=4", "trainer=debug",
                 "threads=1", "allow=own_panel")  # fmt: skip
DRAWN = ("dataset.test_start=2016-01-04", "model=forecaster", "model/head=forecast_linear")


@pytest.fixture(scope="module")
def own_panel(tmp_path_factory):
    """A run on a user's own data set: three series, a time every six hours, and no option `batch_size`."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "own_panel.py").write_text(OWN)
    (folder / "conf" / "dataset").mkdir(parents=True)
    (folder / "conf" / "dataset" / "waves.yaml").write_text(OWN_YAML)
    return train(*OWN_ARGUMENTS, cwd=folder)


def forecast_in(directory, arguments, monkeypatch):
    """The command in this process, where the user's module can be imported and is allowed."""
    monkeypatch.syspath_prepend(str(directory.parent))
    monkeypatch.setenv(ALLOW, "own_panel")
    monkeypatch.setattr("sys.argv", ["forecast", f"run={directory}", "steps=6", *arguments])
    forecast_command.main()


def test_any_panel_is_rolled_forward_from_the_series_that_it_shows_first(own_panel, tmp_path, monkeypatch, capsys):
    forecast_in(own_panel, [f"output={tmp_path}"], monkeypatch)
    names = [f"{stem}_2020-03-17T00_00_sliding" for stem in ("pump_2", "error_by_horizon")]
    assert {path.name for path in tmp_path.iterdir()} == {f"{n}.{end}" for n in names for end in ("csv", "png")}
    rows, errors = (table(tmp_path / f"{name}.csv") for name in names)
    assert [row["time"] for row in rows] == [f"2020-03-{17 + i // 4} {6 * i % 24:02}:00:00" for i in range(6)]
    truth = np.sin(np.arange(64, 70) / 5 + 1)
    assert [float(row["truth"]) for row in rows] == pytest.approx(truth, abs=0.05)
    assert {row["sample"] for row in rows} == {"out-of-sample"}
    assert [row["series"] for row in errors] == ["3"] * 6
    assert "pump 2, 6 steps from 2020-03-17T00:00 (out-of-sample)" in capsys.readouterr().out


def test_another_series_may_grow(own_panel, tmp_path, monkeypatch):
    forecast_in(own_panel, ["series=pump 3", "feed=growing", f"output={tmp_path}"], monkeypatch)
    assert (tmp_path / "pump_3_2020-03-17T00_00_growing.csv").exists()


def test_who_still_writes_symbol_is_told(own_panel, monkeypatch):
    code, words = call(forecast_command.main, [f"run={own_panel}", "symbol=pump 3"], monkeypatch)
    assert code == 1 and "symbol=pump 3: this key is called series; write series=pump 3" in words


@pytest.fixture(scope="module")
def trained(tmp_path_factory, real_stocks):
    return train(*TINY, *DRAWN, cwd=tmp_path_factory.mktemp("rollout"))


def table(path):
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("feed", ["sliding", "growing"])
def test_files_in_dollars_with_dates_truth_and_baselines(trained, feed, tmp_path):
    done = run("forecast", f"run={trained}", "series=GOOGL", "start=2016-01-04", "steps=30", f"feed={feed}",
               "output=here", cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    names = [f"{name}_2016-01-04_{feed}" for name in ("GOOGL", "error_by_horizon")]
    assert {path.name for path in (tmp_path / "here").iterdir()} == {f"{n}.{e}" for n in names for e in ("csv", "png")}
    rows, errors = (table(tmp_path / "here" / f"{name}.csv") for name in names)
    panel = read_prices()
    first = panel.time_of("start", "2016-01-04")
    highs = panel.values[panel.series.index("GOOGL"), :, 1]
    assert [row["time"] for row in rows] == [str(day) for day in panel.times[first : first + 30]]
    assert [float(row["truth"]) for row in rows] == highs[first : first + 30].tolist()
    assert {float(row["persistence"]) for row in rows} == {highs[first - 1]}
    begin = first - 50 if feed == "sliding" else panel.time_of("start", "2014-01-02")
    slope = (highs[first - 1] - highs[begin]) / (first - 1 - begin)
    assert float(rows[9]["drift"]) == pytest.approx(highs[first - 1] + 10 * slope)
    assert all(0.5 < float(row["forecast"]) / float(row["truth"]) < 2 for row in rows)
    assert len({row["forecast"] for row in rows}) == 30
    assert {row["sample"] for row in rows + errors} == {"out-of-sample"}
    assert [int(row["horizon"]) for row in errors] == list(range(1, 31)) and errors[0]["series"] == "3"
    recent = panel.values[:, first - 50 : first, 1][[panel.series.index(name) for name in ("AAPL", "AMZN", "GOOGL")]]
    tenth = panel.values[:, first + 9, 1][[panel.series.index(name) for name in ("AAPL", "AMZN", "GOOGL")]]
    naive = ((tenth - recent[:, -1]) / np.ptp(recent, axis=1)) ** 2
    assert float(errors[9]["persistence"]) == pytest.approx(naive.mean())


def test_the_default_start_is_the_first_unseen_time_and_the_run_gets_the_files(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["forecast", f"run={trained}", "series=AMZN", "steps=2"])
    forecast_command.main()
    assert (trained / "forecasts" / "AMZN_2016-01-04_sliding.csv").exists() and not list(tmp_path.iterdir())


def test_in_sample_times_are_refused_or_labelled(trained, tmp_path, monkeypatch, capsys):
    arguments = [f"run={trained}", "start=2015-06-01", "steps=5", f"output={tmp_path}"]
    code, words = call(forecast_command.main, arguments, monkeypatch)
    assert code == 1 and "up to 2015-12-31; start at 2016-01-04 or later, or add in_sample=true" in words
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr("sys.argv", ["forecast", *arguments, "in_sample=true", "start=2015-05-31"])  # a Sunday
    forecast_command.main()
    assert "no such time; the forecast begins at the next one, 2015-06-01" in "".join(capsys.readouterr())
    rows = table(tmp_path / "GOOGL_2015-06-01_sliding_in-sample.csv")
    assert {row["sample"] for row in rows} == {"in-sample"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["series=GOGL"], "series=GOGL: is none of the 3 series here; did you mean GOOGL"),
        (["start=2016-13-01"], "start=2016-13-01: must be a date"),
        (["start=2018-06-01"], "start=2018-06-01: must lie from 2014-01-02 to 2017-12-29"),
        (["start=2014-01-10"], "start=2014-01-10: must be 2014-03-17 or later"),
        (["start=2017-12-20"], "steps=50: must be at most 7"),
        (["steps=0"], "steps=0: must be a whole number >= 1"),
        (["feed=both"], "feed=both: must be one of sliding, growing"),
    ],
)
def test_mistakes_are_named(trained, arguments, words, monkeypatch):
    code, said = call(forecast_command.main, [f"run={trained}", *arguments], monkeypatch)
    assert code == 1 and words in said


def test_a_run_that_does_not_forecast_is_named(tmp_path, monkeypatch):
    directory = train(*TINY_SYNTHETIC, cwd=tmp_path)
    code, said = call(forecast_command.main, [f"run={directory}"], monkeypatch)
    assert code == 1 and "does not forecast; train one with model=forecaster" in said
