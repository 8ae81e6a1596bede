#!/usr/bin/env bash
# Report C's grid one after another, on two workers, and TPE with pruning on two workers, at the same epochs.
# bash experiments/sweeps/synthetic.sh; writes experiments/sweeps/synthetic.csv
set -euo pipefail
cd "$(dirname "$0")/../.."
table=experiments/sweeps/synthetic.csv
echo "search,seconds" > "$table"

timed() {  # name, overrides
  local name=$1; shift
  local started; started=$(date +%s.%N)
  python -m lstm_ae.train -m "study_name=$name" "$@"
  echo "$name,$(echo "$(date +%s.%N) - $started" | bc)" >> "$table"
}

timed compare_grid sweep=synthetic_grid workers=1 threads=1
timed compare_grid_parallel sweep=synthetic_grid workers=2
for seed in 0 1 2; do
  timed "compare_tpe_$seed" sweep=synthetic_tpe workers=2 hydra.sweeper.n_trials=18 "hydra.sweeper.sampler.seed=$seed"
done
python -m lstm_ae.compare multirun/compare_grid multirun/compare_grid_parallel multirun/compare_tpe_{0,1,2} --top 10
