"""How much each setting matters, from the runs alone."""

from collections.abc import Sequence

import numpy as np
import optuna
import pandas as pd
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from lstm_ae.errors import UserError
from lstm_ae.metrics import Better
from lstm_ae.runs.table import cell

MIN_RUNS = 4  # a random forest on fewer says nothing


def importances(runs: pd.DataFrame, keys: Sequence[str], objective: str, mode: Better) -> dict[str, float]:
    """The share of the objective's variance that each key explains: fANOVA (Hutter, Hoos, Leyton-Brown 2014).

    Only completed runs count: a pruned one was measured earlier in its training than the others.

    Args:
        runs: rows of `load_runs`.
        keys: settings.
        objective: a metric.
        mode: which of its values is the best.

    Returns:
        key -> share, the largest first; they sum to 1.

    Raises:
        UserError: too few runs, or nothing differs between them.
    """
    values = runs.get(objective, pd.Series(np.nan, runs.index)).astype(float)
    completed = runs[(runs["status"] == "completed") & np.isfinite(values)]
    parameters = {key: column for key in keys if (column := as_parameter(completed[key])).nunique() > 1}
    if len(completed) < MIN_RUNS or not parameters:
        raise UserError(
            f"importances need {MIN_RUNS} completed runs and a setting that differs; here: {len(completed)} runs"
        )
    if completed[objective].nunique() == 1:
        return dict.fromkeys(parameters, 0.0)
    spaces = {key: distribution(column) for key, column in parameters.items()}
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="minimize" if mode == "min" else "maximize")
    study.add_trials(
        optuna.create_trial(params=point, distributions=spaces, value=float(value))
        for point, value in zip(pd.DataFrame(parameters).to_dict("records"), completed[objective], strict=True)
    )
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    shares = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {key: float(share) for key, share in shares.items()}


def as_parameter(column: pd.Series) -> pd.Series:
    """The values of a setting as a trial of Optuna holds them: numbers where all are, else texts."""
    if is_numeric(column):
        return column.astype(float)
    return column.map(lambda value: cell(value) or "null")


def distribution(column: pd.Series) -> BaseDistribution:
    """What the values of a setting look drawn from."""
    if is_numeric(column):
        return FloatDistribution(column.min(), column.max(), log=is_logarithmic(column))
    return CategoricalDistribution(sorted(column.unique()))


def is_numeric(column: pd.Series) -> bool:
    """Whether every value is a finite number; true and false are none."""
    numbers = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    return numbers and bool(np.isfinite(column).all())


def is_logarithmic(values: pd.Series) -> bool:
    """Whether numbers spread so far that only a logarithmic scale shows them apart."""
    return bool(values.min() > 0 and values.max() / values.min() >= 10)
