"""The style: what stands on one axis can be told apart without colour, and is defined in one place."""

import re
from itertools import combinations
from pathlib import Path

import pytest

from lstm_ae.figures import style


@pytest.mark.parametrize(
    "together",
    [
        ("ORIGINAL", "RECONSTRUCTION", "FORECAST", "PERSISTENCE", "DRIFT", "LIMIT"),
        ("TRAIN", "VALIDATION", "LIMIT"),
        ("MEAN", "RECONSTRUCTION"),
    ],
)
def test_lines_on_one_axis_differ_without_colour(together):
    for one, other in combinations(together, 2):
        assert getattr(style, one)["linestyle"] != getattr(style, other)["linestyle"], (one, other)


def test_a_run_s_figures_have_no_colours_of_their_own():
    folder = Path(style.__file__).parent
    for name in ("run", "sequences", "images", "curves", "classes", "panel", "rollout", "saving"):
        assert not re.search(r"#[0-9a-f]{6}", (folder / f"{name}.py").read_text()), name
