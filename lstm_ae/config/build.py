"""A composed config becomes data, model, objective and training parts; every command builds them here."""

import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from lstm_ae.config.parts import build_part
from lstm_ae.data.contract import validate_data
from lstm_ae.data.sequence_data import SequenceData, Sequences
from lstm_ae.errors import ConfigError, UserError
from lstm_ae.metrics import monitored
from lstm_ae.models.autoencoder import Autoencoder
from lstm_ae.models.contracts import check_shape
from lstm_ae.models.inference import evaluating
from lstm_ae.spec import DataSpec
from lstm_ae.training.checkpoint import load, load_weights
from lstm_ae.training.objective import Objective
from lstm_ae.training.parameter_groups import parameter_groups
from lstm_ae.training.process_settings import keep_freed_memory
from lstm_ae.training.trainer import Trainer

PROBES = 2  # sequences in the batch that a new model is tried on


def choose_device(name: str) -> torch.device:
    """The device named by `auto`, `cpu` or `cuda`.

    Raises:
        ConfigError: CUDA is asked for and there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device", name, "no CUDA device is available here; use device=cpu or device=auto")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def device_name(device: torch.device) -> str:
    """A name that tells machines apart: the processor's threads or the GPU's model."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu, {torch.get_num_threads()} of {os.cpu_count()} threads"


def prepare_process(config: DictConfig) -> torch.device:
    """Set this process up for a training: memory, threads and torch's random numbers; returns the device."""
    keep_freed_memory()
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    return choose_device(config.device)


def build_data(config: DictConfig, device: torch.device) -> SequenceData:
    """The data set, every part of it on `device`.

    Raises:
        UserError: its files cannot be had, its options do not fit together, or it is not what a data set must be.
    """
    data = build_part(config.dataset, "dataset")
    validate_data(data)
    return replace(data, **{part: getattr(data, part).to(device) for part in ("train", "val", "test")})


def build_model(config: DictConfig, spec: DataSpec, train: Sequences | None) -> Autoencoder:
    """The model for data of this `spec`, on the CPU, its weights drawn from torch's global generator.

    Args:
        config: the composed config.
        spec: of the data.
        train: the training part, to which an initialization may be fitted; None: a checkpoint has the weights.

    Raises:
        UserError: a head for classes or forecasts, and none in the data; a task in the objective, and no head; or a
            part that does not keep its contract.
    """
    names = ("encoder", "decoder", "head", "initialization")
    parts = {name: build_part(config.model[name], f"model.{name}") for name in names}
    check_task(config, spec, None if parts["head"] is None else parts["head"].func.task)
    forecast = {name: getattr(spec, name) for name in ("forecast_steps", "horizon", "forecast_features")}
    try:
        model = Autoencoder(
            spec.length,
            spec.features,
            spec.num_classes,
            **parts,
            **forecast,
            varying=spec.varying,
            masked=spec.masked,
            inputs=None if train is None else train.inputs,
            lengths=None if train is None else train.lengths,
        )
        try_out(model, spec)
    except (RuntimeError, TypeError, AttributeError) as error:  # torch's words, or those of a user's own part
        raise UserError(f"the model cannot be built: {str(error).splitlines()[0]}") from error
    return model


def take_weights(model: Autoencoder, path: Path) -> None:
    """Let a new model start with the weights of the checkpoint at `path`.

    Raises:
        UserError: there is no such checkpoint, or it is one of another model.
    """
    try:
        load_weights(path, load(path), model)
    except UserError as error:
        raise UserError(f"weights: {error}") from error


def check_task(config: DictConfig, spec: DataSpec, task: str | None) -> None:
    """Check that the model's task, the objective and the data go together.

    Raises:
        ConfigError: they do not.
    """
    if task is None and config.objective.reconstruction_weight < 1:
        raise ConfigError(
            "objective.reconstruction_weight",
            config.objective.reconstruction_weight,
            "must be 1 for a model without a head; add model=classifier or model=forecaster for a task beside the "
            "reconstruction",
        )
    wanted = {
        "class": (spec.num_classes, "classes", "use model=autoencoder, or a data set with labels"),
        "forecast": (spec.forecast_steps, "steps to forecast", "use a data set with dataset.forecast_target=ahead or "
                     "shifted"),
    }  # fmt: skip
    if task in wanted and wanted[task][0] == 0:
        _, what, remedy = wanted[task]
        head = config.model.head._target_.rsplit(".", 1)[-1]
        raise ConfigError("model.head", head, f"needs data with {what}, and dataset={spec.name} has none; {remedy}")


def try_out(model: Autoencoder, spec: DataSpec) -> None:
    """Run a new model once on zeros and check the shapes of what its parts return.

    Raises:
        UserError: a part that returns something else than its contract says.
    """
    inputs = torch.zeros(PROBES, spec.length, spec.features)
    read = torch.zeros(PROBES, spec.length, spec.input_features)
    lengths = {"lengths": torch.linspace(1, spec.length, PROBES).long()} if spec.varying else {}
    with evaluating(model):
        encoding = model.encoder(read, **lengths)
        check_shape(encoding.context, (PROBES, model.encoder.context_size), "model.encoder: the context")
        decoding = model.decoder(encoding.context, inputs, **lengths)
        check_shape(decoding.reconstruction, tuple(inputs.shape), "model.decoder: the reconstruction")
        if model.head is None:
            return
        made = model.head(read, encoding, decoding, **lengths)
    if model.head.task == "class":
        check_shape(made.get("logits"), (PROBES, spec.num_classes), "model.head: logits")
    else:
        expected = (PROBES, spec.forecast_steps, spec.forecast_features)
        check_shape(made.get("forecast"), expected, "model.head: forecast")


def build_objective(config: DictConfig) -> Objective:
    """What training minimises."""
    return build_part(config.objective, "objective")


def build_trainer(config: DictConfig) -> Trainer:
    """The training loop."""
    return build_part(config.trainer, "trainer")


def build_training(config: DictConfig, model: Autoencoder) -> dict[str, Any]:
    """What `Trainer.fit` needs to train `model`: optimizer, schedule, monitors and seed.

    Raises:
        ConfigError: options that the optimizer does not take together.
    """
    make_optimizer = build_part(config.optimizer, "optimizer")
    recurrent_lr = make_optimizer.keywords.pop("recurrent_lr", None)  # not one of torch's options
    try:
        optimizer = make_optimizer(parameter_groups(model, recurrent_lr))
    except (TypeError, ValueError) as error:
        raise ConfigError("optimizer", config.optimizer._target_, str(error)) from error
    return {
        "optimizer": optimizer,
        "schedule": build_part(config.scheduler, "scheduler"),
        "monitors": monitored(config.monitor, config.mode),
        "seed": config.seed,
    }


def description(data: SequenceData) -> dict[str, Any]:
    """The data's spec and scaler as plain values, for a checkpoint to carry."""
    return {"spec": asdict(data.spec), "scaler": None if data.scaler is None else asdict(data.scaler)}
