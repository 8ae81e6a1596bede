"""Can window, context, scaling and scorer be chosen without labels? Two criteria, and what labels would have chosen.

python experiments/anomalies/choose.py FOLDER TRAIN.csv TEST.csv BUFFER [SEED]    into FOLDER/TRAIN_SEED.csv
python experiments/anomalies/choose.py FOLDER                                     the table over all of them

Every setting is trained on the training file by `experiment=anomaly`. Then it is judged without labels:

- `val/reconstruction`: the validation error that the training itself watches;
- `injected`: VUS-PR on the validation part with faults put into it (Goswami et al., ICLR 2023: flipped, faster, noisy,
  flat, scaled and wandering stretches), which has labels because the faults are made.

`labels` is VUS-PR on the test file. BUFFER is the largest margin of both. The column `label` of the test file is read
for nothing else.
"""

import logging
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from lstm_ae.anomalies.detectors import Detectors, HeldOut, Stream
from lstm_ae.anomalies.metrics import vus
from lstm_ae.config import CONF, build
from lstm_ae.evaluation.scoring import open_run

SETTINGS = [(window, context, "window") for window in (16, 32, 64) for context in (4, 8, 16)]
SETTINGS += [(window, 8, "train") for window in (16, 32, 64)]
SCORERS = ("squared_error", "normalised", "gaussian")
DEFAULT = (32, 8, "window", "squared_error")
SMOOTH, REPEATS = 32, 4
KINDS = ("flipped", "faster", "noisy", "flat", "scaled", "wandering")


def faulty(clean: np.ndarray, kind: str, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A copy of a series (steps, channels) with one fault in one channel, and labels (steps,).

    A fault is a tenth of the series long, at least 8 steps and at most 100, and lies anywhere.
    """
    values, labels = clean.copy(), np.zeros(len(clean), bool)
    length = int(np.clip(len(clean) // 10, 8, 100))
    start = int(generator.integers(len(clean) - 2 * length))
    part, channel = slice(start, start + length), int(generator.integers(clean.shape[1]))
    old, deviation = clean[part, channel], clean[:, channel].std()
    if kind == "flipped":
        new = old[::-1]
    elif kind == "faster":
        new = clean[start : start + 2 * length : 2, channel]
    elif kind == "noisy":
        new = old + generator.normal(0, 0.5 * deviation, length)
    elif kind == "flat":
        new = np.full(length, old[0])
    elif kind == "scaled":
        new = old.mean() + 2 * (old - old.mean())
    else:  # wandering
        new = old + np.linspace(0, deviation, length) * generator.choice([-1, 1])
    values[part, channel] = new
    labels[part] = True
    return values, labels


def scores(detectors: Detectors, values: np.ndarray) -> np.ndarray:
    """The network's score of each step."""
    alone = replace(detectors, naive={})
    stream = Stream(alone, "", "median", SMOOTH)
    return np.concatenate([stream.push(values), stream.finish()])[:, 0]


def injected(detectors: Detectors, held_out: HeldOut, buffer: int) -> float:
    """VUS-PR over copies of the validation part, each with one fault; the same copies for every setting."""
    generator = np.random.default_rng(0)
    (_, clean), *_ = held_out
    copies = [faulty(clean, kind, generator) for kind in KINDS for _ in range(REPEATS)]
    found = np.concatenate([scores(detectors, values) for values, _ in copies])
    labels = np.concatenate([labels for _, labels in copies])
    return vus(labels, found, buffer, np.cumsum([len(values) for values, _ in copies])[:-1].tolist())["vus_pr"]


def trained(run: Path, overrides: list[str]) -> float:
    """Train into a run directory; returns the least validation error."""
    config = compose("config", ["experiment=anomaly", *overrides])
    (run / ".hydra").mkdir(parents=True, exist_ok=True)
    OmegaConf.save(config, run / ".hydra" / "config.yaml")
    data = build.build_data(config, build.prepare_process(config))
    model = build.build_model(config, data.spec, data.train)
    history = build.build_trainer(config).fit(
        model, build.build_objective(config), data, **build.build_training(config, model),
        directory=run / "checkpoints", description=build.description(data), resume=False, on_epoch=lambda _: None,
    )  # fmt: skip
    return min(row["val/reconstruction"] for row in history)


def study(folder: Path, train: Path, test: Path, buffer: int, seed: int) -> None:
    """Write a row for each setting."""
    table = pd.read_csv(test)
    labels = table.pop("label").to_numpy(bool)
    channels = table.shape[1]
    rows = []
    for window, context, scaling in SETTINGS:
        begin = time.process_time()
        run = folder / f"{train.stem}_{seed}_{window}_{context}_{scaling}"
        error = trained(run, [f"dataset.path={train}", f"dataset.test_path={test}", f"dataset.scaling={scaling}",
                              f"dataset.values=[{','.join(table)}]", f"dataset.window={window}",
                              f"model.hidden_size={context}", f"seed={seed}"])  # fmt: skip
        for scorer in SCORERS if channels > 1 else SCORERS[:1]:  # of one channel they rank alike
            opened = open_run(run, compose("score", [f"run={run}", f"smooth={SMOOTH}", f"scorer={scorer}"]))
            found = vus(labels, scores(opened.detectors, table.to_numpy(float)), buffer)["vus_pr"]
            made = injected(opened.detectors, opened.held_out, buffer)
            rows.append({"window": window, "context": context, "scaling": scaling, "scorer": scorer,
                         "val/reconstruction": error, "injected": made, "labels": found})  # fmt: skip
            print(*rows[-1].values(), f"{time.process_time() - begin:.1f} s of the processor", flush=True)
    pd.DataFrame(rows).to_csv(folder / f"{train.stem}_{seed}.csv", index=False)


def report(folder: Path) -> None:
    """For each file: the labels' VUS-PR of what each criterion picks, and how the criteria rank the settings."""
    keys = ["window", "context", "scaling", "scorer"]
    for path in sorted(folder.glob("*.csv")):
        table = pd.read_csv(path)
        default = table[(table[keys] == list(DEFAULT)).all(axis=1)].index[0]
        picks = {"default": default, "val/reconstruction": table["val/reconstruction"].idxmin(),
                 "injected": table["injected"].idxmax(), "labels": table["labels"].idxmax()}  # fmt: skip
        print(f"{path.stem}: {len(table)} settings, median {table['labels'].median():.3f}")
        for name, place in picks.items():
            print(f"  {name:20}{table['labels'][place]:.3f}  {' '.join(map(str, table.loc[place, keys]))}")
        for name, sign in (("val/reconstruction", -1), ("injected", 1)):
            ranks = (sign * table[name]).rank().corr(table["labels"].rank())
            print(f"  {name:20}rank correlation with the labels {ranks:.2f}")
        for key in keys:  # all else equal
            groups = [group for _, group in table.groupby([name for name in keys if name != key]) if len(group) > 1]
            lost = [group["labels"].max() - group["labels"][group["injected"].idxmax()] for group in groups]
            random = [group["labels"].max() - group["labels"].mean() for group in groups]
            if groups:
                print(f"  {key} by `injected`, all else equal: {np.mean(lost):.3f} lost on average, "
                      f"by chance {np.mean(random):.3f}; {len(groups)} choices")  # fmt: skip


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    if len(sys.argv) == 2:
        report(Path(sys.argv[1]))
    else:
        folder, train, test, buffer, *seed = sys.argv[1:]
        with initialize_config_dir(CONF):
            study(Path(folder), Path(train).absolute(), Path(test).absolute(), int(buffer), int(*seed or ["0"]))
