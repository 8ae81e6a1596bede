"""What TPE with pruning and random draws find on grids that were trained in full, and for how many epochs.

python experiments/sweeps/replay_search.py GRID_DIR [GRID_DIR ...]

One worker, the grid's own settings as choices: the trials of such a search have the epochs of the grid's runs, so that
the sampler and the pruner of this package can be asked without training anything again. Random draws of as many
settings as a shortlist's epochs would train in full are counted out: every draw is as likely as any other.
"""

import sys
from itertools import combinations
from pathlib import Path
from statistics import fmean

import optuna
import pandas as pd
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from replay import curves

from lstm_ae.config import CONF
from lstm_ae.config.parts import build_part
from lstm_ae.sweeps.search import hash_seed


def tpe(values: pd.DataFrame, seed: int) -> tuple[int, int]:
    """The epochs of TPE with the median pruner, as many trials as settings, and the rank of what it finds.

    Args:
        values: the least is the best; a row for each setting (`key=value key=value`), a column for each epoch.
        seed: of the sampler.
    """
    with initialize_config_dir(CONF):
        config = compose("config", ["sweep=search"], return_hydra_config=True)
    sampler, pruner = config.hydra.sweeper.sampler, build_part(config.pruner, "pruner")
    study = optuna.create_study(pruner=pruner)
    points = {name: dict(part.split("=") for part in name.split()) for name in values.index}
    space = {key: list(dict.fromkeys(point[key] for point in points.values())) for key in next(iter(points.values()))}
    by_point = {tuple(point.items()): name for name, point in points.items()}
    epochs = 0
    for count in range(len(values)):
        study.sampler = build_part(OmegaConf.merge(sampler, {"seed": hash_seed(seed, count)}), "sampler")
        trial = study.ask()
        curve = values.loc[by_point[tuple((key, trial.suggest_categorical(key, space[key])) for key in space)]]
        for epoch, value in curve.items():
            trial.report(value, epoch)
            epochs += 1
            if trial.should_prune():
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                break
        else:
            study.tell(trial, min(curve))
    return epochs, int((values.min(axis=1) < study.best_value).sum()) + 1


def main(grids: list[str]) -> None:
    """Print a row for each grid and search."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for grid in grids:
        raw, _, mode = curves(grid)
        values = raw if mode == "min" else -raw
        ranks = list(range(1, len(values) + 1))
        for seed in range(3):
            epochs, rank = tpe(values, seed)
            print(f"{Path(grid).name}  TPE with pruning, sampler seed {seed}: {epochs} epochs, "
                  f"{epochs / values.size:.3f} of the grid's, rank {rank}")  # fmt: skip
        for count in (2, 3):
            draws = [min(draw) for draw in combinations(ranks, count)]
            print(f"{Path(grid).name}  {count} random settings: {count / len(values):.3f} of the grid, mean rank "
                  f"{fmean(draws):.1f}, the best setting in {100 * draws.count(1) / len(draws):.0f}%")  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1:])
