"""Trackers write what a run measures; whatever happens to them, the run goes on."""

import logging
import sys

import pytest
from omegaconf import OmegaConf

from lstm_ae.errors import ConfigError
from lstm_ae.runs import tracking
from lstm_ae.runs.directory import RunDirectory
from lstm_ae.runs.tracking import MLflow, TensorBoard, Tracker, reopening, report

HISTORY = [{"epoch": i, "seconds": 0.1, "lr": 0.01, "train/loss": 1 / i, "val/loss": 2 / i} for i in (1, 2, 3)]
PIXEL = (  # the smallest PNG file there is, nearly
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cfc00000030101"
    "0018dd8db00000000049454e44ae426082"
)


def job(path):
    """The config of a job, as Hydra gives it to callbacks."""
    hydra = {"runtime": {"output_dir": str(path)}}
    return OmegaConf.create({"seed": 3, "model": {"hidden_size": 4}, "hydra": hydra})


def track(tracker, path, status="completed"):
    """A job from its start to its end, of three epochs, the last one told late."""
    directory = RunDirectory(path)
    directory.figures.mkdir(parents=True)
    (directory.figures / "loss.png").write_bytes(bytes.fromhex(PIXEL))
    tracker.on_job_start(job(path), task_function=None)
    report(directory, HISTORY[:1])
    report(directory, HISTORY)
    directory.write_summary({"status": status, "best_epoch": 2, "test": {"test/loss": 0.5}})
    tracker.on_job_end(job(path), job_return=None)
    assert tracking._active == []


def test_tensorboard_gets_every_epoch_once_the_config_and_the_figures(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    track(TensorBoard(), tmp_path / "run")
    events = EventAccumulator(str(tmp_path / "run/tensorboard"))
    events.Reload()
    assert [(point.step, point.value) for point in events.Scalars("val/loss")] == [
        (1, 2.0),
        (2, 1.0),
        (3, pytest.approx(2 / 3)),
    ]
    assert [(point.step, point.value) for point in events.Scalars("test/loss")] == [(2, 0.5)]
    assert events.Tags()["images"] == ["figures/loss"]
    assert b"hidden_size: 4" in events.Tensors("config/text_summary")[0].tensor_proto.string_val[0]


def test_mlflow_gets_parameters_epochs_figures_and_how_the_run_ended(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # a new database would take seconds
    uri = f"file:{tmp_path}/store"
    track(MLflow(uri=uri, experiment="mine"), tmp_path / "study/0", status="pruned")
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    (found,) = client.search_runs([client.get_experiment_by_name("mine").experiment_id])
    assert found.info.run_name == "study/0" and found.data.tags["sweep"] == "study"
    assert found.info.status == "KILLED"
    assert found.data.params == {"seed": "3", "model.hidden_size": "4"}
    assert [point.step for point in client.get_metric_history(found.info.run_id, "val/loss")] == [1, 2, 3]
    assert {one.path for one in client.list_artifacts(found.info.run_id)} == {"config.yaml", "figures"}


class Breaks(Tracker):
    """A tracker that fails in one of its methods."""

    package = extra = "breaking"

    def __init__(self, where, error):
        super().__init__()
        self.where, self.error, self.ended = where, error, 0

    def step(self, name):
        if name == self.where:
            raise self.error

    def begin(self):
        self.step("begin")

    def metrics(self, values, step):
        self.step("metrics")

    def figure(self, path, name):
        self.step("figure")

    def end(self):
        self.ended += 1
        self.step("end")


@pytest.mark.parametrize("where", ["begin", "metrics", "figure", "end"])
@pytest.mark.parametrize("error", [RuntimeError("no server"), ImportError("no package"), OSError(28, "disk full")])
def test_a_tracker_that_breaks_costs_one_warning(tmp_path, caplog, where, error):
    tracker = Breaks(where, error)
    with caplog.at_level(logging.WARNING):
        track(tracker, tmp_path / "run")
    assert len(caplog.records) == 1
    assert "tracker=breaking" in caplog.text and "the run goes on without it" in caplog.text
    assert tracker.ended == 1


@pytest.mark.parametrize(
    ("tracker", "module"),
    [(TensorBoard(), "torch.utils.tensorboard"), (MLflow(), "mlflow")],
    ids=["tensorboard", "mlflow"],
)
def test_a_missing_package_is_named(tmp_path, caplog, monkeypatch, tracker, module):
    monkeypatch.setitem(sys.modules, module, None)
    track(tracker, tmp_path / "run")
    assert f"pip install 'lstm-ae[{tracker.extra}]'" in caplog.text


def test_a_run_that_trains_nothing_leaves_nothing(tmp_path):
    tracker = TensorBoard()
    tracker.on_job_start(job(tmp_path), task_function=None)
    tracker.on_job_end(job(tmp_path), job_return=None)
    assert list(tmp_path.iterdir()) == []


def test_folds_have_names_of_their_own(tmp_path, monkeypatch):
    told = []
    tracker = Breaks(None, None)
    tracker.metrics = lambda values, step: told.append((sorted(values), step))
    tracker.on_job_start(job(tmp_path), task_function=None)
    for fold in (0, 1):
        report(RunDirectory(tmp_path / f"folds/{fold}"), [{"epoch": 1, "val/loss": 0.1}])
    tracker.on_job_end(job(tmp_path), job_return=None)
    assert told[:2] == [(["folds/0/val/loss"], 1), (["folds/1/val/loss"], 1)]


def test_a_tracker_goes_with_a_run_that_goes_on():
    assert reopening(["resume=x", "tracker=tensorboard"]) == [
        "resume=x",
        "+hydra.callbacks.tracker._target_=lstm_ae.runs.tracking.TensorBoard",
    ]
    assert reopening(["resume=x", "tracker=none"]) == ["resume=x"]
    assert reopening(["resume=x", "hydra.callbacks.tracker.uri=y"]) == ["resume=x", "+hydra.callbacks.tracker.uri=y"]
    with pytest.raises(ConfigError, match="must be one of none, tensorboard, mlflow"):
        reopening(["resume=x", "tracker=other"])
