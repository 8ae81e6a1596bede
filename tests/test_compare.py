"""The compare command: known answers over made run directories, and runs in any state."""

import csv
import json
import resource
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from lstm_ae.compare import compare, line_up, order, parser
from lstm_ae.errors import UserError
from lstm_ae.figures.comparison import Comparison
from lstm_ae.runs.frame import load_runs
from tests.commands import TINY_SYNTHETIC, environment, run, train
from tests.runs.made_runs import make_run


@pytest.fixture
def sweep(tmp_path):
    """Two hidden sizes by two learning rates by two seeds; the best is run 6 (16, 0.1, seed 0)."""
    losses = [0.8, 0.82, 0.6, 0.64, 0.5, 0.54, 0.2, 0.3]
    settings = [(h, lr, seed) for h in (8, 16) for lr in (0.01, 0.1) for seed in (0, 1)]
    for i, (loss, (hidden, lr, seed)) in enumerate(zip(losses, settings, strict=True)):
        make_run(tmp_path / "sweep" / str(i), [1.0, loss, loss + 0.05], hidden_size=hidden, lr=lr, seed=seed)
    return tmp_path / "sweep"


def rows(capsys, *arguments):
    compare([*map(str, arguments), "--json", "-"])
    return json.loads(capsys.readouterr().out)


def run_names(capsys, *arguments):
    return [row["run"] for row in rows(capsys, *arguments)]


def refused(*arguments):
    with pytest.raises(UserError) as error:
        compare([*map(str, arguments)])
    return str(error.value)


def test_table_shows_what_differs_sorted_by_the_monitor(sweep, capsys):
    table = rows(capsys, sweep)
    assert [row["run"] for row in table] == ["6", "7", "4", "5", "2", "3", "0", "1"]
    assert set(table[0]) == {
        "path", "run", "seed", "model.hidden_size", "optimizer.lr", "val/loss", "val/accuracy", "status", "epochs",
        "best_epoch", "seconds",
    }  # fmt: skip
    assert table[0] | {"path": ""} == {
        "path": "", "run": "6", "seed": 0, "model.hidden_size": 16, "optimizer.lr": 0.1, "val/loss": 0.2,
        "val/accuracy": 0.8, "status": "completed", "epochs": 3, "best_epoch": 2, "seconds": 1.5,
    }  # fmt: skip
    assert table[0]["path"] == str(sweep / "6")


def test_values_are_of_the_best_epoch_in_the_mode_of_the_monitor(tmp_path, capsys):
    for i, losses in enumerate([[0.5, 0.3, 0.9], [0.4, 0.6, 0.7]]):
        make_run(tmp_path / str(i), losses, monitor="val/accuracy", mode="max", lr=0.1 * (i + 1))
    table = rows(capsys, tmp_path)
    assert [(row["run"], row["val/accuracy"], row["val/loss"]) for row in table] == [("0", 0.7, 0.3), ("1", 0.6, 0.4)]


def test_a_chosen_group_stands_for_the_keys_that_it_brings(tmp_path, capsys):
    make_run(tmp_path / "0", [0.5], optimizer="Adam")
    make_run(tmp_path / "1", [0.4], optimizer="SGD")
    assert [row["optimizer"] for row in rows(capsys, tmp_path)] == ["sgd", "adam"]
    assert not any(name.startswith("optimizer.") for name in rows(capsys, tmp_path)[0])
    make_run(tmp_path / "2", [0.3], optimizer="SGD", lr=0.5)
    assert [row["optimizer.lr"] for row in rows(capsys, tmp_path)] == [0.5, 0.01, 0.01]


def test_a_single_run_and_overlapping_directories(sweep, capsys):
    assert run_names(capsys, sweep / "3") == ["3"]
    assert len(run_names(capsys, sweep, sweep / "3", sweep.parent)) == 8


