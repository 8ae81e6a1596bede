"""The autoencoder as scikit-learn knows its estimators: fit, transform, inverse_transform, score_samples."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from omegaconf import DictConfig
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from lstm_ae.runs.directory import RunDirectory
from lstm_ae.runs.fitting import Values, composed, train

# The parameters of the estimator that are keys of the config.
KEYS = {
    "hidden_size": "model.hidden_size",
    "num_layers": "model.num_layers",
    "dropout": "model.dropout",
    "lr": "optimizer.lr",
    "batch_size": "dataset.batch_size",
    "val_fraction": "dataset.val_fraction",
    "scaling": "dataset.scaling",
    "standardize": "dataset.standardize",
    "missing": "dataset.missing",
    "max_epochs": "trainer.max_epochs",
    "patience": "trainer.patience",
    "seed": "seed",
    "device": "device",
    "threads": "threads",
}


class LSTMAutoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """An LSTM autoencoder with the interface of scikit-learn; the same config and trainer as `python -m lstm_ae.train`.

    >>> contexts = LSTMAutoencoder(hidden_size=32, max_epochs=50).fit_transform(sequences)  # doctest: +SKIP

    Sequences are an array (n, length, features), or (n, length) for one feature, or a list with an array
    (length, features) or (length,) for each sequence, of any length each. They are in original units; NaN, where
    `missing` allows it, is a missing value.

    Args:
        hidden_size, num_layers, dropout: of the LSTMs; the context has `hidden_size` numbers.
        lr, batch_size, max_epochs, patience: of the training.
        val_fraction: share of the sequences that validates: it chooses the epoch, and is not trained on.
        scaling, standardize, missing: of the values, see `lstm_ae.data.arrays`.
        seed: of the weights, the validation part and the order of the batches.
        device, threads: see `conf/config.yaml`.
        overrides: further settings as on the command line, `["scheduler=one_cycle", "model/decoder=initial_state"]`.
        directory: where to leave a run directory that `lstm_ae.load_run` and the commands `encode`, `export` and
            `score` read; None: nothing is left anywhere.

    A parameter that is None has the value that the config gives it.

    Attributes:
        run_: the trained model with its spec and scaling, a `lstm_ae.Run`.
        history_: a row of metrics for each epoch.
        n_features_in_: values in the first dimension after that of the sequences: steps of an array, features of a
            sequence in a list.
    """

    def __init__(
        self,
        hidden_size: int | None = None,
        num_layers: int | None = None,
        dropout: float | None = None,
        lr: float | None = None,
        batch_size: int | None = None,
        max_epochs: int | None = None,
        patience: int | None = None,
        val_fraction: float | None = None,
        scaling: str | None = None,
        standardize: bool | None = None,
        missing: str | None = None,
        seed: int | None = None,
        device: str | None = None,
        threads: int | None = None,
        overrides: Sequence[str] = (),
        directory: str | Path | None = None,
    ) -> None:
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.dropout = dropout
        self.lr = lr
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.patience = patience
        self.val_fraction = val_fraction
        self.scaling = scaling
        self.standardize = standardize
        self.missing = missing
        self.seed = seed
        self.device = device
        self.threads = threads
        self.overrides = overrides
        self.directory = directory

    def fit(self, X: Values, y: object = None) -> Self:
        """Train on sequences `X`; `y` is not looked at.

        Raises:
            UserError: settings that cannot be used, with the key and what would be accepted; or sequences that cannot.
            ValueError: an array that cannot be used.
        """
        given = {key: getattr(self, name) for name, key in KEYS.items() if getattr(self, name) is not None}
        config = composed(tuple(f"{key}={value}" for key, value in given.items()) + tuple(self.overrides))
        values = self._checked(X, config, reset=True)
        if self.directory is None:
            with tempfile.TemporaryDirectory() as scratch:
                self.run_ = train(config, values, RunDirectory(scratch))
        else:
            self.run_ = train(config, values, RunDirectory(self.directory), keep=True)
        self.history_ = self.run_.history
        self._n_features_out = self.run_.model.encoder.context_size
        return self

    def transform(self, X: Values) -> np.ndarray:
        """The context of each sequence, (n, context_size)."""
        return np.asarray(self.run_.encode(self._read(X)))

    def inverse_transform(self, X: np.ndarray, lengths: Sequence[int] | None = None) -> Values:
        """Sequences in original units that the decoder makes of contexts.

        Args:
            X: contexts (n, context_size).
            lengths: how many steps of each to write, where the training's had lengths of their own; None: as many as
                the longest of them had.

        Returns:
            like what `fit` was given: an array, (n, length, features) or (n, length); with `lengths` a list.

        Raises:
            ValueError: contexts of another size, or lengths for a model of one length.
        """
        check_is_fitted(self)
        contexts = torch.as_tensor(np.asarray(X), dtype=torch.float32)
        run = self.run_
        if contexts.ndim != 2 or contexts.shape[1] != self._n_features_out:
            raise ValueError(f"contexts of shape {tuple(contexts.shape)}: expected (n, {self._n_features_out})")
        if lengths is not None and not run.spec.varying:
            raise ValueError(f"all sequences of the training had {run.spec.length} steps: leave out lengths")
        steps = run.spec.length if lengths is None else max(lengths)
        own = [steps] * len(contexts) if lengths is None else list(lengths)
        given = {"lengths": torch.tensor(own)} if run.spec.varying else {}
        blank = torch.zeros(len(contexts), steps, run.spec.features)  # the decoder reads its shape alone
        model = run.model.cpu()
        with torch.inference_mode():
            scaled = model.decoder(contexts, blank, **given).reconstruction
        assert run.scaler is not None
        values = run.scaler.inverse(scaled).to(torch.float32).numpy()
        if lengths is not None:
            return [one[:length] for one, length in zip(values, lengths, strict=True)]
        return values[..., 0] if self._flat else values

    def score_samples(self, X: Values) -> np.ndarray:
        """Minus the mean squared error of each sequence's reconstruction, scaled, over the values that exist, (n,)."""
        error, count = self._squares(X)
        return -(error / count)

    def score(self, X: Values, y: object = None) -> float:
        """Minus the mean squared error over all values that exist, scaled: `-test/reconstruction`; more is better."""
        error, count = self._squares(X)
        return -float(error.sum() / count.sum())

    def _squares(self, X: Values) -> tuple[np.ndarray, np.ndarray]:
        """For each sequence the sum of its scaled squared errors, and how many values it has."""
        values = self._read(X)
        rebuilt = self.run_.reconstruct(values)
        assert self.run_.scaler is not None
        low, high = (np.asarray(bound) for bound in (self.run_.scaler.low, self.run_.scaler.high))
        errors = [((ours - one) / (high - low)).reshape(-1) ** 2 for ours, one in zip(rebuilt, values, strict=True)]
        return np.array([np.nansum(one) for one in errors]), np.array([np.isfinite(one).sum() for one in errors])

    def _read(self, X: Values) -> Any:
        """What `Run` reads of `X`."""
        check_is_fitted(self)
        return self._checked(X, self.run_.config, reset=False)

    def _checked(self, X: Values, config: DictConfig, reset: bool) -> Values:
        """`X` as float32: (n, length, features), or a list of (length, features).

        Raises:
            ValueError: it is neither, or holds what no sequence may.
        """
        if is_ragged(X):
            found = [np.asarray(one, dtype=np.float32) for one in X]
            found = [one[:, None] if one.ndim == 1 else one for one in found]
            if any(one.ndim != 2 or one.shape[1:] != found[0].shape[1:] or len(one) == 0 for one in found):
                raise ValueError("a list holds a sequence (length, features) or (length,) each, all of one width")
            if reset:
                self.n_features_in_, self._flat = found[0].shape[1], False
            return found
        finite = "allow-nan" if config.dataset.missing != "error" else True
        checked = validate_data(
            self,
            X,
            reset=reset,
            dtype=np.float32,
            allow_nd=True,
            ensure_all_finite=finite,
            ensure_min_samples=1 + reset,
        )
        if checked.ndim > 3:
            raise ValueError(f"sequences have shape (n, length, features) or (n, length), not {checked.shape}")
        if reset:
            self._flat = checked.ndim == 2
        return checked[..., None] if checked.ndim == 2 else checked

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = self.missing in ("mask", "interpolate")
        if tags.transformer_tags is not None:
            tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


def is_ragged(X: object) -> bool:
    """Whether `X` is a list of sequences, rather than a nested list of the numbers of one array."""
    return isinstance(X, list) and len(X) > 0 and all(isinstance(one, np.ndarray | torch.Tensor) for one in X)
