"""The two orders side by side: by cover and by validation, with a line for each candidate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eyeshot.coverage import CoverReport

FAR = 0.25
"""A line that crosses more than this share of all places is marked."""


@dataclass(frozen=True)
class Slope:
    """The line of one candidate: its places (from 0) in the two orders."""

    name: str
    left: int
    right: int
    best: bool
    far: bool


@dataclass(frozen=True)
class TwoOrders:
    """Both orders, and the lines between them; the names of the first tie group of all are in `best`."""

    by_cover: list[str]
    by_validation: list[str]
    slopes: list[Slope]
    best: set[str]

    @property
    def rows(self) -> int:
        """How many places the longer order has."""
        return max(len(self.by_cover), len(self.by_validation))


def make_orders(report: CoverReport) -> TwoOrders | None:
    """None where there are not both orders."""
    order = report.order
    if order is None or not order.by_cover or not order.by_validation:
        return None
    best = {one.name for one in report.of("ranked") if one.tie_group == 1}
    places = {name: place for place, name in enumerate(order.by_validation)}
    apart = FAR * len(places)
    slopes = [
        Slope(name, left, places[name], name in best, abs(left - places[name]) > apart)
        for left, name in enumerate(order.by_cover)
        if name in places
    ]
    # The best are drawn last, on top.
    return TwoOrders(order.by_cover, order.by_validation, sorted(slopes, key=lambda one: (one.best, one.far)), best)
