"""The picture of a run for a README or for print, as an SVG: the joint map next to the top of the ranking."""

from __future__ import annotations

import io
import textwrap
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from eyeshot.core import InputError
from eyeshot.reports.joint_map import best_projection, frames_of
from eyeshot.reports.marks import CANDIDATES, TARGET, TRAIN, Mark
from eyeshot.reports.page import MINUS, shortened, visible, write_text
from eyeshot.reports.pictures import resized
from eyeshot.reports.ranking_page import headline_of
from eyeshot.reports.score_breakdown import in_groups, ranked_by

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from eyeshot.rankings import AugmentationRanking, Candidate, JointMap, RankingReport

UNITS = 72  # per inch, so that text sizes are in the units of the picture
WIDTH, MARGIN = 1200, 32
MAP_SIDE, ROW, STRIP, HEAD_LINE = 520, 29, 70, 31
MOST_DOTS = 450
MOST_ROWS = 10
STRIP_COUNT = 6
STRIP_SIDE = 66
LAYERS = 30
"""Overlapping clouds are drawn in this many alternating layers, so that neither hides the other."""

PAPER, INK, SOFT, RULE = "#fdfdfb", "#1d2025", "#575c65", "#dbd8cf"
SAMPLES = CANDIDATES[0]
MARKERS = {TRAIN.shape: "o", TARGET.shape: "^", SAMPLES.shape: "d"}
STYLE = {
    "font.size": 15,
    "text.color": INK,
    "text.parse_math": False,  # a name may contain dollar signs
    "axes.edgecolor": RULE,
    "axes.facecolor": "none",
    "xtick.color": SOFT,
    "ytick.color": INK,
    "svg.fonttype": "none",  # text that can be searched and read aloud
    "svg.hashsalt": "eyeshot",  # the same result gives the same file
}


def write_ranking_picture(ranking: AugmentationRanking, path: Path | str) -> Path:
    """Write the map and the top of the ranking as an SVG that GitHub shows: no scripts, no external resources.

    Args:
        ranking: the result of `eyeshot.rank_augmentations()`.
        path: the file to write, ending in .svg.

    Raises:
        InputError: `path` does not end in .svg.
        StorageError: the file cannot be written.
    """
    return write_figure(lambda: draw_ranking(ranking), Path(path), title=headline_of(ranking.report))


def write_figure(draw: Callable[[], Figure], path: Path, *, title: str) -> Path:
    """Write what `draw` makes as an SVG, in the style of all pictures.

    Raises:
        InputError: `path` does not end in .svg.
        StorageError: the file cannot be written.
    """
    if path.suffix.lower() != ".svg":
        raise InputError(f"The picture is an SVG, so its name must end in .svg, got {path.name!r}.")
    from matplotlib import style

    picture = io.StringIO()
    # Without pyplot, and whatever the user's own matplotlibrc contains.
    with style.context(["default", STYLE]), warnings.catch_warnings():
        # Text is stored as text: the reader's fonts may have glyphs that the font used for measuring lacks.
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        figure = draw()
        metadata = {"Date": None, "Creator": "eyeshot", "Title": visible(title)}
        figure.savefig(picture, format="svg", metadata=metadata)
    return write_text(path, picture.getvalue())


