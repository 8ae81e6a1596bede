"""The train command, end to end: what it leaves behind, what it refuses, how it stops and goes on."""

import csv
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir

from lstm_ae import train as train_command
from lstm_ae.config import CONF
from lstm_ae.runs.directory import RunDirectory
from tests.commands import TINY_DIGITS, TINY_SYNTHETIC, call, finish, run, start, train, wait_for


def rows(directory: Path) -> list[dict[str, str]]:
    with (directory / "metrics.csv").open() as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def summary(directory: Path) -> dict:
    return json.loads((directory / "summary.json").read_text())


def weights(directory: Path, name: str) -> dict[str, torch.Tensor]:
    return torch.load(directory / "checkpoints" / name, weights_only=True)["model"]


def same(one: Path, other: Path) -> None:
    """Two run directories hold the same results, bit for bit."""
    assert rows(one) == rows(other)
    assert summary(one)["test"] == summary(other)["test"]
    assert summary(one)["best"] == summary(other)["best"]
    for name in ("best.pt", "last.pt"):
        for key, value in weights(one, name).items():
            assert torch.equal(value, weights(other, name)[key]), (name, key)


def test_run_directory_of_a_joint_classifier(tmp_path):
    done = run("train", *TINY_DIGITS, "trainer.max_epochs=2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (directory,) = (tmp_path / "outputs").glob("*/*")
    assert {path.name for path in directory.iterdir()} == {
        ".hydra", "train.log", "metrics.csv", "summary.json", "checkpoints", "figures"
    }  # fmt: skip
    assert {path.name for path in (directory / "checkpoints").iterdir()} == {"best.pt", "last.pt"}
    pictures = {
        "samples",
        "reconstructions",
        "images",
        "error_by_position",
        "loss",
        "accuracy",
        "confusion",
        "contexts",
    }
    assert {path.stem for path in (directory / "figures").iterdir()} == pictures
    assert str(directory / "figures") in done.stdout

    history = rows(directory)
    assert list(history[0])[:6] == ["epoch", "lr", "train/loss", "train/reconstruction", "train/cross_entropy",
                                    "train/accuracy"]  # fmt: skip
    found = summary(directory)
    assert found["status"] == "completed" and found["error"] is None
    assert found["best"] == min(float(row["val/loss"]) for row in history)
    assert set(found["test"]) == {"test/loss", "test/reconstruction", "test/cross_entropy", "test/accuracy"}
    assert set(found["baselines"]) == {
        "test/reconstruction/mean", "test/reconstruction/pca", "test/reconstruction/linear_recurrence",
        "test/accuracy/majority",
        "test/accuracy/logistic_regression",
    }  # fmt: skip
    assert "logistic" in done.stdout and f"{found['baselines']['test/reconstruction/pca']:.5g}" in done.stdout
    assert {"python", "torch", "hydra-core"} <= set(found["versions"])
    assert found["parameters"] > 0 and found["device"].startswith("cpu")


def test_the_default_model_rebuilds_better_than_the_mean(tmp_path):
    settings = ("dataset.num_sequences=500", "dataset.length=12", "dataset.dip_length=4", "dataset.dip_center=[4,6]")
    directory = train(*settings, "trainer.max_epochs=15", "optimizer.lr=0.01", "threads=1", cwd=tmp_path)
    found = summary(directory)
    assert found["test"]["test/reconstruction"] < 0.7 * found["baselines"]["test/reconstruction/mean"]


def test_the_results_are_written_before_any_figure(tmp_path, monkeypatch):
    """What happens to the figures, even the end of the process, costs no result."""

    def interrupted(*_):
        raise KeyboardInterrupt

    with initialize_config_dir(CONF):
        config = compose("config", list(TINY_SYNTHETIC))
    monkeypatch.setattr("lstm_ae.figures.run.draw_run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_command.train(config, RunDirectory(tmp_path))
    found = summary(tmp_path)
    assert found["status"] == "completed" and found["test"]["test/loss"] > 0
    assert found["baselines"]["test/reconstruction/pca"] > 0


def test_two_runs_in_the_same_second_get_two_directories(tmp_path):
    """Whatever the second in which each of them begins."""
    both = [start(*TINY_SYNTHETIC, cwd=tmp_path) for _ in range(2)]
    for process in both:
        assert process.wait(timeout=120) == 0, process.communicate()
    directories = list((tmp_path / "outputs").glob("*/*"))
    assert len(directories) == 2
    assert all(summary(path)["status"] == "completed" for path in directories)


def test_plain_multirun_with_a_tracker(tmp_path):
    done = run("train", "-m", *TINY_SYNTHETIC, "model.hidden_size=2,3", "tracker=tensorboard", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (sweep,) = (tmp_path / "multirun").glob("*/*")
    assert {path.name for path in sweep.iterdir() if path.is_dir()} == {"0", "1"}
    parameters = [summary(sweep / n)["parameters"] for n in "01"]
    assert parameters[0] < parameters[1]
    assert all(list((sweep / n / "tensorboard").glob("events*")) for n in "01")


def test_a_bad_job_of_a_multirun_says_so(tmp_path):
    done = run("train", "-m", *TINY_SYNTHETIC, "model.hidden_size=2,0", cwd=tmp_path)
    assert done.returncode != 0
    assert "model.hidden_size=0: must be a whole number >= 1" in done.stderr
    assert "Traceback" not in done.stderr


JOINT = (*TINY_DIGITS, "trainer.max_epochs=4", "model.num_layers=2", "model.dropout=0.3", "scheduler=one_cycle",
         "dataset.augment.shift=1", "dataset.augment.rotation=10")  # fmt: skip


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return train(*JOINT, cwd=tmp_path_factory.mktemp("uninterrupted"))


# An objective that waits in the second epoch until it may go on, so that a signal finds the run there.
WAITING = """
import time
from pathlib import Path

from lstm_ae.spec import part
from lstm_ae.training.objective import Objective


@part
class Waiting(Objective):
    def __call__(self, output, batch, training=False):
        while training and Path("run/checkpoints/last.pt").exists() and not Path("go").exists():
            Path("waiting").touch()
            time.sleep(0.01)
        return super().__call__(output, batch, training)
"""


def interrupt(number, tmp_path):
    """Start the run, send it a signal in its second epoch, and return the exit code and standard error."""
    (tmp_path / "waiting.py").write_text(WAITING)
    settings = (*JOINT, "objective._target_=waiting.Waiting", "hydra.run.dir=run")
    process = start(*settings, cwd=tmp_path, LSTM_AE_ALLOW="waiting")
    wait_for((tmp_path / "waiting").exists)
    ended = finish(process, number)
    (tmp_path / "go").touch()
    return ended


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_killed_and_resumed_equals_never_stopped(number, uninterrupted, tmp_path):
    directory = tmp_path / "run"
    code, errors = interrupt(number, tmp_path)
    assert len(rows(directory)) == 1
    if number == signal.SIGKILL:
        assert code == -signal.SIGKILL
        assert summary(directory)["status"] == "running"
    else:
        assert code == 128 + number, errors
        assert summary(directory)["status"] == "stopped"
        assert "Traceback" not in errors
    config = (directory / ".hydra" / "config.yaml").read_text()
    done = run("train", "resume=run", cwd=tmp_path, LSTM_AE_ALLOW="waiting")
    assert done.returncode == 0, done.stderr
    assert (directory / ".hydra" / "config.yaml").read_text() == config
    assert summary(directory)["status"] == "completed"
    assert not (tmp_path / "outputs").exists()
    same(directory, uninterrupted)


def test_a_crash_between_the_files_of_an_epoch_costs_nothing(uninterrupted, tmp_path):
    interrupt(signal.SIGKILL, tmp_path)
    # As if killed after metrics.csv and best.pt of a later epoch were written, but not its last.pt.
    for name in ("metrics.csv", "checkpoints/best.pt"):
        (tmp_path / "run" / name).write_bytes((uninterrupted / name).read_bytes())
    assert run("train", "resume=run", cwd=tmp_path, LSTM_AE_ALLOW="waiting").returncode == 0
    same(tmp_path / "run", uninterrupted)


def test_resume_a_complete_run(uninterrupted, tmp_path):
    done = run("train", f"resume={uninterrupted}", cwd=tmp_path)
    assert done.returncode == 0
    assert "is complete" in done.stdout and "trainer.max_epochs" in done.stdout


def test_resume_with_more_epochs_goes_on(tmp_path):
    train(*TINY_DIGITS, "trainer.max_epochs=2", cwd=tmp_path, directory="a run, with = signs")
    done = run("train", "resume=a run, with = signs", "trainer.max_epochs=3", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    directory = tmp_path / "a run, with = signs"
    assert [row["epoch"] for row in rows(directory)] == ["1", "2", "3"]
    longer = train(*TINY_DIGITS, "trainer.max_epochs=3", cwd=tmp_path, directory="longer")
    same(directory, longer)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("dataset=mnsit_rows", ["mnsit_rows", "mnist_rows", "synthetic"]),
        ("optimizer.lr=-1", ["optimizer.lr=-1", "> 0"]),
        ("model.hidden_size=0", ["model.hidden_size=0", ">= 1"]),
        ("model.encoder.hidden_size=0", ["model.encoder.hidden_size=0", ">= 1"]),
        ("objective.reconstruction_weight=1.5", ["objective.reconstruction_weight=1.5", "<= 1"]),
        ("objective.reconstruction_weight=0.5", ["objective.reconstruction_weight=0.5", "model=classifier"]),
        ("trainer.max_epochs=abc", ["trainer.max_epochs=abc", "whole number"]),
        ("monitor=val/accuracy mode=max", ["monitor=val/accuracy", "val/reconstruction"]),
        ("model=classifier dataset=digits_rows monitor=val/accuracy", ["mode=min", "mode=max"]),
        ("model=classifier", ["model.head", "synthetic", "labels"]),
        ("hidden_size=4", ["hidden_size", "model.hidden_size"]),
        ("model.hiden_size=3", ["model.hiden_size", "Did you mean model.hidden_size?"]),
        ("+trainer.patiance=3", ["trainer.patiance", "no such option"]),
        (
            "experiment=digits model/initialization=pytorch +model.initialization.identity=true",
            ["pytorch has no such option", "add ~model.initialization.identity"],
        ),
        ("model/decoder=nonsense", ["model/decoder/nonsense", "repeat_context", "autoregressive"]),
        ("dataset.fold=7 dataset.num_folds=5", ["dataset.fold=7", "0 to 4"]),
        ("dataset.num_train=1000000", ["dataset.num_train=1000000", "6000"]),
        ("dataset.val_fraction=0.9", ["dataset.test_fraction=0.2"]),
        ("dataset.dip_center=[0,3]", ["dataset.dip_center", "5 to 45"]),
        ("trainer.mixed_precision=true device=cpu", ["trainer.mixed_precision", "cuda"]),
        ("model.encoder._target_=os.system", ["os.system", "model.encoder"]),
        ("optimizer._target_=subprocess.call", ["subprocess.call", "optimizer"]),
        ("-m seed=1,2 --cfg job", ["--cfg", "leave out --multirun"]),
        ("resume=nowhere", ["resume=nowhere", "no run there to go on with"]),
        ("hydra.run.dir=/proc/nobody/run", ["/proc/nobody", "cannot be written"]),
    ],
)
def test_mistakes_get_a_few_lines(arguments, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, words = call(train_command.main, arguments.split(), monkeypatch)
    assert code == 1
    for part in expected:
        assert part in words, words
    assert len(words.splitlines()) <= 12
    assert list(tmp_path.iterdir()) == []  # what fails before its first epoch leaves nothing


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_cuda_without_a_gpu(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, words = call(train_command.main, ["device=cuda"], monkeypatch)
    assert "device=cuda" in words and "device=cpu" in words


def test_no_network_and_no_data(tmp_path):
    # The proxy is a closed port on this machine, so nothing can be fetched, wherever the test runs.
    closed = {"https_proxy": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9", "LSTM_AE_DATA": str(tmp_path)}
    done = run("train", "dataset=mnist_rows", "model=classifier", cwd=tmp_path, **closed)
    assert done.returncode == 1
    for part in ("train-images-idx3-ubyte", str(tmp_path), "LSTM_AE_DATA", "digits_rows", "https://"):
        assert part in done.stderr
    assert "Traceback" not in done.stderr
    assert not any((tmp_path / "mnist").iterdir())


def test_nan_in_the_first_epoch_ends_the_run_and_leaves_nothing(tmp_path):
    arguments = (*TINY_SYNTHETIC, "optimizer=sgd", "trainer.gradient_clip_norm=null", "trainer.max_epochs=5")
    done = run("train", *arguments, "optimizer.lr=1e18", "hydra.run.dir=run", cwd=tmp_path)
    assert done.returncode == 1
    assert "the loss became" in done.stderr and "optimizer.lr" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_foreign_run_directory_runs_nothing(tmp_path):
    directory = train(*TINY_SYNTHETIC, cwd=tmp_path)
    hook = directory / ".hydra" / "hydra" / "env"
    hook.mkdir(parents=True)
    (hook / "default.yaml").write_text("# @package _global_\nhydra: {job: {env_set: {HARM: done}}}\n")
    done = run("train", "resume=run", "trainer.max_epochs=3", cwd=tmp_path)
    assert done.returncode == 1 and "not opened" in done.stderr


def test_printing_the_config_imports_no_torch(tmp_path):
    code = (
        "import sys; sys.argv = ['train', '--cfg', 'job']\n"
        "from lstm_ae.train import main\n"
        "try: main()\n"
        "finally: print('torch' in sys.modules, 'sklearn' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "hidden_size" in done.stdout
    assert done.stderr.strip() == "False False"


def test_help_is_a_page_worth_reading(tmp_path):
    done = run("train", "--help", cwd=tmp_path)
    for part in ("dataset: ", "mnist_rows", "model/encoder: lstm", "trainer.gradient_clip_norm", "resume=RUN_DIR"):
        assert part in done.stdout
    assert not list(tmp_path.iterdir())


def test_real_mnist_rows(tmp_path, real_data):
    directory = train(
        "dataset=mnist_rows", "model=classifier", "dataset.num_train=1500", "trainer.max_epochs=4", "threads=1",
        "model.hidden_size=48", "optimizer.lr=0.01", "dataset.val_fraction=0.02", cwd=tmp_path,
    )  # fmt: skip
    found = summary(directory)
    assert found["test"]["test/accuracy"] > 0.6 > 0.2 > found["baselines"]["test/accuracy/majority"]
    assert 0 < found["baselines"]["test/reconstruction/pca"] < found["baselines"]["test/reconstruction/mean"] < 0.07
