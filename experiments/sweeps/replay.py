"""What shortlists would have found on grids that were trained in full, and how early the order of a grid shows.

python experiments/sweeps/replay.py GRID_DIR [GRID_DIR ...]

A setting that is interrupted and resumed has the same epochs, to the last bit, as one that is not (with REAL:GRID_DIR
in place of GRID_DIR this is checked: every epoch in the run directories of the shortlist REAL must be the grid's own).
So the first epochs of a full run are what a shortlist would have seen.
"""

import sys
from itertools import pairwise
from pathlib import Path

import pandas as pd
from scipy.stats import kendalltau

from lstm_ae.runs.directory import RunDirectory
from lstm_ae.runs.frame import load_runs

# The keys that the grids vary.
POINT = (
    "optimizer.lr", "model.hidden_size", "trainer.gradient_clip_norm", "dataset.batch_size",
    "objective.reconstruction_weight",
)  # fmt: skip
# rounds, and how many go on from each
RULES = [
    ([1], [1]), ([1], [2]), ([1], [3]),
    ([2], [1]), ([2], [2]), ([2], [3]),
    ([1, 2], [1 / 3, 1]), ([1, 2], [1 / 3, 2]), ([1, 2, 4], [0.22, 0.11, 1]), ([1, 2, 4], [1 / 2, 3, 1]),
]  # fmt: skip


def curves(grid: str) -> tuple[pd.DataFrame, str, str]:
    """The monitor of a grid's runs, a row for each setting and a column for each epoch; the monitor and its mode."""
    runs = load_runs(grid)
    monitor, mode = runs["monitor"].iloc[0], runs["mode"].iloc[0]
    names = [" ".join(o for o in given if o.split("=")[0] in POINT) for given in runs["overrides"]]
    rows = [[row[monitor] for row in RunDirectory(path).read_metrics()] for path in runs["path"]]
    return pd.DataFrame(rows, index=names, columns=range(1, len(rows[0]) + 1)), monitor, mode


def replay(values: pd.DataFrame, rounds: list[int], keep: list[float]) -> tuple[int, str, int]:
    """The epochs of a shortlist, the setting that it finds, and that setting's rank in the grid.

    Args:
        values: the least is the best; a row for each setting, a column for each epoch.
        rounds: as of `pruner=shortlist`.
        keep: the same.
    """
    best = values.cummin(axis=1)
    going, epochs = list(best.index), 0
    places = [int(-(-k * len(values) // 1)) if k < 1 else int(k) for k in keep]
    for (begin, end), kept in zip(pairwise([0, *rounds]), places, strict=True):
        epochs += len(going) * (end - begin)
        going = list(best.loc[going, end].sort_values(kind="stable").index[:kept])
    epochs += len(going) * (values.shape[1] - rounds[-1])
    final = best.iloc[:, -1]
    found = final[going].idxmin()
    return epochs, found, int((final < final[found]).sum()) + 1


def check_same(real: str, grid: str) -> int:
    """The epochs of a real shortlist, each equal to the last bit to the grid's; raises where one is not."""
    whole, shortened = (
        {str(run["overrides_of_point"]): run["path"] for run in keyed(folder)} for folder in (grid, real)
    )
    count = 0
    for point, path in shortened.items():
        rows, others = RunDirectory(path).read_metrics(), RunDirectory(whole[point]).read_metrics()
        for row, other in zip(rows, others, strict=False):
            assert {k: v for k, v in row.items() if k != "seconds"} == {
                k: v for k, v in other.items() if k != "seconds"
            }
            count += 1
    return count


def keyed(folder: str) -> list[dict]:
    """The runs of a search with the settings that it varied."""
    found = load_runs(folder).to_dict("records")
    for run in found:
        run["overrides_of_point"] = sorted(o for o in run["overrides"] if o.split("=")[0] in POINT)
    return found


def main(arguments: list[str]) -> None:
    """Print a table of what each rule finds on each grid, and one of the rank correlations."""
    taus, found = {}, []
    for argument in arguments:
        real, _, grid = argument.rpartition(":")
        if real:
            print(f"{real}: {check_same(real, grid)} epochs, each equal to {grid}'s to the last bit")
        raw, monitor, mode = curves(grid)
        values = raw if mode == "min" else -raw
        final = values.cummin(axis=1).iloc[:, -1]
        name = Path(grid).name
        taus[name] = [kendalltau(values.cummin(axis=1)[epoch], final).statistic for epoch in values]
        for rounds, keep in RULES:
            epochs, setting, rank = replay(values, rounds, keep)
            found.append({
                "rounds": rounds, "keep": [round(k, 2) for k in keep], "grid": name, "epochs": epochs,
                "share": epochs / values.size, "rank": rank, monitor: abs(final[setting]), "best": abs(final.min()),
            })  # fmt: skip
    table = pd.DataFrame(found)
    pd.set_option("display.width", 200, "display.max_columns", 50, "display.max_rows", 500)
    print(table.to_string(index=False, float_format="{:.4g}".format))
    print(table.astype({"rounds": str, "keep": str}).groupby(["rounds", "keep"], sort=False).agg(
        share=("share", "mean"), ranks=("rank", list)).to_string(float_format="{:.3f}".format))  # fmt: skip
    print("Kendall's tau of the best value up to epoch k with that of the whole run")
    print(pd.DataFrame({k: pd.Series(v, range(1, len(v) + 1)) for k, v in taus.items()}).T.round(2).to_string())


if __name__ == "__main__":
    main(sys.argv[1:])
