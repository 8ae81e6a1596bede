"""A training step on sequences of unequal length: padded, as here, against packed, as PyTorch offers it.

python experiments/own_data/padding_or_packing.py [rounds]

One batch of random lengths, the same weights, loss and gradients. "packed" is `pack_padded_sequence` around `nn.LSTM`;
"padded" is what the trainer does with that batch; "bucketed" is a batch as the trainer makes them of many such
sequences. Times are of the processor, one thread, medians of alternating rounds, forward and backward and the step.
"""

import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lstm_ae.data.sequence_data import Sequences
from lstm_ae.kernels import use_backend
from lstm_ae.models.autoencoder import Autoencoder
from lstm_ae.models.decoders import RepeatContextDecoder
from lstm_ae.models.encoders import LSTMEncoder
from lstm_ae.models.inference import apply
from lstm_ae.models.initialization import orthogonal
from lstm_ae.training.objective import Objective, reconstruction_error

FEATURES, SHORTEST, LONGEST = 8, 20, 100  # on average 60 steps: a random batch is filled by 60%


def make_model(hidden_size: int) -> Autoencoder:
    """The plain autoencoder, always with the same weights."""
    torch.manual_seed(0)
    return Autoencoder(
        LONGEST,
        FEATURES,
        0,
        lambda input_size: LSTMEncoder(input_size, hidden_size, 1, 0.0),
        lambda context_size, output_size, length: RepeatContextDecoder(
            context_size,
            output_size,
            length,
            hidden_size=hidden_size,
            num_layers=1,
            dropout=0.0,
            output_activation="identity",
            reverse=False,
        ),
        None,
        lambda model: orthogonal(model, 1.0),
        varying=True,
    )


def packed_loss(model: Autoencoder, batch: Sequences) -> Tensor:
    """The loss with packed sequences; the model's own weights."""
    encoder, decoder = model.encoder, model.decoder
    lengths = batch.lengths.cpu()
    _, (hidden, _) = nn.LSTM.forward(
        encoder.lstm, pack_padded_sequence(batch.inputs, lengths, batch_first=True, enforce_sorted=False)
    )
    repeated = hidden[-1][:, None].expand(-1, batch.inputs.shape[1], -1)
    states, _ = nn.LSTM.forward(
        decoder.lstm, pack_padded_sequence(repeated, lengths, batch_first=True, enforce_sorted=False)
    )
    return reconstruction_error(decoder.output(pad_packed_sequence(states, batch_first=True)[0]), batch)


def padded_loss(model: Autoencoder, batch: Sequences) -> Tensor:
    """The loss as the trainer has it."""
    return Objective(1.0)(apply(model, batch), batch, training=True)["loss"]


def draw(count: int) -> Sequences:
    """Random sequences of random length."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(SHORTEST, LONGEST + 1, (count,), generator=generator)
    whole = Sequences(torch.randn(count, LONGEST, FEATURES, generator=generator), lengths=lengths)
    return Sequences(whole.inputs * whole.exists(), lengths=lengths)


def fill(batch: Sequences) -> float:
    """The share of a batch's steps that exist."""
    return batch.lengths.sum().item() / batch.inputs.shape[:2].numel()


def seconds(
    loss: Callable[[Autoencoder, Sequences], Tensor], model: Autoencoder, optimizer: torch.optim.Optimizer,
    batch: Sequences,
) -> float:  # fmt: skip
    """Seconds of the processor for a training step."""
    started = time.process_time()
    optimizer.zero_grad()
    loss(model, batch).backward()
    optimizer.step()
    return time.process_time() - started


def compare(hidden_size: int, size: int, rounds: int) -> None:
    """Print a row of the table: one batch of `size` sequences, and its like in buckets."""
    batch = draw(size).trimmed()
    buckets = list(draw(20 * size).shuffled(size, torch.Generator().manual_seed(0)))
    ways: dict[str, tuple[Callable[[Autoencoder, Sequences], Tensor], str, list[Sequences]]] = {
        "packed": (packed_loss, "torch", [batch]),
        "padded, torch": (padded_loss, "torch", [batch]),
        "padded, native": (padded_loss, "native", [batch]),
        "bucketed, torch": (padded_loss, "torch", buckets),
        "bucketed, native": (padded_loss, "native", buckets),
    }
    models = {name: make_model(hidden_size) for name in ways}
    gradients, optimizers, spent = {}, {}, {name: [] for name in ways}
    for name, (loss, backend, _) in ways.items():
        use_backend(models[name], backend)
        gradients[name] = torch.cat(
            [one.flatten() for one in torch.autograd.grad(loss(models[name], batch), list(models[name].parameters()))]
        )
        optimizers[name] = torch.optim.Adam(models[name].parameters())
    apart = max((gradients["packed"] - gradients[name]).abs().max().item() for name in ways)
    for _ in range(rounds):
        for name, (loss, _, batches) in ways.items():
            took = [seconds(loss, models[name], optimizers[name], one) for one in batches]
            steps = sum(int(one.lengths.sum()) for one in batches)
            spent[name].append(sum(took) / steps * 1e6)  # per step of a sequence that exists, in microseconds
    cost = {name: statistics.median(values) for name, values in spent.items()}
    bucket_fill = sum(map(fill, buckets)) / len(buckets)
    times = " | ".join(f"{cost['packed'] / value:.1f}" for name, value in cost.items() if name != "packed")
    print(f"| {hidden_size} | {size} | {fill(batch):.0%} / {bucket_fill:.0%} | {cost['packed']:.1f} | {times} "
          f"| {apart:.0e} |", flush=True)  # fmt: skip


def main(rounds: int = 7) -> None:
    """Print the table."""
    torch.set_num_threads(1)
    print("| hidden size | batch | fill, bucketed | packed, us | padded, torch | native | bucketed, torch | native "
          "| gradients differ by |\n|" + " --- |" * 9)  # fmt: skip
    for hidden_size, size in ((32, 32), (64, 32), (64, 128), (128, 64), (256, 64)):
        compare(hidden_size, size, rounds)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
