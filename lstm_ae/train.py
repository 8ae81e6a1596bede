"""Train one model: compose the config, build its parts, fit, report.

python -m lstm_ae.train [overrides]      one run
python -m lstm_ae.train -m [overrides]   a sweep
python -m lstm_ae.train resume=RUN_DIR   go on where a run stopped
"""

import logging
import os
import sys
from collections.abc import Callable

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.types import RunMode
from omegaconf import DictConfig, ListConfig

from lstm_ae.config import CONF
from lstm_ae.config.rules import validate_config
from lstm_ae.console import run_command, stop_on_signals, write_for_terminals
from lstm_ae.errors import Pruned, Stopped, UserError
from lstm_ae.runs.directory import RunDirectory
from lstm_ae.runs.resume import further_overrides, resumed
from lstm_ae.sweeps.cross_validation import cross_validate
from lstm_ae.sweeps.plugin import StudySweeper
from lstm_ae.sweeps.trial import PRUNED, History, reporter
from lstm_ae.training.process_settings import keep_freed_memory, subnormals_flushed

log = logging.getLogger(__name__)


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
    import torch  # late, and so is all that needs it: printing a config must not wait for it

    from lstm_ae.config import build
    from lstm_ae.data.sequence_data import fingerprint
    from lstm_ae.evaluation.baselines import baselines
    from lstm_ae.evaluation.measure import report
    from lstm_ae.training import checkpoint
    from lstm_ae.training.checkpoint import load_weights
    from lstm_ae.training.trainer import best_row

    keep_freed_memory()
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    device = build.choose_device(config.device)
    torch.manual_seed(config.seed)

    data = build.build_data(config, device)
    model = build.build_model(config, data.spec).to(device)
    objective = build.build_objective(config)
    parameters = sum(weights.numel() for weights in model.parameters())
    log.info(
        "%s: %d / %d / %d sequences of %d x %d to train / validate / test",
        data.spec.name, len(data.train), len(data.val), len(data.test), data.spec.length, data.spec.features,
    )  # fmt: skip
    if data.spec.leaky:
        log.warning("leaky: %s; what is measured here is no forecast of anything unseen", ", ".join(data.spec.leaky))
    log.info("%d parameters on %s, %d threads; run directory %s", parameters, device, torch.get_num_threads(),
             directory.path)  # fmt: skip
    monitor = list(config.monitor) if isinstance(config.monitor, ListConfig) else config.monitor
    directory.update_summary(
        monitor=monitor, parameters=parameters, device=device_name(device),
        **({"leaky": list(data.spec.leaky)} if data.spec.leaky else {}),
    )  # fmt: skip
    directory.record_data(fingerprint(data), resume=config.resume is not None)
    training = build.build_training(config, model)

    def outcome(history: History) -> dict[str, object]:
        first, mode = next(iter(training["monitors"].items()))
        best = best_row(history, first, mode)
        return {
            "best_epoch": best["epoch"],
            "best": [best[name] for name in monitor] if isinstance(monitor, list) else best[monitor],
            "seconds": round(sum(row["seconds"] for row in history), 1),
        }

    def on_epoch(history: History) -> None:
        directory.write_metrics(history)
        if report_to is not None:
            try:
                report_to(history)
            except Pruned:
                directory.update_summary(**outcome(history))
                raise

    history = build.build_trainer(config).fit(
        model,
        objective,
        data,
        **training,
        directory=directory.checkpoints,
        description=build.description(data),
        resume=config.resume is not None,
        on_epoch=on_epoch,
    )

    reached = outcome(history)
    best_file = directory.checkpoints / "best.pt"
    load_weights(best_file, checkpoint.load(best_file), model)
    test, rivals, figures = report(directory.figures, config, model, objective, data, history, reached["best_epoch"])
    baseline = {f"test/{name}": value for name, value in
                baselines(data.train, data.test, model.encoder.context_size).items()} | rivals  # fmt: skip
    directory.update_summary(status="completed", test=test, baselines=baseline, **reached)
    names, values = ([monitor], [reached["best"]]) if isinstance(monitor, str) else (monitor, reached["best"])
    best = ", ".join(f"{name} {value:.6g}" for name, value in zip(names, values, strict=True))
    log.info("best %s at epoch %d of %d", best, reached["best_epoch"], len(history))
    for name, value in (test | baseline).items():
        log.info("%-30s %.6g%s", name, value, "  (baseline)" if name in baseline else "")
    log.info("figures: %s", "  ".join(path.name for path in figures))
    log.info("look at them in %s", directory.figures)
    return reached["best"]


def device_name(device: object) -> str:
    """A name that tells machines apart: the processor's threads or the GPU's model."""
    import torch

    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu, {torch.get_num_threads()} of {os.cpu_count()} threads"


@hydra.main(config_path=CONF, config_name="config", execution_whitelist=())
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
            if config.get("cross_validation") is not None:
                return cross_validate(train, config, directory, reporter(config))
            return train(config, directory, reporter(config))
    except Pruned as pruned:
        log.info("%s", pruned)
        return PRUNED
    except Stopped:
        log.warning("stopped; go on with: python -m lstm_ae.train resume=%s", directory.path)
        raise
    except UserError as error:
        if multirun:
            log.error("%s", error)
        raise


def main() -> None:
    """The command."""

    def command() -> None:
        if any(argument.startswith("sweep=") for argument in sys.argv) and not any(a[0:1] == "-" for a in sys.argv[1:]):
            raise UserError("sweep=... is a search; start it with -m: python -m lstm_ae.train -m sweep=...")
        Plugins.instance().register(StudySweeper)
        if {"-m", "--multirun"} & {*sys.argv} and {"-c", "--cfg", "--info"} & {*sys.argv}:
            raise UserError("--cfg and --info show one config: leave out --multirun")
        sys.argv[1:] = resumed(sys.argv[1:])
        hydra_main()

    run_command(command)


if __name__ == "__main__":
    main()
