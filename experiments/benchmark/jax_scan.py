"""JAX's scan beside nn.LSTM and the native layer: whole training steps of small autoencoders, one thread each.

    python -m venv jax && jax/bin/pip install . jax     # an environment of its own
    jax/bin/python experiments/benchmark/jax_scan.py

Encoder, repeated context, decoder, linear layer; mean squared error, clipping, Adam, all of it compiled in JAX. The
three take turns; a ratio is the median over rounds, each round's times compared. All are kept on one core (Linux).
"""

import argparse
import functools
import os
import time

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
CORE = max(os.sched_getaffinity(0))
os.sched_setaffinity(0, {CORE})  # before JAX starts its threads

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import torch  # noqa: E402
from lstm_layer import SmallAutoencoder, interleaved, whole_step  # noqa: E402

from lstm_ae.kernels import choose_backend  # noqa: E402
from lstm_ae.training.process_settings import keep_freed_memory  # noqa: E402

SIZES = [(32, 50, 1, 16), (128, 28, 28, 64), (128, 28, 28, 128)]
LR, CLIP = 0.001, 1.0
Weights = dict[str, jax.Array]


def lstm(weights: Weights, name: str, inputs: jax.Array, unroll: int) -> tuple[jax.Array, jax.Array]:
    """The states (steps, batch, units) of an LSTM that reads inputs (steps, batch, features), and the last one.

    What does not depend on the state is multiplied for all steps at once, as a user of JAX would.
    """
    projected = inputs @ weights[f"{name}.weight_ih_l0"].T
    projected = projected + weights[f"{name}.bias_ih_l0"] + weights[f"{name}.bias_hh_l0"]
    turn = weights[f"{name}.weight_hh_l0"].T

    def step(state: tuple[jax.Array, jax.Array], x: jax.Array) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
        hidden, cell = state
        i, f, g, o = jnp.split(x + hidden @ turn, 4, axis=1)
        cell = jax.nn.sigmoid(f) * cell + jax.nn.sigmoid(i) * jnp.tanh(g)
        hidden = jax.nn.sigmoid(o) * jnp.tanh(cell)
        return (hidden, cell), hidden

    zeros = jnp.zeros((inputs.shape[1], turn.shape[0]))
    (last, _), states = jax.lax.scan(step, (zeros, zeros), projected, unroll=unroll)
    return states, last


def loss(weights: Weights, batch: jax.Array, unroll: int) -> jax.Array:
    """Mean squared error of the reconstruction of a batch (batch, steps, features)."""
    steps = batch.swapaxes(0, 1)
    context = lstm(weights, "encoder", steps, unroll)[1]
    states, _ = lstm(weights, "decoder", jnp.broadcast_to(context, (len(steps), *context.shape)), unroll)
    return jnp.mean((states @ weights["output.weight"].T + weights["output.bias"] - steps) ** 2)


class Step:
    """A whole training step in JAX, to be called without arguments like those of torch."""

    def __init__(self, start: dict[str, torch.Tensor], batch: torch.Tensor, unroll: int) -> None:
        self.weights = {name: jnp.asarray(weight.numpy()) for name, weight in start.items()}
        self.moments = (*({name: jnp.zeros_like(w) for name, w in self.weights.items()} for _ in range(2)), 0)
        self.batch = jnp.asarray(batch.numpy())

        def update(weights: Weights, moments: tuple, batch: jax.Array) -> tuple[Weights, tuple, jax.Array]:
            value, gradients = jax.value_and_grad(loss)(weights, batch, unroll)
            norm = jnp.sqrt(sum(jnp.sum(g**2) for g in gradients.values()))
            gradients = {name: g * jnp.minimum(1.0, CLIP / (norm + 1e-6)) for name, g in gradients.items()}
            first, second, count = moments
            count = count + 1
            first = {name: 0.9 * first[name] + 0.1 * g for name, g in gradients.items()}
            second = {name: 0.999 * second[name] + 0.001 * g**2 for name, g in gradients.items()}
            weights = {
                name: weight
                - LR * first[name] / (1 - 0.9**count) / (jnp.sqrt(second[name] / (1 - 0.999**count)) + 1e-8)
                for name, weight in weights.items()
            }
            return weights, (first, second, count), value

        self.update = jax.jit(update, donate_argnums=(0, 1))

    def __call__(self) -> jax.Array:
        """Take a step; its loss, computed."""
        self.weights, self.moments, value = self.update(self.weights, self.moments, self.batch)
        return value.block_until_ready()


def torch_step(backend: str, start: dict[str, torch.Tensor], batch: torch.Tensor) -> functools.partial[torch.Tensor]:
    """The same in torch."""
    model = SmallAutoencoder(batch.shape[2], start["output.weight"].shape[1], backend)
    model.load_state_dict(start)
    native = backend == "native"
    optimizer = torch.optim.Adam(model.parameters(), lr=LR, fused=native or None)
    return functools.partial(whole_step, model, optimizer, batch, backend)


def main() -> None:
    """Print a row for each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="for each row")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    keep_freed_memory()
    choose_backend("native", "cpu")
    print(f"JAX {jax.__version__}, torch {torch.__version__}, core {CORE}\n")
    print("| batch, steps, inputs, units | nn.LSTM, ms | native | JAX | JAX, unroll=4 | JAX's best over native |")
    print("| --- | --- | --- | --- | --- | --- |")
    for batch, steps, inputs, units in SIZES:
        torch.manual_seed(0)
        x, start = torch.rand(batch, steps, inputs), SmallAutoencoder(inputs, units, "torch").state_dict()
        jobs = [torch_step("torch", start, x), torch_step("native", start, x), Step(start, x, 1), Step(start, x, 4)]
        for _ in range(5):
            losses = [job().item() for job in jobs]
        assert max(losses) - min(losses) < 1e-5 * losses[0], losses
        times, ratios = interleaved(jobs, options.seconds, time.perf_counter)
        cells = [f"{t * 1e3:.2f} ({ratio:.2f})" for t, ratio in zip(times, ratios, strict=True)]
        best = min(times[2:]) / times[1]
        print(f"| {batch}, {steps}, {inputs}, {units} | {times[0] * 1e3:.2f} | {' | '.join(cells[1:])} | {best:.2f} |")


if __name__ == "__main__":
    main()
