from __future__ import annotations

import re

import pytest

from contrast import contrast
from eyeshot.reports.marks import CANDIDATES, PATHS, TARGET, TRAIN, VALIDATION
from eyeshot.reports.page import asset

MARKS = (TRAIN, TARGET, VALIDATION, *CANDIDATES)


def tokens(name: str) -> dict[str, str]:
    return dict(re.findall(r"(--[\w-]+): (#[0-9a-f]{6});", asset(name)))


@pytest.mark.parametrize("theme", ["light.css", "dark.css"])
def test_text_can_be_read(theme: str) -> None:
    colours = tokens(theme)
    for ground in ("--paper", "--raised", "--band"):
        for ink in ("--ink", "--soft", "--accent"):
            assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
    assert contrast(colours["--warn-ink"], colours["--warn-paper"]) >= 4.5
    for ink in ("--target", "--train", "--cloud-3"):
        assert contrast(colours[ink], colours["--paper"]) >= 4.5, ink


@pytest.mark.parametrize("theme", ["light.css", "dark.css"])
def test_points_stand_out_from_the_paper(theme: str) -> None:
    colours = tokens(theme)
    assert all(contrast(colours[mark.variable], colours["--paper"]) >= 3 for mark in MARKS)


def test_both_themes_know_the_same_colours() -> None:
    assert tokens("light.css").keys() == tokens("dark.css").keys()


def test_marks_differ_by_shape_and_by_colour() -> None:
    assert len({mark.shape for mark in MARKS}) == len(MARKS)
    assert len({mark.colour for mark in MARKS}) == len(MARKS)
    assert all(mark.shape in PATHS for mark in MARKS)
    assert all(tokens("light.css")[mark.variable] == mark.colour for mark in MARKS)


def test_train_is_blue_and_target_is_red() -> None:
    red, _, blue = (int(TRAIN.colour[start : start + 2], 16) for start in (1, 3, 5))
    assert blue > 2 * red
    red, _, blue = (int(TARGET.colour[start : start + 2], 16) for start in (1, 3, 5))
    assert red > 2 * blue
