"""Validation accuracy against the leaderboard's score of all submissions, as one SVG."""

from __future__ import annotations

import math
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from eyeshot.core import NORMAL_95, InputError, wilson
from eyeshot.predictions import public_count
from eyeshot.reports.marks import TARGET
from eyeshot.reports.page import shortened, visible
from eyeshot.reports.ranking_picture import INK, PAPER, RULE, SOFT, UNITS, fix_layout, write_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from eyeshot.ledger import SubmissionReport
    from eyeshot.predictions import Submission

WIDTH, HEIGHT, HEAD = 900, 780, 120
MOST_NAMES = 12


def write_submissions_picture(report: SubmissionReport, path: Path | str) -> Path:
    """Write the picture of all submissions with a score whose run is known.

    Each is a point with 95 % intervals of both accuracies. The band around equality is as wide as noise reaches where
    nothing differs: 1.96 standard errors of the difference, for the smallest number of images among the submissions.

    Args:
        report: what `eyeshot.submit()` returned.
        path: the file to write, ending in .svg.

    Raises:
        InputError: no submission has both accuracies, or `path` does not end in .svg.
        StorageError: the file cannot be written.
    """
    if report.gap is None:
        raise InputError(
            "The picture needs a submission with a score whose run is known, got none. Next: eyeshot submit FILE "
            "--score SCORE --run RUN"
        )
    return write_figure(lambda: draw_submissions(report), Path(path), title=report.answer)


def score_interval(report: SubmissionReport, submission: Submission) -> tuple[float, float, int]:
    """The 95 % interval of a submission's score, and the images it is computed on: all where the share is not known."""
    assert submission.score is not None
    count = public_count(submission.n, report.public_share)
    return (*wilson(round(submission.score * count), count), count)


def draw_submissions(report: SubmissionReport) -> Figure:
    """The figure: a point for each submission, the line of equality, and the band of noise around it."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(rect=(0.02, 0.015, 0.96, 1 - HEAD / HEIGHT), h_pad=0.05, w_pad=0.05)
    figure = Figure(figsize=(WIDTH / UNITS, HEIGHT / UNITS), dpi=UNITS, facecolor=PAPER, layout=layout)
    for number, words in enumerate(textwrap.wrap(visible(report.answer), 76, max_lines=3, placeholder="…")):
        figure.text(32 / WIDTH, 1 - (40 + 27 * number) / HEIGHT, words, fontsize=18, fontweight="bold")
    axes = figure.add_subplot()
    points, ends, counts = [], [], []
    for each in report.submissions:
        if each.score is None or each.validation is None or each.validation.interval is None:
            continue
        low, high, count = score_interval(report, each)
        validation = each.validation.value or 0.0
        points.append((validation, each.score, each.name))
        ends.append((*each.validation.interval, low, high))
        counts.append((each.validation.n, count))
    bottom, top = min(min(row) for row in ends), max(max(row) for row in ends)
    margin = max(0.02, 0.08 * (top - bottom))
    bottom, top = max(0.0, bottom - margin), min(1.0, top + margin)
    line = np.linspace(bottom, top, 200)
    images, public = min(count for count, _ in counts), min(count for _, count in counts)
    half = NORMAL_95 * np.sqrt(line * (1 - line) * (1 / images + 1 / public))
    axes.fill_between(line, line - half, line + half, color=(SOFT, 0.15), linewidth=0, label="noise alone (95 %)")
    axes.plot(line, line, color=INK, linewidth=1.2, label="leaderboard = validation")
    for (x, y, _), (left, right, low, high) in zip(points, ends, strict=True):
        axes.plot([left, right], [y, y], color=(TARGET.colour, 0.45), linewidth=1.4)
        axes.plot([x, x], [low, high], color=(TARGET.colour, 0.45), linewidth=1.4)
        axes.plot(x, y, "^", color=TARGET.colour, markersize=10, zorder=3)
    named = sorted(points, key=lambda point: -point[1])[:MOST_NAMES]
    for x, y, name in named:
        axes.annotate(shortened(name, 28), (x, y), xytext=(9, 6), textcoords="offset points", fontsize=13, color=INK)
    axes.set(xlim=(bottom, top), ylim=(bottom, top))
    axes.set_xlabel(f"validation accuracy (at least {images:,} images)")
    axes.set_ylabel(f"leaderboard (at least {public:,} images)")
    axes.grid(color=RULE, zorder=0)
    axes.spines[:].set_visible(False)
    axes.legend(loc="upper left", frameon=False, fontsize=13)
    step = 10 ** math.floor(math.log10(max(top - bottom, 1e-3)))
    step = next(part for part in (step / 5, step / 2, step, 2 * step) if (top - bottom) / part <= 8)
    ticks = np.arange(math.ceil(bottom / step), math.floor(top / step) + 1) * step
    texts = [f"{tick:.3f}".rstrip("0").rstrip(".") for tick in ticks]
    axes.set_xticks(ticks, texts)
    axes.set_yticks(ticks, texts)
    fix_layout(figure)
    return figure
