"""Which trial comes next: new ones are drawn, those whose process died are queued again."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from lstm_ae.errors import UserError
from lstm_ae.sweeps.liveness import Worker, is_alive
from lstm_ae.sweeps.search import Search
from lstm_ae.sweeps.storage import annotate, exclusive


def is_orphan(trial: FrozenTrial) -> bool:
    """Whether the trial's process died and its settings were queued again."""
    return trial.user_attrs.get("orphan", False)


def failures(trials: list[FrozenTrial]) -> list[FrozenTrial]:
    """The trials that failed by themselves, orphans left out."""
    return [trial for trial in trials if trial.state == TrialState.FAIL and not is_orphan(trial)]


def counted(trials: list[FrozenTrial]) -> list[FrozenTrial]:
    """The trials that `n_trials` counts: finished or running, orphans left out."""
    return [trial for trial in trials if trial.state != TrialState.WAITING and not is_orphan(trial)]


def settings_of(trial: FrozenTrial) -> dict[str, Any]:
    """The values of a trial that are known so far: those it was queued with, and those it has taken up."""
    return trial.user_attrs.get("point", {}) | trial.params


def requeue(study: optuna.Study, search: Search, trial: FrozenTrial) -> None:
    """Fail a running trial as an orphan and queue its settings again, in the same run directory.

    Call it only inside `exclusive`. Dying in here loses nothing: what is queued names the trial that it replaces, and
    that trial fails afterwards.
    """
    replaced = {other.user_attrs.get("replaces") for other in study.get_trials(deepcopy=False)}
    point = settings_of(trial)
    if point and trial.number not in replaced:
        kept = {name: trial.user_attrs[name] for name in ("directory",) if name in trial.user_attrs}
        study.enqueue_trial(point, user_attrs={"point": point, "replaces": trial.number, **kept})
    reason = "its process was gone; its settings were queued again"
    annotate(search.storage, search.name, trial.number, orphan=True, reason=reason)
    study.tell(trial.number, state=TrialState.FAIL)


def requeue_orphans(study: optuna.Study, search: Search) -> None:
    """Queue the settings of every running trial again whose process is gone. Call it only inside `exclusive`."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if not is_alive(trial, search.directory):
            requeue(study, search, trial)


def claim(study: optuna.Study, search: Search, worker: Worker) -> optuna.Trial | None:
    """Take the next trial of a study for `worker` and make its run directory; None if no trial is left to do."""
    with exclusive(search.storage):
        requeue_orphans(study, search)
        trials = study.get_trials(deepcopy=False)
        taken = counted(trials)
        if len(taken) >= search.n_trials or len(failures(trials)) > search.max_failures:
            return None
        if search.points is not None and not any(trial.state == TrialState.WAITING for trial in trials):
            tried = [settings_of(trial) for trial in taken]
            point = next((point for point in search.points if point not in tried), None)
            if point is None:
                return None
            study.enqueue_trial(point, user_attrs={"point": point})
        study.sampler = search.sampler_for(len(trials))
        trial = study.ask(search.space)
        if search.extend is not None:
            search.extend(search.config, trial)
        if "directory" not in trial.user_attrs:
            trial.set_user_attr("directory", new_directory(search.directory, trial.number))
        trial.set_user_attr("heartbeat", time.time())
        trial.set_user_attr("worker", asdict(worker))
        return trial


def new_directory(folder: Path, number: int) -> str:
    """Make a new directory in `folder` and return its name: `number`, or `number-2`, ... if an older study left one."""
    for attempt in range(1, 1000):
        name = str(number) if attempt == 1 else f"{number}-{attempt}"
        try:
            (folder / name).mkdir(parents=True)
            return name
        except FileExistsError:
            continue
    raise UserError(f"{folder / str(number)}: no free name beside it")
