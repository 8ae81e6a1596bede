"""How `experiment=own` and `sweep=own` were chosen: settings drawn at random, trained on many data sets alike.

python experiments/own_data/study.py screen RESULTS.csv      # 18 settings on every data set
python experiments/own_data/study.py linear RESULTS.csv      # 18 settings of the linear start
python experiments/own_data/study.py confirm RESULTS.csv     # finalists, with a probe of the contexts
python experiments/own_data/study.py long RESULTS.csv        # the same, ten times as long
python experiments/own_data/study.py classes RESULTS.csv vowels digits    # the same as classifiers, of data with labels
python experiments/own_data/study.py baselines               # PCA and the linear-recurrence floor on the same data
python experiments/own_data/study.py report RESULTS.csv      # ranks, errors and importances

`LSTM_AE_DATA` names the folder of public files, `AEON_DATA` that of the data sets in aeon's wheel (aeon/datasets/data).
"""

import csv
import logging
import os
import random
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from hydra import compose, initialize_config_dir
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder, StandardScaler

from lstm_ae.config import CONF, build
from lstm_ae.data.sequence_data import SequenceData
from lstm_ae.errors import UserError
from lstm_ae.evaluation.baselines import reconstruction_baselines
from lstm_ae.kernels import choose_backend, use_backend
from lstm_ae.models.inference import predict
from lstm_ae.training.trainer import evaluate

PUBLIC = Path(os.environ.get("LSTM_AE_DATA", "."))
AEON = Path(os.environ.get("AEON_DATA", "."))
NAB = PUBLIC / "nab" / "data"
TRAIN, VAL = 600, 300  # sequences at most
UPDATES = {"screen": 150, "linear": 150, "confirm": 300, "long": 3000, "classes": 600}
SEEDS = {"screen": 1, "linear": 1, "confirm": 3, "long": 1, "classes": 3}
SPACE: dict[str, list[Any]] = {
    "optimizer.lr": [0.001, 0.002, 0.005, 0.01],
    "model.hidden_size": [16, 32, 64],
    "model.num_layers": [1, 2],
    "model/decoder": ["repeat_context", "initial_state"],
    "model.decoder.reverse": ["false", "true"],
    "model/initialization": ["orthogonal", "pytorch", "linear_memory", "chrono"],
    "scheduler": ["constant", "cosine", "one_cycle"],
    "dataset.batch_size": [16, 32, 64],
}
LINEAR_SPACE: dict[str, list[Any]] = {
    "optimizer.lr": [0.001, 0.002, 0.005, 0.01],
    "model.hidden_size": [16, 32, 64],
    "model/decoder": ["repeat_context", "initial_state"],
    "model.decoder.reverse": ["false", "true"],
    "model.decoder.hidden_size": ["${model.hidden_size}", 128],
    "model/initialization": ["linear_autoencoder"],
    "model.initialization.gate_bias": [1, 4, 8],
    "model.initialization.signal": [0.0003, 0.003, 0.03],
    "scheduler": ["constant", "cosine", "one_cycle"],
    "dataset.batch_size": [16, 32, 64],
}
CHRONO: dict[str, Any] = {"model.hidden_size": 16, "model/decoder": "initial_state", "model.decoder.reverse": "true",
                          "model/initialization": "chrono", "scheduler": "cosine", "optimizer.lr": 0.01}  # fmt: skip


def linear(lr: float, signal: float, gate_bias: float = 8, **more: Any) -> dict[str, Any]:
    """A setting that starts as the linear autoencoder, all else as in the best one without it."""
    start = {"model/initialization": "linear_autoencoder", "model.initialization.gate_bias": gate_bias}
    return {**CHRONO, **start, "model.initialization.signal": signal, "optimizer.lr": lr, **more}


FINALISTS: list[dict[str, Any]] = [
    {"optimizer.lr": 0.002, "model.hidden_size": 16},  # the plain defaults
    CHRONO,  # the best of the first screen
    linear(0.005, 0.003),
    linear(0.002, 0.003),
    linear(0.001, 0.003),
    linear(0.005, 0.0003),
    linear(0.002, 0.0003),
    linear(0.001, 0.0003),
    linear(0.002, 0.0003, gate_bias=1),
    linear(0.002, 0.03, gate_bias=1),
    linear(0.002, 0.0003, **{"model/decoder": "repeat_context"}),
    linear(0.005, 0.0003, gate_bias=1),
    linear(0.005, 0.003, gate_bias=1),
]


