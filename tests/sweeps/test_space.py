"""Overrides as search spaces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from lstm_ae.errors import ConfigError
from lstm_ae.sweeps.space import grid, parse_overrides


@pytest.mark.parametrize(
    ("swept", "distribution"),
    [
        ("8,16", CategoricalDistribution([8, 16])),
        ("a,null,true", CategoricalDistribution(["a", "null", True])),
        ("[1,2],[3]", CategoricalDistribution(["[1,2]", "[3]"])),
        ("shuffle(3,1,2)", CategoricalDistribution([3, 1, 2])),  # the same at every start, or no search would resume
        ("range(8,33,8)", IntDistribution(8, 32, step=8)),
        ("range(3,0,-1)", IntDistribution(1, 3)),
        ("range(0.1,0.4,0.1)", FloatDistribution(0.1, 0.3, step=0.1)),
        ("float(range(1,3))", CategoricalDistribution([1.0, 2.0])),
        ("interval(0,1)", FloatDistribution(0, 1)),
        ("int(interval(1,9))", IntDistribution(1, 9)),
        ("tag(log,interval(0.001,0.1))", FloatDistribution(0.001, 0.1, log=True)),
        ("tag(log,int(interval(16,128)))", IntDistribution(16, 128, log=True)),
    ],
)
def test_a_sweep_becomes_a_distribution(swept, distribution):
    assert parse_overrides([f"a.b={swept}"]) == ({"a.b": distribution}, {}, [])


def test_fixed_values_and_deletions_are_kept_as_they_are_written():
    assert parse_overrides(["a=1e-3", "+b='x y'", "~c", "d=[1,2]"]) == (
        {}, {"a": "0.001", "+b": "'x y'", "d": "[1,2]"}, ["~c"],
    )  # fmt: skip


@pytest.mark.parametrize(
    "swept",
    ["range(8,9,0)", "range(9,8)", "range(0.1,0.5,0)", "interval(1,0.1)", "tag(log,interval(0,1))", "glob(*)"],
)
def test_what_holds_nothing_to_search_is_refused_by_its_key(swept):
    with pytest.raises(ConfigError) as refused:
        parse_overrides([f"optimizer.lr={swept}"])
    assert str(refused.value).startswith(f"optimizer.lr={swept}: cannot be searched")


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=5, unique=True), st.integers(-50, 50))
def test_of_two_overrides_of_a_key_the_later_counts(choices, value):
    swept = f"a.b={','.join(map(str, choices))}" if len(choices) > 1 else f"a.b=choice({choices[0]})"
    space, fixed, _ = parse_overrides([swept, f"a.b={value}"])
    assert (space, fixed) == ({}, {"a.b": str(value)})
    space, fixed, _ = parse_overrides([f"a.b={value}", swept])
    assert list(space["a.b"].choices) == choices
    assert fixed == {}


def test_a_grid_holds_every_combination_once_with_round_numbers():
    space, _, _ = parse_overrides(["a=range(0.1,0.5,0.1)", "b=range(1,6,2)", "c=x,y,x"])
    points = grid(space)
    assert points[:3] == [{"a": 0.1, "b": 1, "c": "x"}, {"a": 0.1, "b": 1, "c": "y"}, {"a": 0.1, "b": 3, "c": "x"}]
    assert [point["a"] for point in points[::6]] == [0.1, 0.2, 0.3, 0.4]
    assert len(points) == 4 * 3 * 2
