"""Every mistake that a data set can make is named in a sentence before anything is trained."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lstm_ae.data.contract import validate_data
from lstm_ae.data.sequence_data import SequenceData, Sequences
from lstm_ae.errors import UserError
from lstm_ae.spec import DataSpec, Scaler
from tests.data.panels import made_data

NAMES = ("a", "b", "c")


def good() -> SequenceData:
    """Nine sequences of four steps with labels; three to each part."""
    part = Sequences(torch.rand(3, 4, 2), torch.arange(3))
    return SequenceData(DataSpec("mine", 4, 2, NAMES), Scaler(0.0, 1.0), part, part, part, batch_size=2)


def with_train(data=None, **changes):
    data = data or good()
    return replace(data, train=replace(data.train, **changes))


def with_spec(data=None, **changes):
    data = data or good()
    return replace(data, spec=replace(data.spec, **changes))


def spoilt(value):
    inputs = torch.rand(3, 4, 2)
    inputs[1, 2, 0] = value
    return inputs


def ragged(masked=False, **changes):
    """As `good`, of lengths 2, 3 and 4."""
    data, lengths = good(), torch.tensor([2, 3, 4])
    exists = (torch.arange(4) < lengths[:, None])[..., None].expand(3, 4, 2)
    part = replace(data.train, inputs=data.train.inputs * exists, lengths=lengths, mask=exists if masked else None)
    data = replace(data, train=part, val=part, test=replace(part).trimmed(), spec=replace(data.spec, varying=True))
    return with_train(with_spec(data, masked=masked), **changes)


def test_good_data_pass():
    validate_data(good())
    validate_data(ragged())
    validate_data(ragged(masked=True))
    validate_data(replace(good(), augment=lambda inputs, generator: inputs))
    validate_data(made_data())
    validate_data(made_data(horizon=2, scaling="none"))


MISTAKES = {
    "lengths of equal ones": (
        lambda: with_train(lengths=torch.full((3,), 4)),
        "has lengths, and spec.varying is False",
    ),
    "no lengths": (lambda: ragged(lengths=None), "has lengths that are None"),
    "int32 lengths": (lambda: ragged(lengths=torch.tensor([2, 3, 4]).int()), "has lengths of torch.int32"),
    "a length of 0": (
        lambda: ragged(lengths=torch.tensor([0, 3, 4])),
        "lengths from 0 to 4; they must lie from 1 to 4",
    ),
    "a length past the end": (lambda: ragged(lengths=torch.tensor([2, 3, 5])), "lengths from 2 to 5"),
    "padding that is not 0": (lambda: ragged(inputs=torch.ones(3, 4, 2)), "past the end of a sequence that are not 0"),
    "a mask where nothing is missing": (lambda: ragged(mask=torch.ones(3, 4, 2).bool()), "and spec.masked is False"),
    "no mask": (lambda: ragged(masked=True, mask=None), "has a mask that are None"),
    "a mask of numbers": (lambda: ragged(masked=True, mask=torch.ones(3, 4, 2)), "has a mask of torch.float32"),
    "a mask of padding": (lambda: ragged(masked=True, mask=torch.ones(3, 4, 2).bool()), "True past the end"),
    "nothing exists": (lambda: ragged(masked=True, mask=torch.zeros(3, 4, 2).bool()), "3 sequences without a single"),
    "an image of any length": (lambda: with_spec(ragged(), image_shape=(4, 2)), "an image has one shape"),
    "a forecast": (lambda: with_spec(ragged(), forecast_steps=1, horizon=1, forecast_features=1), "of one length"),
    "None": (lambda: None, "returned None; it must return a SequenceData"),
    "a tuple of tensors": (lambda: (torch.rand(3, 4, 2),), "returned a builtins.tuple"),
    "a part that is a tensor": (lambda: replace(good(), val=torch.rand(3, 4, 2)), "the val part is a torch.Tensor"),
    "float64": (lambda: with_train(inputs=torch.rand(3, 4, 2).double()), "the train part has inputs of torch.float64"),
    "another length": (lambda: with_train(inputs=torch.rand(3, 5, 2)), "shape (3, 5, 2); they must be"),
    "other features": (lambda: with_train(inputs=torch.rand(3, 4, 1)), "torch.float32 and shape (n, 4, 2)"),
    "no axis of features": (lambda: with_train(inputs=torch.rand(3, 4)), "shape (3, 4); they must be"),
    "a NumPy array": (lambda: with_train(inputs=np.zeros((3, 4, 2))), "has inputs that are a numpy.ndarray"),
    "an empty part": (lambda: replace(good(), test=good().test[:0]), "the test part is empty"),
    "NaN": (lambda: with_train(inputs=spoilt(np.nan)), "in 1 of 3 sequences, the first at [1, 2, 0]"),
    "infinite": (lambda: with_train(inputs=spoilt(np.inf)), "not finite"),
    "int32 labels": (lambda: with_train(labels=torch.arange(3).int()), "has labels of torch.int32"),
    "missing labels": (lambda: with_train(labels=None), "the train part has labels that are None"),
    "a label too high": (lambda: with_train(labels=torch.tensor([0, 1, 3])), "they must lie from 0 to 2"),
    "labels without names": (lambda: with_spec(class_names=()), "spec.class_names is empty"),
    "no scaler": (lambda: replace(good(), scaler=None), "cannot be scaled back"),
    "a scaler of another kind": (lambda: replace(good(), scaler=3.0), "scaler is a builtins.float"),
    "no batch size": (lambda: replace(good(), batch_size=None), "batch_size is None; it must be a whole number >= 1"),
    "a length of zero": (lambda: with_spec(length=0), "spec.length is 0"),
    "too few names": (lambda: with_spec(feature_names=("x",)), "1 names for 2 features"),
    "another image": (lambda: with_spec(image_shape=(3, 3)), "spec.image_shape is (3, 3)"),
    "targets without steps": (lambda: with_train(targets=torch.rand(3, 1, 1)), "spec.forecast_steps is 0"),
    "no targets": (lambda: with_train(made_data(), targets=None), "has targets that are None"),
    "targets of another shape": (
        lambda: with_train(made_data(), targets=torch.rand(len(made_data().train), 2, 1)),
        "has targets of torch.float32 and shape",
    ),
    "another horizon": (lambda: with_train(made_data(), horizon=2), "has horizon 2, and spec.horizon is 1"),
    "no series": (lambda: with_train(made_data(), series=None), "has series that are None"),
    "a time outside": (
        lambda: with_train(made_data(), time=made_data().train.time + 99),
        "the panel has 60",
    ),
    "an augmentation that is none": (lambda: replace(good(), augment={"shift": 2}), "augment is a builtins.dict"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_each_mistake_is_named(mistake):
    make, words = MISTAKES[mistake]
    with pytest.raises(UserError) as refusal:
        validate_data(make())
    assert words in str(refusal.value)


def test_all_mistakes_are_named_at_once():
    data = replace(with_train(inputs=spoilt(np.nan)), batch_size=0)
    with pytest.raises(UserError) as refusal:
        validate_data(replace(data, val=replace(data.val, labels=None)))
    assert len(str(refusal.value).splitlines()) == 4
