"""Reopen a run directory: its model, and what the model makes of your own data."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf
from pydantic import Field, TypeAdapter

from lstm_ae.config.build import build_model, choose_device
from lstm_ae.config.rules import validate_config
from lstm_ae.config.size import check_size
from lstm_ae.data.panel_scaling import own_scaler
from lstm_ae.data.ragged import own_lengths, pad, to_sequences
from lstm_ae.errors import UserError
from lstm_ae.models.autoencoder import Autoencoder, Output
from lstm_ae.models.inference import predict
from lstm_ae.runs.directory import RunDirectory
from lstm_ae.runs.reading import from_yaml
from lstm_ae.spec import DataSpec, Scaler
from lstm_ae.training import checkpoint
from lstm_ae.training.checkpoint import load_weights

Array = np.ndarray | torch.Tensor
Arrays = Array | list[Array]

# What a checkpoint says beside its weights; anybody may have written it.
SPEC = TypeAdapter(DataSpec)
HISTORY = TypeAdapter(Annotated[list[dict[str, float]], Field(min_length=1)])


@dataclass(frozen=True, eq=False, repr=False)
class Run:
    """A trained model with what it takes to use it; made by `load_run`.

    `encode`, `reconstruct`, `classify` and `forecast` take a numpy array or a tensor in original units, of shape
    (batch, length, features) or anything that holds as many values per entry (images, for a model that reads images),
    or a list with an array (length, features) for each sequence, and answer in kind. Lists may hold sequences of any
    length where those of the training had lengths of their own (`spec.varying`); in one array, sequences then end with
    their last step that is not NaN. Where the training had missing values (`dataset.missing=mask` or `interpolate`),
    they are NaN, and are filled in as there.

    An empty batch gets an empty answer; all of them raise UserError for input of another shape, or that holds NaN where
    the training had none, or infinite values.
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
            f"  data: {spec.name}, sequences of {spec.steps_in_words} x {spec.features}{classes}{forecast}",
            f"  model: {', '.join(part.__name__ for part in parts)}; context of {self.model.encoder.context_size}, "
            f"{parameters:,} parameters",
        ]
        if self.history:
            best = self.history[-1]  # the checkpoint was written at the end of its epoch
            measured = ", ".join(f"{name} {value:.4g}" for name, value in best.items() if name.startswith("val/"))
            lines.append(f"  best epoch {best['epoch']:g}: {measured}")
        return "\n".join(lines)

    def encode(self, values: Arrays) -> Array:
        """Contexts (batch, context_size)."""
        output, _, _ = self._output(values)
        return like(values, output.context)

    def reconstruct(self, values: Arrays) -> Arrays:
        """Reconstructions in original units, shaped like `values`: a list for a list.

        What is missing is reconstructed, too; past the end of a sequence in an array there is NaN.
        """
        output, scaler, lengths = self._output(values)
        rebuilt = scaler.inverse(output.reconstruction).to(torch.float32)
        if isinstance(values, list):
            return [like(one, rows[: len(one)].reshape(one.shape)) for one, rows in zip(values, rebuilt, strict=True)]
        if lengths is not None:
            past = torch.arange(rebuilt.shape[1]) >= lengths[:, None]
            rebuilt = rebuilt.masked_fill(past[..., None], torch.nan)
        return like(values, rebuilt.reshape(values.shape))

    def classify(self, values: Arrays, probabilities: bool = False) -> Array:
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
        output, _, _ = self._output(values)
        if output.logits is None:
            raise UserError(f"{self.directory.path}: this model has no classifier; train one with model=classifier")
        return like(values, output.logits.softmax(1) if probabilities else output.logits.argmax(1))

    def forecast(self, values: Arrays) -> Array:
        """Forecasts in original units, (batch, forecast_steps, forecast_features).

        Raises:
            UserError: the model does not forecast.
        """
        output, scaler, _ = self._output(values)
        if output.forecast is None:
            raise UserError(f"{self.directory.path}: this model does not forecast; train one with model=forecaster")
        return like(values, scaler.first(output.forecast.shape[2]).inverse(output.forecast))

    def _output(self, values: Arrays) -> tuple[Output, Scaler, torch.Tensor | None]:
        """What the model makes of `values`, on the CPU; what scaled them; their lengths, where they have their own."""
        spec = self.spec
        if isinstance(values, list):
            inputs = self._stacked(values)
            lengths = torch.tensor([len(one) for one in values])
        else:
            inputs = torch.as_tensor(values, dtype=torch.float32).cpu()
            shaped = inputs.ndim == 3 and inputs.shape[2] == spec.features and spec.varying
            if not shaped and (inputs.ndim < 2 or inputs.shape[1:].numel() != spec.length * spec.features):
                raise UserError(f"input of shape {tuple(inputs.shape)}: expected {self._expected()}")
            inputs = inputs if shaped else inputs.reshape(-1, spec.length, spec.features)
            lengths = own_lengths(inputs) if spec.varying else torch.full((len(inputs),), spec.length)
        self._check_values(inputs, lengths)
        scaler = self.scaler or self._own_scaler(inputs)
        varying = spec.varying and len(inputs) > 0
        part = to_sequences(inputs, lengths if varying else None, scaler, spec.masked)
        return predict(self.model, part.to(next(self.model.parameters()).device)), scaler, part.lengths

    def _stacked(self, values: list[Array]) -> torch.Tensor:
        """The sequences of a list as (n, longest, features), NaN past their ends.

        Raises:
            UserError: sequences that this model does not read.
        """
        spec, found = self.spec, []
        for i, one in enumerate(values):
            sequence = torch.as_tensor(one, dtype=torch.float32).cpu()
            sequence = sequence[:, None] if sequence.ndim == 1 and spec.features == 1 else sequence
            fits = sequence.ndim == 2 and sequence.shape[1] == spec.features and len(sequence) > 0
            if not fits or not (spec.varying or len(sequence) == spec.length):
                shape = tuple(sequence.shape)
                raise UserError(f"sequence {i} of the list (from 0) has shape {shape}: expected {self._expected()}")
            found.append(sequence.numpy())
        return pad(found).float() if found else torch.zeros(0, spec.length, spec.features)

    def _expected(self) -> str:
        length, features = "any length" if self.spec.varying else self.spec.length, self.spec.features
        return (f"(batch, {length}, {features}), {length} steps of {features}, or a list with a ({length}, {features}) "
                "for each sequence")  # fmt: skip

    def _check_values(self, inputs: torch.Tensor, lengths: torch.Tensor) -> None:
        """Raises UserError for values that are infinite, or missing where the training knew of none."""
        inside = (torch.arange(inputs.shape[1]) < lengths[:, None])[..., None]
        fills = self.spec.masked or self.config.dataset.get("missing") == "interpolate"
        wrong = (inputs.isinf() if fills else ~inputs.isfinite()) & inside
        if wrong.any():
            sequence, step, feature = wrong.nonzero()[0].tolist()
            what = "infinite" if fills else "NaN or infinite"
            raise UserError(
                f"input holds {what} values ({int(wrong.any(2).any(1).sum())} of {len(inputs)} sequences do; "
                f"the first: sequence {sequence}, step {step}, feature {feature}). Fill or leave out what is missing."
            )
        empty = (inputs.isnan() | ~inside).all(2).all(1)
        if empty.any():
            raise UserError(f"sequence {int(empty.nonzero()[0])} (counted from 0) has no value at all; leave it out")

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
        scaler = own_scaler(inputs, self.spec.own_range, self.spec.own_standardized)
        return Scaler(*(torch.as_tensor(bound).float() for bound in (scaler.low, scaler.high)))


def like(values: Arrays, result: torch.Tensor) -> Array:
    """`result` as what `values` is or holds: a numpy array, or a tensor on the same device."""
    if isinstance(values, list):
        return like(values[0], result) if values else result.numpy()
    return result.to(values.device) if isinstance(values, torch.Tensor) else result.numpy()


def read_config(directory: RunDirectory) -> DictConfig:
    """The config that a run was started with, every value of it validated.

    Raises:
        UserError: there is none, or it is not a config of this program.
    """
    if not directory.config.is_file():
        raise UserError(f"{directory.path}: not a run directory (no .hydra/config.yaml in it)")
    try:
        from_yaml(directory.config)  # refuses what would take for ever
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
    try:
        spec = SPEC.validate_python(state["spec"])
        HISTORY.validate_python(state["history"])
        scaler = None if state["scaler"] is None else Scaler(**state["scaler"])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{best}: not a checkpoint of this program ({str(error).splitlines()[0]})") from error
    check_size(config, spec.length, spec.input_features, batch=0)
    model = build_model(config, spec, train=None)
    load_weights(best, state, model)
    return Run(directory, config, model.to(choose_device(device)).eval(), spec, scaler, state["history"])
