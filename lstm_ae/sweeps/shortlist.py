"""A shortlist: every setting trains its first epochs, the best few of them go on, the best of those to the end.

Egele et al. 2023 (arXiv 2307.15422) reach the result of a whole search with a tenth of its epochs in this way.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

import optuna
from optuna.pruners import BasePruner
from optuna.trial import FrozenTrial, TrialState
from pydantic import Field

from lstm_ae.errors import ConfigError
from lstm_ae.spec import Count, Positive, part

POPULATION = "hydra.sweeper.n_trials"  # among the settings of a study: how many settings share its rounds


@dataclass(frozen=True)
class Round:
    """What became of the settings that trained to the end of a round."""

    epochs: int  # at its end
    ranking: list[FrozenTrial]  # those that have reached it, the best first
    goes_on: list[FrozenTrial]  # the best of them, which no other can overtake any more
    left: list[FrozenTrial]  # those that will never go on


@part
class Shortlist(BasePruner):
    """Interrupts every trial at the end of each round; the best go on from their checkpoints, the others are left.

    A trial whose place is certain goes on at once: there is no waiting for settings that cannot overtake it any more.
    A place whose trial fails goes to the next best. What counts in a round is the best value up to its end.

    Args:
        rounds: the epochs at which trials are compared, rising; each trial follows the schedule of its full length.
        keep: how many go on from each round; below 1 the share of all settings, rounded up.

    Raises:
        ConfigError: rounds that do not rise, or another number of rounds than of places.
    """

    def __init__(
        self, rounds: Annotated[list[Count], Field(min_length=1)], keep: Annotated[list[Positive], Field(min_length=1)]
    ) -> None:
        if any(second <= first for first, second in pairwise(rounds)):
            raise ConfigError("pruner.rounds", rounds, "must rise, such as [1,2,4]")
        if len(keep) != len(rounds):
            raise ConfigError("pruner.keep", keep, f"must say how many go on from each of the {len(rounds)} rounds")
        if any(second > first for first, second in pairwise(keep) if (first < 1) == (second < 1)):
            raise ConfigError("pruner.keep", keep, "must not rise, such as [6,1] or [0.3,1]")
        if any(kept > 1 and kept != int(kept) for kept in keep):
            raise ConfigError("pruner.keep", keep, "must be whole numbers, or shares below 1")
        self.rounds = rounds
        self.keep = keep

    def places(self, population: int) -> list[int]:
        """How many of `population` settings go on from each round."""
        places, most = [], population
        for kept in self.keep:
            most = min(most, math.ceil(kept * population) if kept < 1 else int(kept))
            places.append(most)
        return places

    def epochs(self, population: int, full: int) -> int:
        """The epochs of all trials together, if no trial fails; `full` are those of a trial that goes to the end."""
        reached = [population, *self.places(population)]
        ends = [0, *self.rounds, full]
        return sum(count * (end - begin) for count, (begin, end) in zip(reached, pairwise(ends), strict=True))

    def standing(self, study: optuna.Study) -> list[Round]:
        """What became of the trials in each round so far.

        Only what later reports cannot change counts as decided, so it does not matter who asks, or when.
        """
        settings = study.user_attrs.get("settings", {})
        minimize = study.direction.name == "MINIMIZE"
        trials = [trial for trial in study.get_trials(deepcopy=False) if not trial.user_attrs.get("orphan", False)]
        return self.rank(trials, settings.get(POPULATION, len(trials)), minimize)

    def rank(self, trials: Sequence[FrozenTrial], population: int, minimize: bool) -> list[Round]:
        """The rounds of `trials`, of which there will be `population` in the end."""
        sign = 1 if minimize else -1

        def value(trial: FrozenTrial, epochs: int) -> float:
            reported = trial.intermediate_values.items()
            return min((sign * value for step, value in reported if step <= epochs), default=math.inf)

        ends = [*self.rounds, math.inf]
        members = [trial for trial in trials if not fell_out(trial, ends[0])]
        coming = population - sum(fell_out(trial, ends[0]) for trial in trials)
        found = []
        for (end, following), places in zip(pairwise(ends), self.places(population), strict=True):
            ranking = [trial for trial in members if has_reached(trial, end)]
            ranking.sort(key=lambda trial: (value(trial, int(end)), trial.number))
            coming -= len(ranking)  # so many may still reach the end of this round, each better than all the others
            able = [trial for trial in ranking if not fell_out(trial, following)]
            members = able[:places]
            there = sum(has_reached(trial, following) for trial in members)
            decided = coming == 0 and there == min(places, len(able))
            going = {trial.number for trial in members}
            left = [trial for trial in ranking if trial.number not in going] if decided else []
            found.append(Round(int(end), ranking, able[: max(0, places - coming)], left))
            coming = min(places, len(able) + coming)
        return found

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Whether the trial's job has to end for now: at the end of a round, unless its place is certain already."""
        for reached in self.standing(study):
            if reached.epochs == trial.last_step:
                return trial.number not in {other.number for other in reached.goes_on}
        return False


def has_reached(trial: FrozenTrial, epochs: float) -> bool:
    """Whether a trial has trained so many epochs, or all it ever will."""
    return trial.state == TrialState.COMPLETE or (trial.last_step is not None and trial.last_step >= epochs)


def fell_out(trial: FrozenTrial, epochs: float) -> bool:
    """Whether a trial failed before it had trained so many epochs."""
    return trial.state == TrialState.FAIL and not has_reached(trial, epochs)


def is_paused(trial: FrozenTrial) -> bool:
    """Whether a trial waits between two rounds, with no process at work on it."""
    return trial.state == TrialState.RUNNING and trial.user_attrs.get("paused", False)
