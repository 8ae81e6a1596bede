"""How much each setting matters, from the runs alone."""

import math
from collections.abc import Sequence
from typing import Any

import optuna

from lstm_ae.errors import UserError
from lstm_ae.runs.records import RunRecord, is_number
from lstm_ae.runs.table import cell

MIN_RUNS = 4  # a random forest on fewer says nothing


def importances(runs: Sequence[RunRecord], keys: Sequence[str], objective: str, mode: str) -> dict[str, float]:
    """The share of the objective's variance that each key explains: fANOVA (Hutter, Hoos, Leyton-Brown 2014).

    Only completed runs count: a pruned one was measured earlier in its training than the others.

    Returns:
        key -> share, the largest first; they sum to 1.

    Raises:
        UserError: too few runs, or nothing differs between them.
    """
    measured = [
        run for run in runs if run.status == "completed" and math.isfinite(run.metrics.get(objective, math.nan))
    ]
    distributions = {key: found for key in keys if (found := distribution([run.values.get(key) for run in measured]))}
    if len(measured) < MIN_RUNS or not distributions:
        raise UserError(
            f"importances need {MIN_RUNS} completed runs and a setting that differs; here: {len(measured)} runs"
        )
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="minimize" if mode == "min" else "maximize")
    study.add_trials(
        [
            optuna.create_trial(
                params={key: parameter(run.values.get(key), distributions[key]) for key in distributions},
                distributions=distributions,
                value=run.metrics[objective],
            )
            for run in measured
        ]
    )
    if len({run.metrics[objective] for run in measured}) == 1:
        return dict.fromkeys(distributions, 0.0)
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    return optuna.importance.get_param_importances(study, evaluator=evaluator)


def distribution(values: Sequence[Any]) -> optuna.distributions.BaseDistribution | None:
    """What the values of a setting look drawn from; None if they do not differ."""
    if all(is_number(value) and math.isfinite(value) for value in values):
        low, high = min(values, default=0), max(values, default=0)
        return optuna.distributions.FloatDistribution(low, high, log=is_logarithmic(values)) if low < high else None
    texts = sorted({cell(value) or "null" for value in values})
    return optuna.distributions.CategoricalDistribution(texts) if len(texts) > 1 else None


def parameter(value: Any, kind: optuna.distributions.BaseDistribution) -> float | str:
    """A setting's value as a trial of Optuna holds it."""
    return float(value) if isinstance(kind, optuna.distributions.FloatDistribution) else cell(value) or "null"


def is_logarithmic(values: Sequence[float]) -> bool:
    """Whether numbers spread so far that only a logarithmic scale shows them apart."""
    return min(values) > 0 and max(values) / min(values) >= 10
