"""Repository P's training program of MNIST by rows, from its arithmetic: what our own train command is held against.

python experiments/benchmark/peer_program.py EPOCHS

`matanle51/LSTM_AutoEncoder`, lstm_ae_mnist.py with its defaults: 128 units, batches of 128, 50,000 images to train on
and 10,000 to validate, Adam with a rate of 0.001 and a weight decay of 0.0001, the squared errors plus the
cross-entropies, both summed, class scores from the decoder's last state. Images go through a picture one at a time, as
torchvision's `MNIST` and `ToTensor` do it; losses and hits are fetched at every step. In the end the test images, two
plots and six pictures, and the weights.
"""

import sys
import tempfile
from pathlib import Path

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, random_split

from lstm_ae.data.mnist import read_idx

UNITS, BATCH = 128, 128


class Pictures(Dataset):
    """Images (28, 28) in [0, 1] and labels, each made when it is asked for."""

    def __init__(self, part: str) -> None:
        self.images, self.labels = read_idx(f"{part}-images-idx3-ubyte"), read_idx(f"{part}-labels-idx1-ubyte")

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """One image and its label."""
        picture = Image.fromarray(self.images[index].numpy(), mode="L")
        pixels = torch.from_numpy(np.array(picture, np.uint8, copy=True)).view(28, 28, 1)
        image = pixels.permute(2, 0, 1).contiguous().to(dtype=torch.get_default_dtype()).div(255)
        return image.squeeze(), int(self.labels[index])


class Model(nn.Module):
    """Encoder, context repeated, decoder, sigmoid; class scores from the decoder's last state."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.LSTM(28, UNITS, batch_first=True)
        self.decoder = nn.LSTM(UNITS, UNITS, batch_first=True)
        self.output, self.classes = nn.Linear(UNITS, 28), nn.Linear(UNITS, 10)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, 28, 28) -> the same, and (batch, 10)."""
        context = self.encoder(images)[1][0].squeeze(0)
        states, (last, _) = self.decoder(context.unsqueeze(1).repeat(1, images.shape[1], 1))
        return torch.sigmoid(self.output(states)), self.classes(last.squeeze())


def epoch(model: Model, loader: DataLoader, optimizer: torch.optim.Optimizer | None) -> tuple[float, float]:
    """Mean loss and accuracy of an epoch; trains if there is an optimizer."""
    total, hits, count = 0.0, 0, len(loader.dataset)  # type: ignore[arg-type]
    model.train(optimizer is not None)
    for images, labels in loader:
        if optimizer is not None:
            optimizer.zero_grad()
        with torch.set_grad_enabled(optimizer is not None):
            rebuilt, scores = model(images)
            hits += scores.max(1, keepdim=True)[1].eq(labels.view(-1, 1)).sum().item()
            loss = nn.functional.mse_loss(rebuilt, images, reduction="sum")
            loss = loss + nn.functional.cross_entropy(scores, labels, reduction="sum")
        if optimizer is not None:
            loss.backward()
            optimizer.step()
        total += loss.item()
    return total / count, hits / count


def main(epochs: int) -> None:
    """Train, test, draw, save."""
    train, val = random_split(Pictures("train"), [50_000, 10_000])
    loaders = [DataLoader(part, BATCH) for part in (train, val, Pictures("t10k"))]
    model = Model()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-4)
    history = []
    for number in range(epochs):
        history.append([*epoch(model, loaders[0], optimizer), *epoch(model, loaders[1], None)])
        print(f"epoch {number}: {history[-1]}", flush=True)
    print("test", epoch(model, loaders[2], None))
    with tempfile.TemporaryDirectory() as folder:
        images = next(iter(loaders[2]))[0]
        with torch.no_grad():
            rebuilt = model(images)[0]
        for i in range(3):
            for name, image in (("original", images[i]), ("rebuilt", rebuilt[i])):
                plt.figure()
                plt.imshow(image.numpy(), cmap="gray")
                plt.savefig(Path(folder, f"{name}_{i}.png"))
        for column, name in enumerate(("loss", "accuracy")):
            plt.figure()
            plt.plot([row[column] for row in history])
            plt.plot([row[column + 2] for row in history])
            plt.savefig(Path(folder, f"{name}.png"))
        torch.save(model.state_dict(), Path(folder, "model.pt"))


if __name__ == "__main__":
    main(int(sys.argv[1]))
