"""Line up the runs of one or more sweep or run directories: a table, files, figures, a page.

python -m lstm_ae.compare DIR [DIR ...]
"""

import argparse
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from lstm_ae.console import run_command
from lstm_ae.errors import UserError
from lstm_ae.files import write_whole
from lstm_ae.runs import filters, table
from lstm_ae.runs import retrain as rerun
from lstm_ae.runs.diff import find, side_by_side
from lstm_ae.runs.provenance import git_commit
from lstm_ae.runs.records import RunRecord, collect, differing

EPILOG = """examples
  python -m lstm_ae.compare multirun/2026-01-31/12-00-00
  python -m lstm_ae.compare multirun/a multirun/b --filter 'model.hidden_size >= 32 and val/accuracy > 0.98'
  python -m lstm_ae.compare multirun/a --group-by-seed --metrics 'val/*,test/accuracy' --top 5
  python -m lstm_ae.compare multirun/a --diff 3 7
  python -m lstm_ae.compare multirun/a --figures --html report.html --csv runs.csv

LIST: names and wildcards with commas between, such as 'val/*,test/accuracy'.
FILE: a path, or - for the terminal (not --html)."""


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
    check(options)
    everything = collect(options.directories) if options.directories else []
    if options.diff:
        print(side_by_side(*(find(name, everything) for name in options.diff)))
        return
    runs = choose(everything, options)
    key, mode, objectives = order(runs, options.sort)
    shown = line_up(runs, options, key, mode, objectives)
    results = zip(shown.rows, shown.runs, strict=True)
    best_row, best = next((pair for pair in results if table.is_result(*pair, key)), ({}, None))
    again = rerun.command(best) if best and best[0].config else ""
    head = [f"{len(runs)} runs of {len(everything)}: " if len(runs) < len(everything) else f"{len(runs)} runs: "]
    head[0] += ", ".join(f"{count} {status}" for status, count in Counter(run.status for run in runs).items())
    if options.top is not None and options.top < len(shown.rows):
        head.append(f"the best {options.top} of {len(shown.rows)} rows by {key}")
        shown.rows, shown.runs = shown.rows[: options.top], shown.runs[: options.top]
    if best:
        head.append(f"best {key} ({mode}): {table.cell(best_row[key])} in {best[0].directory.path}")
        commit, here = best[0].summary.get("git_commit"), git_commit()
        if commit != here:
            head.append(f"trained by the code at commit {commit or 'unknown'}; here it is at {here or 'no commit'}")

    piped = write_tables(shown, options)
    say = sys.stderr if piped else sys.stdout  # what goes into a pipe is the table alone
    if not piped:
        print(table.to_text(shown, shutil.get_terminal_size((120, 24)).columns), end="\n\n")
    print(*head, *(f"note: {note}" for note in shown.notes), sep="\n", file=say)
    if again:
        print(f"to train it again:\n  {again}", file=say)
    if options.figures:
        from lstm_ae.figures.comparison import Comparison  # late: matplotlib takes longer than the table

        folder = Path(options.output or Path(options.directories[0]) / "compare")
        comparison = Comparison([run for group in shown.runs for run in group], shown.keys, objectives)
        written, left_out = comparison.draw(folder)
        print(f"figures in {folder}: {'  '.join(path.name for path in written)}", file=say)
        for reason in left_out:
            print(f"  not drawn: {reason}", file=say)
    if options.html:
        from lstm_ae.figures.html import page

        write_whole(Path(options.html), page(shown, objectives, head, best, again))
        print(f"open {Path(options.html).absolute()} in a browser", file=say)


