from __future__ import annotations

import io
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from eyeshot.core import SILENT, CallbackProgress, Progress, ProgressDisplay


class Screen(io.StringIO):
    """What a terminal shows: each line as it was written last."""

    def isatty(self) -> bool:
        return True

    @property
    def lines(self) -> list[str]:
        return [line.split("\r")[-1].rstrip() for line in self.getvalue().split("\n") if line]


@pytest.fixture
def clock() -> SimpleNamespace:
    return SimpleNamespace(now=0.0)


def display(clock: SimpleNamespace, stream: io.StringIO) -> ProgressDisplay:
    """Without its thread: tests call `beat` themselves."""
    return ProgressDisplay(stream, clock=lambda: clock.now)


def test_the_names_of_steps_stand_before_the_text():
    news: list[tuple[int, int, str]] = []
    progress: Progress = CallbackProgress(lambda *said: news.append(said))
    progress(0, 0, "timing a step")
    progress.sub("confirming mirror").sub("training")(3, 40, "epoch 1")
    progress.sub("decoding")(2, 5)
    assert news == [(0, 0, "timing a step"), (3, 40, "confirming mirror: training: epoch 1"), (2, 5, "decoding")]


def test_what_is_said_stays_on_a_line_of_its_own_and_the_progress_goes_on_below(clock):
    screen = Screen()
    with display(clock, screen) as progress:
        step = progress.sub("training")
        step(1, 10, "epoch 1")
        step.say("alarm: the loss rises")
        clock.now = 5
        step(2, 10, "epoch 1")
    assert screen.lines[0] == "alarm: the loss rises"
    assert screen.lines[1].startswith("training: epoch 1 (2/10)")
    SILENT.say("nothing")
    CallbackProgress(lambda *_: pytest.fail("called")).say("nothing")


def test_silence_has_steps_too():
    SILENT.sub("decoding").sub("again")(1, 2, "text")
    SILENT(1, 2)


def test_a_log_has_a_line_when_a_step_begins_and_then_one_in_ten_seconds(clock):
    log = io.StringIO()
    show = display(clock, log)
    for done in range(101):
        show(done, 100, "decoding test images")
        clock.now += 0.5
    show(0, 0, "writing the page")
    assert log.getvalue().splitlines() == [
        "decoding test images 0/100",
        "decoding test images 20/100, 40 s left",
        "decoding test images 40/100, 30 s left",
        "decoding test images 60/100, 20 s left",
        "decoding test images 80/100, 10 s left",
        "decoding test images 100/100, 50 s",
        "writing the page",
    ]


def test_a_step_that_says_nothing_is_spoken_for(clock):
    log = io.StringIO()
    show = display(clock, log)
    show(0, 0, "drawing the map")
    for _ in range(35):
        clock.now += 1
        show.beat()
    assert log.getvalue().splitlines() == ["drawing the map", *(f"drawing the map, {n} s so far" for n in (10, 20, 30))]


def test_a_log_is_not_silent_before_the_first_step(clock):
    log = io.StringIO()
    show = display(clock, log)
    clock.now = 10.0
    show.beat()
    assert log.getvalue() == "working, 10 s so far\n"


def test_no_time_is_told_before_it_can_be_known(clock):
    screen = Screen()
    show = display(clock, screen)
    step = show.sub("measuring candidates")
    step(0, 1000)
    clock.now = 1.9
    step(500, 1000)
    assert screen.lines == ["measuring candidates 500/1,000"]
    step(0, 1000)  # another part with as many: it is timed anew
    clock.now = 12.0
    step(19, 1000)
    assert screen.lines == ["measuring candidates 19/1,000, 10 s so far"]
    clock.now = 12.2
    step(20, 1000)
    assert screen.lines == ["measuring candidates 20/1,000, 8 min 25 s left"]
    assert "left" not in screen.getvalue().split("so far")[0]


def test_what_was_known_before_does_not_count_for_the_pace(clock):
    screen = Screen()
    show = display(clock, screen)
    show(900, 1000, "decoding")
    clock.now = 10.0
    show(910, 1000, "decoding")
    assert screen.lines == ["decoding 910/1,000, 90 s left"]


def test_the_time_left_goes_down_while_nothing_is_said_and_is_taken_back_when_it_was_wrong(clock):
    screen = Screen()
    show = display(clock, screen)
    show(0, 40, "measuring")
    clock.now = 20.0
    show(20, 40, "measuring")
    assert screen.lines == ["measuring 20/40, 20 s left"]
    clock.now = 25.0
    show.beat()
    assert screen.lines == ["measuring 20/40, 15 s left"]
    clock.now = 60.0
    show.beat()
    assert screen.lines == ["measuring 20/40, 60 s so far"]


