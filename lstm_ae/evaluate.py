"""Reopen a run and measure it again, without training (report C's dry run).

python -m lstm_ae.evaluate run=RUN_DIR [output=DIR] [device=...] [threads=...]
"""

import json
import logging
from pathlib import Path

import hydra
from omegaconf import DictConfig

from lstm_ae.config import CONF
from lstm_ae.config.rules import READING, validate_keys
from lstm_ae.console import run_command
from lstm_ae.files import write_whole

log = logging.getLogger(__name__)


def evaluate(config: DictConfig) -> dict[str, float]:
    """Measure the best checkpoint of `config.run` on the test part and draw its figures.

    Writes `evaluation.json` and `figures/` into `config.output`, the run itself by default.

    Returns:
        the test metrics, `test/...`.

    Raises:
        UserError: no such run, or one that cannot be reopened.
    """
    validate_keys(config, READING)
    import torch

    from lstm_ae.config.build import build_data, build_objective, choose_device
    from lstm_ae.evaluation.measure import report
    from lstm_ae.runs.reopen import load_run

    device = choose_device(config.device)
    run = load_run(config.run, config.device)
    threads = config.threads or run.config.threads
    if threads is not None:
        torch.set_num_threads(threads)
    data = build_data(run.config, device)
    output = Path(config.output or run.directory.path)
    summary = run.directory.read_summary()
    best_epoch = len(run.history)  # best.pt was written at the end of its epoch, and its history ends there
    log.info("%s, best.pt of epoch %d", run.directory.path, best_epoch)
    metrics, _, figures = report(
        output / "figures", run.config, run.model, build_objective(run.config), data, run.directory.read_metrics(),
        best_epoch,
    )  # fmt: skip
    write_whole(output / "evaluation.json", json.dumps({"best_epoch": best_epoch, "test": metrics}, indent=2) + "\n")
    recorded = summary.get("test") or {}
    for name, value in metrics.items():
        note = "" if name not in recorded else "  (as recorded)" if recorded[name] == value else \
            f"  (recorded: {recorded[name]:.6g})"  # fmt: skip
        log.info("%-30s %.6g%s", name, value, note)
    for name, value in (summary.get("baselines") or {}).items():
        log.info("%-30s %.6g  (baseline)", name, value)
    log.info("figures: %s", "  ".join(path.name for path in figures))
    log.info("look at them in %s", output / "figures")
    return metrics


@hydra.main(config_path=CONF, config_name="evaluate", execution_whitelist=())
def hydra_main(config: DictConfig) -> None:
    """What Hydra calls with the composed config."""
    evaluate(config)


def main() -> None:
    """The command."""
    run_command(hydra_main)


if __name__ == "__main__":
    main()
