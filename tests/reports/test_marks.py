import math

import pytest

from eyeshot.reports.marks import make_axis, round_step


def test_an_axis_holds_zero_and_all_values() -> None:
    axis = make_axis([3.2, 17.1])
    assert axis.low <= 0
    assert axis.high >= 17.1
    assert 0 < axis.place(0) < axis.place(3.2) < axis.place(17.1) < 100


def test_ticks_are_round_and_inside() -> None:
    axis = make_axis([-3.6, 17.1])
    assert axis.ticks == (0, 5, 10, 15)
    assert all(axis.low <= tick <= axis.high for tick in axis.ticks)


@pytest.mark.parametrize("values", [[], [0.0], [float("nan")], [float("inf"), 0.0], [-2.0, -1.0], [1e-9]])
def test_odd_values_still_give_an_axis(values: list[float]) -> None:
    axis = make_axis(values)
    assert axis.high > axis.low
    assert axis.ticks
    assert all(math.isfinite(axis.place(value)) for value in (*values, 0.0))


def test_a_bar_lies_between_the_places_of_its_ends() -> None:
    axis = make_axis([-5.0, 10.0])
    left, width = axis.bar((-2.0, 4.0))
    assert left == axis.place(-2.0)
    assert left + width == pytest.approx(axis.place(4.0))


def test_steps_are_one_two_or_five() -> None:
    assert [round_step(span, 5) for span in (1, 5, 7, 12, 26)] == pytest.approx([0.2, 1, 2, 5, 10])
