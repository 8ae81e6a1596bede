"""What is left of an image in the context: before any training, and in trained runs.

    python experiments/mnist_pixels/what_is_left.py mnist_pixels 27 64 128 256     # or mnist_rows; sizes of contexts
    python experiments/mnist_pixels/what_is_left.py RUN_DIR ...

For each start or run: the norm of the context's gradient with respect to what was read so many steps before the end
(mean over 200 images); the mean squared error of the best linear readout of the pixels, fitted on the contexts of 5,000
training images, and the accuracy of a linear probe (ridge regression on the classes) on them; and the error of the
model's own decoder. All on 2,000 validation images. With PCA and the linear-recurrence floor for comparison.
"""

import sys
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from torch import Tensor
from torch.nn import functional as F

import lstm_ae
from lstm_ae.config import CONF, build
from lstm_ae.data.sequence_data import SequenceData, Sequences
from lstm_ae.evaluation.baselines import reconstruction_baselines
from lstm_ae.models.autoencoder import Autoencoder
from lstm_ae.training.process_settings import subnormals_flushed

FIT, TEST, RIDGE = 5_000, 2_000, 1e-4
BACK = ("model/decoder=initial_state", "model.decoder.reverse=true")
PYRAMID = (
    "model/encoder=pyramidal", "model/decoder=pyramidal", "model.encoder.strides=[8,8]",
    "model.encoder.hidden_sizes=[8,64]", "model.decoder.top.reverse=true",
)  # fmt: skip
STARTS = {
    "PyTorch's own": ("model/initialization=pytorch", *BACK),
    "orthogonal, forget bias 1": ("model/initialization=orthogonal", *BACK),
    "the same, candidate starts as identity": (
        "model/initialization=orthogonal", "model.initialization.identity=true", *BACK
    ),
    "chrono": ("model/initialization=chrono", *BACK),
    "linear memory": ("model/initialization=linear_memory", *BACK),
    "PyTorch's own, context the mean of the states": (
        "model/initialization=pytorch", "model.encoder.pooling=mean", *BACK
    ),
    "linear autoencoder, gate bias 8, signal 0.003": (
        "model/initialization=linear_autoencoder", "model.initialization.gate_bias=8", *BACK
    ),
    "linear autoencoder, gate bias 6, signal 0.006": (
        "model/initialization=linear_autoencoder", "model.initialization.gate_bias=6",
        "model.initialization.signal=0.006", *BACK
    ),
    "linear autoencoder, gate bias 1, signal 0.0016": (
        "model/initialization=linear_autoencoder", "model.initialization.gate_bias=1",
        "model.initialization.signal=0.0016", *BACK
    ),
    "linear autoencoder, gate bias 10, signal 0.0016": (
        "model/initialization=linear_autoencoder", "model.initialization.gate_bias=10",
        "model.initialization.signal=0.0016", *BACK
    ),
    "the same, refined": (
        "model/initialization=linear_autoencoder", "model.initialization.gate_bias=10",
        "model.initialization.signal=0.0016", "model.initialization.iterations=100", *BACK
    ),
    "the same, decoder of twice as many units": (
        "model/initialization=linear_autoencoder", "model.initialization.gate_bias=10",
        "model.initialization.signal=0.0016", "model.initialization.iterations=100",
        "model.decoder.hidden_size=DOUBLE", *BACK
    ),
    "pyramid, orthogonal": ("model/initialization=orthogonal", *PYRAMID),
    "pyramid, linear memory": ("model/initialization=linear_memory", *PYRAMID),
    "pyramid, linear autoencoder, gate bias 8, signal 0.003": (
        "model/initialization=linear_autoencoder", "model.initialization.gate_bias=8", *PYRAMID
    ),
}  # fmt: skip


def outputs(model: Autoencoder, part: Sequences) -> tuple[Tensor, Tensor]:
    """Contexts (n, size) and reconstructions (n, values) of a part, in double precision."""
    with torch.inference_mode():
        made = [model(chunk.inputs) for chunk in part.chunks(500)]
    contexts, rebuilt = torch.cat([m.context for m in made]), torch.cat([m.reconstruction for m in made])
    return contexts.double(), rebuilt.flatten(1).double()