def test_two_sweeps_at_different_depths(sweep, tmp_path, capsys):
    make_run(tmp_path / "other" / "deep" / "0", [0.1])
    assert run_names(capsys, sweep, tmp_path / "other")[:2] == ["other/deep/0", "sweep/6"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--sort", "val/loss:max", "--top", "2"], ["1", "0"]),
        (["--sort", "val/accuracy", "--top", "2"], ["6", "7"]),
        (["--sort", "optimizer.lr", "--top", "1"], ["0"]),
        (["--sort", "trial:max", "--top", "3"], ["7", "6", "5"]),
        (["--filter", "model.hidden_size >= 16 and not (seed == 1)"], ["6", "4"]),
        (["--filter", "model.encoder.hidden_size == 8 and val/loss < 0.7"], ["2", "3"]),
        (["--filter", "optimizer == adam and test/loss > 0.8"], ["0", "1"]),
    ],
)
def test_sort_top_filter(sweep, capsys, options, expected):
    assert run_names(capsys, sweep, *options) == expected


def test_metrics_and_keys_as_asked(sweep, capsys):
    row = rows(capsys, sweep, "--metrics", "test/*", "--keys", "trainer.*,optimizer", "--top", "1")[0]
    assert row["test/loss"] == pytest.approx(0.21)
    assert row["test/loss/mean"] == 0.9
    assert row["trainer.max_epochs"] == 3
    assert row["optimizer"] == "adam"
    assert "model.hidden_size" not in row
    assert "val/accuracy" not in row


def test_terminal_table_and_the_command_for_the_best(sweep, capsys):
    compare([str(sweep), "--top", "2"])
    out = capsys.readouterr().out
    assert "8 runs: 8 completed" in out
    assert "the best 2 of 8 rows by val/loss" in out
    assert f"best val/loss (min): 0.2 in {sweep / '6'}" in out
    # conf/ does not make this config of these overrides, so the run's own file, as data, is what trains it again
    assert f"python -m lstm_ae.train rerun={sweep / '6'}" in out and "--config-path" not in out


@pytest.mark.parametrize("option", ["--csv", "--json", "--markdown"])
def test_files(sweep, tmp_path, capsys, option):
    file = tmp_path / "table"
    compare([str(sweep), option, str(file)])
    assert "to train it again" in capsys.readouterr().out
    text = file.read_text()
    if option == "--csv":
        lines = list(csv.DictReader(text.splitlines()))
        assert [line["run"] for line in lines] == ["6", "7", "4", "5", "2", "3", "0", "1"]
        assert float(lines[0]["val/loss"]) == 0.2
    elif option == "--json":
        assert json.loads(text)[0]["val/loss"] == 0.2
    else:
        assert text.splitlines()[0].startswith("| run | seed | model.hidden_size |")
        assert len(text.splitlines()) == 10
    assert [path.name for path in tmp_path.iterdir()] in (["sweep", "table"], ["table", "sweep"])


def test_group_by_seed(sweep, capsys):
    table = rows(capsys, sweep, "--group-by-seed")
    assert [(row["model.hidden_size"], row["optimizer.lr"]) for row in table] == [
        (16, 0.1),
        (16, 0.01),
        (8, 0.1),
        (8, 0.01),
    ]
    best = table[0]
    assert best["runs"] == 2
    assert best["seeds"] == "0, 1"
    assert best["val/loss"] == pytest.approx(0.25)
    assert best["val/loss std"] == pytest.approx(0.05 * 2**0.5)  # of 0.2 and 0.3, n - 1
    compare([str(sweep), "--group-by-seed"])
    out = capsys.readouterr().out
    assert "0.25 ± 0.071" in out
    assert out.endswith(f"rerun={sweep / '6'}\n  python -m lstm_ae.train rerun={sweep / '7'}\n")


def test_the_best_of_groups_is_a_mean_and_says_of_what(sweep, capsys):
    compare([str(sweep), "--group-by-seed"])
    out = capsys.readouterr().out
    assert "best val/loss (min): 0.25, the mean of 2 runs with model.hidden_size=16, optimizer.lr=0.1: 6, 7" in out
    assert "note: ± is the standard deviation (n - 1) over the seeds and folds of a row" in out
    compare([str(sweep)])
    assert "±" not in capsys.readouterr().out


