"""`augmentations.html`: the answer, the joint map, the ranking and every candidate on a single self-contained page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from eyeshot.reports.joint_map import best_projection, clouds_on_map, figure_json, point_lists
from eyeshot.reports.marks import PATHS, Axis, make_axis, make_class_bars
from eyeshot.reports.page import number, shortened, write_fitting
from eyeshot.reports.pictures import make_sprites
from eyeshot.reports.ranking_cards import ROLES, make_cards, make_gallery, make_strips
from eyeshot.reports.score_breakdown import (
    COVERAGE_SCORES,
    LABEL_SCORES,
    RUN_MEANING,
    RUN_SCORES,
    RUN_TABLE,
    in_groups,
    make_breakdown,
    masked_axis,
    part_text,
    ranked_by,
    ranked_by_coverage,
    run_interval,
)

if TYPE_CHECKING:
    from eyeshot.rankings import AugmentationRanking, RankingReport

MOST_SPRITE_BYTES = 7_000_000
MOST_STRIP_BYTES = 3_000_000
MOST_GALLERY_BYTES = 1_000_000
MOST_FILES = 200
UNFOLDED = 5
"""Number of candidates that are visible at once; the others are folded."""
ROLE_WORDS = {
    "ranked": "ranked",
    "regulariser": "regulariser",
    "label-breaking": "label-breaking",
    "control": "control",
}
GLOSSARY = (
    ("target", "the images that training should cover: the unlabelled test images, or the validation images"),
    ("augmented sample", "an augmented version of a training image"),
    (
        "identity control",
        "noise of a single grey level: what as many samples gain by chance; zero coverage gain",
    ),
    ("coverage", "share of target images that have a training image, clean or augmented, nearby in feature space"),
    ("coverage gain", "coverage with a consistent label, minus that of the identity control"),
    ("post-training coverage", "coverage by clean images, measured again in the features after a short training"),
    ("combined score", "weighted sum of the gains in coverage and in estimated accuracy; no augmentation scores 0"),
    ("MAD unit", "median absolute deviation of a gain over the candidates: it makes different gains comparable"),
    ("indistinguishable group", "candidates whose differences from the best of the group are within noise"),
    ("regulariser", "masking, mixing or dropout: it makes the task harder, so coverage cannot measure it"),
    ("label-breaking", "an augmentation after which the classes can no longer be told apart"),
    ("rung", "a round of short runs; the better candidates continue on the next, longer rung"),
)


def write_ranking_page(ranking: AugmentationRanking, path: Path | str, *, images: bool = True) -> Path:
    """Write the page of `ranking` to `path`: a single file under 15 MB that needs no network.

    Args:
        ranking: the result of `eyeshot.rank_augmentations()`.
        path: the file to write; a missing folder is created.
        images: whether to show pictures of the user's images, samples and thumbnails.

    Raises:
        StorageError: the file cannot be written.
    """
    shares = (1.0, 0.4, 0.0) if images else (0.0,)
    return write_fitting(Path(path), "ranking.html.j2", (_context(ranking, share) for share in shares))


def headline_of(report: RankingReport) -> str:
    """The answer in a line."""
    return report.headline or next(iter(report.answer), "Nothing could be said.")


def _names_winner(report: RankingReport, headline: str) -> bool:
    """Whether the headline advises the candidate, so that the page may repeat it."""
    ranked = any(candidate.name == report.advice for candidate in report.of("ranked"))
    return ranked and report.advice in headline and "no clear winner" not in headline.lower()


def _context(ranking: AugmentationRanking, share: float) -> dict[str, Any]:
    report = ranking.report
    headline = headline_of(report)
    strips = make_strips(ranking, int(share * MOST_STRIP_BYTES)) if share else {}
    cards = make_cards(ranking, strips)
    by = ranked_by(report)
    lists = {role: in_groups(report.of(role)) for role in ROLES}
    # The heading above contains these words already, and next to a map there is room for a single sentence.
    trust = report.trust.removeprefix("How far to trust this: ")
    trust, *more_trust = re.split(r"(?<=[.!?])\s+(?=[A-Z])", trust[:1].upper() + trust[1:], maxsplit=1)
    said = {headline, report.next_step, report.shift.words, report.trust}
    lead = [sentence for sentence in dict.fromkeys(report.answer) if sentence not in said]
    return {
        "report": report,
        "headline": headline,
        "advised": _names_winner(report, headline),
        "lead": lead,
        "trust": trust,
        "more_trust": more_trust,
        "notes": [note for note in dict.fromkeys(report.notes) if note not in {*said, *lead}],
        "cards": cards,
        "anchors": {card["candidate"].name: card["anchor"] for card in cards},
        "unfolded": UNFOLDED,
        "lists": lists,
        "role_words": ROLE_WORDS,
        "by": by,
        "axis": by.axis(lists["ranked"]),
        "by_coverage": ranked_by_coverage(report),
        "clean_strip": strips.get("clean"),
        "meaning": {words.key: words.meaning for words in (*COVERAGE_SCORES, *LABEL_SCORES)},
        "score_columns": (*COVERAGE_SCORES, *LABEL_SCORES),
        "glossary": GLOSSARY,
        "paths": PATHS,
        "map": _map(ranking, int(share * MOST_SPRITE_BYTES)),
        "gallery": make_gallery(ranking, int(share * MOST_GALLERY_BYTES)) if share else [],
        "check_axis": Axis(0.0, 100.0, (0.0, 50.0, 100.0)),
        "most_files": MOST_FILES,
        "class_bars": make_class_bars(report),
        **_runs(report),
        "model_rows": make_model_rows(report),
        "correlation": correlation_text,
    }


def _runs(report: RankingReport) -> dict[str, Any]:
    """What short runs and full trainings add to the page."""
    regularisers = report.of("regulariser")
    by = ranked_by(report, "regulariser")
    gains = [(row.gain, *(row.gain_interval or ())) for row in report.full_training if row.gain is not None]
    return {
        "regulariser_by": by,
        "regulariser_axis": by.axis(regularisers),
        "masked_axis": masked_axis(regularisers),
        "breakdown": make_breakdown(report),
        "part_text": part_text,
        "run_columns": [words for words in RUN_SCORES if words.key in RUN_TABLE],
        "run_meaning": RUN_MEANING,
        "run_interval": run_interval,
        "runs": [candidate for role in ROLES for candidate in report.of(role) if candidate.run is not None],
        "full_axis": make_axis(100 * value for values in gains for value in values),
        "ranks": {candidate.name: candidate.rank for candidate in report.candidates},
    }


def _map(ranking: AugmentationRanking, most_sprite_bytes: int) -> dict[str, Any] | None:
    joint_map = ranking.map
    if joint_map is None or not len(joint_map.cloud) or not joint_map.projections:
        return None
    from bokeh.resources import Resources

    sprites = make_sprites(joint_map.thumbnails, most_bytes=most_sprite_bytes) if most_sprite_bytes else None
    clouds = clouds_on_map(joint_map, ranking.report.target)
    sources = Resources(mode="inline", components=["bokeh"], minified=True).js_raw
    return {
        "clouds": clouds,
        "contoured": ", ".join(shortened(cloud.label, 24) for cloud in clouds if cloud.contoured),
        "first": best_projection(joint_map),
        "projections": [projection.info for projection in joint_map.projections],
        "figure": figure_json(joint_map, clouds),
        "points": point_lists(ranking, joint_map, clouds, sprites=sprites is not None),
        "sprites": sprites,
        # Bokeh's own code; a closing tag inside it would end the script element.
        "library": Markup("\n".join(sources).replace("</script", "<\\/script")),
    }


def make_model_rows(report: RankingReport) -> list[dict[str, Any]]:
    """The rows of the table of models in the order of mean rank; regularisers follow, unranked candidates are last.

    Returns:
        for each candidate `name`, `family` and a cell for each model: `rank`, `score`, `why` (if there is no rank),
        `shade` (1 for the best of the list, 0 for the last, None without a rank) and `regulariser`.
    """
    table = report.model_table
    if table is None:
        return []
    unranked = {"label-breaking": "label-breaking", "control": "control"}
    longest = {
        (model, role): max([1, *(row.ranks.get(model) or 0 for row in table.rows if row.roles.get(model) == role)])
        for model in table.models
        for role in ("ranked", "regulariser")
    }
    rows = []
    for row in table.rows:
        cells = []
        for model in table.models:
            role, rank = row.roles.get(model), row.ranks.get(model)
            length = longest.get((model, role or ""), 1)
            cells.append(
                {
                    "rank": rank,
                    "score": row.scores.get(model),
                    "why": "" if rank is not None else unranked.get(role or "", "–"),
                    "shade": None if rank is None else 1 - (rank - 1) / max(1, length - 1),
                    "regulariser": role == "regulariser",
                }
            )
        rows.append({"name": row.name, "family": row.family, "cells": cells})

    def place(row: dict[str, Any]) -> tuple[int, float]:
        ranked = [cell for cell in row["cells"] if cell["rank"] is not None]
        kind = 2 if not ranked else int(all(cell["regulariser"] for cell in ranked))
        return kind, sum(cell["rank"] for cell in ranked) / len(ranked) if ranked else 0.0

    return sorted(rows, key=place)


def correlation_text(spearman: float | None, interval: tuple[float, float] | None, n: int) -> str:
    """ "0.61 (0.28 to 0.81), n = 22"."""
    if spearman is None:
        return f"not known, n = {n}"
    ends = "" if interval is None else f" ({number(interval[0])} to {number(interval[1])})"
    return f"{number(spearman)}{ends}, n = {n}"
