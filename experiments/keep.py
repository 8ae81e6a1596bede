"""Copy what a trained run is used for into a small folder, which `load_run` and the commands open.

python experiments/keep.py RUN_DIR FOLDER

Config, metrics, summary and the best weights; not what training would need to go on (twice as large), the log, Hydra's
own settings and the figures.
"""

import shutil
import sys
from pathlib import Path

from lstm_ae.training import checkpoint

NAMES = (".hydra/config.yaml", ".hydra/overrides.yaml", "metrics.csv", "summary.json")
TRAINING = ("optimizer", "schedule", "batch_generator", "torch_generator", "cuda_generator")

run, folder = map(Path, sys.argv[1:])
for name in NAMES:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(run / name, folder / name)
state = checkpoint.load(run / "checkpoints" / "best.pt")
kept = {key: value for key, value in state.items() if key not in (*TRAINING, "format")}
(folder / "checkpoints").mkdir(exist_ok=True)
checkpoint.save(folder / "checkpoints" / "best.pt", kept)
