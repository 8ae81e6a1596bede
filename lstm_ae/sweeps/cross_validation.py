"""k-fold cross-validation as one job: each fold is a run of its own, and their mean is the result (report C)."""

import logging
from collections.abc import Iterator
from statistics import fmean, pstdev
from typing import Any

from omegaconf import DictConfig, OmegaConf

from lstm_ae.errors import ConfigError
from lstm_ae.files import write_whole
from lstm_ae.runs.directory import RunDirectory

SHARED = ("monitor", "parameters", "device", "backend", "leaky")  # fields of a summary that all folds have in common

log = logging.getLogger(__name__)


def pending_folds(config: DictConfig, directory: RunDirectory) -> Iterator[tuple[int, DictConfig, RunDirectory]]:
    """The folds that are still to be trained: those that are complete are left out, those that began resume.

    Each is a run of its own in `directory`/folds/0, 1, ...: its config says which fold it is, and the commands open it
    like any other run.

    Args:
        config: of the whole; `cross_validation` folds.
        directory: of the whole.

    Yields:
        The number of the fold, its config, and its run directory.

    Raises:
        ConfigError: the data set cannot be split into folds, or is already one of them.
    """
    for key in ("num_folds", "fold"):
        if key not in config.dataset:
            raise ConfigError(
                "cross_validation", config.cross_validation, f"this data set has no folds (no key dataset.{key})"
            )
    if config.dataset.num_folds is not None:
        raise ConfigError("dataset.num_folds", config.dataset.num_folds, "cross_validation makes the folds; remove it")
    for fold in range(config.cross_validation):
        run = RunDirectory(directory.folds / str(fold))
        if run.read_summary().get("status") == "completed":
            continue
        log.info("fold %d of %d", fold + 1, config.cross_validation)
        own = OmegaConf.masked_copy(config, list(config))
        own.dataset.num_folds, own.dataset.fold = config.cross_validation, fold
        own.cross_validation = None
        own.resume = "." if run.can_resume() and run.config.is_file() else None
        run.config.parent.mkdir(parents=True, exist_ok=True)
        if not run.config.is_file():
            write_whole(run.config, OmegaConf.to_yaml(own))
        yield fold, own, run


def summarize_folds(config: DictConfig, directory: RunDirectory) -> float | list[float]:
    """Write the means over the folds into the summary of `directory`, and return the mean of their results.

    The summary also holds the standard deviation over the folds (n) and each fold's own result.

    Args:
        config: of the whole.
        directory: of the whole; every fold in it is complete.
    """
    folds = [RunDirectory(directory.folds / str(fold)).read_summary() for fold in range(config.cross_validation)]
    results = [fold["best"] for fold in folds]
    two = isinstance(results[0], list)
    best = [fmean(values) for values in zip(*results, strict=True)] if two else fmean(results)
    spread = [pstdev(values) for values in zip(*results, strict=True)] if two else pstdev(results)
    directory.update_summary(
        status="completed",
        **{key: folds[0][key] for key in SHARED if key in folds[0]},
        best=best,
        best_std=spread,
        test=means(folds, "test"),
        baselines=means(folds, "baselines"),
        seconds=round(sum(fold["seconds"] for fold in folds), 1),
        folds=[{"fold": i, **{key: own[key] for key in ("best", "best_epoch", "test")}} for i, own in enumerate(folds)],
    )
    log.info("mean of %s over %d folds: %s +- %s", folds[0]["monitor"], len(folds), best, spread)
    return best


def means(summaries: list[dict[str, Any]], part: str) -> dict[str, float]:
    """The mean of each metric in a part of the summaries, `test` or `baselines`."""
    return {name: fmean(summary[part][name] for summary in summaries) for name in summaries[0][part]}
