"""The training loop: epochs of mini-batches, a validation after each, a checkpoint after that."""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lstm_ae.data.sequence_data import SequenceData, Sequences
from lstm_ae.errors import ConfigError, UserError
from lstm_ae.kernels import backend_of, clip_and_step
from lstm_ae.metrics import Better
from lstm_ae.models.inference import EVALUATION_BATCH, apply, evaluating
from lstm_ae.spec import Count, Positive, part
from lstm_ae.stopping import stop_if_asked
from lstm_ae.training import checkpoint
from lstm_ae.training.checkpoint import load_weights
from lstm_ae.training.objective import Objective
from lstm_ae.training.progress import BatchBar, EpochLog
from lstm_ae.training.schedules import Schedule

History = list[dict[str, float]]  # a row of metrics per epoch
KEPT_OPTIONS = ("lr", "weight_decay")  # of the optimizer: on resuming the config's values count, not the checkpoint's


class Means:
    """Running means of an objective's metrics over the elements that exist, kept on the device in double precision.

    Each metric is weighted by the sequences of its batch. Where they have lengths of their own or values are missing,
    the reconstruction is weighted by the values that exist, and the loss is made of the means at the end: then no mean
    depends on which sequences met in a batch.
    """

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self.count = 0
        self.names: list[str] = []
        self.sums: Tensor | None = None
        self.values: Tensor | None = None  # how many exist, where that differs from sequence to sequence

    def add(self, metrics: dict[str, Tensor], batch: Sequences) -> None:
        """Add the means of a batch, without waiting for the device."""
        values = torch.stack([value.detach() for value in metrics.values()]).double() * len(batch)
        self.names = list(metrics)
        exists = batch.exists()
        if exists is not None:
            count = exists.sum().double()
            values[self.names.index("reconstruction")] *= count / len(batch)
            self.values = count if self.values is None else self.values + count
        self.sums = values if self.sums is None else self.sums + values
        self.count += len(batch)

    def read(self) -> dict[str, float]:
        """The means so far; waits for the device."""
        assert self.sums is not None
        means = dict(zip(self.names, (self.sums / self.count).tolist(), strict=True))
        if self.values is not None:
            means["reconstruction"] *= self.count / max(self.values.item(), 1)
            means["loss"] = self.objective.total(means)
        return means


def evaluate(model: nn.Module, objective: Objective, part: Sequences, prefix: str) -> dict[str, float]:
    """The metrics of `part` (on the model's device), each as `prefix`/name."""
    means = Means(objective)
    with evaluating(model):
        for batch in (part if part.lengths is None else part[part.lengths.argsort()]).chunks(EVALUATION_BATCH):
            batch = batch.trimmed()
            means.add(objective(apply(model, batch), batch), batch)
    return {f"{prefix}/{name}": value for name, value in means.read().items()}


