"""Reopen a run directory: its model, and what the model makes of your own data."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf

from lstm_ae.config.build import build_model, choose_device
from lstm_ae.config.rules import validate_config as check
from lstm_ae.data.panel_scaling import own_scaler
from lstm_ae.errors import UserError
from lstm_ae.models.autoencoder import Autoencoder, Output
from lstm_ae.models.inference import predict
from lstm_ae.runs.directory import RunDirectory
from lstm_ae.spec import DataSpec, Scaler
from lstm_ae.training import checkpoint
from lstm_ae.training.checkpoint import load_weights

Array = np.ndarray | torch.Tensor


@dataclass(frozen=True)
class Run:
    """A trained model with what it takes to use it; made by `load_run`.

    `encode`, `reconstruct`, `classify` and `forecast` take a numpy array or a tensor in original units, of shape
    (batch, length, features) or anything that holds as many values per entry (images, for a model that reads images),
    and answer in kind.
    """

    directory: RunDirectory
    config: DictConfig
    model: Autoencoder
    spec: DataSpec
    scaler: Scaler | None  # None: each sequence has its own
    history: list[dict[str, float]]  # up to the checkpoint

    def encode(self, values: Array) -> Array:
        """Contexts (batch, context_size)."""
        output, _ = self._output(values)
        return like(values, output.context)

    def reconstruct(self, values: Array) -> Array:
        """Reconstructions in original units, shaped like `values`."""
        output, scaler = self._output(values)
        return like(values, scaler.inverse(output.reconstruction).reshape(values.shape))

    def classify(self, values: Array) -> Array:
        """Class indices (batch,) into `spec.class_names`.

        Raises:
            UserError: the model has no classifier.
        """
        output, _ = self._output(values)
        if output.logits is None:
            raise UserError(f"{self.directory.path}: this model has no classifier; train one with model=classifier")
        return like(values, output.logits.argmax(1))

    def forecast(self, values: Array) -> Array:
        """Forecasts in original units, (batch, forecast_steps, forecast_features).

        Raises:
            UserError: the model does not forecast.
        """
        output, scaler = self._output(values)
        if output.forecast is None:
            raise UserError(f"{self.directory.path}: this model does not forecast; train one with model=forecaster")
        return like(values, scaler.first(output.forecast.shape[2]).inverse(output.forecast))

    def _output(self, values: Array) -> tuple[Output, Scaler]:
        """What the model makes of `values`, and what scaled them."""
        tensor = torch.as_tensor(values, dtype=torch.float32)
        length, features = self.spec.length, self.spec.features
        if tensor.ndim < 2 or tensor[0].numel() != length * features:
            raise UserError(
                f"input of shape {tuple(tensor.shape)}: expected (batch, {length}, {features}), "
                f"{length} steps of {features}"
            )
        inputs = tensor.cpu().reshape(-1, length, features)
        scaler = self.scaler or self._own_scaler(inputs)
        return predict(self.model, scaler.transform(inputs).to(next(self.model.parameters()).device)), scaler

    def _own_scaler(self, inputs: torch.Tensor) -> Scaler:
        """The scaling of each sequence by the range of its values.

        Raises:
            UserError: the run scales each company by a range that only its data set knows.
        """
        if not self.spec.own_range:
            raise UserError(
                f"{self.directory.path}: dataset.scaling={self.config.dataset.scaling} scales each company by its own "
                "range, which your values do not bring along; train with dataset.scaling=window, or none"
            )
        scaler = own_scaler(inputs, self.spec.own_range)
        return Scaler(scaler.low.float(), scaler.high.float())


def like(values: Array, result: torch.Tensor) -> Array:
    """`result` as a numpy array or a tensor on the same device, as `values` is."""
    return result.to(values.device) if isinstance(values, torch.Tensor) else result.numpy()


def read_config(directory: RunDirectory) -> DictConfig:
    """The config that a run was started with, checked.

    Raises:
        UserError: there is none, or it is not a config of this program.
    """
    if not directory.config.is_file():
        raise UserError(f"{directory.path}: not a run directory (no .hydra/config.yaml in it)")
    try:
        config = OmegaConf.load(directory.config)
        check(config)
    except UserError as error:
        raise UserError(f"{directory.config}: {error}") from error
    except Exception as error:  # YAML and OmegaConf have many ways to say that it is broken
        raise UserError(f"{directory.config}: not a config of this program ({error})") from error
    return config


def load_run(path: str | Path, device: str = "cpu") -> Run:
    """Reopen a run directory with the checkpoint that validation chose.

    Nothing in the directory is executed: the config may only name this package's parts, the checkpoint only holds
    tensors and plain values.

    Args:
        path: the run directory.
        device: `auto`, `cpu` or `cuda`.

    Returns:
        the run, its model in eval mode.

    Raises:
        UserError: no run directory, no checkpoint in it, or one that does not fit.
    """
    directory = RunDirectory(path)
    config = read_config(directory)
    best = directory.checkpoints / "best.pt"
    state = checkpoint.load(best)
    spec = DataSpec(**state["spec"])
    model = build_model(config, spec)
    load_weights(best, state, model)
    scaler = None if state["scaler"] is None else Scaler(**state["scaler"])
    return Run(directory, config, model.to(choose_device(device)).eval(), spec, scaler, state["history"])
