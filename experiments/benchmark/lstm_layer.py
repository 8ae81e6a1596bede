"""How fast the native LSTM layer is, and how fast it could be: against nn.LSTM and against the processor's peak.

    python experiments/benchmark/lstm_layer.py [layer] [pyramid] [step] [memory] [--threads 1 2] [--cpu-time]

- `layer`: one layer, training step (forward, backward) and inference.
- `pyramid`: the levels of a pyramidal autoencoder on 784 pixels in slices of eight, batch 128.
- `step`: whole training steps of autoencoders (encoder, repeated context, decoder), with loss, clipping and Adam:
  torch's plain Adam, fused Adam, and `clip_and_step`.
- `memory`: the peak of a training step, each in a process of its own.

The two sides take turns, each as often as the time allows; a ratio is the median over rounds, each round's own two
times compared. The same number of threads computes both. --cpu-time measures the processor's time instead of the wall's
(one thread only), for a machine that others use too. The share of the peak counts the multiplications and additions
that the formulas ask for, against what a loop of nothing else reaches, compiled and run here.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from lstm_ae.kernels import LSTM, choose_backend, clip_and_step, describe, use_backend
from lstm_ae.kernels.compiling import compiler
from lstm_ae.training.process_settings import keep_freed_memory

LAYERS = [
    (32, 50, 1, 8),
    (32, 50, 1, 16),
    (32, 50, 1, 32),
    (32, 50, 1, 45),
    (128, 28, 28, 32),
    (128, 28, 28, 64),
    (128, 28, 28, 128),
    (128, 28, 28, 256),
    (128, 784, 1, 100),
]
LEVELS = [(12544, 8, 1, 8), (1568, 8, 8, 64), (128, 13, 64, 128)]
Job = Callable[[], object]

PEAK = """
#include <stdio.h>
#include <time.h>
#ifdef __AVX512F__
#define LANES 16
#elif defined(__AVX__)
#define LANES 8
#else
#define LANES 4
#endif
typedef float vec __attribute__((vector_size(4 * LANES)));
int main(void) {
    vec a[12], b = {0}, c = {0};
    double best = 1e9;
    for (int i = 0; i < 12; i++) a[i] = b + (float)i;
    b += 0.999f, c += 0.001f;
    for (int round = 0; round < 20; round++) {
        const clock_t start = clock();
        for (long k = 0; k < 2000000; k++)
            for (int i = 0; i < 12; i++) a[i] = a[i] * b + c;
        const double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
        if (seconds < best) best = seconds;
    }
    for (int i = 1; i < 12; i++) a[0] += a[i];
    printf("%g %g", 2000000. * 12 * LANES * 2 / best, a[0][0]);
}
"""


def peak() -> float:
    """Multiplications and additions in a second of one thread that does nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder, "peak.c"), Path(folder, "peak")
        source.write_text(PEAK)
        flags = ["-O3", "-march=native", "-mprefer-vector-width=512", "-ffp-contract=fast"]
        subprocess.run([*compiler(), *flags, str(source), "-o", str(program)], check=True)
        return float(subprocess.run([str(program)], capture_output=True, text=True, check=True).stdout.split()[0])


def interleaved(jobs: list[Job], seconds: float, clock: Callable[[], float]) -> tuple[list[float], list[float]]:
    """Each job's median time, and the median over rounds of the first job's time divided by each."""
    for job in jobs:
        job()
        job()
    times: list[list[float]] = [[] for _ in jobs]
    started = time.perf_counter()
    while len(times[0]) < 5 or time.perf_counter() - started < seconds:
        for job, own in zip(jobs, times, strict=True):
            before = clock()
            job()
            own.append(clock() - before)
    medians = [statistics.median(own) for own in times]
    return medians, [statistics.median(a / b for a, b in zip(times[0], own, strict=True)) for own in times]


def pair(inputs: int, units: int) -> tuple[nn.LSTM, LSTM]:
    """nn.LSTM, and ours with the same weights, native."""
    plain, native = nn.LSTM(inputs, units, batch_first=True), LSTM(inputs, units)
    native.load_state_dict(plain.state_dict())
    use_backend(native, "native")
    return plain, native


