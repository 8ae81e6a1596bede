"""What every result is held against: models without a network, fitted on the same training part."""

import torch
from sklearn.decomposition import PCA

from lstm_ae.data.sequence_data import Sequences


def baselines(train: Sequences, test: Sequences, context_size: int) -> dict[str, float]:
    """The test errors of the simplest models that the training part supports.

    Returns:
        `reconstruction/mean`: mean squared error per value of predicting the training mean at each position.
        `reconstruction/pca`: that of principal components (Pearson 1901), as many as the context has numbers: the best
            that linear codes of this size can do on the training part. 0, exactly, where the context is no smaller than
            the data. n training sequences support n - 1 components at most.
        `accuracy/majority`, with labels: that of always naming the training part's most frequent class.
    """
    flat_train, flat_test = (part.inputs.cpu().flatten(1).double() for part in (train, test))
    found = {"reconstruction/mean": (flat_test - flat_train.mean(0)).square().mean().item()}
    components = min(context_size, len(flat_train) - 1)
    if context_size >= flat_train.shape[1]:
        found["reconstruction/pca"] = 0.0
    elif components == 0:
        found["reconstruction/pca"] = found["reconstruction/mean"]
    else:
        pca = PCA(components, svd_solver="covariance_eigh").fit(flat_train.numpy())
        rebuilt = pca.inverse_transform(pca.transform(flat_test.numpy()))
        found["reconstruction/pca"] = (flat_test - torch.from_numpy(rebuilt)).square().mean().item()
    if train.labels is not None:
        found["accuracy/majority"] = (test.labels == train.labels.mode().values).float().mean().item()
    return found
