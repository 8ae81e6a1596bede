"""The metrics against constants of independent implementations.

VUS and event F1 were computed once with tsadmetrics 1.0.16 (`VusPr`, `VusRoc`, `SegmentwiseFScore`), which agrees with
the authors' program; the others with scikit-learn 1.9.1.
"""

import numpy as np
import pytest

from lstm_ae.anomalies.metrics import event_counts, event_f1, events, measure, period, pr_auc, roc_auc, vus
from lstm_ae.errors import UserError

STEPS = np.arange(400)
LABELS = ((STEPS % 97 < 9) & (STEPS > 50)) | (STEPS < 4) | (STEPS > 396)  # anomalies at both ends, too
SCORES = np.abs(np.sin(STEPS * 12.9898) * 43758.5453) % 1 + 0.7 * np.roll(LABELS, 2)
TIED = np.round(SCORES, 1)


@pytest.mark.parametrize(
    ("scores", "buffer", "pr", "roc"),
    [
        (SCORES, 0, 0.66721892, 0.89222201),
        (SCORES, 1, 0.66721892, 0.89222201),
        (SCORES, 5, 0.73753307, 0.9261108),
        (SCORES, 20, 0.82029351, 0.95756435),
        (SCORES, 60, 0.88813207, 0.97741204),  # margins overlap
        (TIED, 0, 0.62404182, 0.89189629),
        (TIED, 7, 0.70547796, 0.93281921),
        (TIED, 30, 0.79479719, 0.96365679),
    ],
)  # fmt: skip
def test_vus(scores, buffer, pr, roc):
    assert vus(LABELS, scores, buffer) == pytest.approx({"vus_pr": pr, "vus_roc": roc}, abs=1e-8)


@pytest.mark.parametrize(("scores", "pr", "roc"), [(SCORES, 0.67009318, 0.89205915), (TIED, 0.62404182, 0.89189629)])
def test_areas(scores, pr, roc):
    assert pr_auc(LABELS, scores) == pytest.approx(pr, abs=1e-8)
    assert roc_auc(LABELS, scores) == pytest.approx(roc, abs=1e-8)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        (SCORES, (0.78571429, 0.51162791, 0.61971831, 0.90909091)),
        (TIED, (0.83333333, 0.46511628, 0.59701493, 0.90909091)),
    ],
)
def test_flags(scores, expected):
    found = measure(LABELS, scores, scores > 1, 0)
    assert [found[name] for name in ("precision", "recall", "f1", "event_f1")] == pytest.approx(expected, abs=1e-8)


def test_one_hit_in_an_interval_is_one_hit():
    labels = np.arange(100) < 50
    flags = np.arange(100) == 10
    found = measure(labels, flags.astype(float), flags, 0)
    assert found["recall"] == 0.02 and found["event_recall"] == 1


def test_events_and_false_alarms_end_where_another_series_begins():
    labels = np.array([0, 1, 1, 1, 0, 0], bool)
    assert events(labels).tolist() == [[1, 4]]
    assert events(labels, [2]).tolist() == [[1, 2], [2, 4]]
    flags = np.array([0, 1, 0, 0, 1, 1], bool)
    assert event_counts(labels, flags) == (1, 0, 1)
    assert event_counts(labels, flags, [2, 5]) == (1, 1, 2)
    assert event_f1(2, 0, 2) == {"precision": 0.5, "recall": 1.0, "f1": pytest.approx(2 / 3)}
    assert event_f1(0, 0, 0)["f1"] == 0


def test_margins_of_vus_end_where_another_series_begins():
    """Two series measured at once have the margins that each has alone."""
    labels, scores = np.roll(LABELS, 20), np.roll(SCORES, 20)
    both = vus(np.tile(labels, 2), np.tile(scores, 2), 30, [400])
    assert both["vus_roc"] == pytest.approx(vus(labels, scores, 30)["vus_roc"], abs=0.002)


def test_the_period_is_found():
    time = np.arange(3000)
    assert period(np.sin(2 * np.pi * time / 37)) == 37
    assert period(np.arange(3000.0)) == 125  # none
    assert period(np.where(time == 5, np.nan, np.sin(2 * np.pi * time / 37))) == 37


@pytest.mark.parametrize("labels", [np.zeros(5, bool), np.ones(5, bool)])
def test_labels_of_one_kind_are_refused(labels):
    with pytest.raises(UserError, match="labels are all"):
        measure(labels, np.arange(5.0), labels, 0)


def test_steps_without_a_score_count_as_not_flagged_and_a_table_without_any_is_refused():
    labels = np.array([0, 1, 1, 0], bool)
    scores = np.array([np.nan, 3, np.nan, 1])
    assert measure(labels, scores, scores > 2, 0)["recall"] == 0.5
    with pytest.raises(UserError, match="no step has a score"):
        measure(labels, np.full(4, np.nan), labels, 0)
