"""The picture: score against true gain, a point for each candidate, a panel for each task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from benchmarks.augmentation_truth.judge import Judged
from benchmarks.augmentation_truth.rankings import RANKING, Task, product_gain
from benchmarks.augmentation_truth.recipes import CONTROLS
from benchmarks.augmentation_truth.scores import ScoreRow
from benchmarks.augmentation_truth.truth import Truth

WIDE, HIGH, GAP, MARGIN = 132, 112, 32, 30
OPENING = 26  # for the description of the axes, above the first row
COLUMNS = 7


def draw(judged: Sequence[Judged], truths: Sequence[Truth], scores: Mapping[Task, Sequence[ScoreRow]]) -> str:
    """SVG of all tasks that have scores, including negative scores."""
    figures = {
        (judgement.source, judgement.model, judgement.target): judgement
        for judgement in judged
        if judgement.world in ("shifted", "not shifted")
    }
    panels = []
    rows: dict[tuple[str, str], int] = {}
    columns: dict[tuple[str, str], int] = {}
    for truth in truths:
        task = (truth.source, truth.model, truth.target)
        if task not in scores or RANKING not in figures[task].rankings:
            continue
        of = (truth.source, truth.model)
        row = rows.setdefault(of, len(rows))
        column = columns.get(of, 0)
        columns[of] = column + 1
        x, y = MARGIN + column * (WIDE + GAP), OPENING + MARGIN + row * (HIGH + 44)
        panels.append(_panel(truth, product_gain(scores[task]), figures[task], x, y))
    width = 2 * MARGIN + COLUMNS * (WIDE + GAP)
    height = OPENING + 2 * MARGIN + max(1, len(rows)) * (HIGH + 44)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="9" fill="#202124"><rect width="{width}" height="{height}" fill="#ffffff"/>'
        f'<text x="{MARGIN}" y="16" font-size="11">Across: gain by eyeshot cover (0 is clean). Upwards: true gain over '
        "clean in points of accuracy. A point a candidate.</text>" + "".join(panels) + "</svg>\n"
    )


def _panel(truth: Truth, gains: Mapping[str, float], figures: Judged, left: float, top: float) -> str:
    means = dict(zip(truth.names, truth.mean.tolist(), strict=True))
    names = [name for name in truth.names if name in gains and name not in CONTROLS]
    across = np.array([gains[name] for name in names])
    upwards = np.array([100 * (means[name] - figures.clean) for name in names])
    x, y = _scale(across, left + 6, left + WIDE - 6), _scale(upwards, top + HIGH - 6, top + 6)
    value = figures.rankings[RANKING].spearman
    words = "not defined" if value is None else f"ρ {value:.2f}".replace("-", "−")
    parts = [
        f"<g><title>{escape(f'{truth.source}, {truth.model}, {truth.target}')}</title>"
        f'<rect x="{left}" y="{top}" width="{WIDE}" height="{HIGH}" fill="none" stroke="#9aa0a6"/>',
        f'<line x1="{left}" x2="{left + WIDE}" y1="{y(0):.1f}" y2="{y(0):.1f}" stroke="#dadce0"/>',
        f'<line y1="{top}" y2="{top + HIGH}" x1="{x(0):.1f}" x2="{x(0):.1f}" stroke="#dadce0"/>',
        f'<text x="{left}" y="{top - 14}" font-weight="bold">{escape(f"{truth.source} → {truth.target}")}</text>',
        f'<text x="{left}" y="{top - 4}">{escape(truth.model)}, {words}</text>',
        *(
            f'<text x="{at:.1f}" y="{top + HIGH + 10}" text-anchor="middle" fill="#5f6368">{words}</text>'
            for at, words in x.ticks(2, apart=26)
        ),
        *(
            f'<text x="{left - 3}" y="{at + 3:.1f}" text-anchor="end" fill="#5f6368">{words}</text>'
            for at, words in y.ticks(0, apart=12)
        ),
    ]
    for name, score, gain in zip(names, across, upwards, strict=True):
        words = escape(f"{name}: score {score:+.3f}, true gain {gain:+.1f} points")
        parts.append(
            f'<circle cx="{x(score):.1f}" cy="{y(gain):.1f}" r="2.4" fill="#1a73e8" fill-opacity="0.6">'
            f"<title>{words}</title></circle>"
        )
    return "".join(parts) + "</g>"


class _scale:
    """From values to pixels; zero is always inside."""

    def __init__(self, values: np.ndarray[tuple[int, ...], np.dtype[np.float64]], begin: float, end: float) -> None:
        self._low, self._high = min(0.0, float(values.min())), max(0.0, float(values.max()))
        self._span = max(self._high - self._low, 1e-9)
        self._begin, self._end = begin, end

    def __call__(self, value: float) -> float:
        return self._begin + (value - self._low) / self._span * (self._end - self._begin)

    def ticks(self, digits: int, *, apart: float) -> list[tuple[float, str]]:
        """Zero, and both ends if they are at least this many pixels away from it: pixels, and the value in words."""
        far = [end for end in (self._low, self._high) if abs(self(end) - self(0)) >= apart]
        return [(self(0), "0"), *((self(end), f"{end:+.{digits}f}".replace("-", "−")) for end in far)]
