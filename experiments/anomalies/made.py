"""A machine of five channels that follow two common movements, and faults that no channel shows alone.

python experiments/anomalies/made.py FOLDER         writes normal.csv, test.csv and, for each channel, files of its own
python experiments/anomalies/made.py FOLDER SEED    what the runs of made.sh found of them

A fault replaces 60 steps of one channel by steps of the same channel from another time, where both fit at the seams:
the channel goes on as ever, but not with the others.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from lstm_ae.anomalies.metrics import measure

CHANNELS = [f"c{i}" for i in range(5)]
FAULT, FAULTS, BUFFER = 60, 12, 60


def movement(steps: int, generator: np.random.Generator) -> np.ndarray:
    """A wave whose length wanders around 40 steps."""
    lengths = 40 * np.exp(0.3 * pd.Series(generator.normal(size=steps)).ewm(span=80).mean().to_numpy() * 5)
    return np.sin(np.cumsum(2 * np.pi / lengths))


def machine(steps: int, seed: int) -> pd.DataFrame:
    """The channels without faults."""
    generator = np.random.default_rng(seed)
    common = np.stack([movement(steps, generator), movement(steps, generator)], axis=1)
    mix = np.random.default_rng(99).normal(size=(2, len(CHANNELS)))  # the same machine, whatever the seed
    return pd.DataFrame(common @ mix + generator.normal(0, 0.05, (steps, len(CHANNELS))), columns=CHANNELS)


def with_faults(clean: pd.DataFrame, count: int) -> pd.DataFrame:
    """A copy with `count` faults, evenly spaced, and a column `label` that is 1 on their steps."""
    made, steps = clean.assign(label=0), len(clean)
    generator = np.random.default_rng(2)
    for i, start in enumerate(np.linspace(400, steps - 600, count).astype(int)):
        channel = CHANNELS[i % len(CHANNELS)]
        values = clean[channel].to_numpy()
        others = generator.permutation(np.arange(100, steps - 200))
        others = others[np.abs(others - start) > 300]
        seams = np.abs(values[others] - values[start]) + np.abs(values[others + FAULT - 1] - values[start + FAULT - 1])
        other = others[seams.argmin()]
        made.loc[start : start + FAULT - 1, channel] = values[other : other + FAULT]
        made.loc[start : start + FAULT - 1, "label"] = 1
    return made


def write(folder: Path) -> None:
    """Write the files; normal_1.csv and normal_5.csv hold so many percent of faulty steps."""
    normal, test = machine(10_000, 0), with_faults(machine(8_000, 1), FAULTS)
    folder.mkdir(parents=True, exist_ok=True)
    normal.to_csv(folder / "normal.csv", index=False)
    for percent in (1, 5):
        faulty = with_faults(normal, round(len(normal) * percent / 100 / FAULT))
        faulty[CHANNELS].to_csv(folder / f"normal_{percent}.csv", index=False)
    test.to_csv(folder / "test.csv", index=False)
    for channel in CHANNELS:
        normal[[channel]].to_csv(folder / f"normal_{channel}.csv", index=False)
        test[[channel, "label"]].to_csv(folder / f"test_{channel}.csv", index=False)


def report(folder: Path) -> None:
    """Print a line for each detector."""
    joint = json.loads((folder / "joint.json").read_text())["metrics"]
    rows = {f"all channels: {name}": values for name, values in joint.items()}
    labels = pd.read_csv(folder.parent / "test.csv")["label"].to_numpy(bool)
    parts = [pd.read_csv(folder / f"{channel}.csv")["score"].to_numpy() for channel in CHANNELS]
    for name, scores in (("mean", np.mean(parts, axis=0)), ("highest", np.max(parts, axis=0))):
        rows[f"a network for each channel, the {name} score"] = measure(labels, scores, scores > np.inf, BUFFER)
    for channel in CHANNELS:
        alone = json.loads((folder / f"{channel}.json").read_text())["metrics"]
        rows |= {f"{channel} alone: {name}": alone[name] for name in ("network", "pca", "nearest_neighbour")}
    shown = pd.DataFrame(rows).T[["vus_pr", "vus_roc", "pr_auc", "event_f1", "events_found", "false_alarms"]]
    print(shown.round(3).to_string())


if __name__ == "__main__":
    if len(sys.argv) > 2:
        report(Path(sys.argv[1]) / f"scores_{sys.argv[2]}")
    else:
        write(Path(sys.argv[1]))