@part
class Trainer:
    """Trains a model and leaves `best.pt` (by the monitor) and `last.pt` behind.

    Args:
        max_epochs: how many times to go through the training part.
        gradient_clip_norm: largest norm of the whole gradient (Pascanu, Mikolov and Bengio 2013); null: no clipping.
        patience: stop after so many epochs without a better monitor; null: never.
        mixed_precision: bfloat16 where it is safe (CUDA only).
        max_batches: train on so many batches of an epoch only, for a quick look; null: all.
    """

    def __init__(
        self,
        max_epochs: Count,
        gradient_clip_norm: Positive | None,
        patience: Count | None,
        mixed_precision: bool,
        max_batches: Count | None,
    ) -> None:
        self.max_epochs = max_epochs
        self.gradient_clip_norm = gradient_clip_norm
        self.patience = patience
        self.mixed_precision = mixed_precision
        self.max_batches = max_batches

    def fit(
        self,
        model: nn.Module,
        objective: Objective,
        data: SequenceData,
        optimizer: torch.optim.Optimizer,
        schedule: Schedule,
        *,
        monitors: dict[str, Better],
        seed: int,
        directory: Path,
        description: dict[str, Any],
        resume: bool,
        on_epoch: Callable[[History], None],
        on_kept: Callable[[History], None] = lambda history: None,
    ) -> History:
        """Train to the end, or go on from `directory`/last.pt if `resume`.

        After each epoch the history goes to `on_epoch`, then into the checkpoints. A crash in between costs that epoch
        alone, because resuming starts from `last.pt` and writes the history anew. At last it goes to `on_kept`, which
        may end the run by an exception: resumed, the run goes on as if nothing had happened.

        Args:
            data: with all parts on the model's device.
            monitors: metrics with the mode of their best value; the first one chooses `best.pt` and stops early.
            seed: of the order of the batches and of augmentation.
            directory: of the checkpoints, which keep `description` (plain values) beside the state.

        Raises:
            ConfigError: a monitor that this model and data do not measure, or mixed precision on a CPU.
            UserError: the loss is no longer a number.
        """
        self._check(monitors, model, objective, data)
        monitor, mode = next(iter(monitors.items()))
        generator = torch.Generator().manual_seed(seed)
        history: History = []
        if resume:
            history = restore(directory / "last.pt", model, optimizer, schedule, generator)
            on_epoch(history)
            on_kept(history)
        step = self._make_step(model, objective, optimizer, schedule)
        log = EpochLog(self.max_epochs, monitor)
        while len(history) < self.max_epochs and not self._exhausted(history, monitor, mode):
            started, epoch = time.perf_counter(), len(history) + 1
            model.train()
            row = self._train_epoch(step, data, objective, generator, epoch, directory)
            val = data.val if self.max_batches is None else data.val[: self.max_batches * data.batch_size]
            row |= evaluate(model, objective, val, "val")
            check_finite(row, "val/loss", epoch, directory)
            seconds = round(time.perf_counter() - started, 3)
            history = [*history, {"epoch": epoch, "seconds": seconds, "lr": optimizer.param_groups[0]["lr"], **row}]
            improved = best_row(history, monitor, mode) is history[-1]
            schedule.observe(improved)
            on_epoch(history)
            state = description | state_of(model, optimizer, schedule, generator, history)
            if improved:  # before last.pt: an epoch counts once last.pt holds it, and best.pt must not lag behind
                checkpoint.save(directory / "best.pt", state)
            checkpoint.save(directory / "last.pt", state)
            log.tell(history, improved)
            on_kept(history)
        if len(history) < self.max_epochs:
            log.stopped_early(self.patience)
        return history

    def _train_epoch(
        self,
        step: Callable[[Sequences, float], dict[str, Tensor]],
        data: SequenceData,
        objective: Objective,
        generator: torch.Generator,
        epoch: int,
        directory: Path,
    ) -> dict[str, float]:
        """Go through the training part once and return the mean metrics, each as `train/`name."""
        batches = math.ceil(len(data.train) / data.batch_size)
        batches = min(batches, self.max_batches or batches)
        shuffled = data.train.shuffled(data.batch_size, generator, by_time=objective.time_effect_weight < 1)
        means, bar = Means(objective), BatchBar(epoch, self.max_epochs, batches)
        for index, batch in zip(range(batches), shuffled, strict=False):
            stop_if_asked()
            if data.augment is not None:
                batch = replace(batch, inputs=data.augment(batch.inputs, generator))
            means.add(step(batch, (epoch - 1 + (index + 0.5) / batches) / self.max_epochs), batch)
            if bar.is_due():
                check_finite(bar.show(means.read()), "loss", epoch, directory)
        bar.close()
        row = {f"train/{name}": value for name, value in means.read().items()}
        check_finite(row, "train/loss", epoch, directory)
        return row

    def _make_step(
        self, model: nn.Module, objective: Objective, optimizer: torch.optim.Optimizer, schedule: Schedule
    ) -> Callable[[Sequences, float], dict[str, Tensor]]:
        """A function that takes an optimizer step on a batch, at a progress in [0, 1), and returns the metrics."""
        device_type = next(model.parameters()).device.type
        backend = backend_of(model)
        rates = [group.setdefault("initial_lr", group["lr"]) for group in optimizer.param_groups]

        def step(batch: Sequences, progress: float) -> dict[str, Tensor]:
            factor = schedule.factor(progress)
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * factor
            with torch.autocast(device_type, torch.bfloat16, enabled=self.mixed_precision):
                metrics = objective(apply(model, batch), batch, training=True)
            optimizer.zero_grad()
            metrics["loss"].backward()
            clip_and_step(optimizer, self.gradient_clip_norm, backend)
            return metrics

        return step

    def _exhausted(self, history: History, monitor: str, mode: Better) -> bool:
        """Whether the monitor has not improved for `patience` epochs."""
        if self.patience is None or not history:
            return False
        return len(history) - best_row(history, monitor, mode)["epoch"] >= self.patience

    def _check(self, monitors: dict[str, Better], model: nn.Module, objective: Objective, data: SequenceData) -> None:
        """Check what can be checked before the first step; raises as `fit` does."""
        if self.mixed_precision and data.train.inputs.device.type != "cuda":
            raise ConfigError("trainer.mixed_precision", True, "needs a CUDA device (device=cuda)")
        with evaluating(model):
            names = list(objective(apply(model, data.val[:2]), data.val[:2]))
        measured = [f"{part}/{name}" for part in ("val", "train") for name in names]
        for monitor in monitors:
            if monitor not in measured:
                raise ConfigError("monitor", monitor, "this model and data measure " + ", ".join(measured))


