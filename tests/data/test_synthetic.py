"""The synthetic sequences are what their description says, value for value."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lstm_ae.data.synthetic import generate, synthetic
from lstm_ae.errors import ConfigError


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def dips(count, length=50, dip_length=10, dip_center=(20, 30), seed=0):
    """Which positions are scaled (count, length), found by scaling them in one draw and not in another."""
    scaled = generate(count, length, dip_length, dip_center, 0.1, seeded(seed))
    plain = generate(count, length, dip_length, dip_center, 1.0, seeded(seed))
    changed = scaled != plain
    torch.testing.assert_close(scaled[changed], plain[changed] * 0.1)
    return changed.squeeze(2)


def test_dip_covers_five_before_to_four_after_a_centre_from_20_to_30():
    changed = dips(11_000)
    first = changed.int().argmax(1)
    expected = (torch.arange(50) >= first[:, None]) & (torch.arange(50) < first[:, None] + 10)
    assert torch.equal(changed, expected)  # one run of ten, nothing else
    counts = torch.bincount(first + 5, minlength=50)
    assert counts[:20].sum() == 0
    assert counts[31:].sum() == 0
    # 1,000 expected at each of the 11 centres, with a standard deviation of 30
    assert counts[20:31].min() > 850
    assert counts[20:31].max() < 1150


def test_values_are_uniform_and_independent():
    values = generate(20_000, 50, 0, (20, 30), 0.1, seeded()).squeeze(2)
    assert values.shape == (20_000, 50)
    assert values.dtype == torch.float32
    assert values.min() >= 0
    assert values.max() < 1
    assert values.mean().item() == pytest.approx(1 / 2, abs=0.002)
    assert values.var().item() == pytest.approx(1 / 12, abs=0.001)
    correlation = torch.corrcoef(values.T) - torch.eye(50)
    assert correlation.abs().max() < 0.05


@given(st.data())
def test_any_dip_that_fits_lies_around_its_centre(data):
    length = data.draw(st.integers(1, 40), "length")
    dip_length = data.draw(st.integers(1, length), "dip_length")
    low, high = dip_length // 2, length - dip_length + dip_length // 2
    first = data.draw(st.integers(low, high), "first")
    last = data.draw(st.integers(first, high), "last")
    changed = dips(20, length, dip_length, (first, last))
    assert (changed.sum(1) == dip_length).all()
    start = changed.int().argmax(1)
    assert (start >= first - dip_length // 2).all()
    assert (start <= last - dip_length // 2).all()


@pytest.mark.parametrize(
    ("length", "dip_length", "dip_center"),
    [
        (50, 10, (4, 30)),  # would begin before the first value
        (50, 10, (20, 46)),  # would end after the last
        (20, 10, (20, 30)),
        (50, 10, (30, 20)),
        (50, 10, (20,)),
        (50, 10, (20, 25, 30)),
        (50, 10, ()),
    ],
)
def test_impossible_dips_are_refused(length, dip_length, dip_center):
    with pytest.raises(ConfigError, match=r"^dataset\.dip_center=\[.*must"):
        generate(10, length, dip_length, dip_center, 0.1, seeded())


def test_a_dip_longer_than_the_sequence_is_refused():
    with pytest.raises(ConfigError, match=r"^dataset\.dip_length=6: must be at most 5"):
        generate(10, 5, 6, (3, 3), 0.1, seeded())


def test_dips_at_the_very_ends_are_accepted():
    assert dips(10, 50, 10, (5, 5))[:, :10].all()
    assert dips(10, 50, 10, (45, 45))[:, 40:].all()


def make(seed=0, **options):
    defaults = {
        "num_sequences": 100,
        "length": 50,
        "dip_length": 10,
        "dip_center": [20, 30],
        "dip_scale": 0.1,
        "batch_size": 8,
        "val_fraction": 0.2,
        "test_fraction": 0.2,
    }
    return synthetic(seed=seed, **defaults | options)


def test_parts_spec_and_scaler():
    data = make()
    assert [len(part) for part in (data.train, data.val, data.test)] == [60, 20, 20]
    assert data.train.inputs.shape == (60, 50, 1)
    assert data.train.labels is None
    assert (data.spec.length, data.spec.features, data.spec.num_classes) == (50, 1, 0)
    torch.testing.assert_close(data.scaler.inverse(data.val.inputs), data.val.inputs)


def test_the_seed_alone_decides():
    one, same, other = make(seed=3), make(seed=3), make(seed=4)
    for part in ("train", "val", "test"):
        assert torch.equal(getattr(one, part).inputs, getattr(same, part).inputs)
        assert not torch.equal(getattr(one, part).inputs, getattr(other, part).inputs)


def test_no_sequence_is_in_two_parts():
    data = make()
    rows = torch.cat([data.train.inputs, data.val.inputs, data.test.inputs]).squeeze(2)
    assert len(rows.unique(dim=0)) == 100


def test_num_train_takes_from_training_alone():
    whole, part = make(), make(num_train=7)
    assert torch.equal(part.train.inputs, whole.train.inputs[:7])
    assert torch.equal(part.val.inputs, whole.val.inputs)
    assert torch.equal(part.test.inputs, whole.test.inputs)


def test_folds_share_the_test_part_and_validate_on_everything_else_once():
    folds = [make(num_folds=4, fold=fold) for fold in range(4)]
    assert all(torch.equal(fold.test.inputs, folds[0].test.inputs) for fold in folds)
    validated = torch.cat([fold.val.inputs for fold in folds]).squeeze(2)
    assert len(validated.unique(dim=0)) == len(validated) == 80
