"""The scores of a candidate in words: what each means, which score ranks, and which parts it is the sum of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from eyeshot.core import NOTHING
from eyeshot.reports.marks import Axis, make_axis
from eyeshot.reports.page import count, number, percent, points, signed

if TYPE_CHECKING:
    from eyeshot.rankings import Candidate, RankingReport

Interval = tuple[float, float]


@dataclass(frozen=True)
class ScoreWords:
    """A score: its key in the report, its name on the page, what it means, and its unit."""

    key: str
    name: str
    meaning: str
    unit: Literal["share", "percent", "points", "number", "images", "nats", "gain"]

    def text(self, value: float | int | None) -> str:
        """The value as it is written on the page."""
        if value is None:
            return NOTHING
        match self.unit:
            case "share":
                return percent(value)
            case "percent":
                return percent(value, 1)
            case "points":
                return points(value)
            case "images":
                return count(int(value))
            case "nats":
                return number(value, 3)
            case "gain":
                return signed(value, 3)
            case _:
                return number(value)


COVERAGE_SCORES = (
    ScoreWords(
        "coverage_gain",
        "coverage gain",
        "Label-consistent coverage of the target, minus that of the identity control with as many augmented samples, "
        "in points.",
        "points",
    ),
    ScoreWords(
        "coverage",
        "coverage",
        "Share of target images that have a training image, clean or augmented, within the distance of their fifth "
        "nearest target image.",
        "share",
    ),
    ScoreWords(
        "raw_coverage_gain",
        "gain, any label",
        "Coverage minus that of the identity control, in points, ignoring labels.",
        "points",
    ),
    ScoreWords(
        "consistent_coverage",
        "label-consistent coverage",
        "Share of target images that are covered and whose 5 nearest training images agree on one class (at least 4 "
        "of 5). Agreement does not mean that the class is right: the target has no labels.",
        "share",
    ),
    ScoreWords(
        "density",
        "density",
        "Mean number of target neighbourhoods that contain an augmented sample; above coverage where samples crowd.",
        "number",
    ),
    ScoreWords(
        "nearest_distance",
        "nearest distance",
        "Median distance from a target image to the nearest training image, clean or augmented, in units of the "
        "target image's neighbour radius; below 1 is covered.",
        "number",
    ),
    ScoreWords("only_covered", "covered by it alone", "Target images that only this candidate covers.", "images"),
)
LABEL_SCORES = (
    ScoreWords(
        "affinity",
        "affinity",
        "Accuracy of the clean model on augmented held-out images, relative to clean images. A low value alone is no "
        "fault.",
        "share",
    ),
    ScoreWords(
        "relearnability",
        "relearnability",
        "Accuracy on augmented held-out images of a linear probe trained on augmented images. A low value means that "
        "the augmentation breaks labels.",
        "share",
    ),
    ScoreWords(
        "retention",
        "retention",
        "Accuracy on clean held-out images after training with augmented samples, minus that without, in points.",
        "points",
    ),
)
RUN_SCORES = (
    ScoreWords("accuracy", "accuracy", "Validation accuracy after the short run, mean over seeds.", "percent"),
    ScoreWords(
        "accuracy_gain",
        "accuracy gain",
        "Accuracy minus that of no augmentation after as many steps, in points.",
        "points",
    ),
    ScoreWords(
        "log_loss",
        "log loss",
        "Validation log loss after temperature scaling (cross-fitted), in nats: smaller is better.",
        "nats",
    ),
    ScoreWords(
        "log_loss_gain",
        "log-loss gain",
        "Log loss of no augmentation after as many steps, minus that of the candidate, in nats: above 0 is better.",
        "gain",
    ),
    ScoreWords(
        "target_accuracy",
        "estimated target accuracy",
        "Accuracy on the target after the short run, estimated from predictions without labels, mean over seeds. It is "
        "no measurement, and mostly too high under a shift.",
        "percent",
    ),
    ScoreWords(
        "target_accuracy_gain",
        "estimated accuracy gain",
        "Estimated target accuracy minus that of no augmentation after as many steps, in points.",
        "points",
    ),
    ScoreWords(
        "post_training_coverage",
        "post-training coverage",
        "Label-consistent coverage of the target by clean training images, in the features of the model after its "
        "short run.",
        "share",
    ),
    ScoreWords(
        "post_training_coverage_gain",
        "post-training coverage gain",
        "Post-training coverage minus that of no augmentation after as many steps, in points. It does not enter the "
        "score.",
        "points",
    ),
    ScoreWords(
        "balance",
        "balance",
        "How evenly the predictions on the target are spread over the classes; 1 is uniform. It means nothing if the "
        "target's classes are uneven. It does not enter the score.",
        "number",
    ),
    ScoreWords(
        "confidence",
        "confidence",
        "Mean of the largest predicted probability on the target. It does not enter the score.",
        "number",
    ),
    ScoreWords(
        "half_masked_before",
        "half-masked accuracy, before",
        "Accuracy on half-masked validation images before the short run.",
        "percent",
    ),
    ScoreWords("half_masked_after", "half-masked accuracy, after", "The same after the short run.", "percent"),
    ScoreWords(
        "half_masked_gain",
        "half-masked gain",
        "Half-masked accuracy after the short run, minus that of no augmentation after as many steps, in points.",
        "points",
    ),
)
RUN_MEANING = {words.key: words.meaning for words in RUN_SCORES}
RUN_TABLE = (
    "accuracy_gain",
    "log_loss_gain",
    "target_accuracy_gain",
    "post_training_coverage_gain",
    "half_masked_gain",
    "balance",
    "confidence",
)
"""Scores of short runs that are in a table; the cards have all of them."""


@dataclass(frozen=True)
class RankedBy:
    """The number that ranks, and its format.

    Attributes:
        combined: whether it is the combined score of estimated target accuracy and coverage.
        factor: factor of the written number: coverage gain is written in points.
        digits: number of decimal digits.
        column: heading of its column.
        axis_name: title of its axis.
        what: meaning of a dot.
        zero: meaning of the line at zero.
    """

    combined: bool
    factor: float
    digits: int
    column: str
    axis_name: str
    what: str
    zero: str

    def value(self, candidate: Candidate) -> float | None:
        """The candidate's number as written."""
        value = candidate.combined if self.combined else candidate.score
        return None if value is None else self.factor * value

    def interval(self, candidate: Candidate) -> Interval | None:
        """The candidate's interval as written."""
        interval = candidate.combined_interval if self.combined else candidate.interval
        return None if interval is None else (self.factor * interval[0], self.factor * interval[1])

    def text(self, candidate: Candidate) -> str:
        """The number: "+14.2"."""
        return signed(self.value(candidate), self.digits)

    def interval_text(self, candidate: Candidate) -> str:
        """The interval: "+11.0 to +17.3"; empty without an interval."""
        interval = self.interval(candidate)
        return "" if interval is None else " to ".join(signed(end, self.digits) for end in interval)

    def perhaps_nothing(self, candidate: Candidate) -> bool:
        """Whether the gain may be none: the interval is unknown or contains zero, or it is no gain over clean."""
        interval = self.interval(candidate)
        # The answer also requires a gain of at least two images, significant for all candidates at once.
        return interval is None or interval[0] <= 0 or candidate.beats_clean is False

    def axis(self, candidates: list[Candidate]) -> Axis:
        """The axis that contains all these numbers and their intervals."""
        return make_axis(
            value
            for candidate in candidates
            for value in (self.value(candidate), *(self.interval(candidate) or ()))
            if value is not None
        )


