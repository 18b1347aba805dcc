"""What `eyeshot cover` found: the contents of `augmentations.json`; keys are only added until version 1.0."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Role = Literal["ranked", "harder", "destroyer", "control"]
Interval = tuple[float, float]


class Record(BaseModel):
    """A part of `augmentations.json`."""

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


class ShortRun(Record):
    """What a candidate's short run brought, against clean from the same starts, by the same batches."""

    stage: Literal["head", "network"]
    """`head`: a linear head on frozen features of clean images and views; `network`: all weights were trained."""
    starts: int
    steps: int
    """Steps of the whole network from each start; 0 for the head."""
    rounds: int
    """Rounds of the halving that it took part in; the close ones took part in more."""
    accuracy: float | None = None
    """On validation images, mean over starts."""
    accuracy_gain: float | None = None
    """Less that of clean after as many steps."""
    log_loss: float | None = None
    """On validation images, after temperature scaling (cross-fitted), in nats."""
    log_loss_gain: float | None = None
    """That of clean after as many steps less this one; above 0 is better than clean."""
    log_loss_interval: Interval | None = None
    cover_after_run: float | None = None
    """Label-consistent coverage of the target by clean training images, in the space of the model so trained."""
    cover_after_run_gain: float | None = None
    """Less that of clean after as many steps."""
    cover_after_run_interval: Interval | None = None
    balance: float | None = None
    """Entropy of the mean prediction on the target over its maximum: 1 where all classes are predicted alike."""
    confidence: float | None = None
    """Mean of the largest probability on the target."""
    hidden_before: float | None = None
    """Accuracy on half hidden validation images of the starts, before the run."""
    hidden_after: float | None = None
    """The same after the run."""
    hidden_gain: float | None = None
    """`hidden_after` less that of clean after as many steps."""
    ended: str | None = None
    """Why it ended early: it diverged, or the budget was over."""


class Part(Record):
    """One part of the ranking of all, for one candidate."""

    value: float | None
    """The gain over clean (over the no-op for reach), in its own unit; null where it was not measured."""
    standardised: float
    """That gain in robust spreads over all candidates (`Order.spreads`); 0 where it was not measured."""
    rank: int | None
    """Place under this part alone."""


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
    """Reach, or how much nearer the cloud comes to the target, against the no-op; see `ranked_by`."""
    interval: Interval | None = None
    combined: float | None = None
    """The ranking of all: weighted parts, clean is 0; null without short runs."""
    combined_interval: Interval | None = None
    parts: dict[str, Part] = {}
    """`reach`, `cover_after_run`, `head` (pretrained alone), `validation`; of harder ones the last two and `hidden`."""
    run: ShortRun | None = None
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
    target_reached: float
    held_out_reached: float | None
    """Label-consistent coverage of both, likewise."""
    weight: float | None
    """One minus the ratio of these two, as reach goes by them; `1 - ratio` where neighbours hardly ever agree."""
    domain_auc: float | None
    """Cross-fitted area under the curve of a classifier that tells training from target; 0.5 means alike."""
    count: int
    words: str


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


class Round(Record):
    """One round of the halving of short runs."""

    stage: Literal["head", "network"]
    candidates: int
    steps: int
    """Steps of each candidate from each start in this round."""
    seconds: float | None
    """Null for the head, which is fitted with the scores."""


class Budget(Record):
    """What the time for short runs bought."""

    budget_s: float
    used_s: float
    starts: int
    rounds: list[Round]
    steps: int
    """Steps of the whole network in all, clean and all starts counted."""
    share_of_full: float
    """Over the steps of training all candidates for 30 epochs."""
    words: str


class Order(Record):
    """How the parts were mixed, and where their orders differ."""

    weight: float
    """Of the larger of reach and cover after the run; the rest is validation's, the larger of both."""
    weight_words: str
    spreads: dict[str, float]
    """The unit of `standardised`, by part: the widest robust spread of all that are shares; distance has its own."""
    agreement: float | None
    """Spearman correlation of the order by cover (the larger of both) with that by validation."""
    by_cover: list[str]
    by_validation: list[str]
    words: str
    """What it means where the two orders disagree."""


class Confirmed(Record):
    """A candidate that was trained to the end."""

    name: str
    epochs: int
    n_train: int
    n_val: int
    accuracy: float
    interval: Interval | None
    gain: float | None
    """Accuracy less that of clean, on the same validation images; null for clean."""
    gain_interval: Interval | None
    """Of the paired difference."""
    seconds: float


class ModelPair(Record):
    """How alike two models rank the candidates."""

    first: str
    second: str
    spearman: float | None
    interval: Interval | None
    n: int
    """Candidates that both ranked."""


class ModelRow(Record):
    """One candidate under every model; null where a model did not rank it."""

    name: str
    family: str
    ranks: dict[str, int | None]
    scores: dict[str, float | None]
    roles: dict[str, Role]


class ModelTable(Record):
    """Candidate by model: a good augmentation for one model is not so for another."""

    models: list[str]
    pages: dict[str, str]
    """Where each model's page lies, relative to this one."""
    advice: dict[str, str]
    rows: list[ModelRow]
    pairs: list[ModelPair]
    words: str


class Base(Record):
    """The pipeline that the user trains with already; gains are on top of it."""

    name: str
    destroys: list[str] = []
    """Why it destroys labels itself, if it does."""
    score: float | None = None
    """Its own gain over a no-op without it, as `score` of a candidate."""


class RankingReport(Record):
    """All of `augmentations.json`."""

    version: int = 2
    answer: list[str]
    """What was found, in sentences, the most important first."""
    headline: str = ""
    """The answer in at most 20 words."""
    next_step: str = ""
    """What to do now, in one sentence."""
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
    """What `score` is, and the part `reach` of the ranking of all."""
    shift: Shift
    validation_check: ValidationCheck | None
    candidates: list[Candidate]
    uncovered: list[str]
    """Ids of the target images (of those used) that no candidate reaches."""
    projections: list[ProjectionInfo] = []
    base: Base | None = None
    budget: Budget | None = None
    """Null where no time was given to short runs; then `score` ranks alone."""
    order: Order | None = None
    confirmed: list[Confirmed] = []
    model_table: ModelTable | None = None
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
