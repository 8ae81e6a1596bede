"""The table of metrics: which way is better, in whatever form a name comes."""

import pytest

from lstm_ae.errors import ConfigError
from lstm_ae.metrics import find, monitored


@pytest.mark.parametrize(
    ("name", "better"),
    [
        ("val/loss", "min"),
        ("train/reconstruction", "min"),
        ("val/accuracy", "max"),
        ("test/accuracy/majority", "max"),
        ("test/forecast_skill", "max"),
        ("test/forecast_skill/ridge", "max"),
        ("test/forecast_dm_ridge", "max"),
        ("test/forecast_p_ridge_time_effects", "min"),
        ("test/forecast_mae_dollars", "min"),
        ("test/forecast_mae", "min"),
        ("test/forecast_direction/majority", "max"),
        ("test/forecast_times", None),
        ("val/accuracy_of_something_else", None),
    ],
)
def test_which_way_is_better(name, better):
    assert find(name).better == better


def test_a_metric_of_one_s_own_has_its_name_for_words():
    assert find("val/perplexity").words == "perplexity"


@pytest.mark.parametrize(
    ("monitor", "mode", "expected"),
    [
        ("val/loss", "min", {"val/loss": "min"}),
        ("val/perplexity", "max", {"val/perplexity": "max"}),
        (["val/accuracy", "val/loss"], ["max", "min"], {"val/accuracy": "max", "val/loss": "min"}),
        (("val/accuracy",), ("max",), {"val/accuracy": "max"}),
    ],
)
def test_monitors_with_their_modes(monitor, mode, expected):
    assert monitored(monitor, mode) == expected


@pytest.mark.parametrize(
    ("monitor", "mode", "words"),
    [
        ("val/loss", "max", "mode=max: the best val/loss is its min; add mode=min"),
        ("val/accuracy", "min", "mode=min: the best val/accuracy is its max; add mode=max"),
        (
            ["val/accuracy", "val/reconstruction"],
            "min",
            "mode=min: the best val/accuracy is its max, and the best val/reconstruction is its min; "
            r"add mode=\[max,min\]",
        ),
        (["val/accuracy", "val/loss"], ["min", "max"], r"mode=\[min,max\]: .*; add mode=\[max,min\]"),
        ("val/loss", ["min", "min"], r"mode=\[min,min\]: .*; add mode=min"),
    ],
)
def test_modes_that_do_not_fit_are_refused_with_those_that_do(monitor, mode, words):
    with pytest.raises(ConfigError, match=words):
        monitored(monitor, mode)