COMBINED = RankedBy(
    combined=True,
    factor=1.0,
    digits=2,
    column="score",
    axis_name="combined score, in MAD units (no augmentation = 0)",
    what="the combined score: the weighted sum of the gain in estimated target accuracy and coverage gain, each in MAD "
    "units over the candidates; validation counts where nothing is estimated",
    zero="training without augmentation",
)
COVERAGE_GAIN = RankedBy(
    combined=False,
    factor=100.0,
    digits=1,
    column="gain",
    axis_name="coverage gain over the identity control, in points",
    what="coverage gain",
    zero="the identity control",
)
DISTANCE = RankedBy(
    combined=False,
    factor=1.0,
    digits=2,
    column="nearer by",
    axis_name="nearer to the target than the identity control, in neighbour radii",
    what="how much nearer to the target the samples lie than those of the identity control",
    zero="the identity control",
)


def ranked_by(report: RankingReport, role: Literal["ranked", "regulariser"] = "ranked") -> RankedBy:
    """What ranks this list of the report: the combined score after short runs, otherwise the coverage score."""
    if any(candidate.combined is not None for candidate in report.of(role)):
        return COMBINED
    return ranked_by_coverage(report)


def ranked_by_coverage(report: RankingReport) -> RankedBy:
    """What `score` is in this report."""
    return COVERAGE_GAIN if report.ranked_by == "coverage_gain" else DISTANCE


