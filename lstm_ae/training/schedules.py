"""Learning-rate schedules: factors on the optimizer's own rate.

All but `Plateau` are functions of progress alone, in [0, 1) over the whole run. They keep no state, so that a resumed
run with more epochs simply follows the longer curve.
"""

import math
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from lstm_ae.spec import Fraction, Share, part


@part
@dataclass
class Schedule:
    """A linear warm-up over the first `warmup` of the run, then `shape`; the base shape is constant."""

    warmup: Fraction = 0.0

    def factor(self, progress: float) -> float:
        """What to multiply the optimizer's learning rate by at `progress` in [0, 1)."""
        if progress < self.warmup:
            return progress / self.warmup
        return self.shape((progress - self.warmup) / (1 - self.warmup))

    def shape(self, progress: float) -> float:
        """The factor after the warm-up, `progress` counted from there."""
        return 1.0

    def observe(self, improved: bool) -> None:
        """Told after each epoch whether the monitored metric was the best so far."""

    def state_dict(self) -> dict[str, float]:
        """What a resumed run must restore."""
        return {}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Restores what `state_dict` gave."""


@part
@dataclass
class Cosine(Schedule):
    """Half a cosine from 1 to `final` (Loshchilov and Hutter 2017, without restarts)."""

    final: Share = 0.0

    def shape(self, progress: float) -> float:
        """The cosine at `progress`."""
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * progress)) / 2


@part
@dataclass
class OneCycle(Cosine):
    """A cosine rise from 1/25 to 1 over the first `warmup`, then a cosine fall to `final` (Smith and Topin 2018)."""

    def factor(self, progress: float) -> float:
        """The cycle at `progress`."""
        if progress < self.warmup:
            return 1 - (1 - 1 / 25) * (1 + math.cos(math.pi * progress / self.warmup)) / 2
        return super().factor(progress)


@part
class Plateau(Schedule):
    """Multiplies by `factor` whenever the monitored metric has not improved for more than `plateau_patience` epochs."""

    def __init__(
        self,
        warmup: Fraction,
        factor: Annotated[float, Field(gt=0, lt=1)],
        plateau_patience: Annotated[int, Field(ge=0)],
    ) -> None:
        super().__init__(warmup)
        self.decay = factor
        self.plateau_patience = plateau_patience
        self.current = 1.0
        self.stale = 0

    def shape(self, progress: float) -> float:
        """The current factor, whatever the progress."""
        return self.current

    def observe(self, improved: bool) -> None:
        """Counts the epochs without an improvement and lowers the factor when there were too many."""
        self.stale = 0 if improved else self.stale + 1
        if self.stale > self.plateau_patience:
            self.current, self.stale = self.current * self.decay, 0

    def state_dict(self) -> dict[str, float]:
        """The current factor and the epochs without an improvement."""
        return {"current": self.current, "stale": self.stale}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Restores what `state_dict` gave."""
        self.current, self.stale = state["current"], int(state["stale"])
