"""How anomalous is each step of a series: the errors of a trained run, beside detectors without a network.

python -m lstm_ae.score run=RUN_DIR input=FILE output=scores.csv [label=COLUMN] [scorer=...] [threshold.method=...]
"""

from lstm_ae.stopping import stop_on_signals

if __name__ == "__main__":
    stop_on_signals(at_once=False)  # already now: the imports below take a second or two

import json
import logging
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import hydra
from omegaconf import DictConfig, OmegaConf
from pydantic import Field

from lstm_ae.config import CONF
from lstm_ae.config.rules import READING, Count, Text, Texts, validate_keys
from lstm_ae.config.values import validate, validate_all
from lstm_ae.console import run_command
from lstm_ae.errors import UserError
from lstm_ae.files import write_whole

if TYPE_CHECKING:
    from lstm_ae.evaluation.scoring import Scored

log = logging.getLogger(__name__)

KEYS = READING | {
    "input": Text | Texts | None,
    "label": Text | None,
    "stride": Count | None,
    "reduction": Literal["median", "mean"],
    "smooth": Count,
    "buffer": Annotated[int, Field(ge=0)] | None,
    "workers": Count,
}
THRESHOLD_KEYS = {
    "method": Literal["quantile", "deviations", "oracle_f1"],
    "scores": Literal["validation", "input"],
    "quantile": Annotated[float, Field(ge=0, le=1)],
    "deviations": Annotated[float, Field(ge=0)],
}
TABLES = (".csv", ".csv.gz", ".parquet", ".pq")  # what is read of a folder


class Task(NamedTuple):
    """One scoring: tables by a run, into a file."""

    run: Path
    inputs: tuple[Path, ...]
    output: Path

    def beside(self, ending: str) -> Path:
        """A file beside the table of scores: scores_intervals.csv for the ending `_intervals.csv`."""
        return self.output.with_name(self.output.name.removesuffix(self.output.suffix) + ending)


def score(config: DictConfig) -> list[dict[str, Any]]:
    """Score what `config` says; several files or runs each for itself, `config.workers` at once, what is done left out.

    Returns:
        what was found of each, as written into its JSON file.

    Raises:
        UserError: a run, a file or a column that cannot be used.
        ConfigError: a value that is refused.
    """
    validate_keys(config, KEYS)
    validate("threshold", config.threshold, dict)
    validate_all(config.threshold, THRESHOLD_KEYS, "threshold.")
    from lstm_ae.config.parts import validate_part  # late, as all that needs torch

    validate_part(config.scorer, "scorer")
    tasks = find_tasks(config)
    refuse_others(tasks)
    done = {task: known for task in tasks if (known := finished(task, config)) is not None} if len(tasks) > 1 else {}
    if done:
        log.info("%d of %d files were scored before with these settings", len(done), len(tasks))
    waiting = [task for task in tasks if task not in done]
    if len(tasks) == 1:
        return [score_task(tasks[0], config)]
    found: list[dict[str, Any]]
    if config.workers > 1:
        with ProcessPoolExecutor(config.workers, multiprocessing.get_context("spawn"), stop_on_signals) as pool:
            found = list(pool.map(score_or_say, waiting, [config] * len(waiting)))
    else:
        found = [score_or_say(task, config) for task in waiting]
    done |= dict(zip(waiting, found, strict=True))
    results = [done[task] for task in tasks]
    summarize(tasks, results, config)
    return results


