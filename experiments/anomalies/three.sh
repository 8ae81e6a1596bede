#!/bin/sh
# Three single series, each trained on its own clean part. sh experiments/anomalies/three.sh FOLDER SEED
# FOLDER holds what three_files.py wrote.
set -e
for name in facility ecg bleeding; do
    python -m lstm_ae.train experiment=anomaly dataset.path="$1/${name}_train.csv" dataset.test_path="$1/$name.csv" \
        dataset.label=label seed="$2" hydra.run.dir="$1/runs_$2/$name"
done
python -m lstm_ae.score run="$1/runs_$2" smooth=32                                                  # facility
python -m lstm_ae.score run="$1/runs_$2" smooth=32 buffer=100 output="$1/runs_$2/scores_buffer_100"    # the other two
