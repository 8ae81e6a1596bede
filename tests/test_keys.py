"""docs/KEYS.md is made from the configs and the code, and is up to date."""

import runpy
from pathlib import Path

import pytest

from tests.commands import run

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def keys():
    return runpy.run_path(str(ROOT / "docs/keys.py"))


def test_the_page_is_up_to_date(keys):
    made = keys["page"]()
    assert (ROOT / "docs/KEYS.md").read_text() == made, "out of date: python docs/keys.py writes it anew"
    for group in ("dataset=table", "dataset=arrays"):
        own = made.split(f"### {group}")[1].split("\n### ")[0].split("\n## ")[0]
        rows = [line.split(" | ") for line in own.splitlines() if line.startswith("| `")]
        assert len(rows) > 10 and all(meaning and values for _, meaning, values, _ in rows)


def test_every_group_of_configs_is_on_it(keys):
    """A new group, or a new command, has to be named in docs/keys.py."""
    conf = ROOT / "conf"
    known = {*keys["GROUPS"], *keys["PRESETS"]}
    assert {path.parent.relative_to(conf).as_posix() for path in conf.glob("**/*.yaml")} - known == {"."}
    assert {path.stem for path in conf.glob("*.yaml")} - {"config"} == set(keys["COMMANDS"])


def test_nested_keys_and_comments_are_read(keys):
    lines = ["# A part. python -m x", "defaults:", "  - other", "_target_: a.b", "first: [1, 2]  # of them", "deep:",
             "  _target_: c", "  second: null"]  # fmt: skip
    text = "\n".join(lines)
    assert list(keys["keys_of"](text)) == [("first", "[1, 2]", "of them"), ("deep.second", "null", "")]
    assert keys["first_comment"](text) == ("A part.", "python -m x")


def test_the_help_points_to_it(tmp_path):
    assert "docs/KEYS.md" in run("train", "--help", cwd=tmp_path).stdout
