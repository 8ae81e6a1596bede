"""Reopen a run directory: its model, and what the model makes of your own data."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf

from lstm_ae.config.build import build_model, choose_device
from lstm_ae.config.rules import validate_config
from lstm_ae.data.panel_scaling import own_scaler
from lstm_ae.data.sequence_data import Sequences
from lstm_ae.errors import UserError
from lstm_ae.models.autoencoder import Autoencoder, Output
from lstm_ae.models.inference import predict
from lstm_ae.runs.directory import RunDirectory
from lstm_ae.spec import DataSpec, Scaler
from lstm_ae.training import checkpoint
from lstm_ae.training.checkpoint import load_weights

Array = np.ndarray | torch.Tensor


@dataclass(frozen=True, eq=False, repr=False)
class Run:
    """A trained model with what it takes to use it; made by `load_run`.

    `encode`, `reconstruct`, `classify` and `forecast` take a numpy array or a tensor in original units, of shape
    (batch, length, features) or anything that holds as many values per entry (images, for a model that reads images),
    and answer in kind. An empty batch gets an empty answer; all of them raise UserError for input of another shape, or
    that holds NaN or infinite values.
    """

    directory: RunDirectory
    config: DictConfig
    model: Autoencoder
    spec: DataSpec
    scaler: Scaler | None  # None: each sequence has its own
    history: list[dict[str, float]]  # up to the checkpoint

    def __repr__(self) -> str:
        spec, parts = self.spec, [type(self.model.encoder), type(self.model.decoder)]
        parts += [] if self.model.head is None else [type(self.model.head)]
        classes = f", {spec.num_classes} classes" if spec.num_classes else ""
        forecast = f", {spec.forecast_steps} steps to forecast" if spec.forecast_steps else ""
        parameters = sum(weights.numel() for weights in self.model.parameters())
        lines = [
            f"Run {self.directory.path}",
            f"  data: {spec.name}, sequences of {spec.length} x {spec.features}{classes}{forecast}",
            f"  model: {', '.join(part.__name__ for part in parts)}; context of {self.model.encoder.context_size}, "
            f"{parameters:,} parameters",
        ]
        if self.history:
            best = self.history[-1]  # the checkpoint was written at the end of its epoch
            measured = ", ".join(f"{name} {value:.4g}" for name, value in best.items() if name.startswith("val/"))
            lines.append(f"  best epoch {best['epoch']:g}: {measured}")
        return "\n".join(lines)

    def encode(self, values: Array) -> Array:
        """Contexts (batch, context_size)."""
        output, _ = self._output(values)
        return like(values, output.context)

    def reconstruct(self, values: Array) -> Array:
        """Reconstructions in original units, shaped like `values`."""
        output, scaler = self._output(values)
        return like(values, scaler.inverse(output.reconstruction).reshape(values.shape))

    def classify(self, values: Array, probabilities: bool = False) -> Array:
        """The most probable class of each sequence, or the probability of every class.

        >>> names = np.array(run.spec.class_names)[run.classify(images)]  # doctest: +SKIP

        Args:
            values: the sequences.
            probabilities: whether to answer with probabilities.

        Returns:
            class indices (batch,) into `spec.class_names`; or probabilities (batch, num_classes), each row sums to 1.

        Raises:
            UserError: the model has no classifier.
        """
        output, _ = self._output(values)
        if output.logits is None:
            raise UserError(f"{self.directory.path}: this model has no classifier; train one with model=classifier")
        return like(values, output.logits.softmax(1) if probabilities else output.logits.argmax(1))

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
        """What the model makes of `values`, on the CPU, and what scaled them."""
        tensor = torch.as_tensor(values, dtype=torch.float32)
        length, features = self.spec.length, self.spec.features
        if tensor.ndim < 2 or tensor.shape[1:].numel() != length * features:
            raise UserError(
                f"input of shape {tuple(tensor.shape)}: expected (batch, {length}, {features}), "
                f"{length} steps of {features}"
            )
        inputs = tensor.cpu().reshape(-1, length, features)
        wrong = ~inputs.isfinite()
        if wrong.any():
            sequence, step, feature = wrong.nonzero()[0].tolist()
            raise UserError(
                f"input holds NaN or infinite values ({int(wrong.any(2).any(1).sum())} of {len(inputs)} sequences do; "
                f"the first: sequence {sequence}, step {step}, feature {feature}). Fill or leave out what is missing."
            )
        scaler = self.scaler or self._own_scaler(inputs)
        return predict(self.model, Sequences(scaler.transform(inputs)).to(next(self.model.parameters()).device)), scaler

    def _own_scaler(self, inputs: torch.Tensor) -> Scaler:
        """The scaling of each sequence by the range of its values.

        Raises:
            UserError: the data set scales each sequence in a way that only it knows.
        """
        if not self.spec.own_range:
            raise UserError(
                f"{self.directory.path}: its data set, {self.spec.name}, scales each sequence in a way that only it "
                "knows, and your values do not bring their scaling along. A model for other values needs one scaling "
                "for all sequences, or each by its own range: for a panel dataset.scaling=none or window"
            )
        scaler = own_scaler(inputs, self.spec.own_range)
        return Scaler(*(torch.as_tensor(bound).float() for bound in (scaler.low, scaler.high)))


def like(values: Array, result: torch.Tensor) -> Array:
    """`result` as what `values` is: a numpy array, or a tensor on the same device."""
    return result.to(values.device) if isinstance(values, torch.Tensor) else result.numpy()


def read_config(directory: RunDirectory) -> DictConfig:
    """The config that a run was started with, every value of it validated.

    Raises:
        UserError: there is none, or it is not a config of this program.
    """
    if not directory.config.is_file():
        raise UserError(f"{directory.path}: not a run directory (no .hydra/config.yaml in it)")
    try:
        config = OmegaConf.load(directory.config)
        if not isinstance(config, DictConfig):
            raise UserError("holds no keys")
        validate_config(config)
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
    model = build_model(config, spec, inputs=None)
    load_weights(best, state, model)
    scaler = None if state["scaler"] is None else Scaler(**state["scaler"])
    return Run(directory, config, model.to(choose_device(device)).eval(), spec, scaler, state["history"])
