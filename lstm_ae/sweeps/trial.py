"""The job's side of a search: tell the study how training goes, and end it when the study has seen enough."""

import os
from collections.abc import Callable
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, ListConfig

from lstm_ae.errors import Pruned

STUDY = "LSTM_AE_STUDY"  # the study's name and
TRIAL = "LSTM_AE_TRIAL"  # the trial's id in its storage: how a job of any launcher learns which trial it is
PRUNED = "pruned"  # what a pruned job returns: an exception would be logged as a crash

History = list[dict[str, float]]


def reporter(config: DictConfig) -> Callable[[History], None] | None:
    """A function that takes a run's history after each epoch and tells the study `monitor`; None outside a search.

    It raises `Pruned` when the study's pruner says so. Epochs that a resumed run trained before are told as well, so
    that the study has the whole curve. With two objectives there is nothing to tell: Optuna has no pruner for them.
    """
    if TRIAL not in os.environ or isinstance(config.monitor, ListConfig):
        return None
    import optuna
    from hydra.utils import instantiate

    from lstm_ae.sweeps.study import open_storage, storage_url

    hydra = HydraConfig.get()
    url = storage_url(hydra.sweeper.storage, Path(hydra.sweep.dir))
    study = optuna.load_study(
        study_name=os.environ[STUDY],
        storage=open_storage(url),
        sampler=optuna.samplers.RandomSampler(),  # draws nothing here: the trial has its values
        pruner=instantiate(config.pruner, _execution_whitelist_=("optuna.pruners.*",)),
    )
    trial = optuna.Trial(study, int(os.environ[TRIAL]))
    told = 0

    def report(history: History) -> None:
        nonlocal told
        for row in history[told:]:
            trial.report(row[config.monitor], step=int(row["epoch"]))
        told = len(history)
        if trial.should_prune():
            raise Pruned(f"pruned after epoch {told}")

    return report
