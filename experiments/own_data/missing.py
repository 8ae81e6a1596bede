"""What missing values cost: the same data with 0 to 40% of them removed, at random or in blocks, filled or masked.

python experiments/own_data/missing.py RESULTS.csv 0,1,2    # seeds; goes on where the file ends
python experiments/own_data/missing.py report RESULTS.csv

`LSTM_AE_DATA` names the folder of public files.
"""

import csv
import logging
import os
import sys
import tempfile
import time
import warnings
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from hydra import compose, initialize_config_dir

from lstm_ae.config import CONF, build
from lstm_ae.data.mnist import read_idx
from lstm_ae.data.sequence_data import SequenceData
from lstm_ae.kernels import choose_backend, use_backend
from lstm_ae.models.inference import predict

SERIES = "nab/data/realKnownCause/machine_temperature_system_failure.csv"
SHARES = (0.0, 0.2, 0.4, 0.1)  # in the order of measuring
BLOCK = 8  # steps in a block
EPOCHS = {"mnist": 60, "machine": 30}
SETTINGS = (
    "model.hidden_size=64", "model/decoder=initial_state", "model.decoder.reverse=true", "model/initialization=chrono",
    "scheduler=cosine", "optimizer.lr=0.01",
)  # fmt: skip


def holes(shape: tuple[int, int], share: float, pattern: str, seed: int) -> np.ndarray:
    """Which values of (steps, features) to remove: each by chance, or blocks of consecutive steps of one feature."""
    draw = np.random.default_rng(seed)
    if pattern == "random":
        return draw.random(shape) < share
    gone = np.zeros(shape, bool)
    while gone.mean() < share:
        count = max(1, int((share - gone.mean()) * gone.size / BLOCK / 2))
        for start, feature in zip(draw.integers(0, shape[0], count), draw.integers(0, shape[1], count), strict=True):
            gone[start : start + BLOCK, feature] = True
    return gone


def mnist(share: float, pattern: str, seed: int, folder: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    """2,000 images to train, 1,000 to test, 28 rows of 28; overrides, the true test values, and which are removed."""
    for part, name, count in (("train", "train-images-idx3-ubyte", 2000), ("test", "t10k-images-idx3-ubyte", 1000)):
        images = read_idx(name)[:count].numpy().reshape(count, 28, 28).astype(np.float32) / 255
        gone = holes((count * 28, 28), share, pattern, 10 * seed + len(part)).reshape(images.shape)
        np.save(folder / f"{part}.npy", np.where(gone, np.nan, images))
    return ["dataset=arrays", f"dataset.path={folder}/train.npy", f"dataset.test_path={folder}/test.npy"], images, gone


def machine(share: float, pattern: str, seed: int, folder: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    """One series of 22,695 temperatures, in windows of 60; overrides, the true series, and which values are removed."""
    table = pd.read_csv(Path(os.environ["LSTM_AE_DATA"]) / SERIES).drop_duplicates("timestamp").sort_values("timestamp")
    truth = table["value"].to_numpy()
    gone = holes((len(table), 1), share, pattern, seed)
    table["value"] = table["value"].mask(gone[:, 0])
    table.to_csv(folder / "series.csv", index=False)
    return ["dataset=table", f"dataset.path={folder}/series.csv", "dataset.time=timestamp", "dataset.values=[value]",
            "dataset.window=60", "dataset.stride=10"], truth[:, None], gone  # fmt: skip


def of_test(data: SequenceData, values: np.ndarray) -> np.ndarray:
    """What the test part has of `values`, (n, length, features)."""
    if data.test.time is None:
        return values
    return np.stack([values[begin : begin + data.spec.length] for begin in data.test.time.tolist()])


def measure(name: str, share: float, pattern: str, missing: str, seed: int) -> dict[str, float]:
    """Train with what is left, and compare the reconstruction with all that was there; relative to the variance.

    The seed is that of the weights, of the batches and of what is removed.
    """
    with tempfile.TemporaryDirectory() as folder, initialize_config_dir(CONF):
        made, truth, gone = {"mnist": mnist, "machine": machine}[name](share, pattern, seed, Path(folder))
        common = [f"seed={seed}", f"trainer.max_epochs={EPOCHS[name]}", f"dataset.missing={missing}", "threads=1"]
        config = compose("config", [*SETTINGS, *common, *made])
        start = time.process_time()
        build.prepare_process(config)
        data = build.build_data(config, torch.device("cpu"))
        model = build.build_model(config, data.spec, data.train)
        use_backend(model, choose_backend("auto", torch.device("cpu")))
        build.build_trainer(config).fit(
            model, build.build_objective(config), data, **build.build_training(config, model), directory=Path(folder),
            description=build.description(data), resume=False, on_epoch=lambda history: None,
        )  # fmt: skip
    scaler = data.scaler_of(data.test)
    rebuilt, filled = (scaler.inverse(x).numpy() for x in (predict(model, data.test).reconstruction, data.test.inputs))
    true, gone = of_test(data, truth), of_test(data, gone)
    found = {"exists": np.square(rebuilt - true)[~gone].mean()}
    if gone.any():
        found |= {
            "removed": np.square(rebuilt - true)[gone].mean(),
            "interpolation": np.square(filled - true)[gone].mean(),
        }
    return {key: float(value / true.var()) for key, value in found.items()} | {"seconds": time.process_time() - start}


def main(file: Path, seeds: list[int]) -> None:
    """Measure what the file has no row of, and write it there, a row at a time."""
    cells = [(share, pattern) for share in SHARES for pattern in (("random", "blocks") if share else ("none",))]
    done = [] if not file.exists() else [tuple(row.values())[:5] for row in csv.DictReader(file.open())]
    with file.open("a", newline="") as out:
        fields = ["data", "pattern", "share", "missing", "seed", "exists", "removed", "interpolation", "seconds"]
        rows = csv.DictWriter(out, fields, restval="")
        if not done:
            rows.writeheader()
        for (share, pattern), name, seed in product(cells, ("mnist", "machine"), seeds):
            for missing in ("interpolate", "mask") if share else ("error",):
                if (name, pattern, str(share), missing, str(seed)) in done:
                    continue
                found = measure(name, share, pattern, missing, seed)
                rows.writerow(
                    {"data": name, "pattern": pattern, "share": share, "missing": missing, "seed": seed, **found}
                )
                out.flush()
                print(name, pattern, share, missing, seed, {k: round(v, 4) for k, v in found.items()}, flush=True)


def report(file: Path) -> None:
    """Mean and standard deviation over the seeds; `cost`: the error on what exists over that with nothing removed."""
    rows = pd.read_csv(file)
    whole = rows[rows["share"] == 0].set_index(["data", "seed"])["exists"]
    rows["cost"] = rows["exists"].to_numpy() / whole.loc[list(zip(rows["data"], rows["seed"], strict=True))].to_numpy()
    by = rows.groupby(["data", "pattern", "share", "missing"])[["exists", "cost", "removed", "interpolation"]]
    print(by.agg(["mean", "std"]).round(4).to_string())


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable(logging.INFO)
    torch.set_num_threads(1)
    if sys.argv[1] == "report":
        report(Path(sys.argv[2]))
    else:
        main(Path(sys.argv[1]), [int(seed) for seed in sys.argv[2].split(",")])
