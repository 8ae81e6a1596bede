"""Why a flat LSTM stays at chance on 784 pixels: how much of each pixel is left in the context before any training.

python experiments/mnist_pixels/why_chance.py

For each start, the norm of the context's gradient with respect to pixels so many steps before the end, mean over 200
test images; and how many black pixels end an image.
"""

import torch
from hydra import compose, initialize_config_dir

from lstm_ae.config import CONF, build

DISTANCES = (1, 50, 100, 200, 400, 700)
PYRAMID = (
    "model/encoder=pyramidal",
    "model/decoder=pyramidal",
    "model.encoder.strides=[8,8]",
    "model.encoder.hidden_sizes=[8,64]",
)
STARTS = {
    "flat, PyTorch's own": ("model/initialization=pytorch",),
    "flat, orthogonal, forget bias 1": ("model/initialization=orthogonal",),
    "flat, the same, identity": ("model/initialization=orthogonal", "model.initialization.identity=true"),
    "flat, chrono": ("model/initialization=chrono",),
    "flat, linear memory": ("model/initialization=linear_memory",),
    "flat, PyTorch's own, mean pooling": ("model/initialization=pytorch", "model.encoder.pooling=mean"),
    "pyramid, orthogonal": (*PYRAMID, "model/initialization=orthogonal"),
    "pyramid, linear memory": (*PYRAMID, "model/initialization=linear_memory"),
}


def main() -> None:
    """Print a line per start."""
    for name, overrides in STARTS.items():
        with initialize_config_dir(CONF):
            config = compose("config", ["dataset=mnist_pixels", "model.hidden_size=128", "seed=0", *overrides])
        torch.manual_seed(config.seed)
        data = build.build_data(config, torch.device("cpu"))
        model = build.build_model(config, data.spec, data.train.inputs)
        inputs = data.test.inputs[:200].clone().requires_grad_()
        context = model.encoder(inputs).context
        # The gradient's norm, estimated with random directions: E (g v)^2 = |g|^2 for v of unit normal entries.
        squares = torch.zeros(784)
        for _ in range(8):
            (gradient,) = torch.autograd.grad(context, inputs, torch.randn_like(context), retain_graph=True)
            squares += gradient[:, :, 0].square().mean(0) / 8
        print(f"{name:34s}", "  ".join(f"{distance}: {squares[-distance].sqrt():.1e}" for distance in DISTANCES))
    black = (data.test.inputs[:, :, 0].flip(1) > 0).int().argmax(1)
    print(f"black pixels at the end of a test image: median {black.median()}, least {black.min()}, most {black.max()}")


if __name__ == "__main__":
    main()
