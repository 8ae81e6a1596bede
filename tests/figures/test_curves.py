"""Learning curves: which metrics share a figure, their words, and their axes."""

import numpy as np
import pytest

from lstm_ae.figures.curves import epochs_and_time, learning_curves
from tests.figures.made_data import history


def test_more_is_better_has_a_figure_of_its_own():
    figures = learning_curves(history(4, "reconstruction", "cross_entropy", "accuracy"), 3)
    assert set(figures) == {"loss", "accuracy"}
    loss, accuracy = figures["loss"](), figures["accuracy"]()
    assert [axes.get_title() for axes in loss.axes] == [
        "loss", "reconstruction error (mean squared)", "cross-entropy of the class"
    ]  # fmt: skip
    assert {axes.get_yscale() for axes in loss.axes} == {"log"}
    (axes,) = accuracy.axes
    assert axes.get_title() == "accuracy" and axes.get_yscale() == "linear"


def test_a_metric_that_is_another_one_is_shown_once():
    rows = [{"val/loss": 2.0 / i, "train/loss": 3.0 / i, "epoch": i, "seconds": 1.0} for i in (1, 2, 3)]
    rows = [row | {"val/reconstruction": row["val/loss"], "train/reconstruction": row["train/loss"]} for row in rows]
    assert [axes.get_title() for axes in learning_curves(rows, 1)["loss"]().axes] == ["loss"]


def test_a_metric_of_the_users_own_is_drawn_with_the_loss():
    rows = history(3, "energy")
    assert [axes.get_title() for axes in learning_curves(rows, 3)["loss"]().axes] == ["loss", "energy"]


def test_a_metric_that_only_validation_has():
    rows = [{name: value for name, value in row.items() if name != "train/reconstruction"}
            for row in history(3, "reconstruction")]  # fmt: skip
    axes = learning_curves(rows, 3)["loss"]().axes[1]
    assert [line.get_label() for line in axes.lines] == ["validation", "best epoch: 3"]


def test_epochs_and_time_are_each_other_s_inverse():
    to_time, to_epoch = epochs_and_time(np.array([1, 2, 3]), np.array([1.0, 4.0, 6.0]))
    assert to_time(2) == 4 and to_time(2.5) == 5 and to_time(6) == 12
    for epoch in (-1, 0.5, 2.2, 4):
        assert to_epoch(to_time(epoch)) == pytest.approx(epoch)
