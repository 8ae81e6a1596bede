"""The score command: a stranger's labelled table by a run on another's table, and what can be wrong with both."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from lstm_ae import score as score_command
from lstm_ae.config import CONF, build
from lstm_ae.config.trimming import FIRST_PASS, trimmed
from lstm_ae.evaluation.scoring import open_run
from lstm_ae.figures import anomalies as figures
from tests.commands import TINY_SYNTHETIC, call

WINDOW = 16
TINY = ("experiment=anomaly", f"dataset.window={WINDOW}", "model.hidden_size=4", "dataset.time=time")
BAD = slice(300, 320)


def signal(rows, seed=0, **columns):
    """A table of two waves with a little noise, a row a minute."""
    generator = np.random.default_rng(seed)
    steps = np.arange(rows)
    load = np.sin(steps / 3) + generator.normal(0, 0.05, rows)
    heat = np.cos(steps / 3) + generator.normal(0, 0.05, rows)
    times = pd.date_range("2026-01-01", periods=rows, freq="min")
    return pd.DataFrame({"time": times, "load": load, "heat": heat}).assign(**columns)


def labelled(rows=500, seed=1):
    """The same with twenty steps whose second channel jumps up and down."""
    table = signal(rows, seed, fault=0)
    table.loc[table.index[BAD], "heat"] = np.tile([1.5, -1.5], 10)
    table.loc[table.index[BAD], "fault"] = 1
    return table


def train(run, *overrides, epochs=1, basis=None):
    """Train in this process, without all that comes before and after it."""
    with initialize_config_dir(CONF):
        config = compose("config", [*(basis or TINY), f"trainer.max_epochs={epochs}", *overrides])
    (run / ".hydra").mkdir(parents=True)
    OmegaConf.save(config, run / ".hydra" / "config.yaml")
    device = build.prepare_process(config)
    data = build.build_data(config, device)
    if data.trim:
        data = trimmed(config, data, run / FIRST_PASS)
    model = build.build_model(config, data.spec, data.train)
    parts = build.build_training(config, model)
    build.build_trainer(config).fit(
        model, build.build_objective(config), data, **parts, directory=run / "checkpoints", resume=False,
        description=build.description(data), on_epoch=lambda _: None,
    )  # fmt: skip
    return run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a run (`run`) on `normal.csv`, and `new.csv` to score."""
    here = tmp_path_factory.mktemp("score")
    signal(800).to_csv(here / "normal.csv", index=False)
    labelled().to_csv(here / "new.csv", index=False)
    train(here / "run", f"dataset.path={here}/normal.csv", epochs=15)
    return here


@pytest.fixture(autouse=True)
def drawn(request, monkeypatch):
    """No figures, which take longer than all else here, except where a test is about them."""
    if "figures" not in request.node.name:
        monkeypatch.setattr(figures, "save_figures", lambda made, title: list(made))


@pytest.fixture
def score(folder, monkeypatch, capsys):
    """The command in this process, in that folder; returns what it printed."""

    def run(*arguments):
        monkeypatch.chdir(folder)
        monkeypatch.setattr("sys.argv", ["score", "run=run", *arguments])
        score_command.main()
        return capsys.readouterr().out

    return run


@pytest.fixture
def refused(folder, monkeypatch):
    """The same where it must fail; returns its last words."""

    def run(*arguments):
        monkeypatch.chdir(folder)
        code, words = call(score_command.main, ["run=run", *arguments], monkeypatch)
        assert code == 1
        return words

    return run


