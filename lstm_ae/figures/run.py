"""The figures of a run: which ones its data and its model give something for, and what stands above them."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from matplotlib.figure import Figure
from omegaconf import DictConfig
from torch import Tensor

from lstm_ae.data.sequence_data import SequenceData
from lstm_ae.figures.classes import confusion, contexts
from lstm_ae.figures.curves import learning_curves
from lstm_ae.figures.images import image_errors, image_reconstructions, image_samples, image_sheet
from lstm_ae.figures.panel import panel_figures
from lstm_ae.figures.saving import save_figures
from lstm_ae.figures.sequences import error_by_step, reconstructions, samples
from lstm_ae.models.autoencoder import Output
from lstm_ae.spec import DataSpec


def draw_run(
    folder: Path,
    title: str,
    data: SequenceData,
    history: list[dict[str, float]],
    best_epoch: int,
    output: Output,
    naive: dict[str, Tensor],
) -> list[Path]:
    """Write every figure that this run has something for. A figure that fails costs a warning.

    Args:
        folder: where they go; made if missing.
        title: of every figure, see `run_title`.
        data: of which the test part is drawn.
        history: a row of metrics for each epoch.
        best_epoch: the epoch whose weights made `output`.
        output: what the model makes of the test part, on the CPU.
        naive: naive forecasts of the test part, (n, horizon), scaled, on the CPU; empty without a forecast.

    Returns:
        the files written.
    """
    spec, test = data.spec, data.test.to(torch.device("cpu"))
    figures: dict[str, Callable[[], Figure]] = {}
    if data.panel is not None:
        figures |= panel_figures(data, data.panel, test, output, naive)
    elif spec.image_shape is None:
        figures["samples"] = partial(samples, data, test)
    if spec.image_shape is None:
        figures["reconstructions"] = partial(reconstructions, data, test, output)
        figures["error_by_position"] = partial(error_by_step, data, test, output)
    else:
        figures["samples"] = partial(image_samples, data, test)
        figures["images"] = partial(image_sheet, data, test, output)
        figures["reconstructions"] = partial(image_reconstructions, data, test, output)
        figures["error_by_position"] = partial(image_errors, data, test, output)
    figures |= learning_curves(history, best_epoch)
    if output.logits is not None and test.labels is not None:
        figures["confusion"] = partial(confusion, spec.class_names, test.labels, output.logits.argmax(1))
    if min(output.context.shape) >= 2:  # two components need two of each
        figures["contexts"] = partial(contexts, spec.class_names, output.context, test.labels)
    return save_figures({folder / f"{name}.png": make for name, make in figures.items()}, title)


def run_title(config: DictConfig, spec: DataSpec) -> str:
    """A run's data set and parts in one line, its main settings in a second; a third one names what is leaky."""
    parts = [config.model[name] for name in ("encoder", "decoder", "head", "initialization")]
    names = [part._target_.rsplit(".", 1)[-1] for part in parts if part is not None]
    settings = {
        "hidden": config.model.hidden_size,
        "layers": config.model.num_layers,
        "lr": config.optimizer.get("lr"),
        "clip": config.trainer.gradient_clip_norm,
        "seed": config.seed,
    }
    if "batch_size" in config.dataset:  # a data set of one's own may not have it as an option
        settings["batch"] = config.dataset.batch_size
    line = ", ".join(f"{name} {'none' if value is None else format(value, '.4g')}" for name, value in settings.items())
    leaky = f"\nleaky: {', '.join(spec.leaky)}" if spec.leaky else ""
    return f"{spec.name}: {', '.join(names)}\n{line}{leaky}"