def draw_ranking(ranking: AugmentationRanking) -> Figure:
    """The figure: the headline above, the map on the left, the ranking and strips of images on the right."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    report = ranking.report
    title = textwrap.wrap(visible(headline_of(report)), 84, max_lines=2, placeholder="…")
    shown = shown_candidates(report)
    strips = _strips(ranking)
    head = MARGIN + 36 + HEAD_LINE * len(title)
    ranking_height = 126 + ROW * max(1, len(shown))
    body = max(MAP_SIDE + 80 if ranking.map is not None else 0, ranking_height + STRIP * len(strips))
    height = head + body + 20
    layout = ConstrainedLayoutEngine(
        rect=(20 / WIDTH, 12 / height, 1 - 40 / WIDTH, (body + 8) / height), h_pad=0.05, w_pad=0.12, hspace=0, wspace=0
    )
    figure = Figure(figsize=(WIDTH / UNITS, height / UNITS), dpi=UNITS, facecolor=PAPER, layout=layout)
    for number, line in enumerate(title):
        y = 1 - (46 + HEAD_LINE * number) / height
        figure.text(MARGIN / WIDTH, y, line, fontsize=21, fontweight="bold")
    model = report.models[0].name if report.models else ""
    subtitle = (
        f"{report.n_train:,} training images, {report.n_target:,} images to be covered "
        f"({report.n_target_used:,} used), {shortened(model, 44)}, {report.size} px"
    )
    figure.text(MARGIN / WIDTH, 1 - (42 + HEAD_LINE * len(title)) / height, subtitle, color=SOFT)

    columns = 1 if ranking.map is None else 2
    ratios = [1.0] if ranking.map is None else [1.0, 1.06]
    grid = figure.add_gridspec(1, columns, width_ratios=ratios)
    if ranking.map is not None:
        _draw_map(figure.add_subplot(grid[0, 0]), ranking.map, report)
    rest = body - ranking_height - STRIP * len(strips)
    right = grid[0, columns - 1].subgridspec(
        len(strips) + 2, 1, height_ratios=[ranking_height, *([STRIP] * len(strips)), max(rest, 1)]
    )
    _draw_ranking(figure.add_subplot(right[0, 0]), shown, report)
    for number, (label, images) in enumerate(strips, start=1):
        _draw_strip(figure.add_subplot(right[number, 0]), label, images)
    fix_layout(figure)
    return figure


def fix_layout(figure: Figure) -> None:
    """Lay the figure out once, and round: the solver's last digits differ from run to run, and ids hash them."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        left, bottom, width, height = (round(length, 5) for length in axes.get_position(original=True).bounds)
        axes.set_position((left, bottom, width, height))


def shown_candidates(report: RankingReport) -> list[Candidate]:
    """The best candidates, and TrivialAugment if its rank is lower."""
    ranked = in_groups(report.of("ranked"))
    shown = ranked[:MOST_ROWS]
    missing = [candidate for candidate in ranked[MOST_ROWS:] if candidate.family == "policy"]
    return [*shown[: MOST_ROWS - len(missing[:1])], *missing[:1]]


def _draw_map(axes: Axes, points: JointMap, report: RankingReport) -> None:
    """Train at the bottom, then alternate between the target and the samples of the advised candidate."""
    random = np.random.default_rng(0)
    number = best_projection(points)
    projection = points.projections[number]
    left, right, bottom, top = frames_of(points)[number]
    advised = report.advice if report.advice in points.candidates else next(iter(points.candidates), None)
    clouds: list[tuple[str, Mark, str]] = [("train", TRAIN, "train"), ("target", TARGET, "target")]
    if advised is not None:
        clouds.append((advised, SAMPLES, f"augmented by {shortened(advised, 24)}"))
    for cloud, mark, label in clouds:
        chosen = np.flatnonzero(points.cloud == cloud)
        x, y = projection.xy[chosen].T
        chosen = chosen[(x > left) & (x < right) & (y > bottom) & (y < top)]
        chosen = random.permutation(chosen)[:MOST_DOTS]
        layers = [chosen] if mark is TRAIN else np.array_split(chosen, LAYERS)
        for layer, rows in enumerate(layers):
            axes.scatter(
                projection.xy[rows, 0],
                projection.xy[rows, 1],
                s=55,
                marker=MARKERS[mark.shape],
                facecolor=(mark.colour, 0.5),
                edgecolor=mark.colour,
                linewidth=0.8,
                zorder=1 if mark is TRAIN else 2 + layer,
                label=label if layer == 0 else None,
            )
    axes.set(xlim=(left, right), ylim=(bottom, top), aspect="equal", anchor="NW", xticks=[], yticks=[])
    axes.legend(
        loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=3, frameon=False, borderpad=0.2,
        handletextpad=0.1, columnspacing=1.2,
    )  # fmt: skip
    info = projection.info
    words = f"{info.name} of all clouds together; trustworthiness {info.trustworthiness:.2f}. Scores: feature space."
    axes.set_xlabel(words, loc="left", color=SOFT, fontsize=13)