def training(lstm: nn.LSTM, read: Callable[[nn.LSTM], Tensor], gradient: Tensor, leaves: list[Tensor]) -> Job:
    """A job: forward and backward, from what `read` returns."""
    parameters = [*lstm.parameters(), *leaves]

    def step() -> None:
        for parameter in parameters:
            parameter.grad = None
        read(lstm).backward(gradient)

    return step


def inference(lstm: nn.LSTM, read: Callable[[nn.LSTM], Tensor]) -> Job:
    """A job: forward alone."""

    def step() -> None:
        with torch.inference_mode():
            read(lstm)

    return step


def layers(options: argparse.Namespace, threads: int, rate: float) -> None:
    """One layer that reads a sequence; its inputs have a gradient unless they are data (a single feature)."""
    print("| batch, steps, inputs, units | training, ms | ratio | inference, ms | ratio | share of peak |")
    print("| --- | --- | --- | --- | --- | --- |")
    for batch, steps, inputs, units in LAYERS:
        lstms = pair(inputs, units)
        x = torch.rand(batch, steps, inputs, requires_grad=inputs > 1)
        gradient = torch.rand(batch, steps, units)

        def read(lstm: nn.LSTM, x: Tensor = x) -> Tensor:
            return lstm(x)[0]

        leaves = [x] if x.requires_grad else []
        train, faster = interleaved(
            [training(lstm, read, gradient, leaves) for lstm in lstms], options.seconds, options.clock
        )
        infer, sooner = interleaved([inference(lstm, read) for lstm in lstms], options.seconds / 2, options.clock)
        one_pass = 2 * batch * steps * 4 * units * (units + inputs)
        work = 3 * one_pass - (0 if leaves else 2 * batch * steps * 4 * units * inputs)
        print(
            f"| {batch}, {steps}, {inputs}, {units} | {train[0] * 1e3:.2f} -> {train[1] * 1e3:.2f} | {faster[1]:.2f} "
            f"| {infer[0] * 1e3:.2f} -> {infer[1] * 1e3:.2f} | {sooner[1]:.2f} "
            f"| {work / train[1] / rate / threads:.0%} (nn.LSTM {work / train[0] / rate / threads:.0%}) |",
            flush=True,
        )


def pyramid(options: argparse.Namespace, threads: int, rate: float) -> None:
    """An encoder level hands up its last states only; a decoder level starts from a state and reads nothing."""
    print("| level | encoder, ms | ratio | decoder, ms | ratio |")
    print("| --- | --- | --- | --- | --- |")
    for batch, steps, inputs, units in LEVELS:
        x = torch.rand(batch, steps, inputs, requires_grad=inputs > 1)
        state = tuple(torch.rand(1, batch, units, requires_grad=True) for _ in range(2))

        def encode(lstm: nn.LSTM, x: Tensor = x) -> Tensor:
            hidden, _ = lstm.last_state(x) if isinstance(lstm, LSTM) else lstm(x)[1]
            return hidden[0]

        def decode(lstm: nn.LSTM, batch: int = batch, steps: int = steps, state: tuple = state) -> Tensor:
            if isinstance(lstm, LSTM):
                return lstm.unroll(steps, state)[0]
            return lstm(torch.zeros(batch, steps, 1), state)[0]

        row = []
        for lstms, read, gradient, leaves in (
            (pair(inputs, units), encode, torch.rand(batch, units), [x] if inputs > 1 else []),
            (pair(1, units), decode, torch.rand(batch, steps, units), [*state]),
        ):
            jobs = [training(lstm, read, gradient, leaves) for lstm in lstms]
            times, ratios = interleaved(jobs, options.seconds, options.clock)
            row += [f"{times[0] * 1e3:.2f} -> {times[1] * 1e3:.2f}", f"{ratios[1]:.2f}"]
        print(f"| {batch}, {steps}, {inputs}, {units} | " + " | ".join(row) + " |", flush=True)