def test_results_stand_beside_their_baselines_with_a_caution(sweep, capsys):
    results = {"test": {"test/loss": 0.2, "test/accuracy": 0.9}, "baselines": {"test/accuracy/majority": 0.1}}
    make_run(sweep / "8", [0.1], "completed_later", {"status": "completed", **results})
    compare([str(sweep), "--results", "--csv", "-"])
    printed = capsys.readouterr()
    columns = printed.out.splitlines()[0].split(",")
    begin = columns.index("test/loss")
    assert columns[begin - 1] == "val/accuracy"
    assert columns[begin : begin + 4] == ["test/loss", "test/loss/mean", "test/accuracy", "test/accuracy/majority"]
    assert "note: test results are for reporting what validation has chosen" in printed.err
    compare([str(sweep), "--results", "--html", str(sweep / "page.html")])
    assert '"test/accuracy/majority"' in (sweep / "page.html").read_text()


def test_metrics_are_sorted_as_the_table_of_metrics_says(tmp_path, capsys):
    for i, (statistic, p) in enumerate([(-3.0, 0.999), (4.0, 0.001), (1.0, 0.2)]):
        test = {"test/forecast_dm_ridge": statistic, "test/forecast_p_ridge": p}
        make_run(tmp_path / str(i), [0.5], "completed_later", {"status": "completed", "test": test}, lr=0.1 * (i + 1))
    assert run_names(capsys, tmp_path, "--sort", "test/forecast_dm_ridge") == ["1", "2", "0"]
    assert run_names(capsys, tmp_path, "--sort", "test/forecast_p_ridge") == ["1", "2", "0"]
    compare([str(tmp_path), "--sort", "test/forecast_dm_ridge"])
    assert f"best test/forecast_dm_ridge (max): 4 in {tmp_path / '1'}" in capsys.readouterr().out


def test_different_data_is_mentioned(sweep, capsys):
    make_run(sweep / "8", [0.5], summary={"data": "456def"})
    compare([str(sweep)])
    out = capsys.readouterr().out
    assert "note: the runs were trained and measured on 2 different data sets or splits" in out
    assert "no best: val/loss was measured on 2 different data sets" in out and "train it again" not in out
    compare([str(sweep), "--filter", "data == '123abc'"])
    assert "best val/loss (min): 0.2" in capsys.readouterr().out


def test_seeds_on_the_same_splits_are_compared(tmp_path, capsys):
    for i, (lr, fold) in enumerate((lr, fold) for lr in (0.1, 0.2) for fold in (0, 1)):
        make_run(tmp_path / str(i), [0.5 - lr], lr=lr, fold=fold, summary={"data": f"fold{fold}"})
    compare([str(tmp_path)])
    assert "no best" in capsys.readouterr().out
    compare([str(tmp_path), "--group-by-seed"])
    assert "best val/loss (min): 0.3, the mean of 2 runs" in capsys.readouterr().out


def drawn_curves(directory, *arguments):
    """The lines and the legend of the learning curves."""
    options = parser().parse_args([str(directory), *arguments])
    runs = load_runs(directory)
    key, mode, objectives = order(runs, None)
    figure = Comparison(line_up(runs, options, key, mode, objectives), objectives).learning_curves()
    return figure.axes[0].get_lines(), [text.get_text() for text in figure.legends[0].get_texts()]


def test_curves_of_different_runs_have_different_labels_and_colours(sweep):
    lines, labels = drawn_curves(sweep)
    assert len({line.get_color() for line in lines}) == len(set(labels)) == 8
    lines, labels = drawn_curves(sweep, "--keys", "model.hidden_size")  # which does not tell seeds apart
    assert len(set(labels)) == 8
    assert "hidden_size=16, run 6" in labels