def check_finite(metrics: dict[str, float], name: str, epoch: int, directory: Path) -> None:
    """Check that a loss is still a number.

    Raises:
        UserError: it is not; says what usually helps, and whether a checkpoint is kept in `directory`.
    """
    if not math.isfinite(metrics[name]):
        kept = f"; the last good checkpoint is kept in {directory}" if (directory / "last.pt").exists() else ""
        raise UserError(
            f"the loss became {metrics[name]} in epoch {epoch}{kept}. A lower optimizer.lr, a smaller "
            "trainer.gradient_clip_norm or scheduler.warmup usually helps."
        )


def best_row(history: History, monitor: str, mode: str) -> dict[str, float]:
    """The epoch with the best `monitor`; of equals, the first."""
    return (min if mode == "min" else max)(history, key=lambda row: row[monitor])


def state_of(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    schedule: Schedule,
    generator: torch.Generator,
    history: History,
) -> dict[str, Any]:
    """Everything that `restore` needs, as tensors and plain values."""
    on_cuda = next(model.parameters()).is_cuda
    return {
        "model": model.state_dict(),
        "kinds": [type(optimizer).__name__, type(schedule).__name__],
        "optimizer": optimizer.state_dict(),
        "schedule": schedule.state_dict(),
        "history": history,
        "batch_generator": generator.get_state(),
        "torch_generator": torch.get_rng_state(),
        "cuda_generator": torch.cuda.get_rng_state() if on_cuda else None,
    }


def restore(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, schedule: Schedule, generator: torch.Generator
) -> History:
    """Put everything back as it was when `path` was written, random generators included.

    Returns:
        the history up to then.

    Raises:
        UserError: the file cannot be read, or belongs to another model, optimizer or schedule.
    """
    state = checkpoint.load(path)
    load_weights(path, state, model)
    kinds = [type(optimizer).__name__, type(schedule).__name__]
    if state["kinds"] != kinds:
        raise UserError(
            f"{path} was trained with {' and '.join(state['kinds'])}; it cannot go on with {' and '.join(kinds)}"
        )
    configured = [{name: group[name] for name in KEPT_OPTIONS if name in group} for group in optimizer.param_groups]
    optimizer.load_state_dict(state["optimizer"])
    for group, options in zip(optimizer.param_groups, configured, strict=True):
        group.update({name: value for name, value in options.items() if name != "lr"}, initial_lr=options["lr"])
    schedule.load_state_dict(state["schedule"])
    generator.set_state(state["batch_generator"])
    torch.set_rng_state(state["torch_generator"])
    if state["cuda_generator"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda_generator"])
    return state["history"]