def tables(path: Path | str, *more: str) -> list[str]:
    """Overrides for windows of 60 rows of a table."""
    return ["dataset=table", f"dataset.path='{path}'", "dataset.window=60", *more]


def archive(name: str, folder: Path) -> list[str]:
    """Overrides for a data set of the UCR and UEA archive."""
    return ["dataset=arrays", f"dataset.path={folder}/{name}_TRAIN.ts", f"dataset.test_path={folder}/{name}_TEST.ts"]


TIME = "dataset.time=timestamp"
DATA = {
    "nyc_taxi": tables(NAB / "realKnownCause/nyc_taxi.csv", TIME),
    "machine": tables(NAB / "realKnownCause/machine_temperature_system_failure.csv", TIME),
    "cloud": tables(NAB / "realAWSCloudwatch/*.csv", TIME, "dataset.scaling=series"),
    "traffic": tables(NAB / "realTraffic/*.csv", TIME, "dataset.scaling=window"),
    "pressure": tables(PUBLIC / "aeon/135_UCR_Anomaly_InternalBleeding16_TRAIN.csv", TIME),
    "facility": tables(PUBLIC / "tsb/001_NAB_id_1_Facility_tr_1007_1st_2014.csv", "dataset.values=[Data]"),
    "solar": tables(AEON / "solar/solar.csv", "dataset.time=datetime_gmt", "dataset.window=24"),
    "prices": ["dataset=sp500", "dataset.symbols=20", "dataset.forecast_target=null",
               "dataset.features=[open,high,low,close]"],
    "vowels": archive("JapaneseVowels", PUBLIC / "aeon"),
    "italy_power": archive("ItalyPowerDemand", AEON / "ItalyPowerDemand"),
    "digits": ["dataset=digits_rows"],
}  # fmt: skip


def settings(space: dict[str, list[Any]], count: int = 18, seed: int = 0) -> list[dict[str, Any]]:
    """So many settings drawn from a space, the same for every data set."""
    draw = random.Random(seed)
    drawn = [{key: draw.choice(values) for key, values in space.items()} for _ in range(count)]
    for setting in drawn:
        if setting["model/initialization"] == "linear_memory":  # which is made for one layer
            setting["model.num_layers"] = 1
    return drawn


