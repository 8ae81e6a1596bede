"""Train on sequences in memory, with the config and the trainer of `python -m lstm_ae.train`."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import cache

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from lstm_ae.config import CONF, build
from lstm_ae.config.rules import validate_config
from lstm_ae.data.arrays import divide, missing_values
from lstm_ae.data.contract import validate_data
from lstm_ae.data.ragged import own_lengths, pad
from lstm_ae.data.sequence_data import SequenceData, fingerprint
from lstm_ae.data.splitting import split_train_val
from lstm_ae.errors import UserError
from lstm_ae.files import write_whole
from lstm_ae.kernels import choose_backend, use_backend
from lstm_ae.runs.directory import RunDirectory
from lstm_ae.runs.reopen import Run
from lstm_ae.training.checkpoint import load, load_weights
from lstm_ae.training.process_settings import subnormals_flushed

Values = np.ndarray | list[np.ndarray]  # (n, length, features), or a (length, features) for each sequence
IN_MEMORY = "given-to-LSTMAutoencoder.fit"  # what the config says in place of a file


@cache
def composed(overrides: tuple[str, ...]) -> DictConfig:
    """The config of `python -m lstm_ae.train` for sequences in memory, validated and read-only."""
    with initialize_config_dir(CONF):
        config = compose("config", ["dataset=arrays", f"dataset.path={IN_MEMORY}", *overrides])
    validate_config(config)
    OmegaConf.set_readonly(config, True)
    return config


def make_data(config: DictConfig, values: Values) -> SequenceData:
    """Sequences in memory as a data set: a share of them validates, the others train; those that validate also "test".

    Raises:
        UserError: they cannot be used.
    """
    options = config.dataset
    stacked = pad(values) if isinstance(values, list) else torch.from_numpy(values).double()
    lengths = own_lengths(stacked)
    if (lengths == 0).any():
        raise UserError(f"sequence {int(lengths.argmin())} (counted from 0) has no value at all; leave it out")
    if options.missing == "error" and missing_values(stacked, lengths).any():
        raise UserError("values are missing (NaN): missing='mask' leaves them out of all errors, missing='interpolate' "
                        "fills them in")  # fmt: skip
    generator = torch.Generator().manual_seed(options.seed)
    fraction = max(options.val_fraction, 1 / len(stacked))
    train, val = split_train_val(len(stacked), fraction, generator, options.num_train, options.num_folds, options.fold)
    data = divide("sequences in memory", stacked, lengths, (train, val, val), options.scaling, options.standardize,
                  options.missing, options.batch_size)  # fmt: skip
    validate_data(data)
    return data


def train(config: DictConfig, values: Values, directory: RunDirectory, keep: bool = False) -> Run:
    """Train on sequences as `python -m lstm_ae.train` does on a data set's, and return the best epoch.

    Args:
        config: the composed config.
        values: the sequences, in original units.
        directory: of the checkpoints.
        keep: whether to make it a run directory.

    Raises:
        UserError: something the user can mend.
    """
    with torch.random.fork_rng(), subnormals_flushed():  # afterwards torch's random numbers go on as they would have
        device = build.prepare_process(config)
        data = make_data(config, values)
        data = replace(data, **{name: getattr(data, name).to(device) for name in ("train", "val", "test")})
        model = build.build_model(config, data.spec, data.train).to(device)
        use_backend(model, choose_backend(config.backend, device))
        objective = build.build_objective(config)
        training = build.build_training(config, model)
        with recording(directory, config, data) if keep else nullcontext():
            build.build_trainer(config).fit(
                model, objective, data, **training, directory=directory.checkpoints,
                description=build.description(data), resume=False,
                on_epoch=directory.write_metrics if keep else lambda history: None,
            )  # fmt: skip
    state = load(directory.checkpoints / "best.pt")
    load_weights(directory.checkpoints / "best.pt", state, model)
    return Run(directory, config, model.eval(), data.spec, data.scaler, state["history"])


@contextmanager
def recording(directory: RunDirectory, config: DictConfig, data: SequenceData) -> Iterator[None]:
    """Make `directory` a run directory around a training.

    Raises:
        UserError: there is a run already.
    """
    if directory.can_resume():
        raise UserError(f"directory={directory.path}: holds a run already; name another directory, or remove it")
    directory.config.parent.mkdir(parents=True, exist_ok=True)
    with directory.recording():
        write_whole(directory.config, OmegaConf.to_yaml(config))
        directory.update_summary(monitor=config.monitor, data=fingerprint(data))
        yield
        directory.update_summary(status="completed")
