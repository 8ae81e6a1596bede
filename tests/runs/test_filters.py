"""The filter language against Python's own meaning of the same expression, and against nonsense."""

import operator

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_ae.errors import UserError
from lstm_ae.runs.filters import choose

VALUES = {"model.hidden_size": 32, "val/accuracy": 0.9, "optimizer.lr": 1e-3, "status": "completed", "patience": None,
          "bidirectional": True, "dip": "[20, 30]", "model/head": "classifier", "val/accuracy std": 0.01,
          "": 1}  # fmt: skip
RUNS = pd.DataFrame([VALUES])
SIGNS = {"==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
NUMERIC = ["model.hidden_size", "val/accuracy", "optimizer.lr"]


def passes(text):
    return len(choose(RUNS, text)) == 1


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
        ("bidirectional", True),
        ("`val/accuracy` > .89", True),
        ("val/accuracy std < 0.02", True),
        ("model.hidden_size / 2 == 16", True),
        ("0.5 < val/accuracy < 0.95", True),
        ("status in [completed, 'failed']", True),
        ("model/head not in [classifier]", False),
        ("patience == null", True),
        ("patience != null", False),
        ("not patience == null", False),
        ("status != null", True),
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
        ("", "expected 1 to 1000 characters"),
        ("val/accuracy", "expected one of == != < <= > >="),
        ("val/accuracy > ", "not a comparison"),
        ("val/accuracy = 1", "write == for 'equals'"),
        ("val/acuracy > 1", "did you mean val/accuracy"),
        ("hidden_size > 1", "did you mean model.hidden_size?"),
        ("val/accuracy > best", "no run has 'best'"),
        ("val/accuracy > 1 val/accuracy < 2", "not a comparison"),
        ("(val/accuracy > 1", "not a comparison"),
        ("val/accuracy > 1)", "not a comparison"),
        ("status < 3", "no order among each other"),
        ("and", "not a comparison"),
        ("3 > 2", "it compares nothing"),
        ("@pd == 1", "cannot read '@pd"),
        ("status.str == 1", "no run has 'status.str'"),
        ("__import__('os').system('true') == 0", "no run has '__import__'"),
        ("open == 0", "no run has 'open'"),
        ("(" * 900 + "val/accuracy > 1" + ")" * 900, "expected 1 to 1000 characters"),
        ("(" * 450 + "val/accuracy > 1" + ")" * 450, "not a comparison"),
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
