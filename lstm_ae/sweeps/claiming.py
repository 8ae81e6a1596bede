"""Which trial comes next: new ones are drawn, paused ones go on, those whose process died are queued again."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from lstm_ae.errors import UserError
from lstm_ae.sweeps.liveness import Worker, is_alive
from lstm_ae.sweeps.search import Search
from lstm_ae.sweeps.shortlist import is_paused
from lstm_ae.sweeps.storage import annotate, exclusive, trial_id


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


def requeue(study: optuna.Study, search: Search, trial: FrozenTrial, deaths: int = 0) -> None:
    """Fail a running trial as an orphan and queue its settings again, in the same run directory.

    Call it only inside `exclusive`. Dying in here loses nothing: what is queued names the trial that it replaces, and
    that trial fails afterwards.

    Args:
        study: of the trial.
        search: the same.
        trial: a running one.
        deaths: how many processes have died over its settings.
    """
    replaced = {other.user_attrs.get("replaces") for other in study.get_trials(deepcopy=False)}
    point = settings_of(trial)
    if point and trial.number not in replaced:
        kept = {name: value for name, value in trial.user_attrs.items() if name in ("directory", "cpu_seconds")}
        kept |= {"point": point, "replaces": trial.number, "deaths": deaths or trial.user_attrs.get("deaths", 0)}
        study.enqueue_trial(point, user_attrs=kept)
    reason = "its process was gone; its settings were queued again"
    annotate(search.storage, search.name, trial.number, orphan=True, reason=reason)
    study.tell(trial.number, state=TrialState.FAIL)


def tidy(study: optuna.Study, search: Search) -> None:
    """Settle what no process is at work on. Call it only inside `exclusive`.

    The settings of every running trial whose process is gone are queued again; paused trials that will never go on are
    recorded as pruned.
    """
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if not is_alive(trial, search.directory):
            requeue(study, search, trial)
    for reached in search.shortlist.standing(study) if search.shortlist is not None else ():
        for trial in filter(is_paused, reached.left):
            study.tell(trial.number, state=TrialState.PRUNED)


def to_go_on(study: optuna.Study, search: Search) -> list[FrozenTrial]:
    """The paused trials whose place in the next round is certain; those that are furthest come first."""
    rounds = search.shortlist.standing(study) if search.shortlist is not None else []
    return [
        trial
        for reached in reversed(rounds)
        for trial in reached.goes_on
        if is_paused(trial) and trial.last_step == reached.epochs
    ]


def is_unfinished(study: optuna.Study, search: Search) -> bool:
    """Whether trials of a shortlist are still running, so that a worker without one may have something to do later."""
    trials = study.get_trials(deepcopy=False)
    too_many = len(failures(trials)) > search.max_failures
    unfinished = any(trial.state == TrialState.RUNNING for trial in trials)
    return search.shortlist is not None and unfinished and not too_many


def claim(study: optuna.Study, search: Search, worker: Worker) -> optuna.Trial | None:
    """Take the next trial of a study for `worker` and make its run directory; None if there is none to take now."""
    with exclusive(search.storage):
        tidy(study, search)
        if len(failures(study.get_trials(deepcopy=False))) > search.max_failures:
            return None
        paused = to_go_on(study, search)
        if paused:
            number = trial_id(search.storage, search.name, paused[0].number)
            trial: optuna.Trial | None = optuna.Trial(study, number)
        else:
            trial = next_trial(study, search)
        if trial is not None:
            trial.set_user_attr("heartbeat", time.time())
            trial.set_user_attr("worker", asdict(worker))
            if paused:  # from here on the worker answers for it
                trial.set_user_attr("paused", False)
        return trial


def next_trial(study: optuna.Study, search: Search) -> optuna.Trial | None:
    """Draw a trial, or take one from the queue, and make its run directory; None if no trial is left to begin."""
    trials = study.get_trials(deepcopy=False)
    taken = counted(trials)
    if len(taken) >= search.n_trials:
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
