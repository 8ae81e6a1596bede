"""Trackers: what a run measures, written where TensorBoard or MLflow show it. A tracker that breaks costs a warning.

A tracker is a callback of Hydra's (`tracker=tensorboard`), which knows when a job starts and ends, also in a sweep, and
gets each epoch from `report`.
"""

import logging
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from lstm_ae.errors import ConfigError
from lstm_ae.runs.directory import RunDirectory
from lstm_ae.runs.settings import flatten

log = logging.getLogger(__name__)

History = Sequence[dict[str, float]]  # a row of metrics for each epoch
ENDED = {"completed": "FINISHED", "pruned": "KILLED", "stopped": "KILLED"}  # MLflow's words for how a run ended
MOST = 100  # parameters in one call of MLflow's

_active: list["Tracker"] = []  # those of the job that runs in this process


def report(directory: RunDirectory, history: History) -> None:
    """Tell the job's trackers what a run has measured up to now.

    Args:
        directory: of the run; of a fold of a cross-validation, a folder in the job's.
        history: of all epochs.
    """
    for tracker in _active:
        tracker.attempt(tracker.epochs, directory, history)


class Tracker(Callback):
    """What all trackers share: when they are called, and that nothing that they do ends a run."""

    package: str  # that it needs, for the warning where it is missing
    extra: str  # of this package, which installs it

    config: DictConfig  # of the job
    directory: RunDirectory  # of the job

    def __init__(self) -> None:
        self.broken = False
        self.seen: dict[str, int] = {}  # how many epochs of each directory have been told

    def on_job_start(self, config: DictConfig, **_: Any) -> None:
        """Listen to the job; nothing is written before its first epoch, so that a mistake leaves nothing behind."""
        self.broken, self.seen = False, {}
        self.directory = RunDirectory(config.hydra.runtime.output_dir)
        self.config = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
        _active.append(self)

    def on_job_end(self, config: DictConfig, job_return: Any, **_: Any) -> None:
        """Write what is there at the end: test metrics, figures, how the run ended."""
        if self in _active:
            _active.remove(self)
        if self.seen:
            self.attempt(self.finish)
        self.attempt(self.end)

    def attempt(self, action: Callable[..., None], *arguments: Any) -> None:
        """Do something that may fail; after a failure the run goes on without this tracker."""
        if self.broken and action != self.end:
            return
        try:
            action(*arguments)
        except ImportError as error:
            self._give_up(f"needs the package {self.package} ({error}): pip install 'lstm-ae[{self.extra}]'")
        except Exception as error:  # whatever it is: a disk, a server, a package of another version
            self._give_up(f"{type(error).__name__}: {error}")

    def _give_up(self, reason: str) -> None:
        if not self.broken:
            log.warning("tracker=%s %s; the run goes on without it", self.extra, reason)
        self.broken = True

    def epochs(self, directory: RunDirectory, history: History) -> None:
        """Write the epochs that were not written yet, each metric with the epoch as its step."""
        fold = directory.path.relative_to(self.directory.path).as_posix()
        prefix = "" if fold == "." else f"{fold}/"
        if not self.seen:
            self.seen[fold] = 0
            self.begin()
        for row in history[self.seen.get(fold, 0) :]:
            self.metrics(
                {f"{prefix}{name}": value for name, value in row.items() if name != "epoch"}, int(row["epoch"])
            )
        self.seen[fold] = len(history)

    def finish(self) -> None:
        """Write the test metrics and the figures."""
        summary = self.directory.read_summary()
        results = {**(summary.get("test") or {}), **(summary.get("baselines") or {})}
        self.metrics(results, int(summary.get("best_epoch") or 0))
        for path in sorted(self.directory.path.glob("**/figures/*.png")):
            self.figure(path, path.relative_to(self.directory.path).with_suffix("").as_posix())

    def begin(self) -> None:
        """Open what is written to, and write the config."""
        raise NotImplementedError

    def metrics(self, values: dict[str, float], step: int) -> None:
        """Write metrics at a step."""
        raise NotImplementedError

    def figure(self, path: Path, name: str) -> None:
        """Write a PNG file under a name."""
        raise NotImplementedError

    def end(self) -> None:
        """Close everything; called however the run ended, and whatever of the above has failed."""


