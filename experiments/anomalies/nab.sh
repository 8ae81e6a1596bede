#!/bin/sh
# NAB: a run for each series, then all of them scored. sh experiments/anomalies/nab.sh FOLDER benchmark SEED
# FOLDER holds what nab_files.py wrote. Both commands go on where they were stopped when they are given again.
set -e
files=$(ls "$1/$2"/*.csv | tr '\n' ',' | sed 's/,$//')
python -m lstm_ae.train -m experiment=anomaly dataset.path="$files" dataset.time=timestamp dataset.label=label \
    seed="$3" hydra.sweep.dir="$1/runs_$2_$3"
python -m lstm_ae.score run="$1/runs_$2_$3" smooth=64 buffer=100 \
    threshold.scores=input threshold.method=deviations threshold.deviations=5