def find_tasks(config: DictConfig) -> list[Task]:
    """What is to be scored by what, and where it goes.

    Raises:
        UserError: no such run or file.
    """
    from lstm_ae.data.table_files import expand
    from lstm_ae.runs.directory import RunDirectory

    run = Path(config.run).absolute()
    runs = [run]
    if not (run / ".hydra").is_dir():
        runs = sorted(path.parent for path in run.glob("*/.hydra")) or [run]
    inputs: list[list[Path]] | None = None
    if config.input is not None:
        given = [config.input] if isinstance(config.input, str) else list(config.input)
        files = [file for one in given for file in (tables_in(one) if Path(one).is_dir() else expand(one))]
        inputs = [[file] for file in files]
    tasks = []
    for one in runs:
        for files in inputs or [own_files(one)]:
            stem = files[0].name.removesuffix(".gz").rsplit(".", 1)[0] if inputs or len(files) == 1 else one.name
            tasks.append((one, tuple(file.absolute() for file in files), stem))
    single = len(tasks) == 1
    if config.output is None:
        RunDirectory(run).refuse_links()
    output = Path(config.output or (run / "scores" / f"{tasks[0][2]}.csv" if single else run / "scores"))
    if single:
        if output.suffix not in (".csv", ".parquet"):
            raise UserError(f"output={output}: must end in .csv or .parquet")
        return [Task(run, tasks[0][1], output.absolute())]
    stems = [stem for _, _, stem in tasks]
    names = [
        stem if stems.count(stem) == 1 else f"{one.name}_{files[0].parent.name}_{stem}" for one, files, stem in tasks
    ]
    return [
        Task(one, files, (output / f"{name}.csv").absolute())
        for (one, files, _), name in zip(tasks, names, strict=True)
    ]


def refuse_others(tasks: Sequence[Task]) -> None:
    """Make sure that only files of earlier scorings will be overwritten.

    Raises:
        UserError: another file stands where one will be written.
    """
    from lstm_ae.data.table_writing import column_names
    from lstm_ae.runs.output import refuse_foreign

    def has(columns: set[str]) -> Callable[[Path], bool]:
        return lambda path: columns <= {*column_names(path)}

    for task in tasks:
        refuse_foreign(task.output, has({"score", "flag"}))
        refuse_foreign(task.beside("_intervals.csv"), has({"peak", "peak_at"}))
        refuse_foreign(task.beside(".json"), lambda path: "depends_on" in read_json(path))
    if len(tasks) > 1:
        refuse_foreign(tasks[0].output.with_name("metrics.csv"), has({"file", "detector"}))


