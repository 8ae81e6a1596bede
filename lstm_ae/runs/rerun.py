"""The verdict on a run that was trained again: whether it gave the same numbers, and what was different if not."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from lstm_ae.errors import UserError
from lstm_ae.runs.directory import RunDirectory

# Of two values that only rounding sets apart. Rounding grows from step to step, so a long training needs the room.
ROUNDING = 1e-3
CIRCUMSTANCES = (
    "git_commit", "git_dirty", "versions", "processor", "device", "backend", "threads", "allow", "data",
)  # fmt: skip

EQUAL, CLOSE, DIFFERENT = "equal to the last bit", "equal within rounding", "different"


class Difference(NamedTuple):
    """A number that is not what it was."""

    where: str  # "epoch 3", "fold 1, epoch 3" or "the test"
    metric: str
    then: float | None
    now: float | None

    def is_rounding(self) -> bool:
        """Whether both are numbers that are nearly the same."""
        return None not in (self.then, self.now) and math.isclose(self.then or 0, self.now or 0, rel_tol=ROUNDING,
                                                                 abs_tol=ROUNDING**2)  # fmt: skip

    def __str__(self) -> str:
        return f"{self.metric} in {self.where}: {self.then} then, {self.now} now"


def verdict(before: RunDirectory, now: RunDirectory) -> dict[str, Any]:
    """Compare a run with the one that it trained again.

    Args:
        before: the earlier one. Of a run that was not trained to its end, the epochs that it has are compared.
        now: the later one.

    Returns:
        `of` (the earlier directory), `verdict`, `first_difference` (null, or where and what), and `circumstances`:
        what the runs were made with, where that differs: name -> [then, now].

    Raises:
        UserError: the earlier run has no numbers to compare with.
    """
    found = list(differences(before, now))
    serious = [difference for difference in found if not difference.is_rounding()]
    word = DIFFERENT if serious else CLOSE if found else EQUAL
    first = next(iter(serious or found), None)
    return {
        "of": str(before.path),
        "verdict": word,
        "first_difference": None if first is None else str(first),
        "circumstances": circumstances(before, now),
    }


def differences(before: RunDirectory, now: RunDirectory, prefix: str = "") -> Iterator[Difference]:
    """What differs: epoch by epoch, then the test; fold by fold where there are folds.

    Raises:
        UserError: the earlier run has no numbers to compare with.
    """
    folds = sorted(before.folds.glob("*/"))
    for fold in folds:
        yield from differences(RunDirectory(fold), RunDirectory(now.folds / fold.name), f"fold {fold.name}, ")
    old, new = history(before), history(now)
    if not old and not folds:
        raise UserError(f"{before.path}: no numbers there to compare with: no metrics.csv and no checkpoint")
    for then, here in zip(old, new, strict=False):
        yield from unequal(f"{prefix}epoch {then['epoch']:.0f}", then, here)
    summaries = [run.read_summary() for run in (before, now)]
    if all(summary.get("status") == "completed" for summary in summaries):
        for group in ("test", "baselines"):
            yield from unequal(f"{prefix}the test", *(dict(summary.get(group) or {}) for summary in summaries))


def unequal(where: str, then: dict[str, float], now: dict[str, float]) -> Iterator[Difference]:
    """The metrics that have another value, or are on one side only."""
    for name in dict.fromkeys([*then, *now]):
        one, other = then.get(name), now.get(name)
        both_nan = one != one and other != other
        if name != "seconds" and one != other and not both_nan:
            yield Difference(where, name, one, other)


def history(run: RunDirectory) -> list[dict[str, float]]:
    """The epochs of a run, from its metrics.csv or else its last checkpoint; empty where neither can be read."""
    from lstm_ae.training import checkpoint

    try:
        return run.read_metrics() or checkpoint.load(run.checkpoints / "last.pt")["history"]
    except UserError:
        try:
            return checkpoint.load(run.checkpoints / "last.pt")["history"]
        except UserError:
            return []


def circumstances(before: RunDirectory, now: RunDirectory) -> dict[str, list[Any]]:
    """What two runs were made with, where that differs: name -> [then, now]."""

    def of(run: RunDirectory) -> dict[str, Any]:
        summary = run.read_summary()
        flat = {name: summary.get(name) for name in CIRCUMSTANCES if name != "versions"}
        versions = summary.get("versions")
        return flat | (dict(versions) if isinstance(versions, dict) else {})

    then, here = of(before), of(now)
    return {name: [then.get(name), here.get(name)] for name in then | here if then.get(name) != here.get(name)}


def brief(value: Any) -> str:
    """A value for a line of a message; of a long list of files the number."""
    return f"{len(value)} files" if isinstance(value, list) and len(value) > 3 else str(value)


def told(found: dict[str, Any]) -> str:
    """The verdict as a few lines."""
    lines = [f"compared with {found['of']}: {found['verdict']}"]
    if found["first_difference"]:
        lines.append(f"the first difference: {found['first_difference']}")
    for name, (then, here) in found["circumstances"].items():
        lines.append(f"  {name}: {brief(then)} then, {brief(here)} now")
    return "\n".join(lines)
