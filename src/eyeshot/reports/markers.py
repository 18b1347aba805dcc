"""Shapes and colours of the clouds, the same in the map, its switches and the picture for print.

Colours are the Okabe-Ito idea with blue kept for train and red for target; shapes stand beside colours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Mark:
    """How the points of one cloud look.

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
    """The mark of the mapped candidate at `position`; beyond the eighth they repeat."""
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
