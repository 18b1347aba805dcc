"""What is said of the ranking is what was measured, for the situation at hand."""

from __future__ import annotations

from typing import Any

import pytest

from eyeshot.rankings.augmentations.report import Shift
from eyeshot.rankings.augmentations.trust import trust_words
from eyeshot.rankings.augmentations.words import TRUST


def shift(ratio: float | None) -> Shift:
    return Shift(
        target_coverage=0.5,
        held_out_coverage=0.5,
        ratio=ratio,
        target_reached=0.5,
        held_out_reached=0.5,
        weight=None,
        domain_auc=None,
        count=10,
        words="",
    )


def estimate(value: float | None, low: float | None = None, high: float | None = None) -> dict[str, float | None]:
    return {"value": value, "low": low, "high": high}


MEASURED: dict[str, Any] = {
    "version": 1,
    "trainings": 1234,
    "situations": {
        "from scratch, shifted": {
            "models": ["small-cnn", "small-vit"],
            "tasks": 11,
            "sources": 3,
            "spearman": estimate(-0.123, -1.4, 0.9),
            "regret_of_advice": estimate(3.21),
            "regret_of_trivial_augment": estimate(6.54),
            "regret_of_clean": estimate(9.87),
        }
    },
}


@pytest.mark.parametrize("ratio", [0.2, None])
def test_the_figures_of_the_situation_are_said(ratio: float | None) -> None:
    said = trust_words(shift(ratio), pretrained=False, budget=False, measured=MEASURED)
    for words in (
        "from scratch, shifted",
        "11 tasks of 3 sources",
        "1,234",
        "small-cnn, small-vit",
        "−0.12 (−1.00 to 0.90)",
        "3.2",
        "6.5",
        "clean images 9.9 points",
    ):
        assert words in said
    assert "better advice" not in said
    assert "short runs" not in said


@pytest.mark.parametrize(("ratio", "pretrained"), [(0.95, False), (0.2, True)])
def test_another_situation_is_said_to_be_unmeasured(ratio: float, pretrained: bool) -> None:
    said = trust_words(shift(ratio), pretrained=pretrained, budget=False, measured=MEASURED)
    assert "not measured for a model" in said
    assert "3.2" not in said


def test_what_a_pretrained_model_ranks_better_and_worse_is_said() -> None:
    situation = MEASURED["situations"]["from scratch, shifted"] | {
        "by_pretrained_model": {"regret": estimate(1.26), "regret_of_own": estimate(4.32)}
    }
    measured = MEASURED | {"situations": {"from scratch, shifted": situation}}
    words = trust_words(shift(0.2), pretrained=False, budget=False, measured=measured)
    assert "By a pretrained model's features the first candidate lost 1.3 points, by their own 4.3 points." in words
    assert "--weights" in words
    situation["without_cure"] = {"regret": estimate(31.9), "regret_of_own": estimate(17.9)}
    words = trust_words(shift(0.2), pretrained=False, budget=False, measured=measured)
    assert "their own 4.3 points; with the cure left out of the catalogue 31.9 points and 17.9 points." in words


def test_short_runs_were_not_measured() -> None:
    assert "not measured" in trust_words(shift(0.2), pretrained=False, budget=True, measured=MEASURED)


def test_advice_that_beat_the_best_by_luck_lost_nothing() -> None:
    situation = MEASURED["situations"]["from scratch, shifted"] | {"regret_of_advice": estimate(-0.4)}
    measured = MEASURED | {"situations": {"from scratch, shifted": situation}}
    assert "the advice lost 0.0 points" in trust_words(shift(0.2), pretrained=False, budget=False, measured=measured)


def test_where_clean_images_lost_clearly_less_than_the_advice_this_is_said() -> None:
    for clean, said in ((2.0, True), (2.5, False), (None, False)):
        situation = MEASURED["situations"]["from scratch, shifted"] | {"regret_of_clean": estimate(clean)}
        measured = MEASURED | {"situations": {"from scratch, shifted": situation}}
        words = trust_words(shift(0.2), pretrained=False, budget=False, measured=measured)
        assert ("clean images were the better advice there" in words) == said


def test_without_tables_nothing_is_claimed() -> None:
    assert trust_words(shift(0.2), pretrained=False, budget=False, measured={}) == TRUST


def test_the_file_that_ships_can_be_read() -> None:
    for pretrained in (False, True):
        for ratio in (0.2, 1.0):
            assert trust_words(shift(ratio), pretrained=pretrained, budget=False).startswith("How far to trust this")
