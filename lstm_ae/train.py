"""Train one model: compose the config, build its parts, fit, report.

python -m lstm_ae.train [overrides]      one run
python -m lstm_ae.train -m [overrides]   a sweep
python -m lstm_ae.train resume=RUN_DIR   go on where a run stopped
python -m lstm_ae.train rerun=RUN_DIR    the same again in a new directory, and whether the numbers are the same
"""

from lstm_ae.stopping import stop_on_signals

if __name__ == "__main__":
    stop_on_signals(at_once=False)  # already now: the imports below take a second or two

import logging
import re
import shlex
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.types import RunMode
from omegaconf import DictConfig, ListConfig, OmegaConf

from lstm_ae.config import CONF
from lstm_ae.config.ignored import refuse_ignored, without_effect
from lstm_ae.config.rules import GROUPS, validate_config
from lstm_ae.config.saving import settle
from lstm_ae.config.size import check_size
from lstm_ae.console import run_command, write_for_terminals
from lstm_ae.errors import Pruned, UserError
from lstm_ae.files import write_whole
from lstm_ae.metrics import monitored
from lstm_ae.runs import tracking
from lstm_ae.runs.directory import RunDirectory
from lstm_ae.runs.rerun import DIFFERENT, told, verdict
from lstm_ae.runs.resume import further_overrides, reopened
from lstm_ae.stopping import stop_if_asked
from lstm_ae.sweeps.cross_validation import pending_folds, summarize_folds
from lstm_ae.sweeps.plugin import StudySweeper
from lstm_ae.sweeps.trial import PRUNED, History, reporter
from lstm_ae.training.process_settings import subnormals_flushed

if TYPE_CHECKING:
    from lstm_ae.data.sequence_data import SequenceData
    from lstm_ae.models.autoencoder import Autoencoder
    from lstm_ae.training.objective import Objective

log = logging.getLogger(__name__)

CLAIM = "lstm_ae.runs.claim.Claim"  # the callback of conf/config.yaml: all that Hydra itself may make, beside trackers


def train(
    config: DictConfig, directory: RunDirectory, report_to: Callable[[History], None] | None = None
) -> float | list[float]:
    """Train what `config` says, leave everything in `directory`, and return the best value of `monitor`.

    With `config.resume`, the training goes on from the directory's last checkpoint. Test data is touched once, at the
    end, with the checkpoint that validation chose.

    Args:
        config: the composed config.
        directory: the run directory.
        report_to: gets the history after each epoch, and may end the run by raising `Pruned`.

    Returns:
        the value at the best epoch; of two monitors a list, both at the best epoch of the first.

    Raises:
        Pruned: `report_to` has seen enough.
        UserError: a setting or a file that cannot be used, or a loss that is no longer a number.
    """
    validate_config(config)
    refuse_ignored(config)
    from lstm_ae.config import build  # late, as all that needs torch: printing a config must not wait for it
    from lstm_ae.kernels import choose_backend, use_backend

    device = build.prepare_process(config)
    data = build.build_data(config, device)
    stop_if_asked()
    if data.trim:
        from lstm_ae.config.trimming import FIRST_PASS, trimmed

        data = trimmed(config, data, directory.path / FIRST_PASS)
    batch = min(data.batch_size, len(data.train))
    check_size(config, data.spec.length, data.spec.input_features, batch)
    model = build.build_model(config, data.spec, data.train)
    if config.get("weights") and config.resume is None:
        build.take_weights(model, RunDirectory(config.weights).checkpoints / "best.pt")
    model.to(device)
    backend = choose_backend(config.backend, device)
    use_backend(model, backend)
    objective = build.build_objective(config)
    training = build.build_training(config, model)
    record_start(config, directory, model, data, backend)

    def report(history: History) -> None:
        tracking.report(directory, history)
        if report_to is not None:
            try:
                report_to(history)
            except Pruned:
                directory.update_summary(**outcome(config, history))
                raise

    history = build.build_trainer(config).fit(
        model,
        objective,
        data,
        **training,
        directory=directory.checkpoints,
        description=build.description(data),
        resume=config.resume is not None,
        on_epoch=directory.write_metrics,
        on_kept=report,
    )
    return finish(config, directory, model, objective, data, history)


