"""How long models are fine-tuned: coarse, within the budget, and the same for a pace that wavers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eyeshot.core import InputError
from eyeshot.rankings.models.lengths import (
    EPOCHS,
    SLACK,
    STEPS,
    TEST_STEPS,
    Pace,
    choose_length,
    ends_of,
    share_out,
)

PACE = Pace(step_s=0.1, setup_s=1.0, batch_size=32, images=640, judged=160)


def steps_of(length, pace):
    return length.epochs * (length.rows // pace.batch_size)


@given(
    step_s=st.floats(1e-3, 10), setup_s=st.floats(0, 30), images=st.integers(4, 100_000),
    judged=st.integers(1, 20_000), time_s=st.floats(0, 5000),
)  # fmt: skip
def test_a_length_fits_into_its_time_is_coarse_and_has_at_least_sixteen_steps(step_s, setup_s, images, judged, time_s):
    pace = Pace(step_s, setup_s, max(2, min(32, images // 2)), images, judged)
    try:
        length = choose_length(pace, time_s)
    except InputError:
        with_all = choose_length(pace, 1e9)
        assert with_all.seconds > SLACK * time_s  # the longest does not fit either
        return
    steps = steps_of(length, pace)
    assert length.seconds <= SLACK * time_s
    assert steps >= 16
    assert setup_s + (steps + length.test_steps) * step_s <= length.seconds + 1e-6
    if length.rows == images:
        assert length.epochs in EPOCHS
    else:
        assert (length.epochs, steps in STEPS) == (1, True)
    assert length.test_steps in (0, *TEST_STEPS)
    assert 5 * length.test_steps <= steps + length.test_steps


def test_more_time_never_means_a_shorter_training():
    lengths = [choose_length(PACE, time_s) for time_s in range(8, 200)]
    steps = [steps_of(length, PACE) for length in lengths]
    assert steps == sorted(steps)
    assert (steps[0], steps[-1]) == (2 * 20, 20 * 20)


def test_a_pace_that_wavers_by_a_tenth_mostly_leads_to_the_same_length():
    same = 0
    for time_s in range(10, 110):
        chosen = {steps_of(choose_length(PACE._replace(step_s=step_s), time_s), PACE) for step_s in (0.095, 0.1, 0.105)}
        same += len(chosen) == 1
        assert len(chosen) <= 2
    assert same >= 60


def test_too_little_time_is_refused_with_what_is_needed():
    with pytest.raises(InputError, match=r"its training needs at least 16 steps, about 4 s; 1 s are left"):
        choose_length(PACE, 1.0)


def test_an_important_model_takes_more_than_its_share_rather_than_none():
    slow = PACE._replace(step_s=3.0)
    lengths, failed, beyond = share_out(["first", "second"], lambda name: slow, lambda: 150.0)
    assert (list(lengths), list(failed), beyond) == (["first"], ["second"], [])
    assert SLACK * 75.0 < lengths["first"].seconds <= SLACK * 150.0
    assert steps_of(lengths["first"], slow) == 16


def test_the_budget_is_shared_out_and_what_it_does_not_reach_is_named():
    asked = []

    def pace_of(name):
        asked.append(name)
        if name == "broken":
            raise InputError("it cannot be decoded")
        return PACE

    lengths, failed, beyond = share_out(["a", "broken", "b", "c", "d"], pace_of, lambda: 90.0)
    assert list(lengths) == ["a", "b"]
    assert failed == {"broken": "it cannot be decoded"}
    assert beyond == ["c", "d"]
    assert asked == ["a", "broken", "b"]  # no time is spent on measuring what is not reached
    assert sum(length.seconds for length in lengths.values()) <= SLACK * 90


def test_nothing_is_begun_with_less_than_twenty_seconds():
    assert share_out(["a"], lambda name: PACE, lambda: 19.0) == ({}, {}, ["a"])


def test_each_training_must_leave_their_time_to_those_after_it():
    lengths = {name: choose_length(PACE, 40.0) for name in ("first", "second")}
    ends = ends_of(lengths, 100.0)
    assert ends["second"] == 100.0
    assert ends["first"] == pytest.approx(100.0 - lengths["second"].seconds / SLACK)