def test_the_seeds_of_a_group_share_a_colour_and_a_label(sweep):
    lines, labels = drawn_curves(sweep, "--group-by-seed")
    assert (len(lines), len({line.get_color() for line in lines})) == (8, 4)
    assert len(set(labels)) == 4
    assert "hidden_size=16, lr=0.1 (2 runs)" in labels


def test_groups_never_mix_configs_even_if_the_difference_is_not_shown(sweep, capsys):
    for i in range(2):
        make_run(sweep / str(8 + i), [0.2], hidden_size=16, lr=0.1, seed=2 + i, max_epochs=50)
    table = rows(capsys, sweep, "--group-by-seed", "--keys", "model.hidden_size")
    assert [(row["runs"], row["seeds"]) for row in table if row["model.hidden_size"] == 16] == [
        (2, "2, 3"), (2, "0, 1"), (2, "0, 1"),
    ]  # fmt: skip


def test_groups_count_completed_runs_and_each_seed_once(sweep, capsys):
    make_run(sweep / "8", [0.1], status="pruned", hidden_size=16, lr=0.1, seed=2, max_epochs=3)
    make_run(sweep / "9", [0.4, 0.4, 0.4], hidden_size=16, lr=0.1, seed=1)
    best = rows(capsys, sweep, "--group-by-seed")[0]
    assert best["status"] == "3 completed, 1 pruned"
    assert best["runs"] == 2
    assert best["val/loss"] == pytest.approx((0.2 + 0.4) / 2)
    compare([str(sweep), "--group-by-seed"])
    assert "note: 7 and 9 are the same setting and seed: 9 counts" in capsys.readouterr().out


def test_folds_of_a_cross_validated_run_are_averaged(tmp_path, capsys):
    make_run(tmp_path / "0", [], status="completed_later", summary={"status": "completed", "best": 0.3, "seconds": 3.0})
    for fold, loss in enumerate([0.2, 0.4]):
        make_run(tmp_path / "0" / "folds" / str(fold), [0.9, loss], fold=fold)
    (row,) = rows(capsys, tmp_path)
    assert row["val/loss"] == pytest.approx(0.3)
    assert row["val/loss std"] == pytest.approx(0.1 * 2**0.5)
    assert row["epochs"] == 2
    assert "note" not in row
    assert run_names(capsys, tmp_path / "0" / "folds") == ["0", "1"]


def test_whatever_state_runs_are_in_they_are_shown(sweep, capsys):
    (sweep / "0/metrics.csv").unlink()
    (sweep / "1/summary.json").write_text('{"status": "comp')
    (sweep / "2/.hydra/config.yaml").write_text("a: [")
    (sweep / "3/summary.json").unlink()
    (sweep / "4/metrics.csv").write_text("epoch,val/loss\n1,\n")
    (sweep / "5/summary.json").write_text("[]")
    (sweep / "6/.hydra/overrides.yaml").write_bytes(b"\xff\xfe\x00")
    (sweep / "8").mkdir()
    make_run(sweep / "9", [], status="failed", summary={"error": "ConfigError: optimizer.lr=-1:\nmust be > 0"}, lr=-1)
    make_run(sweep / "10", [0.7], status="running", lr=0.7)
    make_run(sweep / "11", [float("nan")] * 2, status="pruned", lr=0.8)
    for options in ([], ["--group-by-seed"], ["--figures"], ["--html", str(sweep / "page.html")], ["--csv", "-"]):
        compare([str(sweep), *options])
    capsys.readouterr()
    notes = {row["run"]: (row["status"], row["note"]) for row in rows(capsys, sweep)}
    assert notes == {
        "0": ("completed", "no metrics.csv"),
        "1": ("unknown", "summary.json is broken"),
        "2": ("completed", ".hydra/config.yaml is broken"),
        "3": ("unknown", "no summary.json"),
        "4": ("completed", "metrics.csv is broken"),
        "5": ("unknown", "summary.json is broken"),
        "6": ("completed", ".hydra/overrides.yaml is broken"),
        "7": ("completed", None),
        "8": ("unknown", "no summary.json; no .hydra/config.yaml"),
        "9": ("failed", "ConfigError: optimizer.lr=-1: must be > 0"),
        "10": ("running", "no process on this machine is at work on it"),
        "11": ("pruned", None),
    }
    by_name = {row["run"]: row for row in rows(capsys, sweep)}
    assert by_name["0"]["val/loss"] == 0.8  # from the summary
    assert by_name["10"]["val/loss"] == 0.7  # the best so far
    assert by_name["11"]["val/loss"] is None
    assert run_names(capsys, sweep, "--status", "failed,running") == ["10", "9"]


