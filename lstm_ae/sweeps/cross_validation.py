"""k-fold cross-validation as one job: every fold a run of its own, the mean as the result (report C)."""

import logging
from collections.abc import Callable
from statistics import fmean, pstdev
from typing import Any

from omegaconf import DictConfig, OmegaConf

from lstm_ae.errors import Pruned
from lstm_ae.files import write_whole
from lstm_ae.runs.directory import RunDirectory
from lstm_ae.sweeps.trial import History

log = logging.getLogger(__name__)

Train = Callable[[DictConfig, RunDirectory, Callable[[History], None] | None], float | list[float]]


def cross_validate(
    train: Train, config: DictConfig, directory: RunDirectory, report_to: Callable[[History], None] | None
) -> float | list[float]:
    """Train `config.cross_validation` folds into `directory`/folds/0, 1, ... and return the mean of their results.

    Each fold's directory is a run directory: its config says which fold it is, and the commands open it like any run.
    The summary of `directory` holds the means, the standard deviations over the folds, and each fold's own result.
    Going on, folds that are complete are kept.

    Args:
        train: trains one run.
        config: of the whole.
        directory: of the whole.
        report_to: gets the history of the first fold. A pruner then compares trials on the same data, and a bad one
            costs a part of one fold.

    Raises:
        Pruned: by `report_to`.
        UserError: as `train` does.
    """
    results, summaries = [], []
    for fold in range(config.cross_validation):
        run = RunDirectory(directory.folds / str(fold))
        if run.read_summary().get("status") != "completed":
            log.info("fold %d of %d", fold + 1, config.cross_validation)
            own = fold_config(config, fold, resume=run.can_resume() and run.config.is_file())
            run.config.parent.mkdir(parents=True, exist_ok=True)
            if not run.config.is_file():
                write_whole(run.config, OmegaConf.to_yaml(own))
            with run.recording():
                try:
                    train(own, run, report_to if fold == 0 else None)
                except Pruned:
                    directory.update_summary(**{key: run.read_summary()[key] for key in ("monitor", "best", "seconds")})
                    raise
        summaries.append(run.read_summary())
        results.append(summaries[-1]["best"])

    best = [fmean(values) for values in zip(*results, strict=True)] if isinstance(results[0], list) else fmean(results)
    spread = None if isinstance(best, list) else pstdev(results)
    directory.update_summary(
        status="completed",
        **{key: summaries[0][key] for key in ("monitor", "parameters", "device")},
        best=best,
        best_std=spread,
        test=means(summaries, "test"),
        baselines=means(summaries, "baselines"),
        seconds=round(sum(summary["seconds"] for summary in summaries), 1),
        folds=[
            {"fold": fold, "best": summary["best"], "best_epoch": summary["best_epoch"], "test": summary["test"]}
            for fold, summary in enumerate(summaries)
        ],
    )
    log.info("mean of %s over %d folds: %s%s", summaries[0]["monitor"], len(results), best,
             "" if spread is None else f" +- {spread:.3g}")  # fmt: skip
    return best


def fold_config(config: DictConfig, fold: int, resume: bool) -> DictConfig:
    """The config of one fold."""
    own = OmegaConf.masked_copy(config, list(config))
    OmegaConf.update(own, "dataset.num_folds", config.cross_validation, force_add=True)
    OmegaConf.update(own, "dataset.fold", fold, force_add=True)
    own.cross_validation = None
    own.resume = "." if resume else None
    return own


def means(summaries: list[dict[str, Any]], part: str) -> dict[str, float]:
    """The mean of each metric of a part of the summaries."""
    return {name: fmean(summary[part][name] for summary in summaries) for name in summaries[0][part]}