def test_scores_intervals_metrics_and_figures_of_a_labelled_table(score, tmp_path):
    said = score("input=new.csv", f"output={tmp_path}/scores.csv", "label=fault", "smooth=8")
    scores = pd.read_csv(tmp_path / "scores.csv", parse_dates=["time"])
    assert list(scores) == ["time", "score", "score/load", "score/heat", "flag"] and len(scores) == 500
    assert (scores["time"] == labelled()["time"]).all()
    assert scores["score"][BAD].mean() > 3 * scores["score"][:280].mean()
    assert scores["score/heat"][BAD].mean() > scores["score/load"][BAD].mean()
    found = json.loads((tmp_path / "scores.json").read_text())
    threshold = found["thresholds"]["network"]
    assert (scores["flag"] == (scores["score"] > threshold["value"])).all()
    assert threshold["found"].startswith("quantile 0.999 of")
    assert list(found["metrics"]) == ["network", "moving_z_score", "pca", "nearest_neighbour", "chance"]
    assert found["metrics"]["network"]["vus_pr"] > found["metrics"]["chance"]["vus_pr"]
    assert found["anomalous_rows"] == 20 and found["metrics"]["network"]["events_found"] == 1
    intervals = pd.read_csv(tmp_path / "scores_intervals.csv", parse_dates=["start", "end"])
    assert len(intervals) == found["intervals"]
    worst = intervals.loc[intervals["peak"].idxmax()]
    assert worst["channel"] == "heat" and abs((worst["start"] - labelled()["time"][300]).total_seconds()) < 20 * 60
    assert {path.name for path in tmp_path.glob("*.png")} == {
        f"scores_{name}.png" for name in ("overview", "distribution", "windows")
    }
    assert "nothing is point-adjusted" in said and "nearest_neighbour" in said and "4% of the rows" in said
    assert not list(tmp_path.glob(".*"))


def test_the_scores_are_equal_in_one_go_and_in_pieces_and_with_other_series_between(
    score, folder, tmp_path, monkeypatch
):
    """Two series, row by row in turn, read a few rows at a time; one of them is the table that is scored alone."""
    from lstm_ae.anomalies import rows

    table = labelled()
    table.to_csv(tmp_path / "one.csv", index=False)
    score(f"input={tmp_path}/one.csv", f"output={tmp_path}/alone.csv")
    alone = pd.read_csv(tmp_path / "alone.csv")
    whole = rows.read_chunks
    monkeypatch.setattr(rows, "read_chunks", lambda paths, columns, _: whole(paths, columns, 7))
    score(f"input={tmp_path}/one.csv", f"output={tmp_path}/pieces.csv")
    assert (tmp_path / "pieces.csv").read_text() == (tmp_path / "alone.csv").read_text()
    assert len(alone) == 500


def test_series_that_take_turns_in_a_file_are_scored_as_if_alone(tmp_path, monkeypatch):
    """A run on a table with a column of series; Parquet if there is pyarrow."""
    parts = [signal(300, seed=i, pump=f"pump {i}") for i in range(3)]
    both = pd.concat(parts).sort_values(["time", "pump"], kind="stable")
    both.to_csv(tmp_path / "mixed.csv", index=False)
    parts[1].to_csv(tmp_path / "alone.csv", index=False)
    train(tmp_path / "run", f"dataset.path={tmp_path}/mixed.csv", "dataset.series=pump")
    monkeypatch.chdir(tmp_path)
    for name in ("mixed", "alone"):
        monkeypatch.setattr("sys.argv", ["score", "run=run", f"input={name}.csv", f"output=out/{name}.csv"])
        score_command.main()
    mixed, alone = (pd.read_csv(tmp_path / "out" / f"{name}.csv") for name in ("mixed", "alone"))
    assert (mixed["pump"].to_numpy() == both["pump"].to_numpy()).all()
    of_one = mixed[mixed["pump"] == "pump 1"].reset_index(drop=True)
    pd.testing.assert_frame_equal(of_one, alone, check_exact=True)


@pytest.mark.parametrize("scorer", ["gaussian", "normalised"])
def test_other_scorers_thresholds_and_reductions(score, tmp_path, scorer):
    score("input=new.csv", f"output={tmp_path}/scores.csv", f"scorer={scorer}", "reduction=mean", "stride=5",
          "threshold.method=deviations", "threshold.deviations=3")  # fmt: skip
    found = json.loads((tmp_path / "scores.json").read_text())
    assert found["thresholds"]["pca"]["found"].startswith("mean + 3 standard deviations of")
    assert found["windows_per_step"] == 4 and found["rows_without_whole_window"] == 4 and not found["metrics"]


def test_the_oracle_threshold_says_what_it_is(score, tmp_path):
    said = score("input=new.csv", f"output={tmp_path}/scores.csv", "label=fault", "threshold.method=oracle_f1")
    assert "oracle: the best F1 on the labels of this very file" in said


def test_parquet(score, tmp_path):
    pytest.importorskip("pyarrow")
    score("input=new.csv", f"output={tmp_path}/scores.parquet")
    assert len(pd.read_parquet(tmp_path / "scores.parquet")) == 500


