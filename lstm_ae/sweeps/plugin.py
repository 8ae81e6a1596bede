"""The sweeper as Hydra sees it: the keys of Hydra's Optuna sweeper, and nothing slow imported before a sweep begins."""

import json
import os
from typing import Any

from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, read_write


class StudySweeper(Sweeper):
    """An Optuna study that prunes, resumes and runs trials side by side, in processes of their own.

    `conf/hydra/sweeper/study.yaml` explains the keys. They are those of Hydra's Optuna sweeper and mean the same, with
    these exceptions: `n_trials` counts the trials that the study already has, null stands for a whole grid, `storage`
    null for `study.db` in the sweep directory, and `max_failure_rate` is a share of `n_trials`, there being no batches.

    Any Hydra program can use it, whatever starts that program: call `Plugins.instance().register(StudySweeper)` before
    its `hydra.main` function, name this class in `hydra.sweeper._target_`, and fix `hydra.sweep.dir`, so that the same
    command finds its study again. The function returns a number, or one for each direction.
    """

    def __init__(self, **keys: Any) -> None:
        self.keys = keys

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what Hydra hands over."""
        self.hydra_context = hydra_context
        self.task_function = task_function
        self.config = config

    def sweep(self, arguments: list[str]) -> None:
        """Run the search until its study is complete; in a process that a search started, work on its trials.

        Raises:
            UserError: settings that cannot be searched, another study under this name, or too many failures.
        """
        from lstm_ae.sweeps.cost import (
            check_rounds,
            preview,
        )  # late, and so are the next three: Optuna takes time to import
        from lstm_ae.sweeps.search import build_search
        from lstm_ae.sweeps.supervisor import WORKER, supervise
        from lstm_ae.sweeps.worker import work

        assert self.config is not None and self.hydra_context is not None  # Hydra calls setup first
        if WORKER not in os.environ:
            search = build_search(self.config, arguments, **self.keys)
            check_rounds(search)
            search.rehearse(self.hydra_context.config_loader)
            if self.keys.get("dry_run"):
                print(preview(search))
            else:
                supervise(search)
            return
        order = json.loads(os.environ[WORKER])
        with read_write(self.config.hydra.sweep):
            self.config.hydra.sweep.dir = order["sweep_directory"]  # it may contain the time of the start
        launcher = Plugins.instance().instantiate_launcher(
            config=self.config, hydra_context=self.hydra_context, task_function=self.task_function
        )
        search = build_search(self.config, arguments, **{**self.keys, "check_job": None})  # the supervisor has checked
        work(search, launcher, order["supervisor"])
