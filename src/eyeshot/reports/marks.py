"""Parts of figures: shapes and colours of clouds, axes of intervals, small bars of classes.

Colours follow Okabe and Ito; blue is train and red is target. Every colour has its own shape.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from eyeshot.reports.page import percent, points, shortened, signed

if TYPE_CHECKING:
    from eyeshot.rankings import Candidate, RankingReport

MOST_CLASSES = 30
MOST_CANDIDATES = 10


@dataclass(frozen=True)
class Mark:
    """How the points of a cloud look.

    Attributes:
        shape: name of a Bokeh marker.
        variable: CSS variable with the colour (light and dark differ).
        colour: the colour on white.
    """

    shape: str
    variable: str
    colour: str


TRAIN = Mark("circle", "--train", "#2166b5")
TARGET = Mark("triangle", "--target", "#cc3529")
VALIDATION = Mark("square", "--validation", "#676c74")
CANDIDATES = (
    Mark("diamond", "--cloud-1", "#c07800"),
    Mark("hex", "--cloud-2", "#8a4fa6"),
    Mark("plus", "--cloud-3", "#13807a"),
    Mark("star", "--cloud-4", "#7a5230"),
    Mark("inverted_triangle", "--cloud-5", "#c9588f"),
    Mark("square_pin", "--cloud-6", "#6f7d12"),
    Mark("asterisk", "--cloud-7", "#3f8f2b"),
    Mark("circle_x", "--cloud-8", "#4d4fa8"),
)


def candidate_mark(position: int) -> Mark:
    """The mark of the mapped candidate at `position`; after the eighth the marks repeat."""
    return CANDIDATES[position % len(CANDIDATES)]


def _polygon(*corners: tuple[float, float]) -> str:
    return "M" + "L".join(f"{x:.2f} {y:.2f}" for x, y in corners) + "Z"


def _around(turns: list[tuple[float, float]]) -> str:
    return _polygon(*((r * math.sin(math.radians(turn)), -r * math.cos(math.radians(turn))) for turn, r in turns))


_CIRCLE = "M-1 0A1 1 0 1 1 1 0A1 1 0 1 1-1 0Z"
PATHS: dict[str, str] = {
    "circle": _CIRCLE,
    "circle_x": _CIRCLE + "M-.7-.7L.7.7M.7-.7L-.7.7",
    "triangle": _around([(0, 1.1), (120, 1.1), (240, 1.1)]),
    "inverted_triangle": _around([(180, 1.1), (300, 1.1), (60, 1.1)]),
    "square": _polygon((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
    "diamond": _polygon((0, -1.15), (0.8, 0), (0, 1.15), (-0.8, 0)),
    "hex": _around([(turn, 1.0) for turn in range(30, 390, 60)]),
    "star": _around([(turn * 36, 1.15 if turn % 2 == 0 else 0.45) for turn in range(10)]),
    "square_pin": "M-1-1Q0-.3 1-1Q.3 0 1 1Q0 .3-1 1Q-.3 0-1-1Z",
    "plus": _polygon(
        (-0.35, -1), (0.35, -1), (0.35, -0.35), (1, -0.35), (1, 0.35), (0.35, 0.35),
        (0.35, 1), (-0.35, 1), (-0.35, 0.35), (-1, 0.35), (-1, -0.35), (-0.35, -0.35),
    ),
    "asterisk": "M0-1V1M-1 0H1M-.7-.7L.7.7M.7-.7L-.7.7",
    "x": "M-.8-.8L.8.8M.8-.8L-.8.8",
    "square_x": "M-.9-.9H.9V.9H-.9ZM-.9-.9L.9.9M.9-.9L-.9.9",
}  # fmt: skip
"""SVG path of each shape within the unit circle."""


@dataclass(frozen=True)
class Axis:
    """A horizontal axis from `low` to `high` with round ticks."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def place(self, value: float) -> float:
        """Position of `value` in percent of the width, clipped to 0 to 100."""
        return round(min(100.0, max(0.0, 100 * (value - self.low) / (self.high - self.low))), 3)

    def bar(self, interval: tuple[float, float]) -> tuple[float, float]:
        """Left end and width of an interval in percent."""
        left, right = self.place(interval[0]), self.place(interval[1])
        return left, round(right - left, 3)


def round_step(span: float, most: int) -> float:
    """The smallest of 1, 2, 5 times a power of ten that cuts `span` into at most `most` parts."""
    rough = span / most
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in (1.0, 2.0, 5.0, 10.0) if step * power >= rough * (1 - 1e-9))


def make_axis(values: Iterable[float], *, ticks: int = 5, least_span: float = 1e-3) -> Axis:
    """An axis with round ends that contains zero and all finite `values`."""
    finite = [value for value in values if math.isfinite(value)]
    low, high = min([0.0, *finite]), max([0.0, *finite])
    if high - low < least_span:
        high = low + least_span
    margin = 0.03 * (high - low)
    low, high = (low - margin if low < 0 else 0.0), (high + margin if high > 0 else 0.0)
    step = round_step(high - low, ticks)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    # Room to the left of a zero at the very edge, so that its line and dots are not cut in half.
    return Axis(low=min(low, -margin), high=high, ticks=tuple(round(n * step, 12) for n in range(first, last + 1)))


def make_class_bars(report: RankingReport) -> dict[str, Any] | None:
    """Which classes of the target the best candidates cover: the table of bars for the page.

    The table has the best of the ranking and TrivialAugment.

    Returns:
        `candidates` (names, a column each), `rows` (a class and its bars, the largest differences first; a bar has
        `value`, `text` and `description`), `axis` (the same for all bars), and how many classes and candidates were
        `left_out` and are `more_candidates`. None if no candidate covers more of any class than the control.
    """
    measured = [
        candidate
        for candidate in report.of("ranked")
        if any(scores.covered is not None for scores in candidate.per_class.values())
    ]
    policy = [candidate for candidate in measured[MOST_CANDIDATES:] if candidate.family == "policy"][:1]
    shown = [*measured[: MOST_CANDIDATES - len(policy)], *policy]

    def gains(label: str) -> list[int]:
        return [candidate.per_class[label].covered or 0 for candidate in shown if label in candidate.per_class]

    def bar(candidate: Candidate, label: str) -> dict[str, Any]:
        scores = candidate.per_class.get(label)
        if scores is None or scores.covered is None:
            return {"value": None, "text": "–", "description": f"{shortened(label, 40)}: not measured"}
        description = (
            f"{shortened(label, 40)} under {shortened(candidate.name, 40)}: {signed(scores.covered, 0)} target images "
            f"covered beyond the identity control; affinity {percent(scores.affinity)}; "
            f"relearnability {percent(scores.relearnability)}; retention {points(scores.retention)} points"
        )
        return {"value": scores.covered, "text": signed(scores.covered, 0), "description": description}

    labels = [label for label in report.classes if gains(label)]
    labels.sort(key=lambda label: -max(map(abs, gains(label))))
    chosen = labels[:MOST_CLASSES]
    if not any(any(gains(label)) for label in chosen):
        return None
    return {
        "candidates": [candidate.name for candidate in shown],
        "rows": [(label, [bar(candidate, label) for candidate in shown]) for label in chosen],
        "axis": make_axis((value for label in chosen for value in gains(label)), ticks=3, least_span=1.0),
        "left_out": len(labels) - len(chosen),
        "more_candidates": len(measured) - len(shown),
    }
