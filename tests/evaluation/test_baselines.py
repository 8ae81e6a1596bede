"""The baselines, each by another road."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.preprocessing import StandardScaler

from lstm_ae.data.sequence_data import Sequences
from lstm_ae.evaluation import baselines
from lstm_ae.evaluation.baselines import accuracy_baselines, flat_chunks, logistic_regression, reconstruction_baselines
from lstm_ae.models.linear_recurrence import closed_form


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
    found = reconstruction_baselines(train, test, context_size)
    mean = train.inputs.mean(0)
    assert found["reconstruction/mean"] == pytest.approx((test.inputs - mean).square().mean().item(), rel=1e-5)
    assert found["reconstruction/pca"] == pytest.approx(linear_code(train, test, context_size), rel=1e-6)
    assert 0 < found["reconstruction/pca"] < found["reconstruction/mean"]
    assert set(found) == {"reconstruction/mean", "reconstruction/pca", "reconstruction/linear_recurrence"}


@pytest.mark.parametrize("context_size", [12, 13, 500])
def test_pca_is_exact_where_the_context_is_no_smaller_than_the_data(context_size):
    assert reconstruction_baselines(draw(40), draw(20, seed=1), context_size)["reconstruction/pca"] == 0


@pytest.mark.parametrize("context_size", [1, 3, 8])
def test_linear_recurrence_step_by_step(context_size):
    """Run the recurrence as a loop, and read it out by scikit-learn's least squares."""
    train, test = draw(60), draw(20, seed=1)
    write, turn = closed_form(train.inputs, context_size)
    codes = []
    for part in (train, test):
        state = torch.zeros(len(part), context_size, dtype=torch.double)
        for step in part.inputs.double().unbind(1):
            state = state @ turn.T + step @ write.T
        codes.append(state.numpy())
    fitted, unseen = (part.inputs.flatten(1).double().numpy() for part in (train, test))
    expected = np.square(LinearRegression().fit(codes[0], fitted).predict(codes[1]) - unseen).mean()
    found = reconstruction_baselines(train, test, context_size)["reconstruction/linear_recurrence"]
    assert found == pytest.approx(expected, rel=1e-4)
    on_train = reconstruction_baselines(train, train, context_size)
    assert on_train["reconstruction/linear_recurrence"] >= 0.999999 * on_train["reconstruction/pca"]


def test_very_long_sequences_go_without_the_linear_recurrence(monkeypatch):
    monkeypatch.setattr(baselines, "LARGEST", 11)
    assert "reconstruction/linear_recurrence" not in reconstruction_baselines(draw(40), draw(20), 3)


@pytest.mark.parametrize("num_train", [1, 2, 5])
def test_few_training_sequences_are_enough(num_train):
    train, test = draw(num_train), draw(20, seed=1)
    found = reconstruction_baselines(train, test, 8)
    assert found["reconstruction/pca"] == pytest.approx(linear_code(train, test, num_train - 1), rel=1e-6)


def test_a_tiny_set_by_hand():
    train = Sequences(torch.tensor([[[0.0], [1.0]], [[2.0], [1.0]]]))  # varies in the first value alone
    test = Sequences(torch.tensor([[[4.0], [3.0]]]))
    found = reconstruction_baselines(train, test, 1)
    assert found["reconstruction/mean"] == pytest.approx((3**2 + 2**2) / 2)  # the mean is (1, 1)
    assert found["reconstruction/pca"] == pytest.approx(2**2 / 2)  # the second value is lost