def record_start(
    config: DictConfig, directory: RunDirectory, model: "Autoencoder", data: "SequenceData", backend: str
) -> None:
    """Log and write down what is about to be trained, on what, by whom.

    Raises:
        UserError: a resumed run whose data has changed.
    """
    import torch

    from lstm_ae.config.build import device_name
    from lstm_ae.data.sequence_data import fingerprint
    from lstm_ae.kernels import describe

    spec = data.spec
    parameters = sum(weights.numel() for weights in model.parameters())
    log.info("%s: %d / %d / %d sequences of %s x %d to train / validate / test", spec.name, len(data.train),
             len(data.val), len(data.test), spec.steps_in_words, spec.features)  # fmt: skip
    if spec.leaky:
        log.warning("leaky: %s; what is measured here is no forecast of anything unseen", ", ".join(spec.leaky))
    log.info("%d parameters on %s; LSTM layers by %s", parameters, device_name(data.train.inputs.device),
             describe(backend))  # fmt: skip
    if model.encoder.context_size >= spec.length * spec.features:
        log.info("the context has %d numbers, and a sequence %d values: nothing has to be compressed; a smaller "
                 "model.hidden_size would", model.encoder.context_size, spec.length * spec.features)  # fmt: skip
    for sentence in without_effect(config):
        log.warning("%s", sentence)
    log.info("run directory %s", directory.path)
    before = directory.read_summary().get("backend")
    if config.resume is not None and before not in (None, describe(backend)):
        log.warning("this run was begun with backend %s: its numbers will differ in their last decimals", before)
    found = fingerprint(data)
    for asked in ("resume", "rerun"):
        if config.get(asked) is not None and config.get("cross_validation") is None:
            (directory if asked == "resume" else RunDirectory(config[asked])).check_data(found, asked)
    directory.update_summary(
        monitor=OmegaConf.to_object(config.monitor) if isinstance(config.monitor, ListConfig) else config.monitor,
        parameters=parameters,
        device=device_name(data.train.inputs.device),
        backend=describe(backend),
        threads=torch.get_num_threads(),
        data=found,
        **({"leaky": list(spec.leaky)} if spec.leaky else {}),
        **({"weights": str(config.weights)} if config.get("weights") else {}),
    )


def outcome(config: DictConfig, history: History) -> dict[str, Any]:
    """The best epoch by the (first) monitor, the monitors' values there, and the seconds trained."""
    from lstm_ae.training.trainer import best_row

    monitors = monitored(config.monitor, config.mode)
    first = next(iter(monitors))
    best = best_row(history, first, monitors[first])
    return {
        "best_epoch": best["epoch"],
        "best": best[first] if isinstance(config.monitor, str) else [best[name] for name in monitors],
        "seconds": round(sum(row["seconds"] for row in history), 1),
    }


def finish(
    config: DictConfig,
    directory: RunDirectory,
    model: "Autoencoder",
    objective: "Objective",
    data: "SequenceData",
    history: History,
) -> float | list[float]:
    """Measure the best checkpoint on the test part, write that down, then draw; returns the best value(s)."""
    from lstm_ae.evaluation.measure import evaluate
    from lstm_ae.evaluation.table import results_table
    from lstm_ae.figures.run import draw_run, run_title
    from lstm_ae.training.checkpoint import load, load_weights

    reached = outcome(config, history)
    best_file = directory.checkpoints / "best.pt"
    load_weights(best_file, load(best_file), model)
    result = evaluate(model, objective, data)
    directory.update_summary(status="completed", test=result.test, baselines=result.baselines, **reached)
    best = history[int(reached["best_epoch"]) - 1]
    values = ", ".join(f"{name} {best[name]:.6g}" for name in monitored(config.monitor, config.mode))
    log.info("best %s at epoch %d of %d", values, reached["best_epoch"], len(history))
    log.info("on the test part:\n%s", results_table(result.test, result.baselines))
    stop_if_asked()
    title = run_title(config, data.spec)
    figures = draw_run(directory.figures, title, data, history, reached["best_epoch"], result.output, result.naive)
    log.info("figures: %s", "  ".join(path.name for path in figures))
    log.info("look at them in %s", directory.figures)
    return reached["best"]


