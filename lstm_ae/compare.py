"""Line up the runs of one or more sweep or run directories: a table, files, figures, a page.

python -m lstm_ae.compare DIR [DIR ...]
"""

import argparse
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from lstm_ae.cli import run_command
from lstm_ae.errors import UserError
from lstm_ae.reporting import diff, filters, rerun, table
from lstm_ae.reporting.collecting import RunRecord, collect, differing
from lstm_ae.reporting.run_directory import write_whole

EPILOG = """examples
  python -m lstm_ae.compare multirun/2026-01-31/12-00-00
  python -m lstm_ae.compare multirun/a multirun/b --filter 'model.hidden_size >= 32 and val/accuracy > 0.98'
  python -m lstm_ae.compare multirun/a --group-by-seed --metrics 'val/*,test/accuracy' --top 5
  python -m lstm_ae.compare multirun/a --diff 3 7
  python -m lstm_ae.compare multirun/a --figures --html report.html --csv runs.csv

LIST: names and wildcards with commas between, such as 'val/*,test/accuracy'. FILE: a path, or - for the terminal."""


def parser() -> argparse.ArgumentParser:
    """What the command line may hold."""
    cli = argparse.ArgumentParser(
        prog="python -m lstm_ae.compare",
        description="Line up the runs in or below DIR: what differs between them, how they did, which did best.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    cli.add_argument("directories", nargs="*", metavar="DIR", help="run or sweep directories, at any depth")
    which = cli.add_argument_group("which runs, in which order")
    which.add_argument(
        "--filter", metavar="TEXT", help="keep runs that pass, e.g. 'optimizer.lr < 0.01 and epochs == 20'"
    )
    which.add_argument("--status", metavar="LIST", help="keep runs of these statuses: completed, pruned, failed, ...")
    which.add_argument("--sort", metavar="NAME[:min|:max]", help="what to sort by, best first (default: monitor)")
    which.add_argument("--top", type=int, metavar="N", help="only the best N")
    what = cli.add_argument_group("what to show")
    what.add_argument("--metrics", metavar="LIST", help="default: the monitor and the other val/ metrics")
    what.add_argument("--keys", metavar="LIST", help="config keys; default: those that differ")
    what.add_argument("--group-by-seed", action="store_true", help="mean, deviation, count over seeds and folds")
    what.add_argument("--diff", nargs=2, metavar=("A", "B"), help="two runs side by side: paths, or names in the table")
    out = cli.add_argument_group("where to")
    for name in ("csv", "json", "markdown"):
        out.add_argument(f"--{name}", metavar="FILE", help=f"write the table as {name}")
    out.add_argument(
        "--html", metavar="FILE", help="write one page with the table and interactive plots; needs no network"
    )
    out.add_argument("--figures", action="store_true", help="draw the comparison as PNG files")
    out.add_argument("--output", metavar="FOLDER", help="where the figures go (default: compare/ in the first DIR)")
    return cli


def compare(arguments: Sequence[str]) -> None:
    """Do what the command line says.

    Raises:
        UserError: directories without runs, names that no run has, a filter that cannot be read.
    """
    options = parser().parse_args(arguments)
    if not options.directories and not options.diff:
        raise UserError("which runs? Give run or sweep directories: python -m lstm_ae.compare DIR [DIR ...]")
    if options.top is not None and options.top < 1:
        raise UserError(f"--top={options.top}: must be at least 1")
    everything = collect(options.directories) if options.directories else []
    if options.diff:
        print(diff.side_by_side(*(diff.find(name, everything) for name in options.diff)))
        return
    runs = chosen(everything, options.filter, options.status)
    shown, key, mode = lined_up(runs, options)
    total = len(shown.rows)
    best = next((runs for row, runs in zip(shown.rows, shown.runs, strict=True) if counts(row, runs, key)), None)
    shown.rows, shown.runs = shown.rows[: options.top], shown.runs[: options.top]

    on_terminal = False
    writers = {"csv": table.to_csv, "json": table.to_json, "markdown": table.to_markdown}
    for name, write in writers.items():
        target = getattr(options, name)
        if target == "-":
            on_terminal = True
            print(write(shown).rstrip("\n"))
        elif target:
            write_whole(Path(target), write(shown).rstrip("\n") + "\n")
    say = sys.stderr if on_terminal else sys.stdout  # what goes into a pipe is the table alone
    if not on_terminal:
        print(table.to_text(shown, shutil.get_terminal_size((120, 24)).columns))
        print()
    statuses = ", ".join(f"{count} {status}" for status, count in Counter(run.status for run in runs).items())
    print(f"{len(runs)} runs of {len(everything)}: {statuses}" if len(runs) < len(everything) else
          f"{len(runs)} runs: {statuses}", file=say)  # fmt: skip
    if len(shown.rows) < total:
        print(f"the best {len(shown.rows)} of {total} rows by {key}", file=say)
    for note in shown.notes:
        print(f"note: {note}", file=say)
    if best is not None:
        print(f"best {key} ({mode}): {best[0].name}; to train it again:\n  {rerun.command(best)}", file=say)


def chosen(runs: list[RunRecord], text: str | None, statuses: str | None) -> list[RunRecord]:
    """The runs that pass the filter `text` and have one of the `statuses`.

    Raises:
        UserError: nothing is left, or the filter cannot be read.
    """
    known = list(dict.fromkeys(name for run in runs for name in run.values))
    if statuses:
        wanted = table.select(statuses, sorted({run.status for run in runs}), "--status")
        runs = [run for run in runs if run.status in wanted]
    if text is not None:
        passes = filters.parse(text, known)
        runs = [run for run in runs if passes(run.values)]
    if not runs:
        raise UserError(f"no run passes --filter '{text}'" + (f" with --status={statuses}" if statuses else ""))
    return runs


def lined_up(runs: list[RunRecord], options: argparse.Namespace) -> tuple[table.Table, str, str]:
    """The sorted table, and the name and the mode that it is sorted by.

    Raises:
        UserError: a name that no run has.
    """
    known = list(dict.fromkeys(name for run in runs for name in run.values))
    measured = table.metric_names(runs)
    metrics = table.select(options.metrics, measured, "--metrics") if options.metrics else table.default_metrics(runs)
    settings = [name for name in known if name not in measured]
    keys = table.select(options.keys, settings, "--keys") if options.keys else None
    monitors = next((run.monitors for run in runs if run.monitors), {"val/loss": "min"})
    key, _, mode = (options.sort or next(iter(monitors))).rpartition(":") if ":" in (options.sort or "") else (
        options.sort or next(iter(monitors)), "", "")  # fmt: skip
    if options.sort and (key not in known or mode not in ("", "min", "max")):
        raise UserError(f"--sort={options.sort}: " + (filters.unknown(key, known) if key not in known else
                        "after the colon goes min or max"))  # fmt: skip
    mode = mode or table.direction(key, runs)
    if options.group_by_seed:
        shown = table.by_seed(runs, keys, list(dict.fromkeys([*metrics, *([key] if key in measured else [])])))
    else:
        shown = table.single(runs, differing(runs) if keys is None else keys, metrics)
    shown.notes += table.cautions(runs, key)
    if len(monitors) == 2:
        table.mark_pareto(shown, monitors)
    shown.sort(key, mode)
    return shown, key, mode


def counts(row: table.Row, runs: list[RunRecord], key: str) -> bool:
    """Whether a row may be called the best: measured, and of a run that was trained to its end."""
    value = row.get(key)
    return value is not None and value == value and any(run.status == "completed" for run in runs)


def main() -> None:
    """The command."""
    run_command(lambda: compare(sys.argv[1:]))


if __name__ == "__main__":
    main()