def read_json(path: Path) -> dict[str, Any]:
    """What a JSON file holds; nothing if there is no such file, or something else in it."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def tables_in(folder: str) -> list[Path]:
    """The tables in a folder.

    Raises:
        UserError: there are none.
    """
    found = sorted(path for path in Path(folder).iterdir() if path.name.endswith(TABLES))
    if not found:
        raise UserError(f"input={folder}: the folder holds no table ({', '.join(TABLES)})")
    return found


def own_files(run: Path) -> list[Path]:
    """The files that a run tests on, or those that it was made of.

    Raises:
        UserError: no such run, or one that reads no files.
    """
    from lstm_ae.data.table_files import expand
    from lstm_ae.runs.directory import RunDirectory
    from lstm_ae.runs.reopen import read_config

    dataset = read_config(RunDirectory(run)).dataset
    path = dataset.get("test_path") or dataset.get("path")
    if path is None:
        raise UserError(f"{run}: its data set reads no table; say what to score with input=FILE")
    return expand(path if isinstance(path, str) else list(path))


def fingerprint(task: Task, config: DictConfig) -> dict[str, Any]:
    """What a result depends on: the settings, and when run and input last changed."""
    names = ["scorer", "label", "stride", "reduction", "smooth", "threshold", "buffer"]
    kept = OmegaConf.to_container(OmegaConf.masked_copy(config, names), resolve=True)
    files = [task.run / "checkpoints" / "best.pt", *task.inputs]
    return {"settings": kept, "changed": {str(file): file.stat().st_mtime_ns for file in files if file.is_file()}}


def finished(task: Task, config: DictConfig) -> dict[str, Any] | None:
    """What an earlier command found of this task with the same settings; None if it is to be done."""
    result = read_json(task.beside(".json"))
    return result if result.get("depends_on") == fingerprint(task, config) and task.output.is_file() else None


def score_or_say(task: Task, config: DictConfig) -> dict[str, Any]:
    """As `score_task`; a mistake costs this task only."""
    try:
        return score_task(task, config)
    except UserError as error:
        log.error("%s: %s", task.inputs[0].name, error)
        return {"error": str(error), "metrics": {}, "input": [str(file) for file in task.inputs]}


def score_task(task: Task, config: DictConfig) -> dict[str, Any]:
    """Score, write everything, draw and print.

    Raises:
        UserError: a run or a table that cannot be used; nothing is written.
    """
    from lstm_ae.evaluation.scoring import score_tables
    from lstm_ae.figures.anomalies import Picture, draw_scores

    task.output.parent.mkdir(parents=True, exist_ok=True)
    array = task.beside(f".{multiprocessing.current_process().pid}.tmp")
    try:
        scored = score_tables(task.run, task.inputs, task.output, array, config)
        write_whole(task.beside("_intervals.csv"), scored.intervals.to_csv(index=False))
        result = scored.facts | {"depends_on": fingerprint(task, config)}
        write_whole(task.beside(".json"), json.dumps(result, indent=2) + "\n")
        tell(scored)
        title = f"{', '.join(file.name for file in task.inputs[:3])}: scored by {task.run.name}"
        opened = scored.opened
        picture = Picture(title, opened.detectors, scored.rows, scored.thresholds, opened.validation)
        figures = draw_scores(task.output.with_suffix(""), picture)
    finally:
        array.unlink(missing_ok=True)
    log.info("look at %s", "  ".join(path.name for path in (task.output, task.beside("_intervals.csv"), *figures)))
    log.info("in %s", task.output.parent)
    return result


def tell(scored: "Scored") -> None:
    """Log what was found."""
    from lstm_ae.anomalies.results import metrics_table

    facts, opened = scored.facts, scored.opened
    for complaint in (*opened.warnings, *scored.complaints()):
        log.warning("%s", complaint)
    log.info("%s rows of %d series, %d windows a step, %s rows per second", f"{facts['rows']:,}", facts["series"],
             facts["windows_per_step"], f"{facts['rows_per_second']:,}")  # fmt: skip
    for name, threshold in scored.thresholds.items():
        log.info("%-17s threshold %.4g (%s): %s rows flagged", name, threshold.value, threshold.found,
                 f"{facts['flagged'][name]:,}")  # fmt: skip
    log.info("%d intervals flagged by the network", facts["intervals"])
    if scored.metrics:
        share = 100 * facts["anomalous_rows"] / facts["rows"]
        log.info("%.3g%% of the rows are anomalous; VUS with margins up to %d; nothing is point-adjusted\n%s",
                 share, facts["vus_buffer"], metrics_table(scored.metrics))  # fmt: skip


def summarize(tasks: Sequence[Task], results: Sequence[dict[str, Any]], config: DictConfig) -> None:
    """Write and log one table over all files: the mean of each metric, and event F1 of all events together.

    Raises:
        UserError: some could not be scored.
    """
    import pandas as pd

    from lstm_ae.anomalies.results import metrics_table, pooled

    rows = [
        {"file": task.output.stem, "detector": name, **values}
        for task, result in zip(tasks, results, strict=True)
        for name, values in result["metrics"].items()
    ]
    folder = tasks[0].output.parent
    if rows:
        table = pd.DataFrame(rows)
        write_whole(folder / "metrics.csv", table.to_csv(index=False))
        log.info("%d files, means, and events of all files pooled\n%s", table["file"].nunique(),
                 metrics_table(pooled(table)))  # fmt: skip
        log.info("look at metrics.csv in %s", folder)
    failed = [f"{task.inputs[0]}: {result['error']}" for task, result in zip(tasks, results, strict=True)
              if "error" in result]  # fmt: skip
    if failed:
        raise UserError(f"{len(failed)} of {len(tasks)} could not be scored:\n" + "\n".join(failed))


@hydra.main(config_path=CONF, config_name="score", execution_whitelist=())
def hydra_main(config: DictConfig) -> None:
    """What Hydra calls with the composed config."""
    score(config)


def main() -> None:
    """The command."""
    run_command(hydra_main)


if __name__ == "__main__":
    main()
