"""Seconds and memory of training and scoring, over the length of a series and its channels.

python experiments/anomalies/cost.py FOLDER ROWSxCHANNELS [ROWSxCHANNELS ...]

A row of the table holds: rows, channels; of training and of scoring each the seconds on the clock, the seconds of the
processor and the highest memory in MB; rows scored per second of the processor, all of the command counted.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)


def measured(*arguments: str) -> tuple[float, float, float]:
    """Run a command: seconds on the clock, seconds of the processor, and the highest memory in MB."""
    begin = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{arguments} failed")
    return time.monotonic() - begin, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


for size in sys.argv[2:]:
    rows, channels = map(int, size.split("x"))
    generator = np.random.default_rng(0)
    lengths = np.exp(generator.uniform(np.log(8), np.log(80), channels))
    values = np.sin(2 * np.pi * np.arange(rows)[:, None] / lengths) + generator.normal(0, 0.1, (rows, channels))
    path = folder / f"{size}.csv"
    pd.DataFrame(values.astype(np.float32), columns=[f"c{i}" for i in range(channels)]).to_csv(path, index=False)
    del values
    run = folder / f"run_{size}"
    train = measured("lstm_ae.train", "experiment=anomaly", f"dataset.path={path}", f"hydra.run.dir={run}")
    score = measured("lstm_ae.score", f"run={run}", f"input={path}", f"output={folder}/{size}_scores.csv")
    cells = [f"{rows:,}", channels, *(f"{value:,.0f}" for value in (*train, *score)), f"{rows / score[1]:,.0f}"]
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)
    path.unlink()
