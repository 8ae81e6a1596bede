"""The filter language against Python's own meaning of the same expression, and against nonsense."""

import operator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_ae.errors import UserError
from lstm_ae.runs.filters import parse

VALUES = {"model.hidden_size": 32, "val/accuracy": 0.9, "optimizer.lr": 1e-3, "status": "completed", "patience": None,
          "bidirectional": True, "dip": [20, 30], "model/head": "classifier"}  # fmt: skip
SIGNS = {"==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
NUMERIC = ["model.hidden_size", "val/accuracy", "optimizer.lr"]


def passes(text):
    return parse(text, VALUES)(VALUES)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("model.hidden_size >= 32 and val/accuracy > 0.98", False),
        ("model.hidden_size >= 32 and val/accuracy > .89", True),
        ("optimizer.lr<1e-2", True),
        ("optimizer.lr == 0.001", True),
        ("-1 < val/accuracy", True),
        ("val/accuracy < inf", True),
        ("status == completed", True),
        ("status == 'completed'", True),
        ('status != "and"', True),
        ("model/head == classifier", True),
        ("bidirectional == true", True),
        ("bidirectional == 1", False),
        ("patience == null", True),
        ("patience > 3", False),
        ("not patience > 3", True),
        ("patience != 3", True),
        ("dip == '[20, 30]'", True),
        ("model.hidden_size > val/accuracy", True),
        # "and" binds closer than "or", "not" closest
        ("status == completed or status == failed and val/accuracy > 1", True),
        ("(status == completed or status == failed) and val/accuracy > 1", False),
        ("not val/accuracy > 1 and val/accuracy > 1", False),
    ],
)
def test_known_answers(text, expected):
    assert passes(text) is expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "expected a key or a value at the end"),
        ("val/accuracy", "expected one of == != < <= > >= at the end"),
        ("val/accuracy > ", "expected a key or a value at the end"),
        ("val/accuracy = 1", "write == for 'equals'"),
        ("val/acuracy > 1", "did you mean val/accuracy?"),
        ("hidden_size > 1", "did you mean model.hidden_size?"),
        ("val/accuracy > best", "no run has 'best'"),
        ("val/accuracy > 1 val/accuracy < 2", "expected 'and', 'or' or the end before 'val/accuracy'"),
        ("(val/accuracy > 1", "a ')' is missing"),
        ("val/accuracy > 1)", "before ')'"),
        ("status < 3", "orders numbers, and here it got 'completed'"),
        ("and", "expected a key or a value before 'and'"),
        ("__import__('os').system('true') == 0", "cannot read '.system"),
        ("open == 0", "no run has 'open'"),
        ("(" * 3000 + "val/accuracy > 1", "more than 50 brackets"),
        ("not " * 3000 + "val/accuracy > 1", "more than 50 brackets"),
        ("val/accuracy > 1e", "cannot read '1e'"),
    ],
)
def test_mistakes_are_explained(text, problem):
    with pytest.raises(UserError) as error:
        passes(text)
    assert problem in str(error.value)
    assert str(error.value).startswith("--filter")


def comparisons():
    number = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-100, 100)
    return st.tuples(st.sampled_from(NUMERIC), st.sampled_from(sorted(SIGNS)), number).map(
        lambda parts: (f"{parts[0]}{parts[1]} {parts[2]!r}", SIGNS[parts[1]](VALUES[parts[0]], parts[2]))
    )


def joined(expressions):
    pair = st.tuples(expressions, expressions)
    return (
        expressions.map(lambda e: (f"not ({e[0]})", not e[1]))
        | expressions.map(lambda e: (f"( {e[0]})", e[1]))
        | pair.map(lambda p: (f"({p[0][0]}) and ({p[1][0]})", p[0][1] and p[1][1]))
        | pair.map(lambda p: (f"({p[0][0]})or({p[1][0]})", p[0][1] or p[1][1]))
    )


@given(st.recursive(comparisons(), joined, max_leaves=12))
def test_means_what_the_same_expression_means_in_python(expression):
    text, expected = expression
    assert passes(text) is expected


@given(
    st.text()
    | st.lists(st.sampled_from([*VALUES, *SIGNS, "and", "or", "not", "(", ")", "3", "'x'", "null"])).map(" ".join)
)
def test_any_text_is_a_filter_or_a_user_error(text):
    try:
        assert passes(text) in (True, False)
    except UserError as error:
        assert "--filter" in str(error)
