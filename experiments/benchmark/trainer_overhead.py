"""What the trainer costs beyond its modules: one epoch of MNIST rows against a bare loop, side by side.

python experiments/benchmark/trainer_overhead.py [rounds] [num_train]

Both train the joint classifier of hidden size 128 on batches of 128. The bare loop runs forward, loss, backward, clip
and step on batches sliced beforehand; the trainer shuffles, slices, schedules, measures accuracy, logs and writes its
checkpoints. The validation part is cut to one batch, because validating is no overhead. The rounds alternate and the
medians are compared, so that a busy machine slows both.
"""

import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from hydra import compose, initialize_config_dir

from lstm_ae.config import CONF, build
from lstm_ae.kernels import choose_backend, clip_and_step, use_backend
from lstm_ae.models.autoencoder import Autoencoder
from lstm_ae.training.process_settings import keep_freed_memory


def main(rounds: int = 7, num_train: int = 12_800) -> None:
    """Print the seconds of each round and the ratio of the medians."""
    keep_freed_memory()
    torch.set_flush_denormal(True)
    overrides = ["dataset=mnist_rows", "model=classifier", "model.hidden_size=128", f"dataset.num_train={num_train}"]
    with initialize_config_dir(CONF):
        config = compose("config", [*overrides, "trainer.max_epochs=1", "device=cpu"])
    data = build.build_data(config, torch.device("cpu"))
    data = replace(data, val=data.val[: data.batch_size])
    objective, trainer = build.build_objective(config), build.build_trainer(config)
    batches = list(data.train.shuffled(data.batch_size, torch.Generator().manual_seed(0)))
    weight = config.objective.reconstruction_weight
    backend = choose_backend("auto", "cpu")

    def made() -> Autoencoder:
        model = build.build_model(config, data.spec, data.train)
        use_backend(model, backend)
        return model

    def bare() -> float:
        model = made()
        optimizer = build.build_training(config, model)["optimizer"]
        started = time.perf_counter()
        for batch in batches:
            output = model(batch.inputs)
            loss = weight * F.mse_loss(output.reconstruction, batch.inputs)
            loss = loss + (1 - weight) * F.cross_entropy(output.logits, batch.labels)
            optimizer.zero_grad()
            loss.backward()
            clip_and_step(optimizer, trainer.gradient_clip_norm, backend)
        return time.perf_counter() - started

    def trained() -> float:
        model = made()
        training = build.build_training(config, model)
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            trainer.fit(
                model,
                objective,
                data,
                **training,
                directory=Path(folder),
                description=build.description(data),
                resume=False,
                on_epoch=lambda history: None,
            )
            return time.perf_counter() - started

    bare(), trained()  # warm up
    times: dict[str, list[float]] = {"bare": [], "trainer": []}
    for _ in range(rounds):
        times["bare"].append(bare())
        times["trainer"].append(trained())
    for name, seconds in times.items():
        print(f"{name:8s} {' '.join(f'{s:.2f}' for s in seconds)}  median {statistics.median(seconds):.3f} s")
    ratio = statistics.median(times["trainer"]) / statistics.median(times["bare"])
    print(f"trainer / bare = {ratio:.3f} ({torch.get_num_threads()} threads, {num_train} sequences, {rounds} rounds)")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