def check(options: argparse.Namespace) -> None:
    """Find the mistakes that need no run to be found, before anything is written.

    Raises:
        UserError: names the option and what it accepts.
    """
    if not options.directories and not options.diff:
        raise UserError("which runs? Give run or sweep directories: python -m lstm_ae.compare DIR [DIR ...]")
    if options.top is not None and options.top < 1:
        raise UserError(f"--top={options.top}: must be at least 1")
    if options.output and not options.figures:
        raise UserError(f"--output={options.output}: is where the figures go; add --figures")
    for name in ("csv", "json", "markdown", "html"):
        target = getattr(options, name)
        if target and (Path(target).is_dir() or (name == "html" and target == "-")):
            raise UserError(f"--{name}={target}: must be a file")
        if target and not Path(target).parent.is_dir():
            raise UserError(f"--{name}={target}: there is no folder {Path(target).parent}")


def choose(runs: list[RunRecord], options: argparse.Namespace) -> list[RunRecord]:
    """The runs that pass --filter and --status.

    Raises:
        UserError: nothing is left, or the filter cannot be read.
    """
    if options.status:
        wanted = table.select(options.status, sorted({run.status for run in runs}), "--status")
        runs = [run for run in runs if run.status in wanted]
    if options.filter is not None:
        passes = filters.parse(options.filter, names_of(runs))
        runs = [run for run in runs if passes(run.values)]
    if not runs:
        raise UserError(f"--filter '{options.filter}': no run passes")
    return runs


def order(runs: Sequence[RunRecord], sort: str | None) -> tuple[str, str, dict[str, str]]:
    """What to sort by, its mode, and the objectives (metric -> mode) that figures show, the first one first.

    Raises:
        UserError: `sort` is no name that a run has.
    """
    monitors = next((run.monitors for run in runs if run.monitors), {"val/loss": "min"})
    key, _, mode = sort.partition(":") if sort else (next(iter(monitors)), "", "")
    known = names_of(runs)
    if sort and key not in known:
        raise UserError(f"--sort={sort}: {filters.unknown(key, known)}")
    if mode not in ("", "min", "max"):
        raise UserError(f"--sort={sort}: after the colon goes min or max")
    mode = mode or table.direction(key, runs)
    if key in monitors:
        return key, mode, {key: mode} | {name: of for name, of in monitors.items() if name != key}
    return key, mode, {key: mode} if key in table.metric_names(runs) else monitors


def line_up(
    runs: Sequence[RunRecord], options: argparse.Namespace, key: str, mode: str, objectives: dict[str, str]
) -> table.Table:
    """The table, sorted by `key`.

    Raises:
        UserError: --metrics or --keys hold a name that no run has.
    """
    measured = table.metric_names(runs)
    settings = [name for name in names_of(runs) if name not in measured]
    metrics = table.select(options.metrics, measured, "--metrics") if options.metrics else table.default_metrics(runs)
    keys = table.select(options.keys, settings, "--keys") if options.keys else None
    if key in measured:
        metrics = list(dict.fromkeys([*metrics, key]))
    if options.group_by_seed:
        shown = table.by_seed(runs, keys, metrics)
    else:
        shown = table.single(runs, differing(runs) if keys is None else keys, metrics)
    shown.notes += table.cautions(runs, key)
    if len(objectives) == 2:
        table.mark_pareto(shown, objectives)
    shown.sort(key, mode)
    return shown


def names_of(runs: Sequence[RunRecord]) -> list[str]:
    """Every name that any of the runs has a value for."""
    return list(dict.fromkeys(name for run in runs for name in run.values))


def write_tables(shown: table.Table, options: argparse.Namespace) -> bool:
    """Write what --csv, --json and --markdown ask for; whether one of them went to standard output."""
    piped = False
    for name, write in {"csv": table.to_csv, "json": table.to_json, "markdown": table.to_markdown}.items():
        target = getattr(options, name)
        if target == "-":
            piped = True
            print(write(shown))
        elif target:
            write_whole(Path(target), write(shown) + "\n")
    return piped


def main() -> None:
    """The command."""
    run_command(lambda: compare(sys.argv[1:]))


if __name__ == "__main__":
    main()