def _draw_ranking(axes: Axes, shown: list[Candidate], report: RankingReport) -> None:
    """A row for each candidate: its name, interval and number; the first indistinguishable group in blue on a band."""
    by = ranked_by(report)
    scale = by.axis(report.of("ranked"))
    for row, candidate in enumerate(shown):
        first = candidate.group == 1
        colour = TRAIN.colour if first else SOFT
        if first:
            axes.axhspan(row - 0.5, row + 0.5, facecolor=(TRAIN.colour, 0.09), linewidth=0, zorder=0)
        interval, value = by.interval(candidate), by.value(candidate)
        if interval is not None:
            axes.plot(interval, [row, row], color=colour, linewidth=1.8, marker="|", markersize=9, markeredgewidth=1.8)
        if value is not None:
            face = PAPER if by.perhaps_nothing(candidate) else colour
            axes.plot(value, row, "o", markersize=10, color=colour, markerfacecolor=face, markeredgewidth=1.8, zorder=3)
        axes.annotate(
            by.text(candidate), (1, row), xycoords=axes.get_yaxis_transform(), xytext=(64, 0),
            textcoords="offset points", ha="right", va="center_baseline", fontweight="bold",
        )  # fmt: skip
    axes.axvline(0, color=INK, linewidth=1.5, zorder=1)
    ticks = [f"{tick:g}".replace("-", MINUS) for tick in scale.ticks]
    axes.set_xlim(scale.low, scale.high)
    axes.set_ylim(max(1, len(shown)) - 0.5, -0.5)
    axes.set_xticks(scale.ticks, ticks, fontsize=13)
    axes.set_yticks(range(len(shown)), [shortened(candidate.name, 22) for candidate in shown])
    axes.tick_params(length=0, top=False, bottom=False, labeltop=True, labelbottom=False)
    axes.grid(axis="x", color=RULE, zorder=0)
    axes.spines[:].set_visible(False)
    name = textwrap.fill(f"{by.axis_name[:1].upper()}{by.axis_name[1:]}", 40)
    axes.set_title(name, fontsize=14, fontweight="bold", loc="left")
    note = "Bars: intervals from half-samples.\nBlue: indistinguishable from the best."
    axes.set_xlabel(note, color=SOFT, fontsize=13, loc="left")


def _strips(ranking: AugmentationRanking) -> list[tuple[str, NDArray[np.uint8]]]:
    """The same training images clean and augmented by the winner, and some target images; each uint8 (n, s, s, 3)."""
    report = ranking.report
    strips = []
    samples = ranking.pictures.samples
    for name, label in (("clean", "train"), (report.advice, f"augmented by\n{shortened(report.advice, 18)}")):
        images = samples.get(name)
        if images is not None and len(images):
            strips.append((label, images[:STRIP_COUNT]))
    if strips and ranking.map is not None:
        inside = np.flatnonzero((ranking.map.cloud == "target") & (ranking.map.covered_by_best == 1))
        spread = inside[np.linspace(0, len(inside) - 1, min(STRIP_COUNT, len(inside))).astype(int)]
        if len(spread):
            strips.append(("target images\nnow covered", ranking.map.thumbnails[spread]))
    return strips


def _draw_strip(axes: Axes, label: str, images: NDArray[np.uint8]) -> None:
    small = resized(images, STRIP_SIDE)
    gap = max(1, small.shape[1] // 22)
    apart = np.pad(small, ((0, 0), (0, 0), (0, gap), (0, 0)), constant_values=253)
    count, high, wide = apart.shape[:3]
    row = apart.transpose(1, 0, 2, 3).reshape(high, count * wide, 3)
    axes.imshow(row, interpolation="none")
    axes.set(anchor="W", xticks=[])
    axes.set_yticks([(high - 1) / 2], [label], color=SOFT)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
