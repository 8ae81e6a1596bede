"""Where the network beats PCA: errors inside and outside the dip, on the test sequences.

python experiments/synthetic/below_pca.py RUN_DIR
"""

import sys

import torch
from sklearn.decomposition import PCA

import lstm_ae
from lstm_ae.config.build import build_data


def main(directory: str) -> None:
    """Print the mean squared error per value of both codes, inside the dip, outside it, and over all."""
    run = lstm_ae.load_run(directory)
    data = build_data(run.config, torch.device("cpu"))
    train, test = data.train.inputs.flatten(1), data.test.inputs.flatten(1)
    pca = PCA(run.model.encoder.context_size).fit(train.numpy())
    codes = {
        "PCA": torch.from_numpy(pca.inverse_transform(pca.transform(test.numpy()))),
        "LSTM": run.reconstruct(data.test.inputs).flatten(1),
    }
    # The dip is where ten neighbours are smallest together; which ten is all that its place can be known by.
    width = run.config.dataset.dip_length
    sums = test.unfold(1, width, 1).sum(2)
    start = sums.argmin(1, keepdim=True)
    position = torch.arange(test.shape[1])
    dip = (position >= start) & (position < start + width)
    for name, rebuilt in codes.items():
        error = (rebuilt - test).square()
        print(f"{name:5s} inside {error[dip].mean():.6f}  outside {error[~dip].mean():.6f}  all {error.mean():.6f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
