from __future__ import annotations

import pytest

from eyeshot.cli.options import triple
from eyeshot.cli.output import progress_shown
from eyeshot.core import seconds_of
from eyeshot.core.errors import InputError


def test_progress_goes_to_standard_error(capsys):
    with progress_shown() as show:
        show.sub("decoding test images")(1, 100)
    assert capsys.readouterr() == ("", "decoding test images 1/100\n")


def test_three_numbers_are_read_and_anything_else_is_refused():
    assert triple("0.5, 0.25,1", "--mean") == (0.5, 0.25, 1.0)
    assert triple(None, "--mean") is None
    for text in ("0.5", "1,2,3,4", "a,b,c", ""):
        with pytest.raises(InputError, match="--mean takes three numbers"):
            triple(text, "--mean")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("10m", 600),
        ("1h", 3600),
        ("1.5h", 5400),
        ("45", 45),
        ("0", 0),
        ("0s", 0),
        ("1e2s", 100),
        ("2d", 172_800),
    ],
)
def test_a_time_is_read_in_seconds(text: str, seconds: float):
    assert seconds_of(text, "--budget") == seconds


@pytest.mark.parametrize("text", ["ten", "", "s", "m", "-1m", "1 day", "1w", "nan", "inf", "infh"])
def test_what_is_no_time_is_refused_with_what_was_typed(text: str):
    with pytest.raises(InputError, match="--budget takes a time such as 90s") as told:
        seconds_of(text, "--budget")
    assert repr(text) in str(told.value)
