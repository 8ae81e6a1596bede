"""What a search has found: its trials in a line each, the best of them, and how the best did again."""

import json
import logging
from dataclasses import asdict
from datetime import timedelta
from statistics import fmean, stdev
from typing import Any

import optuna
from omegaconf import OmegaConf
from optuna.trial import FrozenTrial, TrialState

from lstm_ae.errors import UserError
from lstm_ae.files import write_whole
from lstm_ae.runs.cost import COST
from lstm_ae.runs.directory import RunDirectory
from lstm_ae.sweeps.claiming import failures, is_orphan
from lstm_ae.sweeps.cost import cost_of
from lstm_ae.sweeps.search import Search

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)

log = logging.getLogger(__name__)


def finished(study: optuna.Study) -> list[FrozenTrial]:
    """The finished trials in the order of their numbers, orphans left out."""
    return [trial for trial in study.get_trials(deepcopy=False, states=FINISHED) if not is_orphan(trial)]


def line(trial: FrozenTrial, search: Search) -> str:
    """One finished trial in one line."""
    seconds = (trial.duration or timedelta()).total_seconds()
    settings = " ".join(f"{name}={value}" for name, value in trial.params.items())
    if trial.state == TrialState.COMPLETE:
        outcome = "  ".join(f"{name} {value:.6g}" for name, value in zip(search.metrics, trial.values, strict=True))
    elif trial.state == TrialState.RUNNING and trial.last_step is not None:
        value = trial.intermediate_values[trial.last_step]
        outcome = f"{next(iter(search.metrics))} {value:.6g} after epoch {trial.last_step}"
    elif trial.state == TrialState.PRUNED:
        outcome = f"pruned after epoch {trial.last_step}"
    else:
        outcome = f"failed: {trial.user_attrs.get('reason', 'no reason known')}"
    took = f"  {seconds:.1f} s" if trial.duration is not None else ""
    return f"{trial.user_attrs.get('directory', trial.number)}: {outcome}  {settings}{took}"


def conclude(search: Search, study: optuna.Study) -> None:
    """Report what the study found, and write it to `optimization_results.yaml` as Hydra's sweeper does.

    Raises:
        UserError: too many trials failed, or none is complete.
    """
    trials = finished(study)
    done = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    counts = {state.name.lower(): sum(trial.state == state for trial in trials) for state in FINISHED}
    log.info("%s", ", ".join(f"{count} {name}" for name, count in counts.items()))
    if len(failures(trials)) > search.max_failures or not done:
        raise UserError(failure_report(search, trials))
    for row in revalidation_table(done, search) if search.config.get("revalidate") is not None else ():
        log.info("%s", row)
    if len(search.metrics) == 1:
        best = study.best_trial
        results: dict[str, Any] = {"name": "optuna", "best_params": best.params, "best_value": best.value}
        log.info("best: %s", line(best, search))
        log.info("its run: %s", search.directory / best.user_attrs["directory"])
    else:
        front = sorted(study.best_trials, key=lambda trial: trial.values)
        best = front[0]
        results = {"name": "optuna", "solutions": [{"params": t.params, "values": list(t.values)} for t in front]}
        log.info("Pareto front of %s:", " and ".join(search.metrics))
        for trial in front:
            log.info("  %s", line(trial, search))
    write_whole(search.directory / "optimization_results.yaml", OmegaConf.to_yaml(OmegaConf.create(results)))
    cost = cost_of(search, study)
    if cost is not None:
        write_whole(search.directory / COST, json.dumps(asdict(cost), indent=2) + "\n")
        log.info("cost: %s", cost)
    if RunDirectory(search.directory / best.user_attrs["directory"]).summary.is_file():  # else: another program's runs
        log.info("compare its runs: python -m lstm_ae.compare %s", search.directory)


def failure_report(search: Search, trials: list[FrozenTrial]) -> str:
    """Why the search counts as failed, and what can be done."""
    failed = failures(trials)
    too_many = len(failed) > search.max_failures
    rate = f"hydra.sweeper.max_failure_rate={search.max_failure_rate:g} of {search.n_trials}"
    why = f"{rate} allows {search.max_failures}" if too_many else "none is complete"
    reasons = "\n".join(f"  {line(trial, search)}" for trial in failed[-5:])
    again = "To go on all the same: hydra.sweeper.max_failure_rate=1; for" if too_many else "For"
    return (
        f"{len(failed)} of {len(trials)} trials failed; {why}. The last:\n{reasons}\n"
        f"Their logs: {search.directory}/*/*.log. {again} a fresh start: study_name=..."
    )


def revalidation_table(done: list[FrozenTrial], search: Search) -> list[str]:
    """The settings that were trained again, best first, each with mean and standard deviation (n - 1) over its runs."""
    groups: dict[str, list[FrozenTrial]] = {}
    for trial in done:
        name = " ".join(f"{key}={value}" for key, value in trial.params.items() if key not in search.repeat_keys)
        groups.setdefault(name, []).append(trial)
    sign = 1 if search.directions[0] == "minimize" else -1
    rows = []
    for name, trials in sorted(groups.items(), key=lambda group: sign * fmean(trial.values[0] for trial in group[1])):
        for metric, values in zip(search.metrics, zip(*(trial.values for trial in trials), strict=True), strict=True):
            spread = f" +- {stdev(values):.3g}" if len(values) > 1 else ""
            rows.append(f"{metric} {fmean(values):.6g}{spread} over {len(values)} run(s): {name}")
    return rows
