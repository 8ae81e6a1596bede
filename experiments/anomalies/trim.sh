#!/bin/sh
# Training data that is not clean: 0, 1 and 5% of faulty steps in it, with and without dataset.trim.
# sh experiments/anomalies/trim.sh FOLDER SEED, FOLDER holds what made.py wrote.
set -e
for percent in 0 1 5; do
    file="$1/normal_$percent.csv"
    [ "$percent" = 0 ] && file="$1/normal.csv"
    for trim in 0.0 0.1; do
        run="$1/trim_$2/${percent}_$trim"
        python -m lstm_ae.train experiment=anomaly dataset.path="$file" model.hidden_size=16 dataset.trim="$trim" \
            seed="$2" hydra.run.dir="$run"
        python -m lstm_ae.score run="$run" input="$1/test.csv" output="$1/trim_$2/${percent}_$trim.csv" \
            label=label smooth=32 buffer=60 scorer=normalised
    done
done