def test_only_completed_runs_are_called_the_best(sweep, capsys):
    make_run(sweep / "8", [0.01], status="pruned", lr=0.3)
    compare([str(sweep)])
    assert f"best val/loss (min): 0.2 in {sweep / '6'}" in capsys.readouterr().out


def test_what_the_order_may_not_mean_is_said(sweep, capsys):
    make_run(sweep / "8", [0.5], weight=0.9)
    make_run(sweep / "9", [0.5], monitor="val/accuracy", mode="max")
    compare([str(sweep)])
    out = capsys.readouterr().out
    assert "note: val/loss depends on objective.reconstruction_weight" in out
    assert "note: the runs monitor different metrics (val/loss; val/accuracy)" in out


def test_a_run_is_the_setting_that_its_resumes_made_it(sweep, capsys):
    resumes = [
        {"epoch": 3, "overrides": ["trainer.max_epochs=4", "optimizer.lr=1e-2"]},
        {"epoch": 4, "overrides": ["trainer.max_epochs=5", "hydra.job.env_set={HARM: done}"]},
    ]
    done = {"status": "completed", "resumes": resumes}
    make_run(sweep / "8", [0.1] * 5, "completed_later", done, hidden_size=16, lr=0.1, seed=2, max_epochs=3)
    best = rows(capsys, sweep, "--group-by-seed")[0]
    assert (best["trainer.max_epochs"], best["optimizer.lr"], best["runs"]) == (5, 0.01, 1)
    compare([str(sweep)])
    again = capsys.readouterr().out.strip().splitlines()[-1]
    assert again == f"  python -m lstm_ae.train rerun={sweep / '8'}"


def test_diff(sweep, capsys):
    compare([str(sweep), "--diff", "0", "6"])
    out = {line.split()[1]: line.split()[2:] for line in capsys.readouterr().out.splitlines() if line.startswith("≠")}
    assert out["model.hidden_size"] == ["8", "16"]
    assert out["optimizer.lr"] == ["0.01", "0.1"]
    assert out["val/loss"] == ["0.8", "0.2"]
    assert not {"git_commit", "data", "seed", "train/nothing"} & set(out)
    compare(["--diff", str(sweep / "0"), str(sweep / "1")])
    lines = capsys.readouterr().out.splitlines()
    assert ["git_commit", "c0ffee", "c0ffee"] in [line.split() for line in lines]
    assert ["data", "123abc", "123abc"] in [line.split() for line in lines]


def test_figures_of_a_grid(sweep, capsys):
    compare([str(sweep), "--figures"])
    drawn = {path.name for path in (sweep / "compare").iterdir()}
    assert drawn == {
        "learning_curves.png", "objective_over_trials.png", "parallel_coordinates.png", "importances.png",
        "heat_map.png",
    }  # fmt: skip
    for path in (sweep / "compare").iterdir():
        with Image.open(path) as image:
            assert len(image.convert("L").getcolors()) > 10, path
    assert "not drawn: pareto_front.png: a Pareto front needs two objectives" in capsys.readouterr().out
    assert len(run_names(capsys, sweep)) == 8  # compare/ is not taken for a run