class TensorBoard(Tracker):
    """Event files in `tensorboard/` of each run. See them with `tensorboard --logdir multirun/STUDY`."""

    package = extra = "tensorboard"

    def __init__(self) -> None:
        super().__init__()
        self.writer: Any = None

    def begin(self) -> None:
        """Open the event file."""
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(self.directory.path / "tensorboard"))
        self.writer.add_text("config", "```yaml\n" + OmegaConf.to_yaml(self.config) + "```")

    def metrics(self, values: dict[str, float], step: int) -> None:
        """Write scalars."""
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)
        self.writer.flush()

    def figure(self, path: Path, name: str) -> None:
        """Write an image."""
        from matplotlib.image import imread

        self.writer.add_image(name, imread(path)[..., :3], dataformats="HWC")

    def end(self) -> None:
        """Close the event file."""
        if self.writer is not None:
            self.writer.close()
        self.writer = None


class MLflow(Tracker):
    """A run of MLflow's for each run, named after its directory, with the sweep's directory as the tag `sweep`.

    Args:
        uri: of MLflow's server or database, such as `http://localhost:5000` or `sqlite:///mlflow.db`; None: as MLflow
            itself decides (`MLFLOW_TRACKING_URI`, else `mlflow.db` in the working directory).
        experiment: the name of MLflow's experiment.
    """

    package, extra = "mlflow", "mlflow"

    def __init__(self, uri: str | None = None, experiment: str = "lstm_ae") -> None:
        super().__init__()
        self.uri = uri
        self.experiment = experiment
        self.client: Any = None
        self.run = ""

    def begin(self) -> None:
        """Start a run, and write the config as parameters and as a file."""
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # nobody has asked for anything to be sent there
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")  # else a run waits minutes for a server that is
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")  # not there
        from mlflow import MlflowClient
        from mlflow.entities import Param

        self.run = ""
        self.client = MlflowClient(tracking_uri=self.uri)
        known = self.client.get_experiment_by_name(self.experiment)
        number = self.client.create_experiment(self.experiment) if known is None else known.experiment_id
        sweep, name = self.directory.path.parts[-2:]
        self.run = self.client.create_run(number, run_name=f"{sweep}/{name}", tags={"sweep": sweep}).info.run_id
        tree = OmegaConf.to_container(self.config, resolve=True)
        assert isinstance(tree, dict)
        parameters = [Param(key, str(value)[:500]) for key, value in flatten(tree).items()]
        for start in range(0, len(parameters), MOST):
            self.client.log_batch(self.run, params=parameters[start : start + MOST])
        self.client.log_text(self.run, OmegaConf.to_yaml(self.config), "config.yaml")

    def metrics(self, values: dict[str, float], step: int) -> None:
        """Write metrics."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self.client.log_batch(self.run, metrics=[Metric(name, value, now, step) for name, value in values.items()])

    def figure(self, path: Path, name: str) -> None:
        """Write an artifact."""
        self.client.log_artifact(self.run, str(path), str(Path(name).parent))

    def end(self) -> None:
        """End the run as it ended."""
        if self.run:
            status = self.directory.read_summary().get("status")
            self.client.set_terminated(self.run, ENDED.get(str(status), "FAILED"))
        self.client, self.run = None, ""


TRACKERS = {"tensorboard": TensorBoard, "mlflow": MLflow}
TARGETS = tuple(f"{tracker.__module__}.{tracker.__name__}" for tracker in TRACKERS.values())  # all that Hydra may make


def reopening(arguments: Sequence[str]) -> list[str]:
    """A command line that goes on with a run, its `tracker=NAME` replaced: the config of a run knows no such group.

    Raises:
        ConfigError: a tracker that does not exist.
    """
    found = []
    for argument in arguments:
        key, _, value = argument.partition("=")
        if key == "tracker" and value != "none":
            if value not in TRACKERS:
                raise ConfigError(key, value, f"must be one of none, {', '.join(TRACKERS)}")
            tracker = TRACKERS[value]
            found.append(f"+hydra.callbacks.tracker._target_={tracker.__module__}.{tracker.__name__}")
        elif key.startswith("hydra.callbacks.tracker."):
            found.append(f"+{argument}")
        elif key != "tracker":
            found.append(argument)
    return found
