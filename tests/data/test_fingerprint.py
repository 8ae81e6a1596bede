"""The data's fingerprint: the same for the same data, another for any other."""

from dataclasses import replace

import torch

from lstm_ae.data.sequence_data import SequenceData, Sequences, fingerprint
from lstm_ae.spec import DataSpec, Scaler


def data() -> SequenceData:
    def part(start: int) -> Sequences:
        return Sequences(torch.arange(start, start + 12.0).view(3, 2, 2), torch.tensor([0, 1, 2]))

    return SequenceData(DataSpec("made", 2, 2), Scaler(0, 1), part(0), part(20), part(40), batch_size=2)


def test_same_data_same_fingerprint():
    assert fingerprint(data()) == fingerprint(replace(data(), batch_size=3))
    assert len(fingerprint(data())) == 12


def test_any_change_changes_it():
    whole = data()
    value = whole.val.inputs.clone()
    value[2, 1, 1] += 1e-6 * value[2, 1, 1]
    others = [
        replace(whole, val=replace(whole.val, inputs=value)),
        replace(whole, test=replace(whole.test, labels=torch.tensor([0, 2, 1]))),
        replace(whole, test=replace(whole.test, labels=None)),
        replace(whole, train=whole.val, val=whole.train),
        replace(whole, train=replace(whole.train, inputs=whole.train.inputs.view(3, 4, 1))),
    ]
    assert len({fingerprint(other) for other in [whole, *others]}) == 6
