"""What `eyeshot cover` found: the contents of `cover.json`, and the arrays that only the page needs.

Keys of `cover.json` are only added until version 1.0. Scores carry the words of the design.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from eyeshot.workspace import replacing

if TYPE_CHECKING:
    import polars as pl

Role = Literal["ranked", "harder", "destroyer", "control"]
Interval = tuple[float, float]


class Record(BaseModel):
    """A part of `cover.json`."""

    model_config = ConfigDict(extra="forbid")


class Scores(Record):
    """Scores of one candidate; null where `missing` of the candidate says why.

    Cover scores are of the candidate's cloud (clean images and their augmented views), shares from 0 to 1.
    """

    coverage: float | None = None
    density: float | None = None
    nearest_distance: float | None = None
    """Median over target points: distance to the cloud in units of the point's own neighbour radius."""
    label_consistent_coverage: float | None = None
    coverage_gain: float | None = None
    """Coverage less that of the no-op with as many draws."""
    reach: float | None = None
    """Label-consistent coverage less that of the no-op with as many draws."""
    worth_images: int | None = None
    """How many more clean training images would have brought the same reach."""
    worth_beyond_data: bool = False
    """True when the gain is more than all the clean images at hand can show."""
    only_reached: int | None = None
    """Target images that this candidate reaches and no other does."""
    affinity: float | None = None
    affinity_worst_class: float | None = None
    relearnability: float | None = None
    relearnability_worst_class: float | None = None
    retention: float | None = None
    """Accuracy on clean held-out images kept by a head trained with the views: difference in accuracy."""
    retention_worst_class: float | None = None


class ClassScores(Record):
    """One class under one candidate."""

    reached: int | None = None
    """Target images reached beyond the no-op whose neighbours agree on this class."""
    affinity: float | None = None
    relearnability: float | None = None
    retention: float | None = None


class MixedClasses(Record):
    """Two classes that a label destroyer makes alike."""

    true: str
    taken_for: str
    share: float
    """Share of the held-out images of `true` that are taken for `taken_for` more often than before."""


class Candidate(Record):
    """One augmentation, measured."""

    name: str
    family: str
    model: str
    role: Role
    rank: int | None = None
    tie_group: int | None = None
    """1 holds all that cannot be told from the best."""
    score: float | None = None
    interval: Interval | None = None
    scores: Scores = Scores()
    missing: dict[str, str] = {}
    reasons: list[str] = []
    per_class: dict[str, ClassScores] = {}
    mixes: list[MixedClasses] = []
    warnings: list[str] = []
    left_out: int = 0
    """Views left out because the operation failed on them (empty or full edge map)."""
    views: int = 0
    draws: int = 0
    description: str = ""
    recipe: list[str] = []


class ModelInfo(Record):
    """The network whose features were used."""

    name: str
    pretrained: bool
    size: int
    feature_count: int
    fingerprint: str
    reason: str
    baseline_accuracy: float | None = None


class Shift(Record):
    """How far the target lies from training."""

    target_coverage: float
    """Coverage of the target by clean training images, at equal counts."""
    held_out_coverage: float | None
    """Coverage of held-out training images by the same clean images, at equal counts."""
    ratio: float | None
    """The first over the second, clipped to 0-1; 1 means no shift that the model can see."""
    weight: float | None
    """One minus the ratio."""
    domain_auc: float | None
    """Cross-fitted area under the curve of a classifier that tells training from target; 0.5 means alike."""
    count: int
    words: str


class CurvePoint(Record):
    """Cover of the target by so many clean training images."""

    images: int
    coverage: float
    label_consistent_coverage: float


class ValidationCheck(Record):
    """Does cover tell where the model is right? Validation images inside and outside of the clean cover."""

    inside: int
    outside: int
    accuracy_inside: float | None
    accuracy_outside: float | None
    interval_inside: Interval | None
    interval_outside: Interval | None


class SkippedFile(Record):
    """A file that was left out, and why."""

    path: str
    reason: str


class ProjectionInfo(Record):
    """How far a picture in two dimensions can be trusted."""

    name: str
    trustworthiness: float
    agreement: float
    """Share of shown target points on which cover seen in two dimensions and in feature space agree,
    balanced over covered and not covered; 0.5 is chance."""
    warning: str | None


