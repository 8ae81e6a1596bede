"""The job's side of a search: report each epoch to the study, and end the job when the study's pruner says so."""

import os
from collections.abc import Callable
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from lstm_ae.errors import Pruned

# Environment variables that tell a job, whatever launched it, which trial it runs:
STUDY = "LSTM_AE_STUDY"  # the study's name
TRIAL = "LSTM_AE_TRIAL"  # the trial's number
PRUNED = "pruned"  # what a pruned job returns: Hydra would log an exception as a crash

History = list[dict[str, float]]


def reporter(config: DictConfig) -> Callable[[History], None] | None:
    """A function that reports a run's history to the study after each epoch; None outside a search.

    It raises `Pruned` when the study's pruner says so. Epochs that were trained before a resume are reported as well,
    so that the study has the whole curve. Two metrics are not reported: Optuna has no pruner for them.

    Args:
        config: of the job; its key `monitor` names the column of the history to report, its key `pruner` the pruner.
    """
    if TRIAL not in os.environ or not isinstance(config.get("monitor"), str):
        return None
    import optuna

    from lstm_ae.config.parts import build_part
    from lstm_ae.sweeps.storage import open_storage, storage_url, trial_id

    hydra = HydraConfig.get()
    url = storage_url(hydra.sweeper.storage, Path(hydra.sweep.dir))
    study = optuna.load_study(
        study_name=os.environ[STUDY],
        storage=open_storage(url),
        sampler=optuna.samplers.RandomSampler(),  # draws nothing here: the trial has its values
        pruner=build_part(config.get("pruner"), "pruner"),
    )
    identifier = trial_id(url, study.study_name, int(os.environ[TRIAL]))
    trial = optuna.Trial(study, identifier)
    reported = set(open_storage(url).get_trial(identifier).intermediate_values)

    def report(history: History) -> None:
        for row in history:
            step = int(row["epoch"])
            if step not in reported:
                trial.report(row[config.monitor], step)
                reported.add(step)
        if trial.should_prune():
            raise Pruned(f"ended by the search after epoch {len(history)}")

    return report
