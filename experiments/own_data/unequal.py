"""Sequences of unequal length: contexts learnt without labels, and with them, beside PCA and DTW.

python experiments/own_data/unequal.py NAME [seeds] [overrides]

NAME is a pair of files of the UCR and UEA archive, `$LSTM_AE_DATA/aeon/NAME_TRAIN.ts` and `NAME_TEST.ts`. Prints the
test accuracies of a linear probe on the contexts of an autoencoder that has seen no labels, of the joint classifier, of
the same probe on the principal components of the padded sequences, and of the nearest neighbour by dynamic time
warping. The probe is a logistic regression on standardised numbers; its penalty is chosen on the training file. `cv` is
its accuracy there, cross-validated: what settings were chosen by.
"""

import logging
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegressionCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lstm_ae.config import CONF, build
from lstm_ae.data.arrays import read_arrays
from lstm_ae.data.sequence_data import SequenceData
from lstm_ae.kernels import choose_backend, use_backend
from lstm_ae.models.inference import predict
from lstm_ae.training.checkpoint import load, load_weights

SETTINGS = {
    "contexts": ["model=autoencoder"],
    "joint": ["model=classifier", "monitor=val/cross_entropy"],
}


def files(name: str) -> tuple[str, str]:
    """The training and the test file."""
    folder = Path(os.environ["LSTM_AE_DATA"]) / "aeon"
    return str(folder / f"{name}_TRAIN.ts"), str(folder / f"{name}_TEST.ts")


def probe(train: np.ndarray, labels: np.ndarray, test: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """The accuracies of the linear probe: cross-validated on the training file, and on the test."""
    folds = min(5, np.unique(labels, return_counts=True)[1].min())
    model = make_pipeline(StandardScaler(), LogisticRegressionCV(Cs=np.logspace(-3, 2, 6), cv=folds, max_iter=2000))
    model.fit(train, labels)
    found = np.mean([scores.mean(0) for scores in model[-1].scores_.values()], axis=0).max()
    return float(found), float(model.score(test, truth))


def trained(name: str, seed: int, overrides: list[str]) -> dict[str, float]:
    """Train once and measure the best checkpoint."""
    train, test = files(name)
    given = ["dataset=arrays", f"dataset.path={train}", f"dataset.test_path={test}", f"seed={seed}", "device=cpu"]
    with initialize_config_dir(CONF):
        config = compose("config", [*given, "threads=1", *overrides])
    started = time.process_time()
    device = build.prepare_process(config)
    data = build.build_data(config, device)
    model = build.build_model(config, data.spec, data.train)
    use_backend(model, choose_backend(config.backend, device))
    with tempfile.TemporaryDirectory() as folder:
        build.build_trainer(config).fit(
            model, build.build_objective(config), data, **build.build_training(config, model), directory=Path(folder),
            description={}, resume=False, on_epoch=lambda history: None,
        )  # fmt: skip
        load_weights(Path(folder) / "best.pt", load(Path(folder) / "best.pt"), model)
    return measured(model, data) | {"seconds": time.process_time() - started}


def measured(model: torch.nn.Module, data: SequenceData) -> dict[str, float]:
    """What the contexts of a trained model, and its classifier if it has one, are worth."""
    outputs = {part: predict(model, getattr(data, part)) for part in ("train", "val", "test")}
    contexts = torch.cat([outputs["train"].context, outputs["val"].context]).numpy()
    labels = torch.cat([data.train.labels, data.val.labels]).numpy()
    truth = data.test.labels
    exists = data.test.exists()
    errors = (outputs["test"].reconstruction - data.test.inputs).square()
    found = {"reconstruction": (errors[exists] if exists is not None else errors).mean().item()}
    found["cv"], found["probe"] = probe(contexts, labels, outputs["test"].context.numpy(), truth.numpy())
    if outputs["test"].logits is not None:
        found["classifier"] = outputs["test"].logits.argmax(1).eq(truth).float().mean().item()
    return found


def padded_components(name: str, size: int) -> dict[str, float]:
    """The probe on the principal components of the standardised sequences, padded with zeros."""
    (train, labels), (test, truth) = map(read_arrays, files(name))
    steps = np.concatenate(train)
    longest = max(map(len, [*train, *test]))

    def flat(sequences: list[np.ndarray]) -> np.ndarray:
        scaled = [(one - steps.mean(0)) / steps.std(0) for one in sequences]
        return np.stack([np.pad(one, ((0, longest - len(one)), (0, 0))).ravel() for one in scaled])

    pca = PCA(min(size, len(train) - 1), random_state=0).fit(flat(train))
    found, accuracy = probe(pca.transform(flat(train)), labels, pca.transform(flat(test)), truth)
    return {"cv": found, "probe": accuracy}


def nearest_by_warping(name: str) -> float:
    """The accuracy of the nearest neighbour by dependent dynamic time warping, without a window, on raw values."""
    (train, labels), (test, truth) = map(read_arrays, files(name))
    lengths = np.array([len(one) for one in train])
    many = np.stack([np.pad(one, ((0, lengths.max() - len(one)), (0, 0))) for one in train])
    nearest = [warped(one, many, lengths).argmin() for one in test]
    return float((labels[nearest] == truth).mean())


def warped(one: np.ndarray, many: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Squared DTW distances of a sequence (length, features) from many padded ones, one anti-diagonal at a time."""
    cost = np.square(one[None, :, None] - many[:, None]).sum(-1)  # (n, rows, columns)
    count, rows, columns = cost.shape
    before, last = np.full((2, count, rows + 1), np.inf)
    before[:, 0] = 0
    distance = np.full(count, np.inf)
    for diagonal in range(2, rows + columns + 1):
        i = np.arange(max(1, diagonal - columns), min(rows, diagonal - 1) + 1)
        now = np.full((count, rows + 1), np.inf)
        step = np.minimum(np.minimum(last[:, i - 1], last[:, i]), before[:, i - 1])
        now[:, i] = cost[:, i - 1, diagonal - i - 1] + step
        ends = lengths == diagonal - rows
        distance[ends] = now[ends, rows]
        before, last = last, now
    return distance


def main(name: str, seeds: str = "0,1,2", *overrides: str) -> None:
    """Print all of it."""
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    print(f"1-NN by DTW: {nearest_by_warping(name):.1%}", flush=True)
    for size in (32, 64, 128):
        print(f"PCA of padded sequences, {size}:", padded_components(name, size), flush=True)
    for kind, own in SETTINGS.items():
        results = [trained(name, int(seed), [*own, *overrides]) for seed in seeds.split(",")]
        for seed, result in zip(seeds.split(","), results, strict=True):
            print(kind, seed, {key: round(value, 4) for key, value in result.items()}, flush=True)
        print(kind, {key: f"{np.mean([r[key] for r in results]):.4f} +- {np.std([r[key] for r in results], ddof=1):.4f}"
                     for key in results[0]} if len(results) > 1 else "", flush=True)  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
