"""Measure a finished run again, with its baselines and figures, without training (report C's dry run).

python -m lstm_ae.evaluate run=RUN_DIR [output=DIR] [device=...] [threads=...]
"""

from lstm_ae.stopping import stop_on_signals

if __name__ == "__main__":
    stop_on_signals(at_once=False)  # already now: the imports below take a second or two

import json
import logging

import hydra
from omegaconf import DictConfig

from lstm_ae.config import CONF
from lstm_ae.config.rules import READING, validate_keys
from lstm_ae.console import run_command
from lstm_ae.errors import UserError
from lstm_ae.files import write_whole
from lstm_ae.runs.directory import RunDirectory

log = logging.getLogger(__name__)


def measure_again(config: DictConfig) -> dict[str, float]:
    """Measure the best checkpoint of `config.run` on the test part and draw the run's figures.

    Writes `evaluation.json` (the epoch of the checkpoint, the test metrics and the baselines) and `figures/` into
    `config.output`, the run itself by default, and logs how the numbers compare with those in `summary.json`. The run
    needs its config and its checkpoint only.

    Returns:
        the test metrics, `test/...`.

    Raises:
        UserError: there is no such run, or it cannot be reopened.
    """
    validate_keys(config, READING)
    import torch

    from lstm_ae.config.build import build_data, build_objective, choose_device
    from lstm_ae.config.trimming import FIRST_PASS, without_worst
    from lstm_ae.evaluation.measure import evaluate
    from lstm_ae.evaluation.table import results_table
    from lstm_ae.figures.run import draw_run, run_title
    from lstm_ae.runs.reopen import load_run

    run = load_run(config.run, config.device)
    threads = config.threads or run.config.threads
    if threads is not None:
        torch.set_num_threads(threads)
    data = build_data(run.config, choose_device(config.device))
    if data.trim:
        data = without_worst(run.config, data, run.directory.path / FIRST_PASS)
    best_epoch = int(run.history[-1]["epoch"])  # the history of best.pt ends with its own epoch
    log.info("%s: the checkpoint of epoch %d", run.directory.path, best_epoch)
    result = evaluate(run.model, build_objective(run.config), data)
    output = run.directory.output(config.output)
    found = {"best_epoch": best_epoch, "test": result.test, "baselines": result.baselines}
    write_whole(output / "evaluation.json", json.dumps(found, indent=2) + "\n")
    log.info("on the test part:\n%s", results_table(result.test, result.baselines))
    log_comparison(result.test | result.baselines, recorded_results(run.directory))
    try:
        history = run.directory.read_metrics() or run.history  # metrics.csv goes on after the best epoch
    except UserError as error:
        log.warning("%s; the curves are those of the checkpoint, up to the best epoch", error)
        history = run.history
    figures = draw_run(
        output / "figures", run_title(run.config, data.spec), data, history, best_epoch, result.output, result.naive
    )
    log.info("figures: %s", "  ".join(path.name for path in figures))
    log.info("look at them in %s", output / "figures")
    return result.test


def recorded_results(directory: RunDirectory) -> dict[str, float]:
    """The test metrics and baselines in a run's summary.json; what is missing or broken there costs the comparison."""
    from lstm_ae.runs.frame import is_number  # late: pandas takes longer than a help page

    try:
        summary = directory.read_summary()
    except UserError as error:
        log.warning("%s There is nothing to compare with.", error)
        return {}
    groups = [summary.get(name) for name in ("test", "baselines")]
    return {name: value for group in groups if isinstance(group, dict) for name, value in group.items()
            if is_number(value)}  # fmt: skip


def log_comparison(found: dict[str, float], recorded: dict[str, float]) -> None:
    """Log which of the numbers `found` are the same as those `recorded` in summary.json, and those that are not."""
    known = [name for name in found if name in recorded]
    other = [name for name in known if found[name] != recorded[name]]
    if known:
        log.info("%d of %d numbers are exactly as recorded in summary.json", len(known) - len(other), len(known))
    for name in other:
        log.warning("%s is %.9g; recorded: %.9g", name, found[name], recorded[name])
    new = [name for name in found if name not in recorded]
    if new:
        log.info("not in summary.json: %s", ", ".join(new))


@hydra.main(config_path=CONF, config_name="evaluate", execution_whitelist=())
def hydra_main(config: DictConfig) -> None:
    """What Hydra calls with the composed config."""
    measure_again(config)


def main() -> None:
    """The command."""
    run_command(hydra_main)


if __name__ == "__main__":
    main()
