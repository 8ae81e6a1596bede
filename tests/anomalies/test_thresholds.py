"""Thresholds from held-out scores, and the one that needs labels."""

import numpy as np
import pytest

from lstm_ae.anomalies.metrics import precision_recall_f1
from lstm_ae.anomalies.thresholds import from_scores, oracle
from lstm_ae.errors import UserError


def test_a_quantile_and_deviations_of_held_out_scores():
    scores = np.append(np.arange(101.0), np.nan)
    quantile = from_scores(scores, "validation", "quantile", 0.9, 4)
    assert quantile.value == 90 and quantile.found == "quantile 0.9 of 101 validation steps"
    deviations = from_scores(scores, "input", "deviations", 0.9, 2)
    assert deviations.value == pytest.approx(50 + 2 * np.arange(101).std())
    assert deviations.found == "mean + 2 standard deviations of 101 input steps"


def test_without_held_out_scores_there_is_no_threshold():
    with pytest.raises(UserError, match="no step of the validation has a score"):
        from_scores(np.array([np.nan]), "validation", "quantile", 0.9, 4)


def test_the_oracle_has_the_best_f1_and_says_what_it_is():
    generator = np.random.default_rng(0)
    labels = generator.random(200) < 0.2
    scores = np.round(generator.random(200) + 0.3 * labels, 1)
    scores[:3] = np.nan
    found = oracle(labels, scores)
    assert "oracle" in found.found

    def f1(threshold):
        flags = scores > threshold
        return precision_recall_f1(np.sum(flags & labels), np.sum(flags), np.sum(labels))["f1"]

    assert f1(found.value) == max(f1(threshold) for threshold in np.arange(-0.05, 1.4, 0.1))
