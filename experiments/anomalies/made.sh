#!/bin/sh
# One network for all channels against one for each. sh experiments/anomalies/made.sh FOLDER SEED
# FOLDER holds what made.py wrote.
set -e
score="python -m lstm_ae.score label=label smooth=32 buffer=60 scorer=normalised"
python -m lstm_ae.train experiment=anomaly dataset.path="$1/normal.csv" model.hidden_size=16 seed="$2" \
    hydra.run.dir="$1/runs_$2/joint"
$score run="$1/runs_$2/joint" input="$1/test.csv" output="$1/scores_$2/joint.csv"
for channel in c0 c1 c2 c3 c4; do
    python -m lstm_ae.train experiment=anomaly dataset.path="$1/normal_$channel.csv" seed="$2" \
        hydra.run.dir="$1/runs_$2/$channel"
    $score run="$1/runs_$2/$channel" input="$1/test_$channel.csv" output="$1/scores_$2/$channel.csv"
done
python experiments/anomalies/made.py "$1" "$2"
