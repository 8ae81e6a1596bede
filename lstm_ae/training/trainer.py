"""The training loop: epochs of mini-batches, a validation after each, a checkpoint after that."""

import logging
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from lstm_ae.data.sequence_data import SequenceData, Sequences
from lstm_ae.errors import ConfigError, UserError
from lstm_ae.models.inference import EVALUATION_BATCH, evaluating
from lstm_ae.training import checkpoint
from lstm_ae.training.checkpoint import load_weights
from lstm_ae.training.objective import Objective
from lstm_ae.training.schedules import Schedule

log = logging.getLogger(__name__)

REFRESH = 0.5  # seconds between two looks at the running loss, each of which waits for the device


class Means:
    """Running means of named scalars, weighted by batch size, kept on the device in double precision."""

    def __init__(self) -> None:
        self.count = 0
        self.names: list[str] = []
        self.sums: Tensor | None = None

    def add(self, metrics: dict[str, Tensor], count: int) -> None:
        """Take in the means of a batch of `count` sequences; does not wait for the device."""
        values = torch.stack([value.detach() for value in metrics.values()]).double() * count
        self.names = list(metrics)
        self.sums = values if self.sums is None else self.sums + values
        self.count += count

    def read(self) -> dict[str, float]:
        """The means so far; waits for the device."""
        return dict(zip(self.names, (self.sums / self.count).tolist(), strict=True))


def evaluate(model: nn.Module, objective: Objective, part: Sequences, prefix: str) -> dict[str, float]:
    """The metrics of `part` (on the model's device), each under `prefix`/name."""
    means = Means()
    with evaluating(model):
        for batch in part.chunks(EVALUATION_BATCH):
            means.add(objective(model(batch.inputs), batch), len(batch))
    return {f"{prefix}/{name}": value for name, value in means.read().items()}


