"""Classes with long names, and more of them than there are colours."""

import numpy as np
import torch

from lstm_ae.figures.classes import confusion, contexts
from lstm_ae.figures.style import shortened

NAMES = tuple(f"class number {i}" for i in range(24))


def test_confusion_names_every_class_and_counts_by_hand():
    labels, predicted = torch.tensor([0, 0, 1, 2]), torch.tensor([0, 1, 1, 2])
    (axes,) = confusion(("T-shirt", "Trouser", "Bag"), labels, predicted).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["T-shirt", "Trouser", "Bag"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["T-shirt", "Trouser", "Bag"]
    assert axes.get_title() == "accuracy 75.00%"
    assert {(text.get_position(), text.get_text()) for text in axes.texts} == {
        ((0, 0), "1"), ((1, 0), "1"), ((1, 1), "1"), ((2, 2), "1")
    }  # fmt: skip


def test_24_classes_all_look_different_and_hide_no_point():
    labels = torch.arange(240) % 24
    figure = contexts(NAMES, torch.rand(240, 3), labels)
    clouds = figure.axes[0].collections
    looks = {(tuple(cloud.get_facecolor()[0]), cloud.get_paths()[0].vertices.tobytes()) for cloud in clouds}
    assert len(looks) == 24 and not figure.axes[0].texts
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(NAMES)


def test_ten_short_names_stand_at_their_clouds():
    figure = contexts(tuple("0123456789"), torch.rand(100, 3), torch.arange(100) % 10)
    assert [text.get_text() for text in figure.axes[0].texts] == list("0123456789") and not figure.legends


def test_contexts_without_labels_are_points():
    figure = contexts((), torch.rand(20, 3), None)
    assert len(figure.axes[0].collections) == 1 and np.shape(figure.axes[0].collections[0].get_offsets()) == (20, 2)


def test_a_long_name_keeps_its_beginning_and_its_end():
    assert shortened("short", 5) == "short"
    assert shortened("a class name of some length 17", 10) == "a cla…h 17"
    assert len(shortened("a class name of some length 17", 9)) == 9
