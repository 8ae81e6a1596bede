"""Whole programs from start to figures: nn.LSTM against the native layer, and our training against repository P's.

    python experiments/benchmark/whole_programs.py [names] [--rounds 2]

The two commands of a row take turns, in empty folders, with one thread; the median of the rounds is compared.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PEER_EPOCHS = 3
AS_PEER = [
    "experiment=mnist_rows_from_decoder", "model.hidden_size=128", "model/initialization=pytorch",
    "model.decoder.output_activation=sigmoid", "dataset.batch_size=128", "dataset.val_fraction=0.16666667",
    "scheduler=constant", "optimizer.lr=0.001", "optimizer.weight_decay=0.0001", "trainer.gradient_clip_norm=null",
    "objective.reconstruction_weight=0.99873", f"trainer.max_epochs={PEER_EPOCHS}",
]  # fmt: skip
PROGRAMS = {
    "synthetic_c": ["experiment=synthetic_c"],
    "synthetic_grid": ["-m", "sweep=synthetic_grid", "study_name=grid", "workers=1"],
    "digits": ["experiment=digits"],
    "mnist_rows": ["experiment=mnist_rows", "trainer.max_epochs=5"],  # of 20
    "mnist_pixels": ["experiment=mnist_pixels", "trainer.max_epochs=3"],  # of 30
}


def seconds(*command: str) -> float:
    """Wall time of a command."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, *command], cwd=folder, check=True, stdout=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        return time.perf_counter() - started


def main() -> None:
    """Print a row for each program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=[*PROGRAMS, "peer"], help=", ".join([*PROGRAMS, "peer"]))
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    train = ("-m", "lstm_ae.train", "threads=1")
    print("| command | before, s | after, s | ratio |\n| --- | --- | --- | --- |")
    for name in options.names:
        if name == "peer":
            peer = str(Path(__file__).with_name("peer_program.py"))
            pair = [(peer, str(PEER_EPOCHS)), (*train, *AS_PEER)]
        else:
            pair = [(*train, *PROGRAMS[name], f"backend={backend}") for backend in ("torch", "native")]
        times: list[list[float]] = [[], []]
        for _ in range(options.rounds):
            for command, own in zip(pair, times, strict=True):
                own.append(seconds(*command))
        cells = [", ".join(f"{t:.1f}" for t in own) for own in times]
        ratio = statistics.median(times[0]) / statistics.median(times[1])
        print(f"| {name} | {cells[0]} | {cells[1]} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