def test_a_folder_is_scored_file_by_file_and_resumes(score, folder, tmp_path):
    for i in range(3):
        labelled(seed=i).to_csv(tmp_path / f"log{i}.csv", index=False)
    arguments = (f"input={tmp_path}", "output=scored", "label=fault")
    (tmp_path / "log1.csv").write_text("time,load\n2026-01-01,1\n")
    with pytest.raises(SystemExit) as ended:
        score(*arguments)
    assert "1 of 3 could not be scored" in str(ended.value) and "log1.csv" in str(ended.value)
    labelled().to_csv(tmp_path / "log1.csv", index=False)
    before = (folder / "scored" / "log0.csv").stat().st_mtime_ns
    said = score(*arguments)
    assert "2 of 3 files were scored before with these settings" in said
    assert (folder / "scored" / "log0.csv").stat().st_mtime_ns == before
    table = pd.read_csv(folder / "scored" / "metrics.csv")
    assert len(table) == 15 and "3 of 3" in said
    said = score(*arguments, "smooth=4")
    assert "were scored before" not in said


def test_a_run_that_forecasts_is_scored_by_its_next_step(folder, tmp_path, monkeypatch):
    train(tmp_path / "run", f"dataset.path={folder}/normal.csv", "model=forecaster", "model/head=forecast_linear",
          "dataset.forecast_target=shifted", "dataset.forecast_features=all")  # fmt: skip
    monkeypatch.setattr(
        "sys.argv", ["score", f"run={tmp_path}/run", f"input={folder}/new.csv", f"output={tmp_path}/s.csv"]
    )
    score_command.main()
    scores = pd.read_csv(tmp_path / "s.csv")
    found = json.loads((tmp_path / "s.json").read_text())
    assert found["rows_without_whole_window"] == WINDOW and found["windows_per_step"] == 1
    assert (scores["score"][:WINDOW] == scores["score"][WINDOW]).all()


def test_missing_values_have_no_score_and_are_said(score, tmp_path):
    table = labelled()
    table.loc[50, "load"] = np.nan
    table.loc[60, ["load", "heat"]] = np.nan
    table.to_csv(tmp_path / "holes.csv", index=False)
    said = score(f"input={tmp_path}/holes.csv", f"output={tmp_path}/scores.csv")
    scores = pd.read_csv(tmp_path / "scores.csv")
    assert np.isnan(scores["score/load"][50]) and scores["score"][50] == scores["score/heat"][50]
    assert np.isnan(scores["score"][60]) and scores["flag"][60] == 0 and scores["score"].isna().sum() == 1
    assert "3 values are missing" in said


def test_a_run_that_reads_which_values_are_missing_and_many_runs_at_once(folder, tmp_path, monkeypatch, capsys):
    """A folder of runs, each of which scores its own files."""
    table = signal(800)
    table.loc[np.arange(0, 800, 7), "load"] = np.nan
    for name in ("a", "b"):
        table.to_csv(tmp_path / f"{name}.csv", index=False)
        train(tmp_path / "runs" / name, f"dataset.path={tmp_path}/{name}.csv", "dataset.missing=mask")
    monkeypatch.setattr("sys.argv", ["score", f"run={tmp_path}/runs"])
    score_command.main()
    assert "the network reads them as missing" in capsys.readouterr().out
    for name in ("a", "b"):
        scores = pd.read_csv(tmp_path / "runs" / "scores" / f"{name}.csv")
        assert (scores["score/load"].isna() == table["load"].isna()).all() and scores["score"].notna().all()


def test_a_constant_channel_labels_of_one_kind_and_columns_that_are_not_read_are_said(score, tmp_path):
    labelled().assign(load=1.0, fault=0, humidity=0.5).to_csv(tmp_path / "still.csv", index=False)
    said = score(f"input={tmp_path}/still.csv", f"output={tmp_path}/scores.csv", "label=fault")
    assert "columns that the run was not trained on are not read: humidity" in said
    assert "constant in this input: load" in said and "all rows are labelled normal, so there are no metrics" in said


def test_labelled_anomalies_and_a_constant_channel_in_training_are_said(folder, tmp_path, monkeypatch, capsys):
    labelled(800).assign(load=0.1).to_csv(tmp_path / "dirty.csv", index=False)
    train(tmp_path / "run", f"dataset.path={tmp_path}/dirty.csv", "dataset.label=fault")
    monkeypatch.setattr("sys.argv", ["score", f"run={tmp_path}/run"])
    score_command.main()
    said = capsys.readouterr().out
    assert "training windows hold steps that are labelled anomalous" in said and "VUS-PR" in said
    assert "constant in training, so that any other value is anomalous: load" in said
    assert (tmp_path / "run" / "scores" / "dirty.csv").exists()


