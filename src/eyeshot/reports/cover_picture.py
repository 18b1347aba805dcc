"""The picture of a run for a README: the map beside the top of the ranking, as one SVG without scripts."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eyeshot.errors import InputError
from eyeshot.reports.joint_map import best_projection, frames_of
from eyeshot.reports.markers import CANDIDATES, PATHS, TARGET, TRAIN, Mark
from eyeshot.reports.page import render, write_text
from eyeshot.reports.pictures import data_address, resized, tiled
from eyeshot.reports.ranking import RankedBy, ranked_by
from eyeshot.reports.wording import shortened, visible

if TYPE_CHECKING:
    from eyeshot.coverage import Candidate, Cover, CoverMap, CoverReport

WIDTH = 1200
SIDE = 520
RIGHT = 608
PLOT_LEFT, PLOT_RIGHT, PLOT_WIDTH = 178, 500, 560
MOST_DOTS = 450
MOST_ROWS = 10
STRIP_COUNT = 6
VIEWS = CANDIDATES[0]


@dataclass(frozen=True)
class Row:
    """One candidate of the small ranking; positions in pixels."""

    name: str
    value: str
    dot: float | None
    bar: tuple[float, float] | None
    colour: str
    open: bool
    first: bool


@dataclass(frozen=True)
class Strip:
    """A row of small pictures and its label on up to two lines."""

    label: tuple[str, str]
    count: int
    address: str


def write_cover_picture(cover: Cover, path: Path) -> Path:
    """Write the map and the top of the ranking as an SVG that GitHub shows: no scripts, nothing from outside.

    Args:
        cover: what `eyeshot.cover()` gave.
        path: the file to write, ending in .svg.

    Raises:
        InputError: `path` does not end in .svg.
        StorageError: the file cannot be written.
    """
    if path.suffix.lower() != ".svg":
        raise InputError(f"The picture is an SVG, so its name must end in .svg, got {path.name!r}.")
    return write_text(path, render("cover_picture.svg.j2", _context(cover)))


def shown_candidates(report: CoverReport) -> list[Candidate]:
    """The best, and TrivialAugment where it is ranked further down."""
    ranked = report.of("ranked")
    shown = ranked[:MOST_ROWS]
    missing = [one for one in ranked[MOST_ROWS:] if one.family == "policy"]
    return [*shown[: MOST_ROWS - len(missing[:1])], *missing[:1]]


def _context(cover: Cover) -> dict[str, Any]:
    report = cover.report
    title = textwrap.wrap(
        visible(report.answer[0] if report.answer else report.advice), 88, max_lines=2, placeholder="…"
    )
    top = 62 + 31 * len(title)
    by = ranked_by(report)
    axis = by.axis(report.of("ranked"))

    def place(value: float) -> float:
        return round(PLOT_LEFT + (PLOT_RIGHT - PLOT_LEFT) * axis.place(value) / 100, 1)

    rows = [_row(candidate, by, place) for candidate in shown_candidates(report)]
    strips = _strips(cover)
    strips_top = 92 + 29 * len(rows)
    bottom = max(SIDE + 60 if cover.map is not None else 0, strips_top + 70 * len(strips))
    drawn = None if cover.map is None else _dots(cover.map, report)
    model = report.models[0].name if report.models else ""
    return {
        "width": WIDTH,
        "height": top + bottom + 20,
        "top": top,
        "side": SIDE,
        "right": RIGHT if drawn is not None else 32,
        "radius": 4.2,
        "title": title,
        "title_text": " ".join(title),
        "subtitle": f"{report.n_train:,} training images, {report.n_target:,} images to be covered "
        f"({report.n_target_used:,} used), {shortened(model, 44)}, {report.size} px",
        "marks": (TRAIN, TARGET, VIEWS),
        "paths": PATHS,
        "dots": drawn,
        "legend": _legend(cover),
        "faith": _faith(cover),
        "axis_name": f"{by.axis_name[:1].upper()}{by.axis_name[1:]}",
        "ticks": [(place(tick), f"{tick:g}".replace("-", "−")) for tick in axis.ticks],
        "zero": place(0),
        "rows": rows,
        "plot_width": PLOT_WIDTH,
        "note": "Bars: intervals from half-samples. Blue: cannot be told from the best.",
        "strips": strips,
        "strips_top": strips_top,
    }


def _row(candidate: Candidate, by: RankedBy, place: Callable[[float], float]) -> Row:
    value, interval = by.value(candidate), by.interval(candidate)
    first = candidate.tie_group == 1
    return Row(
        name=shortened(candidate.name, 21),
        value=by.text(candidate),
        dot=None if value is None else place(value),
        bar=None if interval is None else (place(interval[0]), place(interval[1])),
        colour=TRAIN.colour if first else "#575c65",
        open=by.perhaps_nothing(candidate),
        first=first,
    )


def _advised(points_: CoverMap, report: CoverReport) -> str | None:
    if report.advice in points_.candidates:
        return report.advice
    return points_.candidates[0] if points_.candidates else None


def _dots(points_: CoverMap, report: CoverReport) -> list[tuple[str, float, float]]:
    """Train below, then target and the winner's views in random order, so that neither hides the other."""
    random = np.random.default_rng(0)
    best = points_.projections[best_projection(points_)]
    left, right, bottom, top = frames_of(points_)[best_projection(points_)]
    across = SIDE / (right - left)
    names: list[tuple[str | None, Mark]] = [
        ("train", TRAIN),
        ("target", TARGET),
        (_advised(points_, report), VIEWS),
    ]

    def some(name: str | None, mark: Mark) -> list[tuple[str, float, float]]:
        chosen = np.flatnonzero(points_.cloud == name) if name is not None else np.empty(0, np.int64)
        x, y = best.xy[chosen].T
        chosen = chosen[(x > left) & (x < right) & (y > bottom) & (y < top)]
        if len(chosen) > MOST_DOTS:
            chosen = np.sort(random.choice(chosen, MOST_DOTS, replace=False))
        return [
            (mark.shape, round(float((x - left) * across), 1), round(float((top - y) * across), 1))
            for x, y in best.xy[chosen]
        ]

    train, *rest = (some(name, mark) for name, mark in names)
    upper = [dot for dots in rest for dot in dots]
    return train + [upper[place] for place in random.permutation(len(upper))]