def test_each_step_has_a_line_of_its_own_and_its_details_share_it(clock):
    screen = Screen()
    show = display(clock, screen)
    training = show.sub("training the baseline")
    for epoch in range(1, 6):
        clock.now += 1
        training.sub("on clean images")(epoch, 5, f"epoch {epoch}")
    show(1, 2, "features")
    assert screen.lines == ["training the baseline: on clean images: epoch 5 (5/5), 4 s", "features 1/2"]


def test_a_line_that_is_too_long_leaves_out_details_and_keeps_the_name_of_the_step_whole(clock):
    screen = Screen()
    show = display(clock, screen)
    name = "planning 10/20 convnext_large_mlp.clip_laion2b_augreg_ft_in1k"
    show.sub(name).sub("timing a few steps")(1, 3, "loss 0.10")
    assert screen.lines == [f"{name}: loss 0.10 (1/3)"]
    other = name.replace("10/20", "11/20")
    show.sub(other)(2, 3, "a last detail that has no room")
    assert screen.lines[-1] == f"{other} (2/3)"


def test_a_step_that_ended_says_how_long_it_took(clock):
    screen = Screen()
    show = display(clock, screen)
    show(0, 0, "drawing the map")
    clock.now = 14.0
    show.beat()
    assert screen.lines == ["drawing the map, 14 s so far"]
    show(0, 0, "writing the page")
    assert screen.lines == ["drawing the map, 14 s", "writing the page"]


@pytest.mark.parametrize("columns", [80, 200, 40])
def test_every_line_fits_the_terminal_and_a_shorter_one_covers_a_longer(clock, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    screen = Screen()
    show = display(clock, screen)
    for number, text in enumerate(["reading " + "a" * 300 + ".jpg", "reading b", "reading c\nd"]):
        clock.now += 1
        show.sub("audit")(number, 3, text)
    drawn = screen.getvalue().lstrip("\r").split("\r")
    assert all(len(line) < min(80, columns) for line in drawn)
    assert drawn[0].startswith("audit: reading aaa")
    assert "..." in drawn[0]
    assert drawn[0].endswith("a.jpg (0/3)")
    assert len(drawn[1]) == len(drawn[0])
    assert "\n" not in screen.getvalue()


def test_the_last_count_of_a_step_is_always_shown(clock):
    screen = Screen()
    show = display(clock, screen)
    for done in range(4):
        show(done, 3, "decoding")
    assert screen.lines == ["decoding 3/3"]


def test_a_text_that_the_terminal_cannot_write_does_not_stop_the_work(clock):
    raw = io.BytesIO()
    show = display(clock, io.TextIOWrapper(raw, encoding="ascii"))  # type: ignore[arg-type]
    show(0, 0, "reading café.jpg")
    assert raw.getvalue().decode("ascii").strip() == "reading caf?.jpg"


def test_the_terminal_is_left_to_other_output_meanwhile(clock):
    screen = Screen()
    show = display(clock, screen)
    show(1, 2, "measuring")
    with show.paused():
        length = len(screen.getvalue())
        clock.now = 30.0
        show(2, 2, "measuring")
        show.beat()
        assert len(screen.getvalue()) == length
    show(1, 3, "drawing")
    assert screen.lines == ["measuring 1/2", "drawing 1/3"]


def test_the_line_lives_on_without_the_work_and_ends_with_it(monkeypatch):
    monkeypatch.setattr("eyeshot.core.display.BEAT_S", 0.01)
    monkeypatch.setattr("eyeshot.core.display.SURE_AFTER_S", 0.0)
    screen = Screen()
    before = threading.active_count()
    with ProgressDisplay(screen) as show:
        show(0, 0, "drawing the map")
        end = time.monotonic() + 10
        while screen.getvalue().count("\r") < 4 and time.monotonic() < end:
            time.sleep(0.01)
    assert screen.getvalue().count("\r") >= 4
    assert screen.getvalue().endswith("\n")
    assert threading.active_count() == before


def test_a_notebook_writes_over_its_line_on_standard_output(monkeypatch, capsys):
    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    with ProgressDisplay() as show:
        show(0, 2, "decoding")
        show(2, 2, "decoding")
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out == "\rdecoding 0/2\rdecoding 2/2\n"


def test_elsewhere_it_is_a_log_on_standard_error(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    with ProgressDisplay() as show:
        show(0, 2, "decoding")
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "decoding 0/2\n")
