"""Write a run's model as one file that takes and returns original units and needs nothing of this package.

python -m lstm_ae.export run=RUN_DIR [format=onnx|torch] [output=FILE]
"""

from lstm_ae.stopping import stop_on_signals

if __name__ == "__main__":
    stop_on_signals(at_once=False)  # already now: the imports below take a second or two

import logging
from pathlib import Path
from typing import Literal

import hydra
from omegaconf import DictConfig

from lstm_ae.config import CONF
from lstm_ae.config.rules import READING, validate_keys
from lstm_ae.console import run_command
from lstm_ae.errors import ConfigError

log = logging.getLogger(__name__)

KEYS = READING | {"format": Literal["onnx", "torch"]}
SUFFIXES = {"onnx": ".onnx", "torch": ".pt2"}


def export(config: DictConfig) -> Path:
    """Export the best checkpoint of `config.run`, and log how the file compares with PyTorch.

    Returns:
        the file: `config.output`, by default `model.onnx` or `model.pt2` in the run.

    Raises:
        UserError: there is no such run, its model cannot be exported, or the file is not right.
    """
    validate_keys(config, KEYS)
    from lstm_ae.runs.exported import MARK, export_run
    from lstm_ae.runs.output import refuse_foreign
    from lstm_ae.runs.reopen import load_run

    run = load_run(config.run)
    if config.output is None:
        run.directory.refuse_links()
    suffix = SUFFIXES[config.format]
    output = Path(config.output or run.directory.path / f"model{suffix}")
    if output.suffix != suffix:
        raise ConfigError("output", output, f"must end in {suffix} (format={config.format})")
    refuse_foreign(output, lambda path: MARK in path.read_bytes())
    output.parent.mkdir(parents=True, exist_ok=True)
    found = export_run(run, config.format, output)
    reader = "onnxruntime" if config.format == "onnx" else "torch.export"
    log.info("the file, read by %s, beside PyTorch in double precision; the largest difference of any output,", reader)
    log.info("and that of PyTorch in single precision:")
    for one in found:
        log.info("  batch %d, %d steps: %.1e, %.1e", one.batch, one.steps, one.difference, one.rounding)
    log.info("%s", output)
    return output


@hydra.main(config_path=CONF, config_name="export", execution_whitelist=())
def hydra_main(config: DictConfig) -> None:
    """What Hydra calls with the composed config."""
    export(config)


def main() -> None:
    """The command."""
    run_command(hydra_main)


if __name__ == "__main__":
    main()
