"""Splits, folds, batches and scaling: nothing lost, nothing twice, nothing leaked."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lstm_ae.data.sequence_data import SequenceData, Sequences
from lstm_ae.data.splitting import split_all, split_train_val
from lstm_ae.errors import ConfigError
from lstm_ae.spec import DataSpec, Scaler


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def positions(*parts):
    return sorted(torch.cat(parts).tolist())


@given(st.integers(2, 200), st.data(), st.integers(0, 2**32))
def test_training_and_validation_part_the_whole(count, data, seed):
    num_val = data.draw(st.integers(1, count - 1))
    train, val = split_train_val(count, num_val / count, seeded(seed))
    assert len(val) == num_val
    assert positions(train, val) == list(range(count))


@given(st.integers(2, 200), st.data(), st.integers(0, 2**32))
def test_folds_partition_the_pool(count, data, seed):
    num_folds = data.draw(st.integers(2, min(count, 12)))
    folds = [split_train_val(count, 0, seeded(seed), num_folds=num_folds, fold=fold) for fold in range(num_folds)]
    assert positions(*(val for _, val in folds)) == list(range(count))
    assert all(positions(train, val) == list(range(count)) for train, val in folds)
    sizes = [len(val) for _, val in folds]
    assert max(sizes) - min(sizes) <= 1


@given(st.integers(10, 300), st.floats(0, 1, exclude_min=True), st.floats(0, 1, exclude_min=True), st.integers(0, 99))
def test_three_parts_cover_everything_or_are_refused(count, val_fraction, test_fraction, seed):
    try:
        train, val, test = split_all(count, val_fraction, test_fraction, seeded(seed))
    except ConfigError:
        exact = [count * (1 - val_fraction - test_fraction), count * val_fraction, count * test_fraction]
        assert min(exact) < 1.5  # refused only where rounding may leave a part empty
        return
    assert positions(train, val, test) == list(range(count))
    assert len(val) == round(count * val_fraction)
    assert len(test) == round(count * test_fraction)
    assert len(train) > 0


@given(st.integers(0, 2**32), st.integers(2, 6), st.integers(0, 5))
def test_the_test_part_is_the_same_for_every_fold(seed, num_folds, fold):
    whole = split_all(60, 0.2, 0.2, seeded(seed))
    folded = split_all(60, 0.2, 0.2, seeded(seed), num_folds=num_folds, fold=min(fold, num_folds - 1))
    assert torch.equal(whole[2], folded[2])
    assert positions(*folded) == list(range(60))


@given(st.integers(1, 32), st.sampled_from([None, 3]))
def test_num_train_keeps_validation_and_test(num_train, num_folds):
    whole = split_all(60, 0.2, 0.2, seeded(0), num_folds=num_folds)
    part = split_all(60, 0.2, 0.2, seeded(0), num_train=num_train, num_folds=num_folds)
    assert len(whole[0]) == (36 if num_folds is None else 32)
    assert torch.equal(part[0], whole[0][:num_train])
    assert torch.equal(part[1], whole[1])
    assert torch.equal(part[2], whole[2])


def test_splits_are_shuffled_by_the_generator_alone():
    one, same, other = (split_all(100, 0.2, 0.2, seeded(seed)) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert not torch.equal(one[2].sort().values, other[2].sort().values)
    assert one[2].sort().values.tolist() != list(range(20))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((10, 0.2, 0.2, {"num_train": 7}), "dataset.num_train=7"),
        ((10, 0.2, 0.2, {"num_folds": 9}), "dataset.num_folds=9"),
        ((10, 0.2, 0.2, {"num_folds": 4, "fold": 4}), "dataset.fold=4"),
        ((10, 0.5, 0.5, {}), "dataset.test_fraction=0.5"),
        ((10, 0.2, 0.01, {}), "dataset.test_fraction=0.01"),
        ((10, 0.01, 0.2, {}), "dataset.val_fraction=0.01"),
        ((10, 0.005, 0.99, {}), "fraction=0."),  # all ten are test sequences
    ],
)
def test_parts_that_do_not_fit_are_refused_by_name(arguments, named):
    count, val_fraction, test_fraction, options = arguments
    with pytest.raises(ConfigError) as refusal:
        split_all(count, val_fraction, test_fraction, seeded(0), **options)
    assert named in str(refusal.value)


def stack(count, labelled=True):
    inputs = torch.arange(count * 6.0).view(count, 3, 2)
    return Sequences(inputs, torch.arange(count) if labelled else None)


@given(st.integers(1, 40), st.integers(1, 50), st.integers(0, 2**32))
def test_batches_hold_every_sequence_once_beside_its_own_label(count, size, seed):
    whole = stack(count)
    ordered, shuffled = list(whole.chunks(size)), list(whole.shuffled(size, seeded(seed)))
    assert torch.equal(torch.cat([batch.inputs for batch in ordered]), whole.inputs)
    assert positions(*(batch.labels for batch in shuffled)) == list(range(count))
    for batch in ordered + shuffled:
        assert torch.equal(batch.inputs, whole.inputs[batch.labels])
    expected = [size] * (count // size) + ([count % size] if count % size else [])
    assert [len(batch) for batch in ordered] == [len(batch) for batch in shuffled] == expected


@given(st.lists(st.integers(1, 30), min_size=1, max_size=80), st.integers(1, 20), st.integers(0, 2**32))
def test_batches_of_unequal_sequences_hold_each_once_and_are_trimmed(lengths, size, seed):
    count, longest = len(lengths), max(lengths)
    lengths = torch.tensor(lengths)
    mask = torch.rand(count, longest, 2) < 0.5
    whole = Sequences(torch.rand(count, longest, 2), torch.arange(count), lengths=lengths, mask=mask)
    batches = list(whole.shuffled(size, seeded(seed)))
    assert positions(*(batch.labels for batch in batches)) == list(range(count))
    for batch in batches:
        steps = int(batch.lengths.max())
        assert torch.equal(batch.lengths, lengths[batch.labels])
        assert torch.equal(batch.inputs, whole.inputs[batch.labels, :steps])
        assert torch.equal(batch.mask, mask[batch.labels, :steps])
    assert sorted(len(batch) for batch in batches) == sorted(map(len, torch.arange(count).split(size)))


def test_unequal_sequences_meet_their_like_in_random_company():
    lengths = torch.arange(20, 420)
    whole = Sequences(torch.zeros(400, 419, 1), torch.arange(400), lengths=lengths)
    epochs = [list(whole.shuffled(10, seeded(seed))) for seed in range(2)]
    steps = sum(batch.inputs.shape[0] * batch.inputs.shape[1] for batch in epochs[0])
    assert lengths.sum() / steps > 0.85  # padded to the longest of all it would be 0.52
    longest = [int(batch.lengths.max()) for batch in epochs[0]]
    assert longest != sorted(longest)  # not the short ones first
    companies = [{frozenset(batch.labels.tolist()) for batch in epoch} for epoch in epochs]
    assert len(companies[0] & companies[1]) < 10
    again = list(whole.shuffled(10, seeded(0)))
    assert all(torch.equal(one.labels, other.labels) for one, other in zip(epochs[0], again, strict=True))


def test_which_values_exist():
    assert stack(3).exists() is None and stack(3).trimmed().inputs.shape == (3, 3, 2)
    ragged = Sequences(torch.zeros(2, 3, 1), lengths=torch.tensor([1, 2]))
    assert ragged.exists()[..., 0].tolist() == [[True, False, False], [True, True, False]]
    assert ragged.trimmed().inputs.shape == (2, 2, 1)
    mask = torch.tensor([[[True], [False], [True]]])
    assert Sequences(torch.zeros(1, 3, 1), mask=mask).exists() is mask


def test_shuffling_goes_on_with_the_generator():
    def labels(generator):
        return torch.cat([batch.labels for batch in stack(30).shuffled(7, generator)]).tolist()

    generator = seeded(5)
    first, second = labels(generator), labels(generator)
    assert first != second
    generator = seeded(5)
    assert [labels(generator), labels(generator)] == [first, second]


@given(st.lists(st.integers(0, 6), min_size=1, max_size=60), st.integers(1, 20), st.integers(0, 2**32))
def test_shuffled_by_time_sequences_of_one_time_stay_together(times, size, seed):
    whole = Sequences(torch.zeros(len(times), 3, 2), torch.arange(len(times)), time=torch.tensor(times))
    batches = list(whole.shuffled(size, seeded(seed), by_time=True))
    assert positions(*(batch.labels for batch in batches)) == list(range(len(times)))
    order = torch.cat([batch.time for batch in batches])
    assert len(order.unique_consecutive()) == len(set(times))
    assert {len(batch) for batch in batches[:-1]} <= {size}


def test_by_time_both_the_times_and_what_is_in_them_are_shuffled():
    whole = Sequences(torch.zeros(60, 3, 2), torch.arange(60), time=torch.arange(60) // 20)
    orders = [
        torch.cat([batch.labels for batch in whole.shuffled(60, seeded(seed), by_time=True)]) for seed in range(9)
    ]
    assert len({tuple(order.tolist()) for order in orders}) == 9
    assert len({tuple((order // 20).unique_consecutive().tolist()) for order in orders}) > 1


def test_the_unseen_steps_of_the_target_are_the_last_of_a_forecast():
    targets = torch.arange(24.0).view(2, 4, 3)  # two of the four steps lie inside the input; three features
    part = Sequences(torch.zeros(2, 5, 3), targets=targets, horizon=2)
    assert part.truth().tolist() == [[6, 9], [18, 21]]
    assert torch.equal(part.unseen(-targets), -part.truth())


def test_the_scaling_of_a_part_is_its_own_or_the_data_set_s():
    own = Sequences(torch.zeros(2, 5, 1), low=torch.ones(2, 1, 1), high=torch.full((2, 1, 1), 3.0))
    common = SequenceData(DataSpec("made", 5, 1), Scaler(0, 1), stack(2), stack(2), stack(2), batch_size=2)
    assert common.scaler_of(common.test) == Scaler(0, 1)
    assert common.scaler_of(own).high[0] == 3


def test_sequences_without_labels():
    assert all(batch.labels is None for batch in stack(5, labelled=False).chunks(2))
    assert stack(5, labelled=False)[:2].to(torch.device("cpu")).labels is None


@given(st.floats(-1e3, 1e3), st.floats(0.5, 1e3), st.lists(st.floats(0, 1), min_size=1))
def test_scaler_inverse_undoes_transform(low, width, shares):
    scaler = Scaler(low, low + width)
    values = low + width * torch.tensor(shares, dtype=torch.float64)
    scaled = scaler.transform(values)
    torch.testing.assert_close(scaled, torch.tensor(shares, dtype=torch.float64), atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(scaler.inverse(scaled), values, atol=1e-9, rtol=1e-9)


def test_spec_counts_its_classes():
    assert DataSpec("x", 3, 2).num_classes == 0
    assert DataSpec("x", 3, 2, ("a", "b")).num_classes == 2