class CoverReport(Record):
    """All of `cover.json`."""

    version: int = 1
    answer: list[str]
    """What was found, in sentences, the most important first."""
    advice: str
    """Name of the candidate to train with."""
    recipe: list[str]
    trust: str
    n_train: int
    n_val: int
    n_target: int
    n_sources: int
    n_target_used: int
    n_val_used: int
    target: Literal["test", "validation"]
    classes: list[str]
    models: list[ModelInfo]
    size: int
    fit: str
    neighbours: int
    draws: int
    sample: int
    seed: int
    ranked_by: Literal["reach", "nearest_distance"]
    shift: Shift
    curve: list[CurvePoint]
    validation_check: ValidationCheck | None
    candidates: list[Candidate]
    uncovered: list[str]
    """Ids of the target images (of those used) that no candidate reaches."""
    projections: list[ProjectionInfo] = []
    notes: list[str] = []
    skipped: list[SkippedFile] = []
    seconds: dict[str, float] = {}
    versions: dict[str, str] = {}
    hardware: str = ""
    command: str = ""

    def of(self, role: Role) -> list[Candidate]:
        """Candidates of one role, in order of rank."""
        return [candidate for candidate in self.candidates if candidate.role == role]

    def candidate(self, name: str) -> Candidate:
        """The candidate called `name`."""
        return next(candidate for candidate in self.candidates if candidate.name == name)


@dataclass(frozen=True)
class Projection:
    """One joint map of all points."""

    info: ProjectionInfo
    xy: NDArray[np.float32]
    """(P, 2)"""


@dataclass(frozen=True)
class CoverMap:
    """The points of the joint map; P points, the same for all projections.

    Attributes:
        cloud: (P,) name of the point's cloud: "train", "target", "validation", or a candidate's name.
        label: (P,) class number, -1 for target points.
        ids: (P,) id of the image (for a view: of its source image).
        thumbnails: uint8 (P, 32, 32, 3), RGB.
        covered_by_clean: (P,) 1 or 0 for target and validation points, -1 elsewhere.
        covered_by_best: (P,) 1 or 0 for target points (by the cloud of the advised candidate), -1 elsewhere.
        predicted: (P,) class number that the clean head predicts for validation points, -1 elsewhere.
        projections: PCA first.
        candidates: names of the mapped candidates, the winner first.
    """

    cloud: NDArray[np.str_]
    label: NDArray[np.int64]
    ids: NDArray[np.str_]
    thumbnails: NDArray[np.uint8]
    covered_by_clean: NDArray[np.int8]
    covered_by_best: NDArray[np.int8]
    predicted: NDArray[np.int64]
    projections: list[Projection]
    candidates: list[str]


@dataclass(frozen=True)
class Pictures:
    """Small pictures for the page; empty with --no-images.

    Attributes:
        samples: per candidate, uint8 (n, s, s, 3) views of the same n source images; "clean" holds the originals.
        uncovered: uint8 (n, s, s, 3) target images that no candidate reaches.
        uncovered_ids: their ids.
    """

    samples: dict[str, NDArray[np.uint8]] = field(default_factory=dict)
    uncovered: NDArray[np.uint8] = field(default_factory=lambda: np.empty((0, 64, 64, 3), np.uint8))
    uncovered_ids: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Cover:
    """The result of `cover()`: the report, and what only pictures need."""

    report: CoverReport
    map: CoverMap | None
    pictures: Pictures

    def to_frame(self) -> pl.DataFrame:
        """One row per candidate: name, family, role, rank, tie group, score, interval, and every score."""
        import polars as pl

        rows = []
        for candidate in self.report.candidates:
            low, high = candidate.interval or (None, None)
            rows.append(
                {
                    "name": candidate.name,
                    "family": candidate.family,
                    "model": candidate.model,
                    "role": candidate.role,
                    "rank": candidate.rank,
                    "tie_group": candidate.tie_group,
                    "score": candidate.score,
                    "low": low,
                    "high": high,
                    **candidate.scores.model_dump(),
                }
            )
        return pl.DataFrame(rows, infer_schema_length=None)

    def save(self, folder: Path) -> Path:
        """Write `cover.json` and `uncovered.csv` into `folder`; returns the path of `cover.json`."""
        import polars as pl

        path = folder / "cover.json"
        with replacing(path) as temporary:
            temporary.write_text(self.report.model_dump_json(indent=2), encoding="utf-8")
        with replacing(folder / "uncovered.csv") as temporary:
            pl.DataFrame({"id": self.report.uncovered}, schema={"id": pl.String}).write_csv(temporary)
        return path

    def _repr_html_(self) -> str:
        """A plain table for notebooks."""
        from html import escape

        rows = "".join(
            f"<tr><td>{candidate.rank or ''}</td><td>{escape(candidate.name)}</td><td>{candidate.role}</td>"
            f"<td>{'' if candidate.score is None else f'{candidate.score:+.3f}'}</td>"
            f"<td>{escape(candidate.reasons[0]) if candidate.reasons else ''}</td></tr>"
            for candidate in self.report.candidates
        )
        return (
            f"<p>{escape(' '.join(self.report.answer))}</p><table><tr><th>rank</th><th>candidate</th><th>role</th>"
            f"<th>score</th><th>reason</th></tr>{rows}</table>"
        )
