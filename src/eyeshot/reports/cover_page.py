"""`augmentations.html`: the answer, the ranking, the joint map and every candidate on one self-contained page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from eyeshot.reports.class_bars import make_class_bars
from eyeshot.reports.cover_cards import ROLES, make_cards, make_gallery, make_strips
from eyeshot.reports.interval_plot import Axis, make_axis
from eyeshot.reports.joint_map import best_projection, clouds_on_map, figure_json, point_lists
from eyeshot.reports.markers import PATHS
from eyeshot.reports.model_table import correlation_text, model_lines
from eyeshot.reports.page import render, write_text
from eyeshot.reports.pictures import make_sprites
from eyeshot.reports.ranking import by_cover_alone, ranked_by
from eyeshot.reports.run_parts import RUN_MEANING, RUN_SCORES, half_masked_axis, make_parts, run_interval
from eyeshot.reports.wording import COVER_SCORES, GLOSSARY, LABEL_SCORES, shortened

if TYPE_CHECKING:
    from eyeshot.rankings import AugmentationRanking, RankingReport

MOST_BYTES = 15_000_000
MOST_SPRITE_BYTES = 7_000_000
MOST_STRIP_BYTES = 3_000_000
MOST_GALLERY_BYTES = 1_000_000
MOST_FILES = 200


def write_ranking_page(cover: AugmentationRanking, path: str | Path, *, images: bool = True) -> Path:
    """Write the page of `cover` to `path`: one file under 15 MB that needs no network.

    Args:
        cover: what `eyeshot.rank_augmentations()` gave.
        path: the file to write; its folder is made where it is missing.
        images: without them no picture of the user's is on the page, neither samples nor thumbnails.

    Raises:
        StorageError: the file cannot be written.
    """
    page = ""
    for share in (1.0, 0.4, 0.0) if images else (0.0,):
        page = render("cover.html.j2", _context(cover, share))
        if len(page.encode("utf-8", "replace")) < MOST_BYTES:
            break
    return write_text(Path(path), page)


def _context(cover: AugmentationRanking, share: float) -> dict[str, Any]:
    report = cover.report
    # The heading over it says these words already.
    strips = make_strips(cover, int(share * MOST_STRIP_BYTES)) if share else {}
    cards = make_cards(cover, strips)
    by = ranked_by(report)
    return {
        "report": report,
        "lead": [report.next_step, *(sentence for sentence in report.answer if sentence != report.shift.words)],
        "trust": report.trust,
        "cards": cards,
        "anchors": {card.candidate.name: card.anchor for card in cards},
        "roles": {role: report.of(role) for role in ROLES},
        "by": by,
        "axis": by.axis(report.of("ranked")),
        "alone": by_cover_alone(report),
        "clean_strip": strips.get("clean"),
        "meaning": {words.key: words.meaning for words in (*COVER_SCORES, *LABEL_SCORES)},
        "cover_scores": COVER_SCORES,
        "label_scores": LABEL_SCORES,
        "glossary": GLOSSARY,
        "paths": PATHS,
        "map": _map(cover, int(share * MOST_SPRITE_BYTES)),
        "gallery": make_gallery(cover, int(share * MOST_GALLERY_BYTES)) if share else [],
        "check_axis": Axis(0.0, 100.0, (0.0, 25.0, 50.0, 75.0, 100.0)),
        "most_files": MOST_FILES,
        "pictures": bool(share),
        "class_bars": make_class_bars(report),
        **_runs(report),
        "model_lines": model_lines(report),
        "correlation": correlation_text,
    }


def _runs(report: RankingReport) -> dict[str, Any]:
    """What short runs and trainings to the end brought."""
    regularisers = report.of("regulariser")
    regulariser_by = ranked_by(report, "regulariser")
    gains = [(one.gain, *(one.gain_interval or ())) for one in report.full_training if one.gain is not None]
    return {
        "regulariser_by": regulariser_by,
        "regulariser_axis": regulariser_by.axis(regularisers),
        "half_masked_axis": half_masked_axis(regularisers),
        "run_parts": make_parts(report),
        "run_scores": RUN_SCORES,
        "run_meaning": RUN_MEANING,
        "run_interval": run_interval,
        "runs": [one for role in ROLES for one in report.of(role) if one.run is not None],
        "confirmed_axis": make_axis(100 * value for values in gains for value in values),
        "ranks": {one.name: one.rank for one in report.candidates},
    }


def _map(cover: AugmentationRanking, most_sprite_bytes: int) -> dict[str, Any] | None:
    drawn = cover.map
    if drawn is None or not len(drawn.cloud) or not drawn.projections:
        return None
    from bokeh.resources import Resources

    sprites = make_sprites(drawn.thumbnails, most_bytes=most_sprite_bytes) if most_sprite_bytes else None
    clouds = clouds_on_map(drawn, cover.report.target)
    sources = Resources(mode="inline", components=["bokeh"], minified=True).js_raw
    return {
        "clouds": clouds,
        "contoured": ", ".join(shortened(one.label, 24) for one in clouds if one.contoured),
        "first": best_projection(drawn),
        "projections": [projection.info for projection in drawn.projections],
        "figure": figure_json(drawn, clouds),
        "points": point_lists(cover, drawn, clouds, sprites=sprites is not None),
        "sprites": None
        if sprites is None
        else {
            "side": sprites.side,
            "columns": sprites.columns,
            "rows": sprites.rows,
            "sheets": sprites.sheets,
        },
        # Bokeh's own code; a closing tag inside of it would end the script element.
        "library": Markup("\n".join(sources).replace("</script", "<\\/script")),
    }