def test_two_objectives(tmp_path, capsys):
    accuracy = [0.9, 0.8, 0.7, 0.85]
    for i, (loss, value) in enumerate(zip([0.4, 0.3, 0.35, 0.5], accuracy, strict=True)):
        path = make_run(
            tmp_path / "s" / str(i), [loss], lr=0.1 * (i + 1), monitor="[val/loss, val/accuracy]", mode="[min, max]"
        )
        (path / "metrics.csv").write_text(f"epoch,seconds,lr,val/loss,val/accuracy\n1,1,1,{loss},{value}\n")
    table = rows(capsys, tmp_path)
    assert [(row["run"], row["pareto"]) for row in table] == [("1", "*"), ("2", None), ("0", "*"), ("3", None)]
    compare([str(tmp_path / "s"), "--figures", "--output", str(tmp_path / "pictures")])
    assert (tmp_path / "pictures" / "pareto_front.png").is_file()
    assert not (tmp_path / "s" / "compare").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["Give run or sweep directories"]),
        (["{sweep}/nowhere"], ["nowhere", "no such directory"]),
        (["{sweep}/0/.hydra"], ["no run in or below", "python -m lstm_ae.train"]),
        (["{sweep}", "--sort", "val/los"], ["val/los", "did you mean val/loss"]),
        (["{sweep}", "--sort", "val/loss:up"], ["min or max"]),
        (["{sweep}", "--metrics", "val/nothing"], ["--metrics=val/nothing", "val/accuracy"]),
        (["{sweep}", "--keys", "hidden_size"], ["--keys=hidden_size", "model.hidden_size"]),
        (["{sweep}", "--status", "done"], ["--status=done", "completed"]),
        (["{sweep}", "--top", "0"], ["--top=0", "at least 1"]),
        (["{sweep}", "--filter", "val/loss < 0"], ["no run passes"]),
        (["{sweep}", "--diff", "0", "99"], ["--diff 99", "known here: 0, 1"]),
        (["--diff", "{sweep}", "{sweep}/0"], ["holds 8 runs"]),
        (["{sweep}", "--csv", "{sweep}"], ["--csv={sweep}", "must be a file"]),
        (["{sweep}", "--html", "-"], ["--html=-", "must be a file"]),
        (["{sweep}", "--json", "{sweep}/no/x"], ["no folder {sweep}/no"]),
        (["{sweep}", "--output", "x"], ["--output=x", "add --figures"]),
    ],
)
def test_mistakes_are_explained(sweep, arguments, words):
    message = refused(*(argument.format(sweep=sweep) for argument in arguments))
    assert all(word.format(sweep=sweep) in message for word in words), message


def test_the_program_ends_in_a_message_and_not_in_a_traceback(tmp_path):
    done = run("compare", str(tmp_path), cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: no run in or below")
    assert "Traceback" not in done.stderr


def test_two_thousand_runs_in_ten_seconds_without_torch(tmp_path):
    for i in range(2000):
        make_run(tmp_path / str(i), [1 / (i + 2 + epoch) for epoch in range(30)], lr=0.001 * (i + 1))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    program = "import sys; from lstm_ae.compare import main; main(); assert 'torch' not in sys.modules"
    arguments = [sys.executable, "-c", program, str(tmp_path), "--top", "3"]
    done = subprocess.run(arguments, env=environment(), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "2000 runs: 2000 completed" in done.stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # the processor's time: what else this machine does must not fail the test
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 10


def test_the_command_for_the_best_trains_the_same_again(tmp_path):
    train(*TINY_SYNTHETIC, "seed=3", cwd=tmp_path, directory="sweep/0")
    done = run("compare", "sweep", "--csv", "runs.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    program, *arguments = shlex.split(done.stdout.strip().splitlines()[-1])[1:]
    assert (program, arguments[:2]) == ("-m", ["lstm_ae.train", TINY_SYNTHETIC[0]])
    again = train(*arguments[1:], cwd=tmp_path, directory="again")
    (row,) = csv.DictReader((tmp_path / "runs.csv").read_text().splitlines())
    summary, repeated = (json.loads((Path(p) / "summary.json").read_text()) for p in (row["path"], again))
    assert repeated["best"] == summary["best"] == float(row["val/loss"])
    assert repeated["data"] == summary["data"]