@hydra.main(config_path=CONF, config_name="config", execution_whitelist=(CLAIM, *tracking.TARGETS))
def hydra_main(config: DictConfig) -> float | list[float] | str:
    """What Hydra calls, once per job, with the job's config."""
    job = HydraConfig.get()
    multirun = job.mode == RunMode.MULTIRUN
    directory = RunDirectory(job.runtime.output_dir)
    stop_on_signals()
    write_for_terminals()
    changed = None if config.get("resume") is None else further_overrides(directory, job.overrides.task)
    try:
        with directory.recording(resumed_with=changed, keep_failed=multirun), subnormals_flushed():
            if settle(config) and changed is None and directory.config.is_file():
                write_whole(directory.config, OmegaConf.to_yaml(config))
            best = train_folds(config, directory, changed or [], keep_failed=multirun)
        if config.get("rerun") is not None:
            judge(RunDirectory(config.rerun), directory)
        return best
    except Pruned as pruned:
        log.info("%s", pruned)
        return PRUNED
    except KeyboardInterrupt:
        if directory.can_resume():
            again = shlex.join(["python", "-m", "lstm_ae.train", f"resume={directory.path}", *(changed or [])])
            log.warning("stopped; go on with: %s", again)
        raise
    except UserError as error:
        if multirun:
            log.error("%s", error)
        raise


def train_folds(
    config: DictConfig, directory: RunDirectory, changed: list[str], keep_failed: bool
) -> float | list[float]:
    """Train what `config` says: one split, or each fold of a cross-validation in a directory of its own."""
    validate_config(config)
    refuse_ignored(config)
    report = reporter(config)
    if config.get("cross_validation") is None:
        return train(config, directory, report)
    for fold, own, run in pending_folds(config, directory):
        with run.recording(resumed_with=None if own.resume is None else changed, keep_failed=keep_failed):
            train(own, run, report if fold == 0 else None)  # a pruner compares trials on the same fold
    return summarize_folds(config, directory)


def judge(before: RunDirectory, directory: RunDirectory) -> None:
    """Compare a run with the one that it repeats, and write the verdict into its summary.

    Raises:
        UserError: the numbers are different.
    """
    found = verdict(before, directory)
    directory.update_summary(rerun=found)
    if found["verdict"] == DIFFERENT:
        raise UserError(told(found))
    log.info("%s", told(found))


def refuse_unreadable(arguments: list[str]) -> None:
    """Refuse what Hydra would end in a traceback for.

    Raises:
        UserError: an override without a key, or a group that is set to something else than a name.
    """
    for argument in arguments:
        key, _, value = argument.lstrip("+").partition("=")
        if not key:
            raise UserError(f"{argument}: an override is KEY=VALUE, such as model.hidden_size=8")
        if (key in GROUPS or "/" in key) and re.fullmatch(r"null|true|false|[-+.\de]+", value):
            raise UserError(f"{argument}: a group is set to the name of one of its options (--help lists them)")


def main() -> None:
    """The command."""

    def command() -> None:
        refuse_unreadable(sys.argv[1:])
        given = [a for a in sys.argv[1:] if a not in ("sweep=null", "experiment=null")]  # Hydra refuses null
        if any(a.startswith("sweep=") for a in given) and not any(a.startswith("-") for a in given):
            raise UserError("sweep=... is a search; start it with -m: python -m lstm_ae.train -m sweep=...")
        Plugins.instance().register(StudySweeper)
        if "--dry-run" in given:
            if not any(a.startswith("sweep=") for a in given):
                raise UserError("--dry-run says what a search would run: add -m sweep=...")
            given = [a if a != "--dry-run" else "hydra.sweeper.dry_run=true" for a in given]
        if {"-m", "--multirun"} & {*given} and {"-c", "--cfg", "--info"} & {*given}:
            raise UserError("--cfg and --info show one config: leave out --multirun")
        if any(a.startswith(("resume=", "rerun=")) for a in given):
            given = tracking.reopening(given)
        # Not in conf/, so that a config is what it was before there was this key.
        sys.argv[1:] = [f"+{a}" if a.startswith("weights=") else a for a in reopened(given)]
        hydra_main()

    run_command(command)


if __name__ == "__main__":
    main()
