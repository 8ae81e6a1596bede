"""Line up the runs of one or more sweep or run directories: a table, files, figures, a page.

python -m lstm_ae.compare DIR [DIR ...]
"""

from lstm_ae.stopping import stop_on_signals

if __name__ == "__main__":
    stop_on_signals(at_once=False)  # already now: the imports below take a second or two

import argparse
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import pandas as pd

from lstm_ae.console import run_command
from lstm_ae.errors import UserError
from lstm_ae.metrics import Better
from lstm_ae.runs import filters, retrain, table
from lstm_ae.runs.cost import costs
from lstm_ae.runs.diff import find, side_by_side
from lstm_ae.runs.frame import SPREAD, load_runs, monitors
from lstm_ae.runs.output import check_target, write_target
from lstm_ae.runs.provenance import SOURCE, git_state
from lstm_ae.runs.reading import printable

EPILOG = """examples
  python -m lstm_ae.compare multirun/2026-01-31/12-00-00
  python -m lstm_ae.compare multirun/a multirun/b --filter 'model.hidden_size >= 32 and val/accuracy > 0.98'
  python -m lstm_ae.compare multirun/a --filter 'optimizer in [adam, sgd] and not epochs < 20'
  python -m lstm_ae.compare multirun/a --group-by-seed --results --top 5
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
    what.add_argument(
        "--results", action="store_true",
        help="the test metrics as well, each beside its baselines: to report what validation chose, not to choose by",
    )  # fmt: skip
    what.add_argument("--keys", metavar="LIST", help="config keys; default: those that differ")
    what.add_argument("--group-by-seed", action="store_true", help="mean, deviation, count over seeds and folds")
    what.add_argument(
        "--cost",
        action="store_true",
        help="what the runs of each folder took, against all of them trained to their ends",
    )
    what.add_argument("--diff", nargs=2, metavar=("A", "B"), help="two runs side by side: paths, or names in the table")
    out = cli.add_argument_group("where to")
    for name in ("csv", "json", "markdown"):
        out.add_argument(f"--{name}", metavar="FILE", help=f"write the table as {name}")
    out.add_argument(
        "--html", metavar="FILE", help="write one page with the table and interactive plots; needs no network"
    )
    out.add_argument("--force", action="store_true", help="replace a FILE even if it is no table of compare's")
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
    if options.diff:
        known = load_runs(*options.directories) if options.directories else None
        print(side_by_side(*(find(name, known) for name in options.diff)))
        return
    everything = load_runs(*options.directories)
    runs = choose(everything, options)
    key, mode, objectives = order(runs, options.sort)
    shown = line_up(runs, options, key, mode, objectives)
    head, best, again = summary_of(shown, len(everything), key, mode)
    if options.top is not None and options.top < len(shown.frame):
        head.insert(1, f"the best {options.top} of {len(shown.frame)} rows by {key}")
        shown.frame = shown.frame.head(options.top)

    piped = write_tables(shown, options)
    say = sys.stderr if piped else sys.stdout  # what goes into a pipe is the table alone
    if not piped:
        print(table.to_text(shown, shutil.get_terminal_size((120, 24)).columns), end="\n\n")
    print(*map(printable, (*head, *(f"note: {note}" for note in shown.notes))), sep="\n", file=say)
    if options.cost:
        print("\n" + table.plain(costs(runs)), file=say)
    if again:
        print(f"to train it again:\n  {again}", file=say)
    if options.figures:
        draw(shown, options, objectives, say)
    if options.html:
        from lstm_ae.figures.html import page

        target = Path(options.html)
        write_target(options.html, page(shown, objectives, head, best, again, target.parent))
        print(f"open {target.absolute()} in a browser", file=say)


def summary_of(shown: table.Table, count: int, key: str, mode: str) -> tuple[list[str], int | None, str]:
    """The lines that sum up a sorted table, the position of its best row, and the command that trains that one again.

    Args:
        shown: the table.
        count: how many runs there were before any was left out.
        key: what it is sorted by.
        mode: which of its values is the best.
    """
    runs = shown.runs
    left_out = f" of {count}" if len(runs) < count else ""
    statuses = ", ".join(f"{number} {status}" for status, number in Counter(runs["status"]).items())
    head = [f"{len(runs)} runs{left_out}: {statuses}"]
    results = shown.is_result(key).to_numpy()
    if not results.any():
        return head, None, ""
    data = shown.data_of(results)
    if len(data) > 1:
        head.append(
            f"no best: {key} was measured on {len(data)} different data sets or splits, and does not compare across "
            "them (fingerprints: --keys data; --filter \"data == '...'\" chooses one)"
        )
        return head, None, ""
    best = int(results.argmax())
    row, members = shown.frame.iloc[best], shown.members(best)
    members = members[members["status"] == "completed"]
    found = f"best {key} ({mode}): {table.cell(row[key])}"
    if shown.grouped:
        settings = ", ".join(f"{name}={table.cell(row[name]) or 'null'}" for name in shown.keys)
        names = ", ".join(members["run"])
        found += f", the mean of {row['runs']} runs" if row["runs"] > 1 else ""
        head.append(found + (f" with {settings}" if settings else "") + f": {names}")
    else:
        head.append(f"{found} in {row['path']}")
    commit, (here, _) = table.cell(members["git_commit"].iloc[0]), git_state(SOURCE)
    if commit != (here or ""):
        head.append(f"trained by the code at commit {commit or 'unknown'}; here it is at {here or 'no commit'}")
    return head, best, retrain.command(members)


def draw(shown: table.Table, options: argparse.Namespace, objectives: dict[str, Better], say: TextIO) -> None:
    """Write the figures and say where they are."""
    from lstm_ae.figures.comparison import Comparison  # late: matplotlib takes longer than the table

    folder = Path(options.output or Path(options.directories[0]) / "compare")
    if folder.is_symlink() and not options.output:
        raise UserError(f"{folder}: is a symbolic link, and could lead anywhere; name a folder with --output")
    written, left_out = Comparison(shown, objectives).draw(folder)
    print(f"figures in {folder}: {'  '.join(path.name for path in written)}", file=say)
    for reason in left_out:
        print(f"  not drawn: {reason}", file=say)


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
        if name == "html" and target == "-":
            raise UserError(f"--{name}={target}: must be a file")
        if target and target != "-":
            check_target(target, name, options.force)


def choose(runs: pd.DataFrame, options: argparse.Namespace) -> pd.DataFrame:
    """The runs that pass --filter and --status.

    Raises:
        UserError: nothing is left, or the filter cannot be read.
    """
    if options.status:
        wanted = table.select(options.status, sorted(runs["status"].unique()), "--status")
        runs = runs[runs["status"].isin(wanted)]
    if options.filter is not None:
        runs = filters.choose(runs, options.filter)
    if runs.empty:
        raise UserError(f"--filter '{options.filter}': no run passes")
    return runs


def order(runs: pd.DataFrame, sort: str | None) -> tuple[str, Better, dict[str, Better]]:
    """What to sort by, its mode, and the objectives (metric -> mode) that figures show, the first one first.

    Raises:
        UserError: `sort` is no name that a run has.
    """
    monitored = runs[runs["monitor"].notna()]
    default: dict[str, Better] = {"val/loss": "min"}
    objectives = default if monitored.empty else monitors(*monitored[["monitor", "mode"]].iloc[0])
    key, _, asked = sort.partition(":") if sort else (next(iter(objectives)), "", "")
    if sort and key not in runs:
        raise UserError(f"--sort={sort}: {filters.unknown(key, runs.columns)}")
    if asked not in ("", "min", "max"):
        raise UserError(f"--sort={sort}: after the colon goes min or max")
    mode: Better = "max" if (asked or table.better(key, runs)) == "max" else "min"
    if key in objectives:
        return key, mode, {key: mode} | {name: of for name, of in objectives.items() if name != key}
    return key, mode, {key: mode} if key in runs.attrs["metrics"] else objectives


def line_up(
    runs: pd.DataFrame, options: argparse.Namespace, key: str, mode: str, objectives: dict[str, Better]
) -> table.Table:
    """The table, sorted by `key`.

    Raises:
        UserError: --metrics or --keys hold a name that no run has.
    """
    choices, settings, measured = (runs.attrs[kind] for kind in ("choices", "settings", "metrics"))
    metrics = table.select(options.metrics, measured, "--metrics") if options.metrics else \
        table.default_metrics(runs, measured)  # fmt: skip
    metrics += table.results(measured) if options.results else []
    metrics = list(dict.fromkeys([*metrics, *([key] if key in measured else [])]))
    others = [name for name in runs.columns if name not in measured]
    keys = table.select(options.keys, others, "--keys") if options.keys else None
    if options.group_by_seed:
        shown = table.by_seed(runs, keys, metrics)
    else:
        shown = table.single(runs, table.differing(runs, choices, settings) if keys is None else keys, metrics)
    if any(name.endswith(SPREAD) for name in shown.columns):
        shown.notes.append("± is the standard deviation (n - 1) over the seeds and folds of a row")
    shown.notes += table.cautions(runs, key, metrics)
    if len(objectives) == 2:
        table.mark_pareto(shown, objectives)
    shown.sort(key, mode)
    return shown


def write_tables(shown: table.Table, options: argparse.Namespace) -> bool:
    """Write what --csv, --json and --markdown ask for; whether one of them went to standard output."""
    piped = False
    for name, write in {"csv": table.to_csv, "json": table.to_json, "markdown": table.to_markdown}.items():
        target = getattr(options, name)
        if target == "-":
            piped = True
            print(write(shown))
        elif target:
            write_target(target, write(shown) + "\n")
    return piped


def main() -> None:
    """The command."""
    run_command(lambda: compare(sys.argv[1:]))


if __name__ == "__main__":
    main()
