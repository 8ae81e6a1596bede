"""The baselines, each by another road."""

import numpy as np
import pytest
import torch

from lstm_ae.data.sequence_data import Sequences
from lstm_ae.evaluation.baselines import baselines


def draw(count, length=4, features=3, seed=0, labels=None):
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.rand(length * features, length * features, generator=torch.Generator().manual_seed(9))
    values = torch.randn(count, length * features, generator=generator) @ mixing + 5
    return Sequences(values.view(count, length, features), labels)


def linear_code(train, test, components):
    """PCA as a singular value decomposition (Eckart and Young 1936)."""
    fitted, unseen = (part.inputs.flatten(1).double().numpy() for part in (train, test))
    mean = fitted.mean(0)
    directions = np.linalg.svd(fitted - mean, full_matrices=False)[2][:components]
    centred = unseen - mean
    return np.square(centred - centred @ directions.T @ directions).mean()


@pytest.mark.parametrize("context_size", [1, 3, 11])
def test_pca_and_mean_by_hand(context_size):
    train, test = draw(40), draw(20, seed=1)
    found = baselines(train, test, context_size)
    mean = train.inputs.mean(0)
    assert found["reconstruction/mean"] == pytest.approx((test.inputs - mean).square().mean().item(), rel=1e-5)
    assert found["reconstruction/pca"] == pytest.approx(linear_code(train, test, context_size), rel=1e-6)
    assert 0 < found["reconstruction/pca"] < found["reconstruction/mean"]
    assert set(found) == {"reconstruction/mean", "reconstruction/pca"}


@pytest.mark.parametrize("context_size", [12, 13, 500])
def test_pca_is_exact_where_the_context_is_no_smaller_than_the_data(context_size):
    assert baselines(draw(40), draw(20, seed=1), context_size)["reconstruction/pca"] == 0


@pytest.mark.parametrize("num_train", [1, 2, 5])
def test_few_training_sequences_are_enough(num_train):
    train, test = draw(num_train), draw(20, seed=1)
    found = baselines(train, test, 8)
    assert found["reconstruction/pca"] == pytest.approx(linear_code(train, test, num_train - 1), rel=1e-6)


def test_a_tiny_set_by_hand():
    train = Sequences(torch.tensor([[[0.0], [1.0]], [[2.0], [1.0]]]))  # varies in the first value alone
    test = Sequences(torch.tensor([[[4.0], [3.0]]]))
    found = baselines(train, test, 1)
    assert found["reconstruction/mean"] == pytest.approx((3**2 + 2**2) / 2)  # the mean is (1, 1)
    assert found["reconstruction/pca"] == pytest.approx(2**2 / 2)  # the second value is lost


def test_majority_is_the_most_frequent_class_of_training():
    train = draw(5, labels=torch.tensor([2, 0, 2, 1, 2]))
    test = draw(4, labels=torch.tensor([1, 1, 1, 2]))
    assert baselines(train, test, 3)["accuracy/majority"] == 0.25


def test_all_is_fitted_on_training_alone():
    train, test = draw(40), draw(20, seed=1)
    half = baselines(train, test[:10], 3)["reconstruction/pca"] + baselines(train, test[10:], 3)["reconstruction/pca"]
    assert baselines(train, test, 3)["reconstruction/pca"] == pytest.approx(half / 2)