class Trainer:
    """Trains a model and leaves `best.pt` (by `monitor`) and `last.pt` behind.

    Args:
        max_epochs: how many times to go through the training part.
        gradient_clip_norm: largest norm of the whole gradient (Pascanu, Mikolov and Bengio 2013); null: no clipping.
        patience: stop after so many epochs without a better `monitor`; null: never.
        mixed_precision: bfloat16 where it is safe (CUDA only).
        max_batches: go through so many batches of an epoch only, for a quick look; null: all.
    """

    def __init__(
        self,
        max_epochs: int,
        gradient_clip_norm: float | None,
        patience: int | None,
        mixed_precision: bool,
        max_batches: int | None,
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
        monitor: str,
        mode: str,
        seed: int,
        directory: Path,
        description: dict[str, Any],
        resume: bool,
        on_epoch: Callable[[list[dict[str, float]]], None],
    ) -> list[dict[str, float]]:
        """Train to the end, or go on from `directory`/last.pt if `resume`.

        After each epoch the history goes to `on_epoch`, then into the checkpoints; a crash in between costs that epoch
        alone, because resuming starts from `last.pt` and writes the history anew.

        Args:
            data: with all parts on the model's device.
            monitor, mode: the metric that chooses `best.pt`, and whether its best is the "min" or the "max".
            seed: of the order of the batches and of augmentation.
            directory: of the checkpoints.
            description: plain values kept in every checkpoint beside the state.

        Returns:
            the history, a row of metrics per epoch.

        Raises:
            ConfigError: `monitor` is no metric of this model and data, or mixed precision was asked for on a CPU.
            UserError: the loss is no longer a number.
        """
        device = data.train.inputs.device
        if self.mixed_precision and device.type != "cuda":
            raise ConfigError("trainer.mixed_precision", True, "needs a CUDA device (device=cuda)")
        self._check_monitor(monitor, mode, model, objective, data)
        generator = torch.Generator().manual_seed(seed)
        history: list[dict[str, float]] = []
        if resume:
            history = restore(directory / "last.pt", model, optimizer, schedule, generator)
            on_epoch(history)
        base_rates = [group.setdefault("initial_lr", group["lr"]) for group in optimizer.param_groups]

        batches = math.ceil(len(data.train) / data.batch_size)
        val = data.val
        if self.max_batches is not None:
            batches, val = min(batches, self.max_batches), val[: self.max_batches * data.batch_size]
        while len(history) < self.max_epochs and not self._exhausted(history, monitor, mode):
            epoch = len(history) + 1
            started = time.perf_counter()
            means = Means()
            model.train()
            bar = tqdm(
                total=batches,
                desc=f"epoch {epoch}/{self.max_epochs}",
                unit="batch",
                leave=False,
                disable=not sys.stderr.isatty(),
            )
            looked = started
            shuffled = data.train.shuffled(data.batch_size, generator, by_time=objective.time_effect_weight < 1)
            for step, batch in zip(range(batches), shuffled, strict=False):
                if data.augment is not None:
                    batch = Sequences(data.augment(batch.inputs, generator), batch.labels)
                factor = schedule.factor((epoch - 1 + (step + 0.5) / batches) / self.max_epochs)
                for group, rate in zip(optimizer.param_groups, base_rates, strict=True):
                    group["lr"] = rate * factor
                with torch.autocast(device.type, torch.bfloat16, enabled=self.mixed_precision):
                    metrics = objective(model(batch.inputs), batch, training=True)
                optimizer.zero_grad()
                metrics["loss"].backward()
                if self.gradient_clip_norm is not None:
                    nn.utils.clip_grad_norm_(model.parameters(), self.gradient_clip_norm)
                optimizer.step()
                means.add(metrics, len(batch))
                bar.update()
                if time.perf_counter() - looked > REFRESH:
                    looked = time.perf_counter()
                    running = means.read()
                    self._check_finite(running["loss"], epoch, directory)
                    bar.set_postfix({name: f"{value:.4g}" for name, value in running.items()})
            bar.close()

            row = {f"train/{name}": value for name, value in means.read().items()}
            self._check_finite(row["train/loss"], epoch, directory)
            row |= evaluate(model, objective, val, "val")
            self._check_finite(row["val/loss"], epoch, directory)
            row = {
                "epoch": epoch,
                "seconds": round(time.perf_counter() - started, 3),
                "lr": optimizer.param_groups[0]["lr"],
                **row,
            }
            history = [*history, row]
            improved = best_row(history, monitor, mode) is row
            schedule.observe(improved)
            on_epoch(history)
            state = {
                "model": model.state_dict(),
                "kinds": [type(optimizer).__name__, type(schedule).__name__],
                "optimizer": optimizer.state_dict(),
                "schedule": schedule.state_dict(),
                "history": history,
                "batch_generator": generator.get_state(),
                "torch_generator": torch.get_rng_state(),
                "cuda_generator": torch.cuda.get_rng_state() if device.type == "cuda" else None,
                **description,
            }
            if improved:  # before last.pt: an epoch counts once last.pt holds it, and best.pt must not lag behind
                checkpoint.save(directory / "best.pt", state)
            checkpoint.save(directory / "last.pt", state)
            values = "  ".join(f"{name} {value:.5g}" for name, value in row.items() if "/" in name)
            log.info("epoch %d/%d  %.1f s  %s%s", epoch, self.max_epochs, row["seconds"], values, "  *" * improved)
        if len(history) < self.max_epochs:
            log.info("no better %s for %d epochs: stopped early", monitor, self.patience)
        return history

    def _exhausted(self, history: list[dict[str, float]], monitor: str, mode: str) -> bool:
        if self.patience is None or not history:
            return False
        return len(history) - best_row(history, monitor, mode)["epoch"] >= self.patience

    def _check_finite(self, loss: float, epoch: int, directory: Path) -> None:
        if not math.isfinite(loss):
            kept = f"; the last good one is kept in {directory}" if (directory / "last.pt").exists() else ""
            raise UserError(
                f"the loss became {loss} in epoch {epoch}{kept}. A lower optimizer.lr, a smaller "
                "trainer.gradient_clip_norm or scheduler.warmup usually helps."
            )

    def _check_monitor(
        self, monitor: str, mode: str, model: nn.Module, objective: Objective, data: SequenceData
    ) -> None:
        with evaluating(model):
            names = list(objective(model(data.val.inputs[:2]), data.val[:2]))
        allowed = [f"{part}/{name}" for part in ("val", "train") for name in names]
        if monitor not in allowed:
            raise ConfigError("monitor", monitor, "this model and data measure " + ", ".join(allowed))
        best = "max" if monitor.endswith("accuracy") else "min"
        if mode != best:
            raise ConfigError("mode", mode, f"the best {monitor} is the {best}; add mode={best}")


def best_row(history: list[dict[str, float]], monitor: str, mode: str) -> dict[str, float]:
    """The epoch with the best `monitor`; of equals, the first."""
    return (min if mode == "min" else max)(history, key=lambda row: row[monitor])


def restore(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, schedule: Schedule, generator: torch.Generator
) -> list[dict[str, float]]:
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
    rates = [(group["lr"], group["weight_decay"]) for group in optimizer.param_groups]
    optimizer.load_state_dict(state["optimizer"])
    for group, (lr, weight_decay) in zip(optimizer.param_groups, rates, strict=True):
        # The config's rates, so that an override on resuming takes effect; unchanged, they are what was saved.
        group["initial_lr"], group["weight_decay"] = lr, weight_decay
    schedule.load_state_dict(state["schedule"])
    generator.set_state(state["batch_generator"])
    torch.set_rng_state(state["torch_generator"])
    if state["cuda_generator"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda_generator"])
    return state["history"]