def _legend(cover: Cover) -> list[tuple[Mark, str, float]]:
    if cover.map is None:
        return []
    advised = _advised(cover.map, cover.report)
    entries = [(TRAIN, "train"), (TARGET, "target")]
    if advised is not None:
        entries.append((VIEWS, f"train by {shortened(advised, 28)}"))
    return [(mark, label, 100.0 * place) for place, (mark, label) in enumerate(entries)]


def _faith(cover: Cover) -> str:
    if cover.map is None:
        return ""
    info = cover.map.projections[best_projection(cover.map)].info
    return (
        f"{info.name}, fitted on all clouds together; trustworthiness {info.trustworthiness:.2f}. "
        "Scores are of feature space."
    )


def _strips(cover: Cover) -> list[Strip]:
    """The same training images as they are and by the winner, and some of the target."""
    report = cover.report
    strips = []
    samples = cover.pictures.samples
    for name, label in (("clean", ("train", "")), (report.advice, ("train by", shortened(report.advice, 16)))):
        images = samples.get(name)
        if images is not None and len(images):
            strips.append(_strip(images[:STRIP_COUNT], label))
    if strips and cover.map is not None:
        inside = np.flatnonzero((cover.map.cloud == "target") & (cover.map.covered_by_best == 1))
        spread = inside[np.linspace(0, len(inside) - 1, min(STRIP_COUNT, len(inside))).astype(int)]
        if len(spread):
            strips.append(_strip(cover.map.thumbnails[spread], ("target images", "now covered")))
    return strips


def _strip(images: NDArray[np.uint8], label: tuple[str, str]) -> Strip:
    small = resized(images, 96)
    # JPEG, since not every viewer of SVG files knows WebP.
    return Strip(label=label, count=len(images), address=data_address(tiled(small, len(small)), kind="jpeg"))