class SmallAutoencoder(nn.Module):
    """Encoder, repeated context, decoder, linear layer."""

    def __init__(self, inputs: int, units: int, backend: str) -> None:
        super().__init__()
        self.encoder, self.decoder, self.output = LSTM(inputs, units), LSTM(units, units), nn.Linear(units, inputs)
        use_backend(self, backend)

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, steps, inputs) -> the same."""
        context, _ = self.encoder.last_state(inputs)
        return self.output(self.decoder.repeat(context[-1], inputs.shape[1])[0])


def whole_step(model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, stepper: str) -> Tensor:
    """Reconstruct, differentiate, clip, step."""
    optimizer.zero_grad()
    loss = nn.functional.mse_loss(model(x), x)
    loss.backward()
    clip_and_step(optimizer, 1.0, stepper)
    return loss


def step(options: argparse.Namespace, threads: int, rate: float) -> None:
    """Whole steps; ratios to nn.LSTM with torch's default Adam."""
    kinds = [("torch", None, False), ("torch", True, False), ("native", None, False), ("native", True, False)]
    kinds.append(("native", None, True))
    print("| batch, steps, inputs, units | nn.LSTM, us | + fused Adam | native | + fused Adam | + clip_and_step |")
    print("| --- | --- | --- | --- | --- | --- |")
    for batch, steps, inputs, units in LAYERS:
        x = torch.rand(batch, steps, inputs)
        jobs, start = [], SmallAutoencoder(inputs, units, "torch").state_dict()
        for backend, fused, ours in kinds:
            model = SmallAutoencoder(inputs, units, backend)
            model.load_state_dict(start)
            optimizer = torch.optim.Adam(model.parameters(), fused=fused)

            jobs.append(partial(whole_step, model, optimizer, x, "native" if ours else "torch"))
        for _ in range(20):
            losses = [job().item() for job in jobs]
        assert max(losses) - min(losses) < 1e-5 * losses[0], losses
        times, ratios = interleaved(jobs, 2 * options.seconds, options.clock)
        cells = [f"{ratio:.2f} ({t * 1e6:.0f})" for t, ratio in zip(times, ratios, strict=True)]
        print(
            f"| {batch}, {steps}, {inputs}, {units} | {times[0] * 1e6:.0f} | " + " | ".join(cells[1:]) + " |",
            flush=True,
        )


MEMORY = """
import sys, torch
from pathlib import Path
from lstm_ae.kernels import LSTM, use_backend
batch, steps, inputs, units = map(int, sys.argv[2:])
torch.set_num_threads(1)
lstm = LSTM(inputs, units)
use_backend(lstm, sys.argv[1])
def step(batch):
    x = torch.rand(batch, steps, inputs)
    lstm(x)[0].backward(torch.rand(batch, steps, units))
def status(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) / 1024
step(1)  # the libraries are loaded, the layer compiled
Path("/proc/self/clear_refs").write_text("5")  # the peak is forgotten
before = status("VmRSS")
step(batch)
print(status("VmHWM") - before)
"""


def memory(options: argparse.Namespace, threads: int, rate: float) -> None:
    """How much a training step needs at its peak, MB, its own data included; Linux only."""
    print("| batch, steps, inputs, units | nn.LSTM, MB | native, MB |")
    print("| --- | --- | --- |")
    for sizes in [LAYERS[6], LAYERS[8], LEVELS[0]]:
        row = []
        for backend in ("torch", "native"):
            command = [sys.executable, "-c", MEMORY, backend, *map(str, sizes)]
            row.append(float(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
        print(f"| {', '.join(map(str, sizes))} | {row[0]:.0f} | {row[1]:.0f} |", flush=True)


def main() -> None:
    """Parse, say what machine this is, print the tables."""
    parts = {"layer": layers, "pyramid": pyramid, "step": step, "memory": memory}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help=", ".join(parts))
    parser.add_argument("--threads", nargs="+", type=int, default=[1])
    parser.add_argument("--seconds", type=float, default=3.0, help="for each row")
    parser.add_argument("--cpu-time", action="store_true")
    options = parser.parse_args()
    options.clock = time.process_time if options.cpu_time else time.perf_counter
    torch.set_flush_denormal(True)
    keep_freed_memory()  # as in a training
    choose_backend("native", "cpu")
    rate = peak()
    print(f"{describe('native')}; peak of a thread: {rate / 1e9:.0f} billion operations a second")
    for threads in options.threads:
        torch.set_num_threads(threads)
        for name in options.parts or parts:
            print(f"\n{name}, {threads} thread{'s' * (threads > 1)}\n")
            parts[name](options, threads, rate)


if __name__ == "__main__":
    main()
