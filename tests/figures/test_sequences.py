"""Sequences as lines: every feature has its own panel, and three sequences are chosen by their errors."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lstm_ae.figures.sequences import error_by_step, quartiles, reconstructions, samples, sequence_errors
from tests.figures.made_data import made, made_panel


def test_every_feature_has_a_panel_with_its_name():
    names = ("temperature", "pressure", "humidity")
    data, output = made(features=3, feature_names=names, unit="degrees")
    figure = samples(data, data.test)
    assert [axes.get_ylabel() for axes in figure.axes] == ["temperature (degrees)", "pressure", "humidity"] * 3
    for place, axes in enumerate(figure.axes):
        (line,) = axes.lines
        np.testing.assert_allclose(line.get_ydata(), 10 * data.test.inputs[place // 3, :, place % 3])  # original units
    figure = reconstructions(data, data.test, output)
    assert len(figure.axes) == 9 and all(len(axes.lines) == 2 for axes in figure.axes)
    assert all(len(line.get_ydata()) == data.spec.length for axes in figure.axes for line in axes.lines)


def test_of_many_features_the_first_are_shown_and_the_others_counted():
    data, output = made(features=9)
    for figure in (samples(data, data.test), error_by_step(data, data.test, output)):
        assert figure.axes[5].get_title(loc="right") == "and 3 more features"
        assert [axes.get_ylabel() for axes in figure.axes[:6]] == [f"feature {i}" for i in range(6)]


def test_the_only_feature_of_nameless_data_needs_no_label():
    data, _ = made()
    assert [axes.get_ylabel() for axes in samples(data, data.test).axes] == [""] * 3


def test_unequal_sequences_are_drawn_to_their_ends_and_with_their_holes():
    data, output = made(varying=True, masked=True)
    lengths = torch.tensor([3, 8] * 6)
    mask = (torch.arange(8) < lengths[:, None])[..., None].clone()
    mask[:, 1] = False
    test = replace(data.test, lengths=lengths, mask=mask)
    figure = samples(data, test)
    drawn = [axes.lines[0].get_ydata() for axes in figure.axes]
    assert [len(values) for values in drawn] == [3, 8, 3] and figure.get_suptitle().endswith("up to 8 steps of 1")
    assert [np.isnan(values).nonzero()[0].tolist() for values in drawn] == [[1]] * 3
    for axes in reconstructions(data, test, output).axes:
        original, rebuilt = (line.get_ydata() for line in axes.lines)
        assert len(original) == len(rebuilt) in (3, 8) and np.isfinite(rebuilt).all()
    (axes,) = error_by_step(data, test, output).axes
    variance, error = (line.get_ydata() for line in axes.lines)
    squares = np.square((output.reconstruction - test.inputs).numpy())[..., 0]
    np.testing.assert_allclose(error[[0, 2]], squares[:, [0, 2]].mean(0), rtol=1e-5)
    np.testing.assert_allclose(error[3:], squares[1::2, 3:].mean(0), rtol=1e-5)
    assert np.isnan(error[1]) and np.isnan(variance[1])
    expected = (squares * mask[..., 0].numpy()).sum(1) / mask.sum((1, 2)).numpy()
    np.testing.assert_allclose(sequence_errors(test, output.reconstruction), expected, rtol=1e-5)


def test_samples_name_their_classes():
    data, _ = made(classes=("a long name", "another one"))
    titles = [axes.get_title(loc="left") for axes in samples(data, data.test).axes]
    assert titles[:2] == ["test sequence 0: a long name", "test sequence 1: another one"]


def test_reconstructions_of_a_panel_stand_at_their_times_in_original_units():
    data, output, _ = made_panel(features=("level", "flow"))
    figure = reconstructions(data, data.test, output)
    for axes in figure.axes[::2]:
        name = axes.get_title(loc="left").split(",")[0]
        row = data.panel.series.index(name)
        original = axes.lines[0]
        first = data.panel.times.tolist().index(original.get_xdata()[0])
        np.testing.assert_allclose(original.get_ydata(), data.panel.values[row, first : first + 6, 0], rtol=1e-5)


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        ([5.0], [0]),
        ([5.0, 1.0], [1, 0]),
        ([5.0, 1.0, 3.0], [1, 2, 0]),
        ([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], [2, 4, 6]),
    ],
)
def test_quartiles_by_hand(errors, expected):
    assert list(quartiles(np.array(errors))) == expected


def test_quartiles_are_of_different_series_where_there_are_any():
    errors = np.arange(8.0)
    series = np.array([0, 0, 0, 0, 0, 1, 2, 0])
    assert list(quartiles(errors, series)) == [2, 5, 6]
    assert list(quartiles(errors, np.zeros(8, int))) == [2, 4, 6]


def test_the_error_at_each_step_stands_beside_the_variance():
    data, output = made()
    (axes,) = error_by_step(data, data.test, output).axes
    variance, error = (line.get_ydata() for line in axes.lines)
    np.testing.assert_allclose(variance, data.test.inputs.numpy().var(0)[:, 0], rtol=1e-5)
    np.testing.assert_allclose(
        error, np.square((output.reconstruction - data.test.inputs).numpy()).mean(0)[:, 0], rtol=1e-5
    )
    assert axes.get_yscale() == "log"
