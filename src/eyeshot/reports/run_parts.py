"""The parts of the ranking of all, side by side, and what else the short runs said."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from eyeshot.reports.interval_plot import Axis, make_axis
from eyeshot.reports.wording import ScoreWords, points, signed

if TYPE_CHECKING:
    from eyeshot.rankings import Candidate, RankingReport

RUN_SCORES = (
    ScoreWords("accuracy", "accuracy", "On validation images after the short run, mean over starts.", "percent"),
    ScoreWords(
        "accuracy_gain", "gain of accuracy", "Accuracy less that of clean after as many steps, in points.", "points"
    ),
    ScoreWords(
        "log_loss",
        "log loss",
        "On validation images, after temperature scaling (cross-fitted), in nats: smaller is better.",
        "nats",
    ),
    ScoreWords(
        "log_loss_gain",
        "gain of log loss",
        "Log loss of clean after as many steps less this one, in nats: above 0 is better than clean.",
        "gain",
    ),
    ScoreWords(
        "post_training_coverage",
        "cover after the run",
        "Label-consistent coverage of the target by clean training images, in the space of the model so trained.",
        "share",
    ),
    ScoreWords(
        "post_training_coverage_gain",
        "gain of cover after the run",
        "Cover after the run less that of clean after as many steps, in points.",
        "points",
    ),
    ScoreWords(
        "balance",
        "balance",
        "How evenly the predictions on the target spread over the classes: 1 is alike. It means nothing where the "
        "target's own classes are uneven. Shown, not scored.",
        "number",
    ),
    ScoreWords(
        "confidence",
        "confidence",
        "Mean of the largest probability on the target: how sure the predictions are. Shown, not scored.",
        "number",
    ),
    ScoreWords(
        "half_masked_before",
        "half hidden, before",
        "Accuracy on half hidden validation images of the starts, before the run.",
        "percent",
    ),
    ScoreWords("half_masked_after", "half hidden, after", "The same after the run.", "percent"),
    ScoreWords(
        "half_masked_gain",
        "half hidden, gain",
        "Half hidden after the run less that of clean after as many steps, in points.",
        "points",
    ),
)
SURE = (
    "Mean probability that the validation images' right classes get, after temperature scaling, less that of clean "
    "after as many steps."
)
HEAD = (
    "The same by a linear head on frozen features of clean images and views, less that of one on clean images alone. "
    "The larger of the two counts."
)
RUN_MEANING = {words.key: words.meaning for words in RUN_SCORES}


@dataclass(frozen=True)
class PartColumn:
    """One part of the ranking: its name, its unit, what it means, and the robust spread that is 1 of its bars."""

    key: str
    name: str
    unit: str
    meaning: str
    spread: str = ""

    def text(self, value: float | None) -> str:
        """A gain in the part's own unit."""
        return points(value) if self.unit == "points" else signed(value, 3)


@dataclass(frozen=True)
class Parts:
    """The columns of parts, and the axis of their standardised gains, the same for all of them."""

    columns: list[PartColumn]
    axis: Axis


def make_parts(report: RankingReport) -> Parts | None:
    """The parts of the ranked candidates; None without short runs."""
    ranked = report.of("ranked")
    reach = (
        PartColumn(
            "coverage_gain",
            "coverage gain",
            "points",
            "Label-consistent coverage by its cloud, less that of the identity control.",
        )
        if report.ranked_by == "coverage_gain"
        else PartColumn(
            "coverage_gain",
            "nearer by",
            "radii",
            "How much nearer the target its cloud comes than that of the identity control.",
        )
    )
    columns = [
        reach,
        PartColumn(
            "post_training_coverage",
            "post-training coverage",
            "points",
            RUN_MEANING["post_training_coverage_gain"],
        ),
        PartColumn("probe_validation", "validation, head", "points", HEAD),
        PartColumn("validation", "validation", "points", SURE),
    ]
    found = [
        replace(column, spread=_spread(column, ranked))
        for column in columns
        if any(column.key in one.parts for one in ranked)
    ]
    if not found:
        return None
    standardised = [part.standardised for one in ranked for part in one.parts.values()]
    return Parts(found, make_axis(standardised, ticks=3))


def _spread(column: PartColumn, ranked: list[Candidate]) -> str:
    """The unit of the standardised gains."""
    parts = [one.parts[column.key] for one in ranked if column.key in one.parts]
    units = [part.value / part.standardised for part in parts if part.value is not None and part.standardised]
    if not units:
        return ""
    return column.text(units[0]).lstrip("+")


def run_interval(candidate: Candidate, words: ScoreWords) -> str:
    """The interval of a gain of the short run, empty where there is none: "−0.028 to +0.026"."""
    run = candidate.run
    if run is None:
        return ""
    ends = {
        "log_loss_gain": run.log_loss_interval,
        "post_training_coverage_gain": run.post_training_coverage_interval,
    }.get(words.key)
    return "" if ends is None else " to ".join(words.text(end) for end in ends)


def half_masked_axis(candidates: list[Candidate]) -> Axis:
    """Percent axis of the accuracy on half hidden images, before and after; it need not hold zero."""
    shares = [
        100 * share
        for one in candidates
        if one.run is not None
        for share in (one.run.half_masked_before, one.run.half_masked_after)
        if share is not None
    ]
    low, high = (min(shares), max(shares)) if shares else (0.0, 100.0)
    low, high = max(0.0, 10 * ((low - 1) // 10)), min(100.0, 10 * ((high + 1) // 10 + 1))
    return Axis(low, high, tuple(low + place * (high - low) / 2 for place in range(3)))
