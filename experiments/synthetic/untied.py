"""What the transpose is worth: from a linear memory, with a decoder that turns by a matrix of its own.

python experiments/synthetic/untied.py [epochs]
"""

import sys
import tempfile
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from torch import nn

from lstm_ae.config import CONF, build
from lstm_ae.training.trainer import best_row


def main(epochs: int = 20) -> None:
    """Train twice, as configured and untied, and print the best validation error of each."""
    torch.set_num_threads(1)
    with initialize_config_dir(CONF):
        memory = ["~model.initialization.signal", "model/initialization=linear_memory"]
        config = compose("config", ["experiment=synthetic", *memory, f"trainer.max_epochs={epochs}", "device=cpu"])
    data = build.build_data(config, torch.device("cpu"))
    for name in ("transposed", "untied"):
        torch.manual_seed(config.seed)
        model = build.build_model(config, data.spec, data.train)
        if name == "untied":
            nn.init.orthogonal_(model.decoder.lstm.weight_hh_l0.data.chunk(4)[2])
        with tempfile.TemporaryDirectory() as folder:
            history = build.build_trainer(config).fit(
                model,
                build.build_objective(config),
                data,
                **build.build_training(config, model),
                directory=Path(folder),
                description=build.description(data),
                resume=False,
                on_epoch=lambda history: None,
            )
        best = best_row(history, config.monitor, config.mode)
        seconds = sum(row["seconds"] for row in history)
        print(f"{name:12s} val/reconstruction {best['val/reconstruction']:.5f} ({seconds:.0f} s)", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
