"""What a search costs beyond its jobs: seconds per trial of trivial trials, against Hydra's plain sweep of the same.

python experiments/sweeps/overhead.py [trials, by default 200]

Both train the same tiny autoencoder for one epoch in one worker, so the jobs cost the same; what is left over is the
study: asking, telling, locking, reporting. Starting up (a command with two trials) is taken off both.
"""

import subprocess
import sys
import tempfile
import time

TRIVIAL = [
    "dataset.num_sequences=20", "dataset.length=4", "dataset.dip_length=1", "dataset.dip_center=[1,2]", "threads=1",
    "model.hidden_size=2", "trainer.max_epochs=1",
]  # fmt: skip


def seconds(*overrides: str) -> float:
    """Wall time of one command in an empty directory."""
    with tempfile.TemporaryDirectory() as home:
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "lstm_ae.train", "-m", *TRIVIAL, *overrides], cwd=home, check=True,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        return time.perf_counter() - started


def main(trials: int = 200) -> None:
    """Print seconds per trial of both, and the difference."""
    per_trial = {}
    for name, search in {"plain sweep": [], "search": ["sweep=grid"]}.items():
        start = seconds(*search, "seed=range(2)")
        whole = seconds(*search, f"seed=range({trials})")
        per_trial[name] = (whole - start) / (trials - 2)
        print(f"{name}: {whole:.1f} s for {trials} trials, {start:.1f} s for 2, {per_trial[name]:.3f} s per trial")
    print(f"the search itself: {per_trial['search'] - per_trial['plain sweep']:.3f} s per trial")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
