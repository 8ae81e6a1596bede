"""A composed config becomes data, model, objective and trainer; every command builds through here."""

from dataclasses import asdict, replace
from typing import Any

import torch
from omegaconf import DictConfig, ListConfig

from lstm_ae.config.parts import instantiate, said_in_words
from lstm_ae.data.sequence_data import SequenceData
from lstm_ae.errors import ConfigError, UserError
from lstm_ae.models.autoencoder import Autoencoder
from lstm_ae.spec import DataSpec
from lstm_ae.training.objective import Objective


def choose_device(name: str) -> torch.device:
    """The device named by `auto`, `cpu` or `cuda`.

    Raises:
        ConfigError: CUDA is asked for and there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device", name, "no CUDA device is available here; use device=cpu or device=auto")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def build_data(config: DictConfig, device: torch.device) -> SequenceData:
    """The data set, every part of it on `device`.

    Raises:
        UserError: its files cannot be had, or its options do not fit together.
    """
    data = instantiate(config.dataset)
    return replace(data, **{part: getattr(data, part).to(device) for part in ("train", "val", "test")})


def build_model(config: DictConfig, spec: DataSpec) -> Autoencoder:
    """The model for data of this `spec`, on the CPU, its weights drawn from torch's global generator.

    Raises:
        ConfigError: a head for classes or forecasts, and none in the data; or a task in the objective, and no head.
    """
    parts = {name: instantiate(config.model[name]) for name in ("encoder", "decoder", "head", "initialization")}
    if parts["head"] is None and config.objective.reconstruction_weight < 1:
        raise ConfigError(
            "objective.reconstruction_weight",
            config.objective.reconstruction_weight,
            "must be 1 for a model without a head; add model=classifier or model=forecaster for a task beside the "
            "reconstruction",
        )
    task = None if parts["head"] is None else parts["head"].func.task
    if task == "class" and spec.num_classes == 0:
        raise ConfigError(
            "model.head",
            config.model.head._target_.rsplit(".", 1)[-1],
            f"needs data with classes, and dataset={spec.name} has none; "
            "use model=autoencoder or one of dataset=digits_rows, digits_pixels, mnist_rows, mnist_pixels",
        )
    if task == "forecast" and spec.forecast_steps == 0:
        raise ConfigError(
            "model.head",
            config.model.head._target_.rsplit(".", 1)[-1],
            f"needs data with days to forecast, and dataset={spec.name} has none; use dataset=sp500, or "
            "dataset.forecast_target=shifted with dataset=sp500_series",
        )
    forecast = {name: getattr(spec, name) for name in ("forecast_steps", "horizon", "forecast_features")}
    try:
        with said_in_words():
            return Autoencoder(spec.length, spec.features, spec.num_classes, **parts, **forecast)
    except RuntimeError as error:  # torch's word for sizes that do not fit into memory
        raise UserError(f"the model cannot be built: {str(error).splitlines()[0]}") from error


def build_objective(config: DictConfig) -> Objective:
    """What training minimises."""
    return instantiate(config.objective)


def build_training(config: DictConfig, model: Autoencoder) -> dict[str, Any]:
    """What `Trainer.fit` needs to train `model`: optimizer, schedule, monitor (of two, the first), mode and seed.

    Raises:
        ConfigError: options that the optimizer does not take together.
    """
    make_optimizer = instantiate(config.optimizer)
    try:
        optimizer = make_optimizer(model.parameters())
    except (TypeError, ValueError) as error:
        raise ConfigError("optimizer", config.optimizer._target_, str(error)) from error
    two = isinstance(config.monitor, ListConfig)
    return {
        "optimizer": optimizer,
        "schedule": instantiate(config.scheduler),
        "monitor": config.monitor[0] if two else config.monitor,
        "mode": config.mode[0] if two else config.mode,
        "seed": config.seed,
    }


def describe(data: SequenceData) -> dict[str, Any]:
    """The data's spec and scaler as plain values, for a checkpoint to carry."""
    return {"spec": asdict(data.spec), "scaler": None if data.scaler is None else asdict(data.scaler)}
