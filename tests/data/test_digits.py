"""scikit-learn's digits, the real ones, whole and in order."""

from functools import partial

import pytest
import torch
from sklearn.datasets import load_digits

from lstm_ae.data.augment import Augment
from lstm_ae.data.digits import digits

STILL = partial(Augment, 0, 0)
MOVED = partial(Augment, 1, 0)


def make(order="rows", seed=0, augment=STILL, **options):
    return digits(order, batch_size=32, val_fraction=0.2, test_fraction=0.2, seed=seed, augment=augment, **options)


@pytest.fixture(scope="module")
def rows():
    return make()


def together(data):
    parts = [data.train, data.val, data.test]
    return torch.cat([part.inputs for part in parts]), torch.cat([part.labels for part in parts])


@pytest.mark.parametrize(("order", "shape"), [("rows", (8, 8)), ("pixels", (64, 1))])
def test_shapes_and_spec(order, shape):
    data = make(order)
    assert data.train.inputs.shape[1:] == shape == (data.spec.length, data.spec.features)
    assert data.train.inputs.dtype == torch.float32
    assert data.train.labels.dtype == torch.int64
    assert data.spec.class_names == tuple("0123456789")
    assert data.spec.image_shape == (8, 8)
    assert data.augment(data.train.inputs, None) is data.train.inputs
    assert [len(part) for part in (data.train, data.val, data.test)] == [1797 - 2 * 359, 359, 359]


def test_every_published_image_is_there_once_with_its_label(rows):
    inputs, labels = together(rows)
    assert inputs.min() == 0
    assert inputs.max() == 1
    images, targets = load_digits(return_X_y=True)
    found = torch.cat([rows.scaler.inverse(inputs).flatten(1), labels[:, None]], dim=1)
    published = torch.cat([torch.from_numpy(images).float(), torch.from_numpy(targets)[:, None]], dim=1)
    assert sorted(found.tolist()) == sorted(published.tolist())


def test_rows_and_pixels_are_the_same_images(rows):
    pixels = make("pixels")
    for part in ("train", "val", "test"):
        assert torch.equal(getattr(rows, part).inputs.flatten(1), getattr(pixels, part).inputs.flatten(1))
        assert torch.equal(getattr(rows, part).labels, getattr(pixels, part).labels)


def test_the_seed_alone_decides_the_split(rows):
    assert torch.equal(make().test.inputs, rows.test.inputs)
    assert not torch.equal(make(seed=1).test.inputs, rows.test.inputs)


def test_num_train_and_folds(rows):
    few = make(num_train=10)
    assert len(few.train) == 10
    assert torch.equal(few.val.inputs, rows.val.inputs)
    fold = make(num_folds=5, fold=2)
    assert torch.equal(fold.test.inputs, rows.test.inputs)
    assert len(fold.val) in (287, 288)
    assert len(fold.train) + len(fold.val) == 1438


@pytest.mark.parametrize("order", ["rows", "pixels"])
def test_augmentation_knows_the_image(order):
    data = make(order, augment=MOVED)
    moved = data.augment(data.train.inputs[:4], torch.Generator().manual_seed(0))
    same = make("rows", augment=MOVED)
    expected = same.augment(same.train.inputs[:4], torch.Generator().manual_seed(0))
    assert not torch.equal(moved, data.train.inputs[:4])
    assert torch.equal(moved.flatten(1), expected.flatten(1))


def test_permuted_pixels_are_the_same_pixels_in_one_order_for_all_images():
    options = {"batch_size": 8, "val_fraction": 0.2, "test_fraction": 0.2, "seed": 0}
    still = partial(Augment, shift=0, rotation=0)
    plain = digits("pixels", augment=still, **options)
    one, other = (digits("permuted", augment=still, order_seed=seed, **options) for seed in (0, 1))
    order = list(one.spec.reading_order)
    assert sorted(order) == list(range(64)) and order != list(other.spec.reading_order)
    assert torch.equal(one.train.inputs, plain.train.inputs[:, order]) and torch.equal(
        one.test.labels, plain.test.labels
    )
    assert torch.equal(one.spec.as_images(one.test.inputs), plain.spec.as_images(plain.test.inputs))


def test_permuted_images_are_moved_as_images():
    options = {"batch_size": 8, "val_fraction": 0.2, "test_fraction": 0.2, "seed": 0}
    plain, permuted = (
        digits(order, augment=partial(Augment, shift=1, rotation=9), **options) for order in ("pixels", "permuted")
    )
    moved = [data.augment(data.train.inputs, torch.Generator().manual_seed(3)) for data in (plain, permuted)]
    torch.testing.assert_close(permuted.spec.as_images(moved[1]), plain.spec.as_images(moved[0]))
