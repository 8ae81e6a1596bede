"""Which figures a run gets, and that none of them fails on small, unlabelled or constant data."""

import logging
import warnings
from dataclasses import replace

import pytest
from hydra import compose, initialize_config_dir

from lstm_ae.config import CONF
from lstm_ae.figures import run
from lstm_ae.figures.run import draw_run, run_title
from tests.figures.made_data import history, made, made_panel

SEQUENCES = {"samples", "reconstructions", "error_by_position", "loss", "contexts"}
IMAGES = SEQUENCES | {"images"}
CLASSES = {"accuracy", "confusion"}
PANEL = {"series", "reconstructions", "error_by_position", "loss", "contexts"}
FORECAST = PANEL | {"forecast", "next_step", "window", "baselines"}
LONG_NAMES = tuple(f"a class with a long name, number {i}" for i in range(24))
MANY_NAMES = tuple(f"class {i}" for i in range(150))


def drawn(folder, data, output, rows, naive=None):
    files = draw_run(folder, "a title", data, rows, rows[-1]["epoch"], output, naive or {})
    assert {path.name for path in folder.iterdir()} == {path.name for path in files}
    assert all(path.stat().st_size > 1000 for path in files)
    return {path.stem for path in files}


@pytest.fixture
def quiet(caplog):
    """Fails on a warning: one that is logged, or one of Python's, which ends a figure and so is logged."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    assert not [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


AS_IMAGES = {"features": 8, "image_shape": (8, 8)}
CASES = {
    "one feature": ({}, 3, SEQUENCES),
    "three features": ({"features": 3, "feature_names": ("one", "two", "three")}, 3, SEQUENCES),
    "nine features": ({"features": 9}, 3, SEQUENCES),
    "two sequences, one epoch": ({"count": 2}, 1, SEQUENCES),
    "one sequence": ({"count": 1}, 3, SEQUENCES - {"contexts"}),
    "one step": ({"length": 1}, 2, SEQUENCES),
    "one number as context": ({"context": 1}, 3, SEQUENCES - {"contexts"}),
    "constant": ({"classes": ("a", "b"), "constant": True}, 3, SEQUENCES | CLASSES),
    "classes without labels": ({"classes": ("a", "b"), "labelled": False}, 3, SEQUENCES),
    "many classes with long names": ({"classes": LONG_NAMES, "count": 50}, 3, SEQUENCES | CLASSES),
    "more classes than there is room for": ({"classes": MANY_NAMES, "count": 300}, 3, SEQUENCES | CLASSES),
    "images without classes": (AS_IMAGES, 3, IMAGES),
    "one image": ({**AS_IMAGES, "count": 1}, 1, IMAGES - {"contexts"}),
    "fewer images than the sheet holds": ({**AS_IMAGES, "count": 13, "classes": LONG_NAMES}, 3, IMAGES | CLASSES),
    "constant images": ({**AS_IMAGES, "count": 2, "constant": True}, 3, IMAGES),
    "images by pixels": ({"length": 6, "image_shape": (2, 3), "count": 40, "classes": ("a", "b")}, 1, IMAGES | CLASSES),
}
PANELS = {
    "forecast": ({}, FORECAST),
    "one time": ({"windows": 1}, FORECAST - {"forecast"}),
    "one series, two windows": ({"series": 1, "windows": 2, "horizon": 1}, FORECAST),
    "many series, three features": ({"series": 30, "features": ("level", "flow", "rain")}, FORECAST),
    "constant": ({"constant": True}, FORECAST),
    "without dates": ({"dated": False}, FORECAST),
    "without a forecast": ({"forecast": False}, PANEL),
}


@pytest.mark.parametrize(("settings", "epochs", "expected"), CASES.values(), ids=CASES)
def test_every_figure_of_sequences_and_images(settings, epochs, expected, tmp_path, quiet):
    data, output = made(**settings)
    measured = ("reconstruction", "cross_entropy", "accuracy") if output.logits is not None else ()
    assert drawn(tmp_path, data, output, history(epochs, *measured)) == expected


@pytest.mark.parametrize(("settings", "expected"), PANELS.values(), ids=PANELS)
def test_every_figure_of_a_panel(settings, expected, tmp_path, quiet):
    data, output, naive = made_panel(**settings)
    assert drawn(tmp_path, data, output, history(3, "reconstruction", "forecast"), naive) == expected


def test_a_figure_that_fails_costs_a_warning(tmp_path, monkeypatch, caplog):
    def broken(*_):
        raise ZeroDivisionError("of all things")

    monkeypatch.setattr(run, "samples", broken)
    caplog.set_level(logging.DEBUG, "lstm_ae")
    data, output = made()
    assert drawn(tmp_path, data, output, history()) == SEQUENCES - {"samples"}
    (warning,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "samples.png" in warning.getMessage() and "of all things" in warning.getMessage()
    assert warning.exc_info is None
    assert any(record.levelno == logging.DEBUG and record.exc_info for record in caplog.records)


def test_a_folder_that_cannot_be_made_costs_warnings(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    data, output = made()
    assert draw_run(tmp_path / "file" / "figures", "a title", data, history(), 3, output, {}) == []
    assert len(caplog.records) == len(SEQUENCES)


def test_a_panel_without_the_windows_places_costs_warnings(tmp_path, caplog):
    data, output, naive = made_panel()
    data = replace(data, test=replace(data.test, series=None, time=None))
    names = drawn(tmp_path, data, output, history(), naive)
    assert {"series", "reconstructions", "loss", "contexts", "baselines"} <= names
    assert all("could not be drawn" in record.getMessage() for record in caplog.records)


def composed(*overrides):
    with initialize_config_dir(CONF):
        return compose("config", list(overrides))


@pytest.mark.parametrize(
    ("overrides", "parts"),
    [
        ([], "LSTMEncoder, RepeatContextDecoder, orthogonal"),
        (
            ["model=classifier", "dataset=digits_rows", "model/initialization=chrono"],
            "LSTMEncoder, RepeatContextDecoder, Classifier, chrono",
        ),
    ],
)
def test_a_title_names_the_parts_and_the_settings_in_two_lines(overrides, parts):
    data, _ = made()
    first, second = run_title(composed(*overrides), data.spec).split("\n")
    assert first == f"made: {parts}"
    for setting in ("hidden 32", "layers 1", "lr 0.002", "clip 1", "batch 32", "seed 0"):
        assert setting in second
    assert max(len(first), len(second)) < 90


def test_a_title_says_what_is_leaky():
    data, _ = made()
    lines = run_title(composed(), replace(data.spec, leaky=("split=random_windows",))).split("\n")
    assert len(lines) == 3 and lines[2] == "leaky: split=random_windows"