def gradient_norms(model: Autoencoder, images: Tensor) -> Tensor:
    """The norm of the context's gradient for each step, (length,), averaged over images (n, length, features)."""
    inputs = images.clone().requires_grad_()
    context = model.encoder(inputs).context
    squares = torch.zeros(inputs.shape[1])
    # Estimated with random directions: E (g v)^2 = |g|^2 for v of unit normal entries.
    for _ in range(8):
        (gradient,) = torch.autograd.grad(context, inputs, torch.randn_like(context), retain_graph=True)
        squares += gradient.square().sum(2).mean(0) / 8
    return squares.sqrt()


def linear_map(contexts: Tensor, wanted: Tensor) -> Tensor:
    """Ridge regression of `wanted` (n, m) on standardised contexts (n, size) and a constant: (size + 1, m)."""
    known = F.pad(contexts, (0, 1), value=1.0)
    moments = known.T @ known
    moments.diagonal().add_(RIDGE * len(known))
    return torch.linalg.solve(moments, known.T @ wanted)


def measure(name: str, model: Autoencoder, data: SequenceData, distances: list[int]) -> None:
    """Print a row."""
    train, val = data.train[:FIT], data.val[:TEST]
    assert train.labels is not None and val.labels is not None
    norms = gradient_norms(model, val.inputs[:200])
    (fitted, _), (contexts, rebuilt) = outputs(model, train), outputs(model, val)
    mean, deviation = fitted.mean(0), fitted.std(0).clamp(min=1e-12)
    fitted, contexts = (fitted - mean) / deviation, F.pad((contexts - mean) / deviation, (0, 1), value=1.0)
    pixels = val.inputs.flatten(1).double()
    readout = contexts @ linear_map(fitted, train.inputs.flatten(1).double())
    scores = contexts @ linear_map(fitted, F.one_hot(train.labels).double())
    accuracy = (scores.argmax(1) == val.labels).double().mean()
    cells = [f"{norms[-distance]:.1e}" for distance in distances]
    errors = [f"{(made - pixels).square().mean():.4f}" for made in (readout, rebuilt)]
    row = [name, str(contexts.shape[1] - 1), *cells, errors[0], f"{accuracy:.1%}", errors[1]]
    print(f"| {' | '.join(row)} |", flush=True)


def header(distances: list[int]) -> None:
    """Print the head of a table."""
    names = ["start", "context", *(f"gradient at {d}" for d in distances), "readout", "probe", "own decoder"]
    print(f"| {' | '.join(names)} |\n|{' --- |' * len(names)}")


def untrained(dataset: str, sizes: list[int]) -> None:
    """The table of all starts."""
    distances = [1, 50, 100, 200, 400, 700] if dataset == "mnist_pixels" else [1, 14, 27]
    starts = {n: o for n, o in STARTS.items() if dataset == "mnist_pixels" or not n.startswith("pyramid")}
    header(distances)
    for size in sizes:
        for name, overrides in starts.items():
            with initialize_config_dir(CONF):
                own = [override.replace("DOUBLE", str(2 * size)) for override in overrides]
                config = compose("config", [f"dataset={dataset}", f"model.hidden_size={size}", "seed=0", *own])
            torch.manual_seed(config.seed)
            data = build.build_data(config, torch.device("cpu"))
            measure(name, build.build_model(config, data.spec, data.train).eval(), data, distances)
        floors = reconstruction_baselines(data.train, data.val[:TEST], size)
        for name, floor in floors.items():
            print(f"| {name} | {size} |{' |' * len(distances)} {floor:.4f} | | |", flush=True)


def trained(folders: list[str]) -> None:
    """The table of trained runs."""
    distances = [1, 50, 100, 200, 400, 700]
    header(distances)
    for folder in folders:
        run = lstm_ae.load_run(folder)
        measure(folder, run.model, build.build_data(run.config, torch.device("cpu")), distances)


if __name__ == "__main__":
    with subnormals_flushed():
        if Path(sys.argv[1]).is_dir():
            trained(sys.argv[1:])
        else:
            untrained(sys.argv[1], [int(size) for size in sys.argv[2:]])
