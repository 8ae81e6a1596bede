"""The published MNIST, and the reading of its format."""

import gzip
import hashlib
import struct
from functools import partial

import pytest
import torch

from lstm_ae.data import mnist as module
from lstm_ae.data.augment import Augment
from lstm_ae.data.files import PublicFile
from lstm_ae.data.mnist import mnist, read_idx
from lstm_ae.errors import UserError

STILL = partial(Augment, 0, 0)
# Images per class 0 to 9, as published.
TRAIN_COUNTS = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
TEST_COUNTS = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def make(order="rows", seed=0, **options):
    return mnist(order, batch_size=128, val_fraction=0.1, seed=seed, augment=STILL, **options)


@pytest.fixture(scope="module")
def rows(real_data):
    return make()


def test_idx_format_by_hand(tmp_path, monkeypatch):
    content = bytes([0, 0, 8, 3]) + struct.pack(">3i", 2, 3, 4) + bytes(range(232, 256))
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "tiny").write_bytes(content)
    monkeypatch.setenv("LSTM_AE_DATA", str(tmp_path))
    monkeypatch.setitem(module.SHA256, "tiny", hashlib.sha256(content).hexdigest())
    tensor = read_idx("tiny")
    assert tensor.dtype == torch.uint8
    assert torch.equal(tensor, torch.arange(232, 256, dtype=torch.uint8).view(2, 3, 4))


def test_sizes_and_spec(rows):
    assert [len(part) for part in (rows.train, rows.val, rows.test)] == [54_000, 6_000, 10_000]
    assert rows.train.inputs.shape[1:] == (28, 28)
    assert (rows.spec.length, rows.spec.features, rows.spec.num_classes) == (28, 28, 10)
    assert rows.spec.image_shape == (28, 28)
    assert rows.train.labels.dtype == torch.int64


def test_classes_are_as_published(rows):
    assert torch.bincount(torch.cat([rows.train.labels, rows.val.labels])).tolist() == TRAIN_COUNTS
    assert torch.bincount(rows.test.labels).tolist() == TEST_COUNTS
    assert rows.test.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]


def test_validation_has_all_classes_in_their_proportions(rows):
    shares = torch.bincount(rows.val.labels) / len(rows.val)
    expected = torch.tensor(TRAIN_COUNTS) / 60_000
    assert (shares - expected).abs().max() < 0.02


def test_pixels_have_the_published_mean_and_deviation(rows):
    pool = torch.cat([rows.train.inputs, rows.val.inputs])
    assert pool.min() == 0
    assert pool.max() == 1
    assert pool.double().mean().item() == pytest.approx(0.1307, abs=1e-4)
    assert pool.double().std().item() == pytest.approx(0.3081, abs=1e-4)


def test_another_seed_parts_the_training_images_anew_and_leaves_the_test(rows):
    other = make(seed=1, num_train=100)
    assert torch.equal(other.test.inputs, rows.test.inputs)
    assert torch.equal(other.test.labels, rows.test.labels)
    assert not torch.equal(other.val.labels, rows.val.labels)
    assert len(other.train) == 100


def test_pixels_are_the_rows_one_value_at_a_time(rows):
    pixels = make("pixels", num_train=100)
    assert pixels.train.inputs.shape == (100, 784, 1)
    assert torch.equal(pixels.train.inputs.flatten(1), rows.train.inputs[:100].flatten(1))
    assert torch.equal(pixels.val.inputs.flatten(1), rows.val.inputs.flatten(1))


def test_a_file_with_one_bit_changed_is_refused(real_data, tmp_path, monkeypatch):
    name = "t10k-labels-idx1-ubyte"
    content = bytearray(PublicFile(f"mnist/{name}", module.SHA256[name], ()).read())
    content[5000] ^= 1
    damaged = tmp_path / "mnist" / f"{name}.gz"
    damaged.parent.mkdir()
    damaged.write_bytes(gzip.compress(content))
    monkeypatch.setenv("LSTM_AE_DATA", str(tmp_path))
    with pytest.raises(UserError, match="not the published content") as refusal:
        read_idx(name)
    assert str(damaged) in str(refusal.value)
    assert damaged.exists()
