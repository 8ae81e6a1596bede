"""Training data that is not clean: leave out what a first model rebuilds worst, then train on the rest."""

import logging
from dataclasses import replace
from pathlib import Path

import torch
from omegaconf import DictConfig

from lstm_ae.config.build import build_model, build_objective, build_trainer, build_training, description
from lstm_ae.data.sequence_data import SequenceData
from lstm_ae.kernels import choose_backend, use_backend
from lstm_ae.models.inference import predict
from lstm_ae.training import checkpoint
from lstm_ae.training.checkpoint import load_weights

log = logging.getLogger(__name__)

FIRST_PASS = "first_pass"  # the folder of the first model's checkpoints in a run directory


def trimmed(config: DictConfig, data: SequenceData, folder: Path) -> SequenceData:
    """The data without the share `data.trim` of its training sequences, those with the largest errors.

    A first model is trained on all of them, by the same settings; its checkpoints stay in `folder`, so that a run that
    is resumed does not train it again.

    Args:
        config: of the run.
        data: on the device on which to train.
        folder: for the checkpoints of the first model.
    """
    device = data.train.inputs.device
    model = build_model(config, data.spec, data.train).to(device)
    use_backend(model, choose_backend(config.backend, device))
    log.info("a first training, to leave out the %.3g%% of the training part that it rebuilds worst", 100 * data.trim)
    build_trainer(config).fit(
        model, build_objective(config), data, **build_training(config, model), directory=folder,
        description=description(data), resume=(folder / "last.pt").is_file(), on_epoch=lambda _: None,
    )  # fmt: skip
    left = without_worst(config, data, folder)
    torch.manual_seed(config.seed)  # as if there had been no first model
    return left


def without_worst(config: DictConfig, data: SequenceData, folder: Path) -> SequenceData:
    """The data as `trimmed` left it, from the first model that is kept in `folder`: for a run that is opened again.

    Raises:
        UserError: there is no such model, or it does not fit.
    """
    device = data.train.inputs.device
    model = build_model(config, data.spec, train=None).to(device)
    use_backend(model, choose_backend(config.backend, device))
    load_weights(folder / "best.pt", checkpoint.load(folder / "best.pt"), model)
    errors = (predict(model, data.train).reconstruction - data.train.inputs.cpu()).square()
    exists = data.train.exists()
    errors = errors if exists is None else errors.masked_fill(~exists.cpu(), torch.nan)
    order = errors.flatten(1).nanmean(1).argsort(stable=True)
    kept = order[: max(1, len(order) - round(data.trim * len(order)))].sort().values
    log.info("%d of %d training sequences are left", len(kept), len(order))
    return replace(data, train=data.train[kept.to(device)])