@pytest.mark.parametrize(
    ("change", "arguments", "words"),
    [
        ({}, ["label=truth"], "label=truth: "),
        ({}, ["threshold.method=oracle_f1"], "threshold.method=oracle_f1 needs labels of both kinds"),
        ({"load": None}, [], "has no column 'load'"),
        ({"load": [np.inf] + [0] * 499}, [], "is infinite"),
        ({"load": ["x"] + [0] * 499}, [], "'x' is no number"),
        ({"fault": ["what"] * 500}, ["label=fault"], "column 'fault': 'what' says neither normal"),
        ({"rows": 10}, [], f"the run's windows have {WINDOW} steps, and the longest series has 10"),
        ({"time": "reversed"}, [], "sort the file by time"),
        ({}, ["stride=17"], "stride=17: must be at most 16"),
        ({}, ["threshold.quantile=2"], "threshold.quantile=2: must be a number >= 0 and <= 1"),
        ({}, ["smooth=0"], "smooth=0: must be a whole number >= 1"),
        ({}, ["scorer.shrinkage=2", "scorer=gaussian"], "scorer.shrinkage=2: must be a number >= 0 and <= 1"),
        ({}, ["output=scores.txt"], "must end in .csv or .parquet"),
        ({}, ["input=nowhere.csv"], "nowhere.csv: there is no such file"),
        ({}, ["run=nowhere"], "nowhere: not a run directory"),
    ],
)  # fmt: skip
def test_mistakes_are_named_and_nothing_is_written(refused, tmp_path, change, arguments, words):
    table = labelled().iloc[: change.pop("rows", 500)]
    for name, values in change.items():
        table = table.drop(columns=name) if values is None else table.assign(
            **{name: table[name][::-1].to_numpy() if isinstance(values, str) else values}
        )  # fmt: skip
    table.to_csv(tmp_path / "bad.csv", index=False)
    given = [f"input={tmp_path}/bad.csv", f"output={tmp_path}/out/scores.csv", *arguments]
    given = [
        one for i, one in enumerate(given) if one.split("=")[0] not in {two.split("=")[0] for two in given[i + 1 :]}
    ]
    assert words in refused(*given)
    assert not list(tmp_path.glob("out/*"))


def test_a_run_without_names_of_channels_is_refused(tmp_path, monkeypatch):
    directory = train(tmp_path / "run", basis=TINY_SYNTHETIC)
    pd.DataFrame({"x": [0.0] * 20}).to_csv(tmp_path / "x.csv", index=False)
    code, said = call(score_command.main, [f"run={directory}", f"input={tmp_path}/x.csv"], monkeypatch)
    assert code == 1 and "train with dataset=table" in said


def test_labelled_windows_are_left_out_of_training_on_request_and_the_worst_are_trimmed(tmp_path):
    """What is left trains the network and, when the run scores, the naive detectors too."""
    labelled(800).to_csv(tmp_path / "dirty.csv", index=False)
    run = train(tmp_path / "run", f"dataset.path={tmp_path}/dirty.csv", "dataset.label=fault", "dataset.trim=0.1",
                epochs=2)  # fmt: skip
    config = OmegaConf.load(run / ".hydra" / "config.yaml")
    data = build.build_data(config, torch.device("cpu"))
    bad = np.flatnonzero([labelled(800)["fault"][start : start + WINDOW].any() for start in data.train.time.tolist()])
    assert len(bad) == 20 + WINDOW - 1
    with initialize_config_dir(CONF):
        opened = open_run(run, compose("score", [f"run={run}"]))
    kept = opened.data.train
    assert len(kept) == len(data.train) - round(0.1 * len(data.train))
    assert len(opened.detectors.naive["nearest_neighbour"].train) == len(kept)
    left = np.isin(data.train.time.numpy()[bad], kept.time.numpy())
    assert left.mean() < 0.2, "the windows with the fault are those that a first model rebuilds worst"
    config.dataset.labelled = "leave_out"
    clean = build.build_data(config, torch.device("cpu")).train
    assert len(clean) == len(data.train) - len(bad)
