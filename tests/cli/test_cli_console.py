from __future__ import annotations

import io
import sys

import pytest

from eyeshot.cli.console import megabytes, progress_shown
from eyeshot.cli.numbers import duration, triple
from eyeshot.errors import InputError


def test_progress_goes_to_standard_error_once_a_stage_and_at_its_end(capsys):
    with progress_shown() as show:
        for done in range(1, 101):
            show("decoding test images", done, 100)
        show("writing the page", 0, 0)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == ["decoding test images 1/100", "decoding test images 100/100", "writing the page"]


def test_the_time_left_is_told_while_it_goes_on(capsys, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("eyeshot.cli.console.time.monotonic", lambda: clock[0])
    with progress_shown() as show:
        show("measuring candidates", 0, 40)
        clock[0] = 20.0
        show("measuring candidates", 10, 40)
    assert capsys.readouterr().err.splitlines()[-1] == "measuring candidates 10/40, 60 s left"


def test_epochs_are_one_stage(capsys):
    with progress_shown() as show:
        for epoch in range(1, 6):
            show(f"training the baseline epoch {epoch} of 5", epoch, 5)
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_on_a_terminal_there_are_bars(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with progress_shown() as show:
        show("decoding test images", 50, 100)
    assert "decoding test images" in screen.getvalue()
    assert "50/100" in screen.getvalue()


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 kB"), (999_000, "999 kB"), (12_345_678, "12 MB"), (2_500_000_000, "2,500 MB")]
)
def test_sizes_are_told_in_megabytes(size: int, text: str):
    assert megabytes(size) == text


def test_three_numbers_are_read_and_anything_else_is_refused():
    assert triple("0.5, 0.25,1", "--mean") == (0.5, 0.25, 1.0)
    assert triple(None, "--mean") is None
    for text in ("0.5", "1,2,3,4", "a,b,c", ""):
        with pytest.raises(InputError, match="--mean takes three numbers"):
            triple(text, "--mean")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("10m", 600), ("1h", 3600), ("1.5h", 5400), ("45", 45), ("0", 0), ("0s", 0), ("1e2s", 100)],
)
def test_a_time_is_read_in_seconds(text: str, seconds: float):
    assert duration(text, "--budget") == seconds


@pytest.mark.parametrize("text", ["ten", "", "s", "m", "-1m", "1 day", "1d", "nan", "inf", "infh"])
def test_what_is_no_time_is_refused_with_what_was_typed(text: str):
    with pytest.raises(InputError, match="--budget takes a time such as 90s") as told:
        duration(text, "--budget")
    assert repr(text) in str(told.value)


def test_the_terminal_is_left_to_other_output_while_bars_pause(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with progress_shown() as show:
        show("measuring candidates", 1, 2)
        with show.paused():
            length = len(screen.getvalue())
            show("measuring candidates", 2, 2)
            assert len(screen.getvalue()) == length
        show("drawing", 1, 3)
    assert "2/2" in screen.getvalue()
    assert "1/3" in screen.getvalue()
