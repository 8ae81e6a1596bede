"""NAB's series with their labels in a column, as tables that `dataset=table` and `score` read.

python experiments/anomalies/nab_files.py FOLDER        from $LSTM_AE_DATA/nab

Rows are sorted by time, and of several rows with one time the first is kept. A row inside one of the windows of
`combined_windows.json` is labelled 1. Three folders are written: `benchmark` (the 45 series of Orion's list as far as
it can be reconstructed: all with anomalies except realKnownCause), `development` (realKnownCause, on which settings
were chosen) and `quiet` (those without anomalies).
"""

import json
import os
import sys
from pathlib import Path

import pandas as pd

source, target = Path(os.environ["LSTM_AE_DATA"]) / "nab", Path(sys.argv[1])
windows = json.loads((source / "labels" / "combined_windows.json").read_text())
for name, spans in sorted(windows.items()):
    table = pd.read_csv(source / "data" / name, parse_dates=["timestamp"])
    table = table.sort_values("timestamp", kind="stable").drop_duplicates("timestamp")
    table["label"] = 0
    for first, last in spans:
        table.loc[table["timestamp"].between(pd.Timestamp(first), pd.Timestamp(last)), "label"] = 1
    kind = "quiet" if not spans else "development" if name.startswith("realKnownCause") else "benchmark"
    folder = target / kind
    folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(folder / Path(name).name, index=False)
for folder in sorted(target.iterdir()):
    print(folder.name, len(list(folder.iterdir())), "series")
