"""A card for each candidate: its pictures, its scores, the classes it helps and harms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from eyeshot.reports.pictures import data_address, resized, strip
from eyeshot.reports.score_breakdown import COVERAGE_SCORES, LABEL_SCORES, RUN_SCORES, ScoreWords, in_groups

if TYPE_CHECKING:
    from eyeshot.rankings import AugmentationRanking, Candidate

Role = Literal["ranked", "regulariser", "label-breaking", "control"]

ROLES: tuple[Role, ...] = ("ranked", "regulariser", "label-breaking", "control")
MOST_CLASSES = 6
LEAST_LOSS = 0.02
"""A class that loses less than 2 points of its accuracy is not called harmed."""
STRIP_SIDE = 96
SHOWN_FIRST = ("coverage_gain", "coverage", "consistent_coverage")


def make_strips(ranking: AugmentationRanking, most_bytes: int) -> dict[str, str]:
    """A row of samples for each candidate and "clean", at the best quality that fits into `most_bytes`."""
    samples = {name: images for name, images in ranking.pictures.samples.items() if len(images)}
    for side, quality in ((STRIP_SIDE, 82), (64, 75), (48, 60), (32, 50)):
        strips = {name: strip(resized(images, side), quality=quality) for name, images in samples.items()}
        if sum(map(len, strips.values())) <= most_bytes:
            return strips
    return {}


def make_gallery(ranking: AugmentationRanking, most_bytes: int) -> list[tuple[str, str]]:
    """Id and data address of pictures of target images that no candidate covers."""
    gallery: list[tuple[str, str]] = []
    pictures = ranking.pictures
    for name, image in zip(pictures.uncovered_ids, resized(pictures.uncovered, STRIP_SIDE), strict=False):
        address = data_address(image)
        most_bytes -= len(address)
        if most_bytes < 0:
            break
        gallery.append((name, address))
    return gallery


def make_cards(ranking: AugmentationRanking, strips: dict[str, str]) -> list[dict[str, Any]]:
    """The cards of all candidates, in the order of the page: ranked, regularisers, label-breaking, controls.

    Args:
        ranking: the whole result.
        strips: data address of the samples of each candidate in a row.

    Returns:
        for each candidate its `anchor` (id on the page), `samples` (data address, `sample_count` images), `clean`
        (whether the row of clean images shows the same images), `warnings` that its reasons do not contain already, the
        visible scores (`main`) and the folded scores (`more`, `run`), and the classes `helped` and `harmed`.
    """
    cards = []
    first = [words for words in COVERAGE_SCORES if words.key in SHOWN_FIRST]
    rest = [words for words in COVERAGE_SCORES if words.key not in SHOWN_FIRST]
    candidates = [candidate for role in ROLES for candidate in in_groups(ranking.report.of(role))]
    for place, candidate in enumerate(candidates, start=1):
        gains = [(label, scores.covered or 0) for label, scores in candidate.per_class.items()]
        helped = sorted(((label, gain) for label, gain in gains if gain > 0), key=lambda pair: -pair[1])
        losses = [(label, scores.retention or 0.0) for label, scores in candidate.per_class.items()]
        harmed = sorted(((label, loss) for label, loss in losses if loss <= -LEAST_LOSS), key=lambda pair: pair[1])
        cards.append(
            {
                "anchor": f"candidate-{place}",
                "candidate": candidate,
                "samples": strips.get(candidate.name),
                "sample_count": len(ranking.pictures.samples.get(candidate.name, ())),
                "clean": candidate.name != "clean" and candidate.family != "generated" and "clean" in strips,
                "warnings": [text for text in candidate.warnings if text not in candidate.reasons],
                "main": [_score_line(candidate, words) for words in (*first, *LABEL_SCORES)],
                "more": [_score_line(candidate, words) for words in rest],
                "run": _run_lines(candidate),
                "helped": helped[:MOST_CLASSES],
                "harmed": harmed[:MOST_CLASSES],
                "more_helped": max(0, len(helped) - MOST_CLASSES),
                "more_harmed": max(0, len(harmed) - MOST_CLASSES),
            }
        )
    return cards


def _run_lines(candidate: Candidate) -> list[dict[str, Any]]:
    run = candidate.run
    if run is None:
        return []
    return [
        {"words": words, "value": words.text(getattr(run, words.key))}
        for words in RUN_SCORES
        if getattr(run, words.key) is not None
    ]


def _score_line(candidate: Candidate, words: ScoreWords) -> dict[str, Any]:
    """A score with its words, its worst class if that is known, and the reason if the score is missing."""
    value = getattr(candidate.scores, words.key)
    worst = getattr(candidate.scores, f"{words.key}_worst_class", None)
    return {
        "words": words,
        "value": words.text(value),
        "worst": None if worst is None else words.text(worst),
        "missing": candidate.missing.get(words.key) if value is None else None,
    }
