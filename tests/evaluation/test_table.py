"""Results beside their baselines, as text."""

import pytest

from lstm_ae.evaluation.table import WIDTH, results_table

TEST = {
    "test/loss": 0.4,
    "test/reconstruction": 0.0377687,
    "test/accuracy": 0.94,
    "test/forecast_unseen": 0.02,
    "test/forecast_dm_ridge_time_effects": -1.25,
    "test/forecast_mae_dollars": 3.50291,
    "test/forecast_direction": 0.5,
}
BASELINES = {
    "test/reconstruction/mean": 0.073238,
    "test/reconstruction/pca": 0.0027227,
    "test/accuracy/majority": 0.091922,
    "test/accuracy/logistic_regression": 0.97493,
    "test/forecast_unseen/persistence": 0.020342,
    "test/forecast_unseen/ridge_time_effects": 0.0202,
    "test/forecast_mae_dollars/persistence": 3.5038,
    "test/forecast_direction/ridge_time_effects": 0.49,
}


def test_a_row_for_each_metric_and_a_column_for_each_baseline():
    assert (
        results_table(TEST, BASELINES)
        == """\
                                     result
test/loss                               0.4
test/forecast_dm_ridge_time_effects   -1.25

                                       result      mean        pca
test/reconstruction                  0.037769  0.073238  0.0027227

                                                         logistic
                                     result  majority  regression
test/accuracy                          0.94  0.091922     0.97493

                                                            ridge
                                                             time
                                     result  persistence  effects
test/forecast_unseen                   0.02     0.020342   0.0202
test/forecast_mae_dollars            3.5029       3.5038
test/forecast_direction                 0.5                  0.49"""
    )


def test_nothing_is_lost():
    words = results_table(TEST, BASELINES).split()
    for value in [*TEST.values(), *BASELINES.values()]:
        assert f"{value:.5g}" in words


@pytest.mark.parametrize("count", [1, 8, 40])
def test_it_fits_on_a_terminal(count):
    test = {"test/forecast_mae_of_some_length": 1.23456e-10}
    table = results_table(test, {f"test/forecast_mae_of_some_length/baseline{i}": 1e-20 / 7 for i in range(count)})
    assert max(len(line) for line in table.splitlines()) <= WIDTH
    assert table.split().count("1.4286e-21") == count


def test_results_without_baselines():
    assert results_table({"test/loss": 1.0}, {}) == "           result\ntest/loss       1"
