#!/usr/bin/env bash
# Report B's grid of 16 on a part of MNIST with few epochs, then TPE with pruning in the same wall time.
# bash experiments/sweeps/mnist_rows.sh [epochs]
set -euo pipefail
cd "$(dirname "$0")/../.."
short=(dataset.num_train=10000 "trainer.max_epochs=${1:-8}" workers=2)
started=$(date +%s)
python -m lstm_ae.train -m sweep=mnist_rows_grid study_name=part_grid "${short[@]}"
# Stopped when the grid's time is over: what is finished by then counts.
timeout --signal=INT $(($(date +%s) - started)) \
  python -m lstm_ae.train -m sweep=mnist_rows_tpe study_name=part_tpe "${short[@]}" hydra.sweeper.n_trials=1000 || true
python -m lstm_ae.compare multirun/part_grid multirun/part_tpe --top 10
