"""The sweeper as Hydra sees it: the Optuna sweeper's keys, and nothing imported before a sweep begins."""

import os
from typing import Any

from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

# Set in the processes that a sweep starts: they work on its study and start no others. Holds their parent's lock file.
WORKER = "LSTM_AE_WORKER"


class StudySweeper(Sweeper):
    """An Optuna study that prunes, resumes and runs trials side by side; see `conf/hydra/sweeper/study.yaml`.

    Its keys are those of Hydra's Optuna sweeper and mean the same, with these exceptions: `n_trials` counts the
    trials that the study already has, null stands for a whole grid, `storage` null for `study.db` in the sweep
    directory, and `max_failure_rate` is a share of `n_trials`, there being no batches.
    """

    def __init__(self, **keys: Any) -> None:
        self.keys = keys

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what Hydra hands over."""
        self.hydra_context = hydra_context
        self.task_function = task_function
        self.config = config

    def sweep(self, arguments: list[str]) -> None:
        """Run the search until its study is complete, or work on it, in a process started for that.

        Raises:
            UserError: settings that cannot be searched, another study under this name, or too many failures.
        """
        from lstm_ae.sweeps.search import build_search  # late: Optuna takes its time to import

        search = build_search(self.config, arguments, **self.keys)
        if WORKER in os.environ:
            from lstm_ae.sweeps.worker import work

            launcher = Plugins.instance().instantiate_launcher(
                config=self.config, hydra_context=self.hydra_context, task_function=self.task_function
            )
            work(search, launcher, os.environ[WORKER])
        else:
            from lstm_ae.sweeps.parent import run

            search.check_first_job(self.hydra_context.config_loader)
            run(search)
