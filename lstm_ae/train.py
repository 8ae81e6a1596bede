"""Train one model: compose the config, build its parts, fit, report.

python -m lstm_ae.train [overrides]      one run
python -m lstm_ae.train -m [overrides]   a sweep
python -m lstm_ae.train resume=RUN_DIR   go on where a run stopped
"""

import logging
import os
import signal
import sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.types import RunMode
from omegaconf import DictConfig

from lstm_ae.check import check
from lstm_ae.cli import CONF, run_command
from lstm_ae.errors import Stopped, UserError
from lstm_ae.reporting.run_directory import RunDirectory

log = logging.getLogger(__name__)

HYDRA_FILES = {"config.yaml", "hydra.yaml", "overrides.yaml"}  # what Hydra writes into .hydra/


def train(config: DictConfig, directory: RunDirectory) -> float:
    """Train what `config` says, leave everything in `directory`, and return the best value of `monitor`.

    With `config.resume`, the training goes on from the directory's last checkpoint. Test data is touched once, at the
    end, with the checkpoint that validation chose.

    Raises:
        UserError: a setting or a file that cannot be used, or a loss that is no longer a number.
    """
    check(config)
    import torch  # late, and so is all that needs it: printing a config must not wait for it

    from lstm_ae import build
    from lstm_ae.data.sequence_data import fingerprint
    from lstm_ae.reporting.report import report
    from lstm_ae.training import checkpoint
    from lstm_ae.training.baselines import baselines
    from lstm_ae.training.trainer import best_row, load_weights

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
    directory.update_summary(
        monitor=config.monitor, parameters=parameters, device=device_name(device), data=fingerprint(data),
        **({"leaky": list(data.spec.leaky)} if data.spec.leaky else {}),
    )  # fmt: skip

    history = build.instantiate(config.trainer).fit(
        model,
        objective,
        data,
        **build.build_training(config, model),
        directory=directory.checkpoints,
        description=build.describe(data),
        resume=config.resume is not None,
        on_epoch=directory.write_metrics,
    )

    best = best_row(history, config.monitor, config.mode)
    best_file = directory.checkpoints / "best.pt"
    load_weights(best_file, checkpoint.load(best_file), model)
    test, rivals, figures = report(directory.figures, config, model, objective, data, history, best["epoch"])
    baseline = {f"test/{name}": value for name, value in
                baselines(data.train, data.test, model.encoder.context_size).items()} | rivals  # fmt: skip
    directory.update_summary(
        status="completed",
        best_epoch=best["epoch"],
        best=best[config.monitor],
        test=test,
        baselines=baseline,
        seconds=round(sum(row["seconds"] for row in history), 1),
    )
    log.info("best %s %.6g at epoch %d of %d", config.monitor, best[config.monitor], best["epoch"], len(history))
    for name, value in (test | baseline).items():
        log.info("%-30s %.6g%s", name, value, "  (baseline)" if name in baseline else "")
    log.info("figures: %s", "  ".join(path.name for path in figures))
    log.info("look at them in %s", directory.figures)
    return best[config.monitor]


def device_name(device: object) -> str:
    """A name that tells machines apart: the processor's threads or the GPU's model."""
    import torch

    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu, {torch.get_num_threads()} of {os.cpu_count()} threads"


def stop(signal_number: int, frame: object) -> None:
    """Signal handler: ends the run at once; files are written whole, so nothing is lost but the epoch in progress."""
    raise Stopped(signal_number)


@hydra.main(config_path=CONF, config_name="config", execution_whitelist=("lstm_ae.*", "torch.optim.*"))
def hydra_main(config: DictConfig) -> float:
    """What Hydra calls, once per job, with the job's config."""
    directory = RunDirectory(HydraConfig.get().runtime.output_dir)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    try:
        with directory.recording():
            return train(config, directory)
    except Stopped:
        log.warning("stopped; go on with: python -m lstm_ae.train resume=%s", directory.path)
        raise
    except UserError as error:
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            log.error("%s", error)
        raise


def resumed(arguments: list[str]) -> list[str]:
    """The command line with `resume=RUN_DIR` in it replaced by what makes Hydra go on in that directory.

    The config is the one that the directory was started with, plus the further overrides in `arguments`.

    Raises:
        UserError: nothing there to resume.
        SystemExit: the run is already complete.
    """
    given = [argument for argument in arguments if argument.startswith("resume=")]
    target = given[-1].removeprefix("resume=").strip("'\"") if given else "null"
    if target in ("null", ""):
        return arguments
    directory = RunDirectory(target)
    if not directory.config.is_file() or not (directory.checkpoints / "last.pt").is_file():
        raise UserError(
            f"resume={target}: nothing to resume: "
            + ("no checkpoints/last.pt" if directory.config.is_file() else "no .hydra/config.yaml")
            + " in that directory. A run can be resumed once its first epoch is done."
        )
    # Hydra would compose whatever else lies there, and its own settings may start programs.
    files = {path.name for path in directory.config.parent.iterdir()}
    lines = directory.config.read_text().splitlines()
    if files - HYDRA_FILES or any(line.startswith(("hydra:", "defaults:")) for line in lines):
        raise UserError(f"resume={target}: its .hydra/ holds more than Hydra writes there; not resumed")
    others = [argument for argument in arguments if argument not in given]
    if directory.read_summary().get("status") == "completed" and not others:
        print(
            f"{directory.path} is complete. To train it further: resume={target} trainer.max_epochs=...\n"
            f"To see its results again: python -m lstm_ae.evaluate run={target}"
        )
        sys.exit(0)

    def quoted(path: Path) -> str:
        return QuotedString(str(path), Quote.single).with_quotes()

    return [
        f"--config-path={directory.config.parent}",
        "--config-name=config",
        f"hydra.run.dir={quoted(directory.path)}",
        "hydra.output_subdir=null",
        *others,
        f"resume={quoted(directory.path)}",
    ]


def main() -> None:
    """The command."""

    def command() -> None:
        sys.argv[1:] = resumed(sys.argv[1:])
        hydra_main()

    run_command(command)


if __name__ == "__main__":
    main()
