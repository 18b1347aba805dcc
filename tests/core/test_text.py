from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, ValidationError

from eyeshot.core import duration, listing, megabytes, percent, plural, points, refused_option, shortened


@pytest.mark.parametrize(("share", "text"), [(0.254, "25 %"), (0.0, "0 %"), (1.0, "100 %"), (None, "–")])
def test_shares_are_told_in_percent(share, text):
    assert percent(share) == text
    assert percent(0.254, 1) == "25.4 %"
    assert percent(float("nan")) == "–"


@pytest.mark.parametrize(("difference", "text"), [(0.2541, "25.4 points"), (-0.01, "-1.0 points"), (None, "–")])
def test_differences_are_told_in_points(difference, text):
    assert points(difference) == text


def test_names_are_listed_in_a_sentence():
    assert listing([]) == ""
    assert listing(["a"]) == "a"
    assert listing(["a", "b"]) == "a and b"
    assert listing(("a", "b", "c")) == "a, b and c"
    assert listing(list("abcdefgh")) == "a, b, c, d, e, f and 2 more"


def test_a_word_goes_with_its_count():
    assert [plural(count, "file") for count in (0, 1, 2)] == ["files", "file", "files"]
    assert [plural(count, "class has", "classes have") for count in (1, 3)] == ["class has", "classes have"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4.21, "4.2 s"), (99.94, "99.9 s"), (100, "1 min 40 s"), (180, "3 min"), (200, "3 min 20 s"), (7300, "2 h 1 min")],
)
def test_times_are_written_for_reading(seconds, text):
    assert duration(seconds) == text


def test_a_time_can_be_told_in_whole_seconds():
    assert duration(59.7, 0) == "60 s"


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 kB"), (999_000, "999 kB"), (12_345_678, "12 MB"), (2_500_000_000, "2,500 MB")]
)
def test_sizes_are_told_in_megabytes(size: int, text: str):
    assert megabytes(size) == text


@given(st.text(max_size=200), st.integers(4, 90))
def test_a_shortened_text_fits_and_keeps_its_ends(text, length):
    short = shortened(text, length)
    assert len(short) <= length or short == text
    assert len(short) == min(len(text), length)
    assert text.startswith(short.split("…")[0]) or "…" in text


def test_a_refused_value_names_its_option_and_the_help():
    class Settings(BaseModel):
        val_share: float = Field(gt=0)

    with pytest.raises(ValidationError) as refused:
        Settings(val_share=-1)
    assert refused_option(refused.value, "train") == (
        "--val-share: input should be greater than 0, got -1. See `eyeshot train --help` for what it takes."
    )
