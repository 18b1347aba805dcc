"""Expectations in words, and how often they come."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as some
from scipy import stats

from eyeshot.core import InputError
from eyeshot.ledger.judging.expectations import calibration, parse_expectation
from eyeshot.ledger.store.records import Experiment, Got

NOW = datetime(2026, 11, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "direction", "size"),
    [
        ("+1.0 accuracy", "up", 0.01),
        ("accuracy +1", "up", 0.01),
        ("+0,5 points of accuracy", "up", 0.005),
        ("- 2 accuracy", "down", 0.02),
        ("−0.5%", "down", 0.005),
        ("up accuracy", "up", None),
        ("up 1.5 accuracy", "up", 0.015),
        ("worse by 3 points", "down", 0.03),
        ("no difference accuracy", "same", None),
        ("same accuracy within 0.5", "same", 0.005),
        ("±0.5 accuracy", "same", 0.005),
        ("Higher", "up", None),
    ],
)
def test_words_become_a_direction_and_a_share(text, direction, size):
    expected = parse_expectation(text, now=NOW)
    assert (expected.metric, expected.direction, expected.words) == ("accuracy", direction, text)
    assert expected.size == (None if size is None else pytest.approx(size))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1.0 accuracy", "needs one direction, but '1.0 accuracy' has none"),
        ("accuracy", "has none"),
        ("", "has none"),
        ("up -1.0 accuracy", "has down and up"),
        ("+1.0 acuracy", "Did you mean 'accuracy'"),
        ("+1.0 f1", "with 'f1'"),
        ("+0 accuracy", "above 0"),
        ("+200 accuracy", "at most 100 points"),
    ],
)
def test_what_is_no_expectation_is_refused_with_the_form(text, says):
    with pytest.raises(InputError, match=r'Write "\+1\.0 accuracy"') as refused:
        parse_expectation(text)
    assert says in str(refused.value)


@given(some.integers(1, 10_000), some.sampled_from("+-"))
def test_any_size_in_points_is_read_as_a_share(hundredths, sign):
    expected = parse_expectation(f"{sign}{hundredths / 100:.2f} accuracy", now=NOW)
    assert expected.size == pytest.approx(hundredths / 10_000)
    assert expected.direction == ("up" if sign == "+" else "down")


def experiment(expect: str | None, difference: float, gain: str, *, author: str = "ada", late: bool = False, month=11):
    expected = None if expect is None else parse_expectation(expect, now=NOW).model_copy(update={"late": late})
    return Experiment(
        id="x", created=NOW.replace(month=month), why="w", author=author, expected=expected, gain=gain, verdict=gain,
        got=Got(
            value=0.8, difference=difference, difference_low=difference - 0.01, difference_high=difference + 0.01,
        ),
    )  # fmt: skip


def test_calibration_counts_directions_and_sizes_by_author_with_wilsons_interval():
    experiments = [
        experiment("+1.0", 0.012, "better"),
        experiment("+5.0", 0.012, "better"),
        experiment("up", 0.001, "not distinguishable"),
        experiment("down", 0.02, "better", author="bot", month=10),
        experiment("up", 0.02, "better", late=True),
        experiment(None, 0.02, "better"),
    ]
    every, ada, bot = calibration(experiments)
    assert [row["group"] for row in (every, ada, bot)] == ["all", "ada", "bot"]
    assert (every["stated"], every["came"], every["undecided"]) == (4, 2, 1)
    assert (ada["stated"], ada["came"], ada["undecided"], ada["sized"], ada["sizes_came"]) == (3, 2, 1, 2, 1)
    low, high = stats.binomtest(2, 3).proportion_ci(method="wilson")
    assert (ada["share"], ada["low"], ada["high"]) == pytest.approx((2 / 3, low, high), abs=1e-6)
    assert (bot["came"], bot["size_share"]) == (0, None)
    assert [row["group"] for row in calibration(experiments, by="month")] == ["all", "2026-10", "2026-11"]
    assert calibration(experiments[4:]) == []
