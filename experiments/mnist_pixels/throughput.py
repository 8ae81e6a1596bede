"""Training steps on 784 pixels: how many sequences a second, how near the arithmetic floor, how much memory.

python experiments/mnist_pixels/throughput.py [rounds]

Side by side: the arithmetic of repository P (`matanle51/LSTM_AutoEncoder`) as a plain `nn.LSTM` encoder and decoder
with the context repeated at every step; this repository's flat LSTM of the same size; and the pyramid of
`experiment=mnist_pixels`. A step is forward, mean squared error, backward, clipping and Adam, on 128 sequences; the
rounds alternate and the medians are compared. The floor is the time that the matrix products of a step would take at
the rate of one large product on this machine. Peak memory is that of a process of its own, with all of torch in it.

All of this is with subnormal numbers flushed to zero, as in training; then one model after another with them kept.
"""

import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Callable

import torch
from hydra import compose, initialize_config_dir
from torch import Tensor, nn

from lstm_ae.config import CONF, build
from lstm_ae.spec import DataSpec
from lstm_ae.training.process_settings import keep_freed_memory, subnormals_flushed

SIZE, LENGTH = 128, 784


class Peer(nn.Module):
    """Repository P's arithmetic: the encoder's last hidden state, repeated, is what the decoder reads."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.LSTM(1, SIZE, batch_first=True)
        self.decoder = nn.LSTM(SIZE, SIZE, batch_first=True)
        self.output = nn.Linear(SIZE, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, length, 1) -> the same shape."""
        context = self.encoder(inputs)[1][0][-1]
        return self.output(self.decoder(context[:, None].expand(-1, LENGTH, -1))[0])


class Ours(nn.Module):
    """The autoencoder that these overrides compose."""

    def __init__(self, *overrides: str) -> None:
        super().__init__()
        with initialize_config_dir(CONF):
            config = compose("config", ["dataset=mnist_pixels", f"model.hidden_size={SIZE}", *overrides])
        self.model = build.build_model(config, DataSpec("mnist_pixels", LENGTH, 1), None)

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, length, 1) -> the same shape."""
        return self.model(inputs).reconstruction


PYRAMID = (
    "model/encoder=pyramidal",
    "model/decoder=pyramidal",
    "model/initialization=linear_memory",
    "model.encoder.strides=[8,8]",
    "model.encoder.hidden_sizes=[8,64]",
)
MODELS: dict[str, Callable[[], nn.Module]] = {
    "peer, flat": Peer,
    "flat": Ours,
    "pyramid": lambda: Ours(*PYRAMID),
    "pyramid, bidirectional top": lambda: Ours(*PYRAMID, "model.encoder.top.bidirectional=true"),
}


def training_step(model: nn.Module, batch_size: int) -> Callable[[], None]:
    """A function that takes one step on `batch_size` random sequences."""
    inputs = torch.rand(batch_size, LENGTH, 1)
    optimizer = torch.optim.Adam(model.parameters())

    def step() -> None:
        loss = nn.functional.mse_loss(model(inputs), inputs)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return step


def multiplications(model: nn.Module, batch_size: int) -> float:
    """Floating-point operations of a training step's LSTM products: forward, and twice that backward."""
    total = 0.0

    def count(lstm: nn.LSTM, inputs: tuple[Tensor, ...], outputs: object) -> None:
        nonlocal total
        batch, length, features = inputs[0].shape
        directions = 1 + lstm.bidirectional
        total += 3 * 2 * batch * length * directions * 4 * lstm.hidden_size * (features + lstm.hidden_size)

    hooks = [part.register_forward_hook(count) for part in model.modules() if isinstance(part, nn.LSTM)]
    model(torch.rand(batch_size, LENGTH, 1))
    for hook in hooks:
        hook.remove()
    return total


def product_rate() -> float:
    """Floating-point operations a second of a 2048 x 2048 matrix product, the best of five."""
    square = torch.rand(2048, 2048)
    best = min(timed(lambda: square @ square) for _ in range(5))
    return 2 * 2048**3 / best


def timed(work: Callable[[], object]) -> float:
    """Seconds that `work` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def peak_memory(name: str, batch_size: int) -> float:
    """MiB at most after three steps; to be called in a fresh process."""
    keep_freed_memory()
    step = training_step(MODELS[name](), batch_size)
    with subnormals_flushed():
        for _ in range(3):
            step()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(rounds: int = 5) -> None:
    """Print a line per model."""
    # First, for a process starts its count of memory where the one that starts it has got to.
    memory = {}
    for name in MODELS:
        with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
            memory[name] = [pool.apply(peak_memory, (name, size)) for size in (128, 512)]
    keep_freed_memory()
    torch.manual_seed(0)
    models = {name: make() for name, make in MODELS.items()}
    steps = {name: training_step(model, 128) for name, model in models.items()}
    seconds: dict[str, list[float]] = {name: [] for name in models}
    with subnormals_flushed():
        for step in steps.values():
            step()
        for _ in range(rounds):
            for name, step in steps.items():
                seconds[name].append(timed(step))
    rate = product_rate()
    kept = {name: statistics.median(timed(step) for _ in range(3)) for name, step in steps.items()}
    print(f"{torch.get_num_threads()} threads, {rounds} rounds, {rate / 1e9:.0f} GFLOP/s in a large matrix product")
    peer = statistics.median(seconds["peer, flat"])
    for name, model in models.items():
        median = statistics.median(seconds[name])
        floor = multiplications(model, 128) / rate
        print(
            f"{name:27s} {median:.3f} s  {128 / median:6.0f} sequences/s  {peer / median:5.2f} x peer  "
            f"floor {floor:.3f} s ({floor / median:4.0%})  subnormals kept {kept[name]:.3f} s  "
            f"peak MiB at 128: {memory[name][0]:.0f}, at 512: {memory[name][1]:.0f}",
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