def run(name: str, setting: dict[str, Any], data: SequenceData, stage: str, seed: int) -> dict[str, float]:
    """Train one setting for the updates of its stage; what the validation part shows."""
    chosen = dict(setting)
    task = ["model=classifier"] if stage == "classes" else ["objective=reconstruction"]
    if chosen.get("model/initialization") == "linear_memory" and data.spec.varying:
        chosen["model.decoder.reverse"] = "true"  # all that it is made for where lengths differ
    with initialize_config_dir(CONF):
        overrides = [f"{key}={value}" for key, value in chosen.items() if not key.startswith("dataset")]
        config = compose("config", [*DATA[name], *overrides, *task, f"seed={seed}", "threads=1"])
    batch = int(chosen.get("dataset.batch_size", 32))
    data = SequenceData(data.spec, data.scaler, data.train, data.val, data.test, batch)
    build.prepare_process(config)
    model = build.build_model(config, data.spec, data.train)
    use_backend(model, choose_backend("auto", torch.device("cpu")))
    objective, trainer = build.build_objective(config), build.build_trainer(config)
    trainer.max_epochs = max(3, round(UPDATES[stage] / -(-len(data.train) // batch)))
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        history = trainer.fit(
            model, objective, data, **build.build_training(config, model), directory=Path(folder),
            description=build.description(data), resume=False, on_epoch=lambda history: None,
        )  # fmt: skip
    best = min(row["val/reconstruction"] for row in history)
    found = {
        "val": best,
        "last": evaluate(model, objective, data.val, "val")["val/reconstruction"],
        "seconds": time.process_time() - start,
    }
    if stage == "classes":
        found["accuracy"] = history[-1]["val/accuracy"]
    if data.train.labels is not None:
        found["probe"] = probe(model, data)
    return found


def probe(model: torch.nn.Module, data: SequenceData) -> float:
    """The accuracy on the validation part of a linear classifier of contexts that were learnt without labels."""
    train, val = (predict(model, part).context.numpy() for part in (data.train, data.val))
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    return float(classifier.fit(train, data.train.labels).score(val, data.val.labels))


def load(name: str) -> SequenceData:
    """The data set, at most `TRAIN` and `VAL` sequences of it, chosen at random."""
    with initialize_config_dir(CONF):
        data = build.build_data(compose("config", DATA[name]), torch.device("cpu"))
    parts = []
    for part, count in ((data.train, TRAIN), (data.val, VAL)):
        order = torch.randperm(len(part), generator=torch.Generator().manual_seed(0))[:count]
        parts.append(part[order])
    return SequenceData(data.spec, data.scaler, *parts, data.test[:1], data.batch_size)


def variance(data: SequenceData) -> float:
    """Of the values of the validation part that exist."""
    exists = data.val.exists()
    return float((data.val.inputs if exists is None else data.val.inputs[exists]).var())


def measure(stage: str, file: Path, names: list[str]) -> None:
    """Train what the stage asks for on the data sets `names`, a row at a time, and go on where the file ends."""
    plan = {"screen": settings(SPACE), "linear": settings(LINEAR_SPACE)}.get(stage, FINALISTS)
    done = set() if not file.exists() else {(r["data"], r["setting"], r["seed"]) for r in csv.DictReader(file.open())}
    keys = SPACE | LINEAR_SPACE
    fields = ["stage", "data", "setting", "seed", "shape", *keys, "variance", "val", "last", "probe"]
    fields += ["accuracy", "seconds"]
    fields = next(csv.reader(file.open())) if done else fields
    with file.open("a", newline="") as out:
        rows = csv.DictWriter(out, fields, restval="")
        if not done:
            rows.writeheader()
        for name in names:
            data = load(name)
            for number, setting in enumerate(plan):
                for seed in range(SEEDS[stage]):
                    if (name, str(number), str(seed)) in done:
                        continue
                    try:
                        found = run(name, setting, data, stage, seed)
                    except UserError as error:  # a start that is not made for this data
                        print(name, number, error, flush=True)
                        continue
                    shape = f"{data.spec.length}x{data.spec.features}"
                    rows.writerow({"stage": stage, "data": name, "setting": number, "seed": seed, **setting,
                                   "shape": shape, "variance": variance(data), **found})  # fmt: skip
                    out.flush()
                    print(name, number, seed, {k: round(v, 4) for k, v in found.items()}, flush=True)


def baselines() -> None:
    """Print the errors of PCA and the linear-recurrence floor on the validation parts, relative to their variance."""
    for name in DATA:
        data = load(name)
        errors = reconstruction_baselines(data.train, data.val, CHRONO["model.hidden_size"])
        print(name, {key: round(error / variance(data), 5) for key, error in errors.items()}, flush=True)


def report(file: Path) -> None:
    """The settings by mean rank over data sets, and the importance of each key for the log error within a data set."""
    rows = pd.read_csv(file)
    rows["score"] = np.log10(rows["val"] / rows["variance"])
    rows["relative"] = rows["score"] - rows.groupby("data")["score"].transform("min")
    rows["rank"] = rows.groupby(["data", "seed"])["score"].rank()
    keys = [key for key in SPACE | LINEAR_SPACE if key in rows and rows[key].nunique() > 1]
    by = rows.groupby("setting").agg(
        {**dict.fromkeys(keys, "first"), "rank": "mean", "relative": "mean", "probe": "mean"}
    )
    print(by.sort_values("relative").round(3).to_string())
    print((10 ** rows.pivot_table(index="data", columns="setting", values="score")).round(3).to_string())
    if rows["setting"].nunique() > 8:
        inputs = OrdinalEncoder().fit_transform(rows[keys].astype(str))
        centred = rows["score"] - rows.groupby("data")["score"].transform("mean")
        forest = RandomForestRegressor(300, random_state=0, min_samples_leaf=3).fit(inputs, centred)
        found = permutation_importance(forest, inputs, centred, n_repeats=20, random_state=0)
        print(
            pd.Series(found.importances_mean / found.importances_mean.sum(), keys)
            .sort_values(ascending=False)
            .round(3)
            .to_string()
        )
        for key in keys:
            print(centred.groupby(rows[key]).mean().round(3).to_dict(), key)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable(logging.INFO)
    torch.set_num_threads(1)
    if sys.argv[1] == "baselines":
        baselines()
    elif sys.argv[1] == "report":
        report(Path(sys.argv[2]))
    else:
        measure(sys.argv[1], Path(sys.argv[2]), sys.argv[3:] or list(DATA))