def ragged(count, seed=0, longest=6, missing=0.0):
    """Sequences of 1 to `longest` steps, and the mask of what exists."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, longest + 1, (count,), generator=generator)
    inputs = torch.randn(count, longest, 3, generator=generator).cumsum(1)
    exists = (torch.arange(longest) < lengths[:, None])[..., None].expand_as(inputs)
    mask = exists & (torch.rand(inputs.shape, generator=generator) >= missing) if missing else None
    return Sequences(inputs * exists, lengths=lengths, mask=mask), exists if mask is None else mask


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_unequal_sequences_and_holes_by_hand(missing, monkeypatch):
    (train, there), (test, tested) = ragged(50, missing=missing), ragged(20, 1, longest=8, missing=missing)
    values = np.where(there, train.inputs.double(), np.nan)
    mean = np.tile(np.nanmean(values, axis=(0, 1)), (8, 1))  # of the feature, at steps that no training sequence has
    mean[:6] = np.nanmean(values, axis=0)
    errors = np.where(tested, test.inputs.double().numpy() - mean, np.nan)
    found = reconstruction_baselines(train, test, 4)
    assert found["reconstruction/mean"] == pytest.approx(np.nanmean(errors**2), rel=1e-6)

    def continued(part):
        inputs, within = np.tile(mean, (len(part), 1, 1)), torch.arange(8) < part.lengths[:, None]
        inputs[within] = part.inputs[within[:, : part.inputs.shape[1]]]
        return inputs.reshape(len(part), -1) - mean.flatten()

    code = np.linalg.svd(continued(train), full_matrices=False)[2][:4]
    centred = continued(test)
    errors = (centred - centred @ code.T @ code).reshape(20, 8, 3)[tested]
    assert found["reconstruction/pca"] == pytest.approx(np.square(errors).mean(), rel=1e-6)
    assert found["reconstruction/pca"] < found["reconstruction/mean"]

    def own_steps(part):
        """Each sequence by itself, at the end of eight steps."""
        inputs = np.zeros((len(part), 8, 3))
        for row, (one, length) in enumerate(zip(part.inputs, part.lengths, strict=True)):
            inputs[row, 8 - length :] = one[:length]
        return torch.from_numpy(inputs)

    recurrence = closed_form(own_steps(train), 4)
    codes = [recurrence.codes(own_steps(part)) for part in (train, test)]
    rebuilt = LinearRegression().fit(codes[0], own_steps(train).flatten(1)).predict(codes[1]).reshape(20, 8, 3)
    squares = [
        np.square(one[8 - length :] - test.inputs[row, :length].numpy())[tested[row, :length]]
        for row, (one, length) in enumerate(zip(rebuilt, test.lengths, strict=True))
    ]
    floor = np.concatenate(squares).mean()
    assert found["reconstruction/linear_recurrence"] == pytest.approx(floor, rel=1e-4)
    monkeypatch.setattr(baselines, "CHUNK_VALUES", 7 * 18)
    assert reconstruction_baselines(train, test, 4) == pytest.approx(found, rel=1e-10)


def test_classes_of_unequal_sequences_are_told_apart():
    train, test = (
        replace(part, labels=(part.inputs[:, 0, 0] > 0).long()) for part, _ in (ragged(300), ragged(90, 1, 8))
    )
    found = accuracy_baselines(train, test)
    assert found["accuracy/logistic_regression"] > 0.9 > found["accuracy/majority"]


def test_majority_is_the_most_frequent_class_of_training():
    train = draw(5, labels=torch.tensor([2, 0, 2, 1, 2]))
    test = draw(4, labels=torch.tensor([1, 1, 1, 2]))
    assert accuracy_baselines(train, test)["accuracy/majority"] == 0.25


def test_all_is_fitted_on_training_alone():
    train, test = draw(40), draw(20, seed=1)
    whole, *halves = (reconstruction_baselines(train, part, 3) for part in (test, test[:10], test[10:]))
    for name, value in whole.items():
        assert value == pytest.approx(sum(half[name] for half in halves) / 2)


@pytest.mark.parametrize("num_train", [300, 10])  # more sequences than values, and fewer
def test_chunks_change_nothing_and_hold_little(num_train, monkeypatch):
    train, test = draw(num_train), draw(20, seed=1)
    fitted = PCA(5, svd_solver="covariance_eigh").fit(train.inputs.flatten(1).double().numpy())
    values = test.inputs.flatten(1).double().numpy()
    expected = np.square(fitted.inverse_transform(fitted.transform(values)) - values).mean()
    whole = reconstruction_baselines(train, test, 5)
    monkeypatch.setattr(baselines, "CHUNK_VALUES", 7 * 12)
    assert max(chunk.numel() for chunk in flat_chunks(train)) <= 7 * 12
    assert reconstruction_baselines(train, test, 5) == pytest.approx(whole, rel=1e-10)
    assert whole["reconstruction/pca"] == pytest.approx(expected, rel=1e-10)


def classes(count, seed):
    """Two classes that a plane separates, in values of very different sizes, one of them constant."""
    part = draw(count, seed=seed)
    values = part.inputs * torch.tensor([1.0, 1000, 0])
    labels = (values[:, :, 0].sum(1) > values[:, :, 0].sum(1).median()).long()
    return Sequences(values, labels)


def test_logistic_regression_is_scikit_learn_s_on_standardised_values():
    train, test = classes(400, 0), classes(200, 1)
    (x, y), (unseen, truth) = ((part.inputs.flatten(1).numpy(), part.labels.numpy()) for part in (train, test))
    scaler = StandardScaler().fit(x)
    expected = LogisticRegression().fit(scaler.transform(x), y).score(scaler.transform(unseen), truth)
    found = accuracy_baselines(train, test)
    assert found["accuracy/logistic_regression"] == pytest.approx(expected, abs=0.01)
    assert found["accuracy/logistic_regression"] > 0.9 > found["accuracy/majority"]


def test_logistic_regression_of_one_class_or_one_sequence():
    test = draw(4, labels=torch.tensor([1, 1, 1, 2]))
    assert logistic_regression(draw(5, labels=torch.ones(5, dtype=torch.int64)), test) == 0.75
    assert logistic_regression(draw(1, labels=torch.tensor([2])), test) == 0.25


def test_logistic_regression_of_large_data_reads_a_part_of_it(monkeypatch):
    train, test = classes(400, 0), classes(200, 1)
    monkeypatch.setattr(baselines, "REGRESSION_VALUES", 100 * 12)
    read, fit = [], LogisticRegression.fit
    monkeypatch.setattr(LogisticRegression, "fit", lambda *args: read.append(args[1]) or fit(*args))
    first, again = logistic_regression(train, test), logistic_regression(train, test)
    assert [len(values) for values in read] == [100, 100] and first == again
    assert first > 0.8
    sequences = {tuple(row) for row in StandardScaler().fit_transform(train.inputs[:100].flatten(1).numpy()).round(2)}
    assert sequences != {tuple(row) for row in read[0].round(2)}  # not the first ones, which may be of one class
