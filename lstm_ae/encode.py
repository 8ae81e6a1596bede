"""Write the contexts of sequences, and their reconstructions in original units, as tables.

python -m lstm_ae.encode run=RUN_DIR [input=FILE|test|val|train] [output=FILE.csv|parquet|npz] [reconstruct=true]
"""

from lstm_ae.stopping import stop_on_signals

if __name__ == "__main__":
    stop_on_signals(at_once=False)  # already now: the imports below take a second or two

import logging
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
from omegaconf import DictConfig

from lstm_ae.config import CONF
from lstm_ae.config.rules import READING, Count, Text, Texts, validate_keys
from lstm_ae.console import run_command
from lstm_ae.errors import ConfigError, UserError

if TYPE_CHECKING:
    from lstm_ae.runs.encoding import Part
    from lstm_ae.runs.reopen import Run

log = logging.getLogger(__name__)

KEYS = READING | {"input": Text | Texts, "reconstruct": bool, "stride": Count | None}
OWN = ("test", "val", "train")  # parts of the run's own data


def encode(config: DictConfig) -> Path:
    """Encode `config.input` with the best checkpoint of `config.run`.

    Returns:
        the file with the contexts.

    Raises:
        UserError: a run or a file that cannot be used; nothing is written then.
    """
    validate_keys(config, KEYS)
    import torch

    from lstm_ae.data.table_writing import check_suffix, column_names, writing
    from lstm_ae.runs.output import refuse_foreign
    from lstm_ae.runs.reopen import load_run

    given = [config.input] if isinstance(config.input, str) else list(config.input)
    stem = given[0] if given[0] in OWN else Path(given[0]).name.removesuffix(".gz").rsplit(".", 1)[0]
    run = load_run(config.run, config.device)
    if config.output is None:
        run.directory.refuse_links()
    output = Path(config.output or run.directory.path / "contexts" / f"{stem.replace('*', '_')}.csv")
    check_suffix(output)
    beside = output.with_name(f"{output.stem}_reconstructions{output.suffix}")
    refuse_foreign(output, lambda path: not {"context", "context_0"}.isdisjoint(column_names(path)))
    if config.reconstruct:
        refuse_foreign(beside, lambda _: output.is_file())  # then both are of an earlier command
    threads = config.threads or run.config.threads
    if threads is not None:
        torch.set_num_threads(threads)
    parts = parts_of(config, run, given)
    first = next(parts, None)  # what cannot be read shows before anything is written
    if first is None:
        raise UserError(f"input={config.input}: no window in it has a value")
    sequences = steps = 0
    output.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as files:
        append = files.enter_context(writing(output))
        append_steps = files.enter_context(writing(beside)) if config.reconstruct else None
        for contexts, rebuilt in chain([first], parts):  # not (first, *parts), which would have all in memory
            append(contexts)
            sequences += len(contexts)
            if append_steps is not None and rebuilt is not None:
                append_steps(rebuilt)
                steps += len(rebuilt)
    log.info("%d contexts of %d numbers: %s", sequences, run.model.encoder.context_size, output)
    if config.reconstruct:
        log.info("%d steps rebuilt: %s", steps, beside)
    return output


def parts_of(config: DictConfig, run: "Run", given: list[str]) -> Iterator["Part"]:
    """What the run makes of the input, a part at a time.

    Raises:
        UserError: it cannot be used.
    """
    from lstm_ae.data.array_files import SUFFIXES
    from lstm_ae.runs.encoding import Encoding

    encoding = Encoding(run, config.reconstruct)
    if given[0] in OWN and len(given) == 1:
        from lstm_ae.config.build import build_data, choose_device

        data = build_data(run.config, choose_device(config.device))
        return encoding.own(data, getattr(data, given[0]))
    arrays = [name for name in given if name.endswith(SUFFIXES)]
    if config.stride is not None and (arrays or config.stride > run.spec.length):
        reason = "is for tables" if arrays else f"must be at most {run.spec.length}, the rows of the run's windows"
        raise ConfigError("stride", config.stride, reason)
    if arrays:
        if len(given) > 1:
            raise UserError(f"input={given}: of {', '.join(SUFFIXES)} files, one at a time")
        return encoding.arrays(given[0])
    from lstm_ae.data.table_files import expand
    from lstm_ae.runs.cutting import table_columns

    return encoding.table(expand(given), table_columns(run), config.stride)


@hydra.main(config_path=CONF, config_name="encode", execution_whitelist=())
def hydra_main(config: DictConfig) -> None:
    """What Hydra calls with the composed config."""
    encode(config)


def main() -> None:
    """The command."""
    run_command(hydra_main)


if __name__ == "__main__":
    main()