def in_groups(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Candidates by indistinguishable group, then by rank, so that each group is in one piece."""
    last = float("inf")
    return sorted(candidates, key=lambda candidate: (candidate.group or last, candidate.rank or last))


def make_breakdown(report: RankingReport) -> dict[str, Any] | None:
    """The parts of the combined score of the ranked candidates.

    Returns:
        `columns` (key, name, unit and meaning of each measured part, and the size of a MAD unit as `mad`) and `axis`,
        the same for the standardised gains of all parts; None without short runs.
    """
    ranked = report.of("ranked")
    gain = (
        ("coverage_gain", "coverage gain", "points", COVERAGE_SCORES[0].meaning)
        if report.ranked_by == "coverage_gain"
        else (
            "coverage_gain",
            "nearer by",
            "radii",
            "How much nearer to the target the samples are than those of the control.",
        )
    )
    parts = (
        gain,
        ("target_accuracy", "estimated target accuracy", "points", RUN_MEANING["target_accuracy_gain"]),
        (
            "probe_validation",
            "validation, linear probe",
            "points",
            "The same by a linear probe on frozen features of clean images and augmented samples, minus that on "
            "clean images alone. The larger of the two validation parts counts.",
        ),
        (
            "validation",
            "validation",
            "points",
            "Mean probability of the right class on validation images after temperature scaling, minus that of no "
            "augmentation after as many steps. It does not count where accuracy on the target is estimated.",
        ),
    )
    columns = [
        {"key": key, "name": name, "unit": unit, "meaning": meaning, "mad": _mad_unit(key, unit, ranked)}
        for key, name, unit, meaning in parts
        if any(key in candidate.parts for candidate in ranked)
    ]
    if not columns:
        return None
    standardised = [part.standardised for candidate in ranked for part in candidate.parts.values()]
    return {"columns": columns, "axis": make_axis(standardised, ticks=3)}


def part_text(value: float | None, unit: str) -> str:
    """The gain of a part in its own unit."""
    return points(value) if unit == "points" else signed(value, 3)


def _mad_unit(key: str, unit: str, ranked: list[Candidate]) -> str:
    """The size of a MAD unit of a part in the part's own unit; empty if no gain differs from 0."""
    parts = [candidate.parts[key] for candidate in ranked if key in candidate.parts]
    sizes = [part.value / part.standardised for part in parts if part.value is not None and part.standardised]
    return part_text(sizes[0], unit).lstrip("+") if sizes else ""


def run_interval(candidate: Candidate, words: ScoreWords) -> str:
    """The interval of a gain of the short run, "−0.028 to +0.026"; empty without an interval."""
    run = candidate.run
    if run is None:
        return ""
    ends = {
        "log_loss_gain": run.log_loss_interval,
        "target_accuracy": run.target_accuracy_interval,
        "target_accuracy_gain": run.target_accuracy_gain_interval,
        "post_training_coverage_gain": run.post_training_coverage_interval,
    }.get(words.key)
    return "" if ends is None else " to ".join(words.text(end) for end in ends)


def masked_axis(candidates: list[Candidate]) -> Axis:
    """Percent axis of half-masked accuracy before and after the short run; it need not contain zero."""
    shares = [
        100 * share
        for candidate in candidates
        if candidate.run is not None
        for share in (candidate.run.half_masked_before, candidate.run.half_masked_after)
        if share is not None
    ]
    low, high = (min(shares), max(shares)) if shares else (0.0, 100.0)
    low, high = max(0.0, 10 * ((low - 1) // 10)), min(100.0, 10 * ((high + 1) // 10 + 1))
    return Axis(low, high, tuple(low + place * (high - low) / 2 for place in range(3)))
