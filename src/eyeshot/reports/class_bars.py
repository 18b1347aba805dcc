"""Classes by candidate: which classes of the target each candidate reaches, as small bars."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from eyeshot.reports.interval_plot import Axis, make_axis
from eyeshot.reports.wording import percent, points, shortened, signed

if TYPE_CHECKING:
    from eyeshot.rankings import Candidate, RankingReport

MOST_CLASSES = 30
MOST_CANDIDATES = 10


@dataclass(frozen=True)
class ClassBar:
    """One class under one candidate: target images covered beyond the no-op, and what a pointer shows."""

    covered: int | None
    text: str
    says: str


@dataclass(frozen=True)
class ClassBars:
    """The table of bars.

    Attributes:
        candidates: names, one column each, in the order of the ranking.
        rows: class and its bars, one per candidate; classes that the candidates tell apart most come first.
        axis: the same for all bars.
        left_out: classes that are not shown.
        more_candidates: ranked candidates that are not shown.
    """

    candidates: list[str]
    rows: list[tuple[str, list[ClassBar]]]
    axis: Axis
    left_out: int
    more_candidates: int


def make_class_bars(report: RankingReport) -> ClassBars | None:
    """The best of the ranking and TrivialAugment; None where no class is covered beyond the no-op by any of them."""
    measured = [one for one in report.of("ranked") if any(s.covered is not None for s in one.per_class.values())]
    policy = [one for one in measured[MOST_CANDIDATES:] if one.family == "policy"][:1]
    shown = [*measured[: MOST_CANDIDATES - len(policy)], *policy]

    def covered(name: str) -> list[int]:
        return [one.per_class[name].covered or 0 for one in shown if name in one.per_class]

    names = [name for name in report.classes if covered(name)]
    names.sort(key=lambda name: -max(map(abs, covered(name))))
    chosen = names[:MOST_CLASSES]
    if not any(any(covered(name)) for name in chosen):
        return None
    return ClassBars(
        candidates=[one.name for one in shown],
        rows=[(name, [_bar(one, name) for one in shown]) for name in chosen],
        axis=make_axis((value for name in chosen for value in covered(name)), ticks=3, least_span=1.0),
        left_out=len(names) - len(chosen),
        more_candidates=len(measured) - len(shown),
    )


def _bar(candidate: Candidate, name: str) -> ClassBar:
    scores = candidate.per_class.get(name)
    if scores is None or scores.covered is None:
        return ClassBar(None, "–", f"{shortened(name, 40)}: not measured")
    says = [
        f"{shortened(name, 40)} under {shortened(candidate.name, 40)}: "
        f"{signed(scores.covered, 0)} target images covered beyond the no-op",
        f"affinity {percent(scores.affinity)}",
        f"relearnability {percent(scores.relearnability)}",
        f"retention {points(scores.retention)} points",
    ]
    return ClassBar(scores.covered, signed(scores.covered, 0), "; ".join(says))
