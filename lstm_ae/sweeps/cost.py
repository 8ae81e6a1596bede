"""What a search costs: the epochs that it will train, told beforehand, and what it took, told at its end."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import optuna

from lstm_ae.errors import ConfigError
from lstm_ae.runs.cost import trained
from lstm_ae.runs.directory import RunDirectory
from lstm_ae.sweeps.claiming import counted, is_orphan, settings_of
from lstm_ae.sweeps.search import Search
from lstm_ae.sweeps.space import values_of
from lstm_ae.sweeps.storage import find_study

EPOCHS = "trainer.max_epochs"
SESSION = 5.0  # seconds after which a process writes down again how long it has been at work


@dataclass(frozen=True)
class Cost:
    """What a search took, and what every setting to its end would have taken."""

    epochs: int
    epochs_of_all: int
    training_seconds: float  # of wall time in epochs
    training_seconds_of_all: float  # reckoned from each setting's own seconds per epoch
    cpu_seconds: float  # of all processes, their start included; what a killed process used last is lost
    wall_seconds: float  # in which at least one process of the search was there

    def __str__(self) -> str:
        return (
            f"{self.epochs} epochs, {self.epochs / self.epochs_of_all:.3g} of the {self.epochs_of_all} of every "
            f"setting to its end; {self.training_seconds:.0f} s in them, where those take about "
            f"{self.training_seconds_of_all:.0f} s; {self.cpu_seconds:.0f} CPU seconds and {self.wall_seconds:.0f} s "
            "of wall time in all"
        )


def cpu_clock() -> float:
    """The CPU seconds of this process and of the children it has waited for."""
    return sum(os.times()[:4])


def full_lengths(search: Search) -> list[int]:
    """The epochs of each setting trained to its end, folds included; empty if the job's config does not say.

    Of sampled settings that differ in their epochs the longest counts.
    """
    folds = search.settings.get("cross_validation") or 1
    lengths: list[Any] = [search.settings.get(EPOCHS)] * search.n_trials
    if EPOCHS in search.space and search.points is not None:
        lengths = [point[EPOCHS] for point in search.points[: search.n_trials]]
    elif EPOCHS in search.space:
        lengths = [max(values_of(EPOCHS, search.space[EPOCHS]))] * search.n_trials
    return [folds * int(length) for length in lengths] if all(str(length).isdecimal() for length in lengths) else []


def planned(search: Search) -> int:
    """The most epochs that the search trains if no trial fails; 0 if that is not known."""
    lengths = full_lengths(search)
    if search.shortlist is None or not lengths:
        return sum(lengths)
    return search.shortlist.epochs(search.n_trials, max(lengths))


def check_rounds(search: Search) -> None:
    """Check that the rounds of a shortlist end before the training does.

    Raises:
        ConfigError: they do not.
    """
    lengths = full_lengths(search)
    shortest = min(lengths, default=0) // (search.settings.get("cross_validation") or 1)
    rounds = search.shortlist.rounds if search.shortlist is not None else [0]
    if lengths and rounds[-1] >= shortest:
        raise ConfigError("pruner.rounds", rounds, f"must end before the training does: {EPOCHS}={shortest}")


def plan(search: Search) -> str:
    """What the search is going to train, in words."""
    lengths, rounds = full_lengths(search), search.shortlist
    whole = sum(lengths)
    if rounds is None:
        return f"{search.n_trials} settings" + (f", at most {whole} epochs" if whole else "")
    ends = [*rounds.rounds, "the end"]
    stages = [f"all {search.n_trials} train to epoch {ends[0]}"]
    for count, end in zip(rounds.places(search.n_trials), ends[1:], strict=True):
        stages.append(f"the best {count} to {end if end == 'the end' else f'epoch {end}'}")
    warmup, epochs = search.settings.get("scheduler.warmup"), max(lengths, default=0)
    caution = ""
    if isinstance(warmup, float) and rounds.rounds[-1] < warmup * epochs:
        caution = (
            f"\nscheduler.warmup={warmup:g}: the rate rises until epoch {warmup * epochs:.0f}, and before its peak the "
            "largest rates look best; let the last of pruner.rounds come after that"
        )
    share = f": {planned(search)} epochs, {planned(search) / whole:.3g} of the {whole} of every setting to its end"
    return f"{search.n_trials} settings: {', '.join(stages)}{share if whole else ''}{caution}"


def preview(search: Search) -> str:
    """What the search would do now, its settings included; nothing is started or written."""
    study = find_study(search.storage, search.name)
    there = [] if study is None else counted(study.get_trials(deepcopy=False))
    finished = sum(trial.state.is_finished() for trial in there)
    lines = [
        f"{search.name} in {search.directory}",
        plan(search),
        f"of these {finished} are finished by now" if study is not None else "nothing of it is begun",
    ]
    if search.points is None:
        lines += ["drawn from:", *(f"  {key}: {distribution}" for key, distribution in search.space.items())]
    else:
        tried = [settings_of(trial) for trial in there]
        lines += [
            f"  {' '.join(f'{key}={value}' for key, value in point.items())}" + (" (begun)" if point in tried else "")
            for point in search.points[: search.n_trials]
        ]
    return "\n".join([*lines, "nothing was started: leave out --dry-run to begin"])


@contextmanager
def session(study: optuna.Study, name: str) -> Iterator[Callable[[], None]]:
    """Record in the study from when to when this process was at work on it, and its CPU seconds.

    Args:
        study: to record it in.
        name: of this process, unlike that of any other.

    Yields:
        what to call now and then: a process that is killed has been at work until its last call.
    """
    begun = written = time.time()

    def write() -> None:
        nonlocal written
        written = time.time()
        study.set_user_attr(f"session {name}", [begun, written, sum(os.times()[:2])])

    try:
        yield lambda: write() if time.time() - written > SESSION else None
    finally:
        write()


def cost_of(search: Search, study: optuna.Study) -> Cost | None:
    """What a search has cost so far; None if its jobs leave no `metrics.csv`, or the epochs in all are not known."""
    trials = [t for t in study.get_trials(deepcopy=False) if not is_orphan(t) and "directory" in t.user_attrs]
    runs = [trained(RunDirectory(search.directory / trial.user_attrs["directory"])) for trial in trials]
    lengths = full_lengths(search)
    if not lengths or not any(epochs for epochs, _ in runs):
        return None
    sessions = [value for name, value in study.user_attrs.items() if name.startswith("session ")]
    per_epoch = [seconds / epochs for epochs, seconds in runs if epochs]
    return Cost(
        epochs=sum(epochs for epochs, _ in runs),
        epochs_of_all=sum(lengths),
        training_seconds=round(sum(seconds for _, seconds in runs), 1),
        training_seconds_of_all=round(sum(lengths) * sum(per_epoch) / len(per_epoch), 1),
        cpu_seconds=round(sum(t.user_attrs.get("cpu_seconds", 0) for t in trials) + sum(s[2] for s in sessions), 1),
        wall_seconds=round(union((begun, ended) for begun, ended, _ in sessions), 1),
    )


def union(intervals: Iterable[tuple[float, float]]) -> float:
    """The length of what the intervals cover together."""
    covered, reached = 0.0, float("-inf")
    for begun, ended in sorted(intervals):
        covered += max(0.0, ended - max(begun, reached))
        reached = max(reached, ended)
    return covered
