"""Learning-rate factors at known points of a run."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_ae.training.schedules import Cosine, OneCycle, Plateau, Schedule

shares = st.floats(0, 0.99)
schedules = st.one_of(
    st.builds(Schedule, shares),
    st.builds(Cosine, shares, st.floats(0, 1)),
    st.builds(OneCycle, shares, st.floats(0, 1)),
    st.builds(Plateau, shares, st.floats(0.01, 0.99), st.integers(0, 3)),
)


@given(schedules, st.integers(1, 10_000), st.data())
def test_every_step_of_every_schedule_has_a_factor_above_0_and_up_to_1(schedule, steps, data):
    step = data.draw(st.integers(0, steps - 1))
    assert 0 < schedule.factor((step + 0.5) / steps) <= 1


@given(st.floats(0.01, 0.99), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_one_cycle_rises_to_its_peak_and_falls(warmup, final, one, two):
    schedule = OneCycle(warmup, final)
    low, high = sorted((one, two))
    assert schedule.factor(low * warmup) <= schedule.factor(high * warmup) + 1e-12
    after = [warmup + part * (1 - warmup) for part in (low, high)]
    assert schedule.factor(after[0]) >= schedule.factor(after[1]) - 1e-12


@pytest.mark.parametrize(
    ("schedule", "points"),
    [
        (Schedule(), {0: 1, 0.5: 1, 0.999: 1}),
        (Schedule(warmup=0.2), {0.05: 0.25, 0.1: 0.5, 0.2: 1, 0.9: 1}),
        (Cosine(), {0: 1, 0.25: (1 + math.sqrt(0.5)) / 2, 0.5: 0.5, 1: 0}),
        (Cosine(final=0.2), {0: 1, 0.5: 0.6, 1: 0.2}),
        (Cosine(warmup=0.5), {0.25: 0.5, 0.5: 1, 0.75: 0.5, 1: 0}),
        (OneCycle(warmup=0.3), {0: 1 / 25, 0.15: 0.52, 0.3: 1, 0.65: 0.5, 1: 0}),
        (OneCycle(warmup=0.5, final=0.1), {0: 1 / 25, 0.5: 1, 0.75: 0.55, 1: 0.1}),
        (OneCycle(warmup=0.0), {0: 1, 0.5: 0.5}),
    ],
)
def test_known_points(schedule, points):
    assert {at: schedule.factor(at) for at in points} == pytest.approx(points, abs=1e-12)


def factors(schedule, improvements):
    found = []
    for improved in improvements:
        schedule.observe(improved)
        found.append(schedule.factor(0.5))
    return found


def test_plateau_lowers_after_more_than_so_many_stale_epochs():
    assert factors(Plateau(0, 0.5, 2), [True, False, False, False, False, False, False, True]) == [
        1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25,
    ]  # fmt: skip


def test_an_improvement_starts_the_count_anew():
    assert factors(Plateau(0, 0.5, 2), [False, False, True, False, False]) == [1] * 5


def test_no_patience_lowers_at_once():
    assert factors(Plateau(0, 0.1, 0), [True, False, False]) == pytest.approx([1, 0.1, 0.01])


def test_plateau_warms_up_too():
    assert Plateau(0.5, 0.1, 0).factor(0.25) == 0.5


@given(st.lists(st.booleans()), st.lists(st.booleans()), st.integers(0, 3))
def test_a_restored_schedule_goes_on_as_the_saved_one(before, after, patience):
    schedule, restored = Plateau(0, 0.5, patience), Plateau(0, 0.5, patience)
    factors(schedule, before)
    restored.load_state_dict(schedule.state_dict())
    assert restored.factor(0.5) == schedule.factor(0.5)
    assert factors(restored, after) == factors(schedule, after)
