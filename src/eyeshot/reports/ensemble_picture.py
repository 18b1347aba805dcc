"""The picture of an ensemble, as one SVG: how the members' errors go together, and what it gains in each class."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from eyeshot.core import InputError
from eyeshot.reports.marks import CANDIDATES
from eyeshot.reports.page import MINUS, shortened, visible, write_text
from eyeshot.reports.ranking_picture import INK, PAPER, RULE, SOFT, STYLE, UNITS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from eyeshot.ledger import EnsembleReport

WIDTH, MAP_SIDE, ROW = 1200, 460, 26
EDGE = 0.04  # of the width, empty on the left
MOST_NAMES = 24
MOST_NUMBERS = 12
MOST_CLASSES = 16
"""Of more classes, those with the largest losses and gains are shown."""


def write_ensemble_picture(report: EnsembleReport, path: Path | str) -> Path:
    """Write the correlation of the members' errors and the gain of each class as an SVG without scripts.

    Args:
        report: what `eyeshot.ensemble()` returned.
        path: the file to write, ending in .svg.

    Raises:
        InputError: `path` does not end in .svg.
        StorageError: the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".svg":
        raise InputError(f"The picture is an SVG, so its name must end in .svg, got {path.name!r}.")
    from matplotlib import style

    picture = io.StringIO()
    with warnings.catch_warnings(), style.context(["default", STYLE | {"font.size": 13}]):
        figure = _draw(report)
        title = visible(report.answer)
        # Text is stored as text: the reader's fonts may have glyphs that the font used for measuring lacks.
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        figure.savefig(picture, format="svg", metadata={"Date": None, "Creator": "eyeshot", "Title": title})
    return write_text(path, picture.getvalue())


def _draw(report: EnsembleReport) -> Figure:
    from matplotlib.figure import Figure

    classes = _shown_classes(report)
    height = max(MAP_SIDE, 140 + ROW * len(classes)) + 90
    figure = Figure(figsize=(WIDTH / UNITS, height / UNITS), dpi=UNITS, facecolor=PAPER)
    # Text is stored as text: a reader's font may be wider than that used for measuring, so names need room at the edge.
    figure.set_layout_engine("constrained", rect=(EDGE, 0.01, 1 - EDGE - 0.01, 0.98))
    left, right = figure.subplots(1, 2, width_ratios=[1.15, 1])
    _draw_correlation(left, report)
    _draw_classes(right, report, classes)
    return figure


def _draw_correlation(axes: Axes, report: EnsembleReport) -> None:
    """A square for each pair of members, those of the ensemble first; dark where they are wrong on the same images."""
    order = sorted(range(len(report.members)), key=lambda number: -report.members[number].weight)
    values = np.array(report.correlation)[np.ix_(order, order)]
    drawn = axes.imshow(values, cmap="Blues", vmin=0, vmax=1, aspect="equal")
    names = [shortened(report.members[number].name, 28) for number in order]
    few = len(names) <= MOST_NAMES
    axes.set_yticks(range(len(names)) if few else [], names if few else [])
    axes.set_xticks(range(len(names)) if few else [], [str(number + 1) for number in range(len(names))] if few else [])
    if len(names) <= MOST_NUMBERS:
        for row in range(len(names)):
            for column in range(len(names)):
                value = values[row, column]
                text = f"{value:.2f}".replace("-", MINUS)
                axes.text(column, row, text, ha="center", va="center", color=PAPER if value > 0.55 else INK)
    axes.set_title("Correlation of the members' errors: less is better", loc="left", fontsize=15, pad=14)
    axes.set_xlabel("" if few else f"{len(names)} members, the ensemble's first", color=SOFT)
    axes.tick_params(length=0)
    bar = axes.figure.colorbar(drawn, ax=axes, shrink=0.6)
    bar.outline.set_visible(False)


def _draw_classes(axes: Axes, report: EnsembleReport, classes: list[str]) -> None:
    """Gain of each class against the best run, in points, with its interval."""
    gains = [report.per_class[name] for name in classes]
    places = np.arange(len(classes))
    for place, gain in zip(places, gains, strict=True):
        axes.plot([100 * gain.low, 100 * gain.high], [place, place], color=RULE, linewidth=4, solid_capstyle="round")
    middle = [100 * gain.difference for gain in gains]
    axes.scatter(middle, places, color=CANDIDATES[0].colour, zorder=3, s=36)
    axes.axvline(0, color=SOFT, linewidth=1)
    axes.set_yticks(places, [shortened(name, 28) for name in classes])
    axes.set_ylim(len(classes) - 0.5, -0.5)
    left_out = len(report.per_class) - len(classes)
    more = f" ({left_out} classes between are left out)" if left_out else ""
    axes.set_title(f"{report.method} against the best run, by class", loc="left", fontsize=15, pad=14)
    axes.set_xlabel(f"points of recall out of fold, with 95 % interval{more}", color=SOFT)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(length=0)


def _shown_classes(report: EnsembleReport) -> list[str]:
    """Classes from the largest gain to the largest loss."""
    names = sorted(report.per_class, key=lambda name: -report.per_class[name].difference)
    half = MOST_CLASSES // 2
    return names if len(names) <= MOST_CLASSES else [*names[:half], *names[-half:]]
