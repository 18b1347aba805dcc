"""One card per candidate: its pictures, its scores, the classes it helps and harms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from eyeshot.reports.pictures import data_address, resized, strip
from eyeshot.reports.run_parts import RUN_SCORES
from eyeshot.reports.wording import COVER_SCORES, LABEL_SCORES, ScoreWords

if TYPE_CHECKING:
    from eyeshot.rankings import AugmentationRanking, Candidate, RankingReport

Role = Literal["ranked", "regulariser", "label-breaking", "control"]

ROLES: tuple[Role, ...] = ("ranked", "regulariser", "label-breaking", "control")
MOST_CLASSES = 6
LEAST_LOSS = 0.02
"""A class that loses less than 2 points of its accuracy is not called harmed."""
STRIP_SIDE = 96
SHOWN_FIRST = ("coverage_gain", "coverage", "consistent_coverage")


@dataclass(frozen=True)
class ScoreLine:
    """One score of a card: words, the value as text, its worst class, and why there is no value."""

    words: ScoreWords
    value: str
    worst: str | None = None
    missing: str | None = None


@dataclass(frozen=True)
class Card:
    """One candidate as the page shows it.

    Attributes:
        anchor: id of its element.
        views: data address of its views in one row, `view_count` of them.
        clean: whether the views are of the training images in the row of clean ones.
        warnings: what its reasons do not say already.
        main, more: scores that are seen at once, and those behind the fold.
        run: what its short run brought, behind the fold.
        helped: class and target images reached beyond the no-op, the most first.
        harmed: class and loss of accuracy on clean images, the worst first.
    """

    anchor: str
    candidate: Candidate
    views: str | None
    view_count: int
    clean: bool
    warnings: list[str]
    main: list[ScoreLine]
    more: list[ScoreLine]
    run: list[ScoreLine]
    helped: list[tuple[str, int]]
    harmed: list[tuple[str, float]]
    more_helped: int
    more_harmed: int


def in_order(report: RankingReport) -> list[Candidate]:
    """All candidates: ranked, harder, destroyers, controls."""
    return [one for role in ROLES for one in report.of(role)]


def make_strips(cover: AugmentationRanking, most_bytes: int) -> dict[str, str]:
    """The views of each candidate in one row, and those of "clean", as good as fits into `most_bytes`."""
    samples = {name: images for name, images in cover.pictures.samples.items() if len(images)}
    for side, quality in ((STRIP_SIDE, 82), (64, 75), (48, 60), (32, 50)):
        strips = {name: strip(resized(images, side), quality=quality) for name, images in samples.items()}
        if sum(map(len, strips.values())) <= most_bytes:
            return strips
    return {}


def make_gallery(cover: AugmentationRanking, most_bytes: int) -> list[tuple[str, str]]:
    """Id and data address of pictures of target images that no candidate reaches."""
    gallery: list[tuple[str, str]] = []
    for name, image in zip(cover.pictures.uncovered_ids, resized(cover.pictures.uncovered, STRIP_SIDE), strict=False):
        address = data_address(image)
        most_bytes -= len(address)
        if most_bytes < 0:
            break
        gallery.append((name, address))
    return gallery


def make_cards(cover: AugmentationRanking, strips: dict[str, str]) -> list[Card]:
    """The cards of all candidates, in the order of the page."""
    cards = []
    for number, candidate in enumerate(in_order(cover.report), start=1):
        helped = [(name, one.covered) for name, one in candidate.per_class.items() if (one.covered or 0) > 0]
        harmed = [
            (name, one.retention)
            for name, one in candidate.per_class.items()
            if one.retention is not None and one.retention <= -LEAST_LOSS
        ]
        most = sorted(((name, count or 0) for name, count in helped), key=lambda pair: -pair[1])
        worst = sorted(harmed, key=lambda pair: pair[1])
        first = [words for words in COVER_SCORES if words.key in SHOWN_FIRST]
        rest = [words for words in COVER_SCORES if words.key not in SHOWN_FIRST]
        cards.append(
            Card(
                anchor=f"candidate-{number}",
                candidate=candidate,
                views=strips.get(candidate.name),
                view_count=len(cover.pictures.samples.get(candidate.name, ())),
                clean=candidate.name != "clean" and candidate.family != "generated" and "clean" in strips,
                warnings=[text for text in candidate.warnings if text not in candidate.reasons],
                main=[_line(candidate, words) for words in (*first, *LABEL_SCORES)],
                more=[_line(candidate, words) for words in rest],
                run=_run_lines(candidate),
                helped=most[:MOST_CLASSES],
                harmed=worst[:MOST_CLASSES],
                more_helped=max(0, len(most) - MOST_CLASSES),
                more_harmed=max(0, len(worst) - MOST_CLASSES),
            )
        )
    return cards


def _run_lines(candidate: Candidate) -> list[ScoreLine]:
    run = candidate.run
    if run is None:
        return []
    return [
        ScoreLine(words, words.text(getattr(run, words.key)))
        for words in RUN_SCORES
        if getattr(run, words.key) is not None
    ]


def _line(candidate: Candidate, words: ScoreWords) -> ScoreLine:
    value = getattr(candidate.scores, words.key)
    worst = getattr(candidate.scores, f"{words.key}_worst_class", None)
    return ScoreLine(
        words,
        words.text(value),
        worst=None if worst is None else words.text(worst),
        missing=candidate.missing.get(words.key) if value is None else None,
    )
