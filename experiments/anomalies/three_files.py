"""Three labelled series as pairs of tables, NAME_train.csv and NAME.csv, with the columns `value` and `label`.

python experiments/anomalies/three_files.py FOLDER        from $LSTM_AE_DATA/tsb and $LSTM_AE_DATA/aeon

- `facility`: 001_NAB_id_1_Facility of TSB-AD-U; the first 1,007 rows train, all rows are scored, as the benchmark does.
- `ecg`: ecg-diff-count-3 of aeon.
- `bleeding`: 135_UCR_Anomaly_InternalBleeding16; the first 1,200 rows of the test file repeat the training file and are
  left out.
"""

import os
import sys
from pathlib import Path

import pandas as pd

source, target = Path(os.environ["LSTM_AE_DATA"]), Path(sys.argv[1])
aeon = source / "aeon"
facility = pd.read_csv(source / "tsb" / "001_NAB_id_1_Facility_tr_1007_1st_2014.csv")
pairs = {
    "facility": (facility[:1007], facility),
    "ecg": (pd.read_csv(aeon / "ecg-diff-count-3_TRAIN_NA.csv"), pd.read_csv(aeon / "ecg-diff-count-3_TEST.csv")),
    "bleeding": (
        pd.read_csv(aeon / "135_UCR_Anomaly_InternalBleeding16_TRAIN.csv"),
        pd.read_csv(aeon / "135_UCR_Anomaly_InternalBleeding16_TEST.csv")[1200:],
    ),
}
target.mkdir(parents=True, exist_ok=True)
for name, (train, test) in pairs.items():
    for table, ending in ((train, "_train"), (test, "")):
        values = table.iloc[:, -2:].set_axis(["value", "label"], axis=1).astype({"label": int})
        values.to_csv(target / f"{name}{ending}.csv", index=False)
