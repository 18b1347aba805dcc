"""The contents of `augmentations.json`, what `eyeshot rank augmentations` reports."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Role = Literal["ranked", "regulariser", "label-breaking", "control"]
RankedBy = Literal["coverage_gain", "nearest_distance"]
Interval = tuple[float, float]


class Record(BaseModel):
    """A part of `augmentations.json`."""

    model_config = ConfigDict(extra="forbid")


class Scores(Record):
    """Scores of one candidate; null where `missing` of the candidate says why.

    Coverage is that of the candidate's cloud (clean images and their augmented samples), shares from 0 to 1.
    """

    coverage: float | None = None
    density: float | None = None
    nearest_distance: float | None = None
    """Median over target points: distance to the cloud in units of the point's own neighbour radius."""
    consistent_coverage: float | None = None
    """Label-consistent coverage: covered, and at least 4 of the 5 nearest source images share one class."""
    coverage_gain: float | None = None
    """Label-consistent coverage less that of the identity control with as many samples per image."""
    raw_coverage_gain: float | None = None
    """The same difference of plain coverage."""
    only_covered: int | None = None
    """Target images that this candidate covers with a consistent label and no other candidate does."""
    affinity: float | None = None
    affinity_worst_class: float | None = None
    relearnability: float | None = None
    relearnability_worst_class: float | None = None
    retention: float | None = None
    """Accuracy on clean held-out images of a linear probe trained with the samples, less that of one without."""
    retention_worst_class: float | None = None


class ClassScores(Record):
    """One class under one candidate."""

    covered: int | None = None
    """Target images newly covered (beyond the identity control) whose nearest images agree on this class."""
    affinity: float | None = None
    relearnability: float | None = None
    retention: float | None = None


class MixedClasses(Record):
    """Two classes that a label-breaking candidate makes alike."""

    true: str
    taken_for: str
    share: float
    """Share of the held-out images of `true` that are taken for `taken_for` more often than before."""


class ShortRun(Record):
    """What a candidate's short run brought, against clean images from the same seeds, by the same batches."""

    stage: Literal["probe", "network"]
    """`probe`: a linear probe on frozen features of clean images and samples; `network`: all weights were trained."""
    seeds: int
    steps: int
    """Steps of the whole network from each seed; 0 for the probe."""
    rungs: int
    """Rungs that it took part in; the close ones took part in more."""
    accuracy: float | None = None
    """On validation images, mean over seeds."""
    accuracy_gain: float | None = None
    """Less that of clean images after as many steps."""
    log_loss: float | None = None
    """On validation images, after temperature scaling (cross-fitted), in nats."""
    log_loss_gain: float | None = None
    """That of clean images after as many steps less this one; above 0 is better than clean."""
    log_loss_interval: Interval | None = None
    post_training_coverage: float | None = None
    """Label-consistent coverage of the target by clean training images, in the space of the model so trained."""
    post_training_coverage_gain: float | None = None
    """Less that of clean images after as many steps."""
    post_training_coverage_interval: Interval | None = None
    balance: float | None = None
    """Entropy of the mean prediction on the target over its maximum: 1 where all classes are predicted alike."""
    confidence: float | None = None
    """Mean of the largest probability on the target."""
    half_masked_before: float | None = None
    """Accuracy on half-masked validation images of the seeds, before the run."""
    half_masked_after: float | None = None
    """The same after the run."""
    half_masked_gain: float | None = None
    """`half_masked_after` less that of clean images after as many steps."""
    ended: str | None = None
    """Why it ended early: it diverged, or the budget was over."""


class Part(Record):
    """One part of the combined score, for one candidate."""

    value: float | None
    """The gain over clean images (the coverage gain: over the identity control); null where it was not measured."""
    standardised: float
    """That gain in MAD units (`Order.units`); 0 where it was not measured."""
    rank: int | None
    """Rank under this part alone."""


class Candidate(Record):
    """One augmentation, measured."""

    name: str
    family: str
    model: str
    role: Role
    rank: int | None = None
    group: int | None = None
    """Indistinguishable candidates share a group; 1 holds all that may be the best."""
    beats_clean: bool | None = None
    """Better than clean images beyond noise, for all candidates at once, and by two target images at least; null where
    it has no rank."""
    score: float | None = None
    """The coverage gain, or how much nearer the cloud comes to the target; see `ranked_by`."""
    interval: Interval | None = None
    combined: float | None = None
    """Combined score: weighted parts, clean is 0; null without short runs."""
    combined_interval: Interval | None = None
    parts: dict[str, Part] = {}
    """`coverage_gain`, `post_training_coverage`, `probe_validation` (pretrained models only), `validation`; of
    regularisers the last two and `half_masked`."""
    run: ShortRun | None = None
    scores: Scores = Scores()
    missing: dict[str, str] = {}
    reasons: list[str] = []
    per_class: dict[str, ClassScores] = {}
    mixes: list[MixedClasses] = []
    warnings: list[str] = []
    left_out: int = 0
    """Samples left out because the operation failed on them (empty or full edge map)."""
    samples: int = 0
    samples_per_image: int = 0
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
    baseline_ended_early: str | None = None
    """Why the baseline trained for fewer epochs than planned; null where it trained to its end, or there is none."""


class Shift(Record):
    """How far the target lies from training."""

    target_coverage: float
    """Coverage of the target by clean training images, at equal counts."""
    held_out_coverage: float | None
    """Coverage of held-out training images by the same clean images, at equal counts."""
    ratio: float | None
    """The first over the second, clipped to 0-1; 1 means no shift that the model can see."""
    target_consistent: float
    held_out_consistent: float | None
    """Label-consistent coverage of both, likewise."""
    weight: float | None
    """One minus the ratio of these two, of coverage in the combined score; `1 - ratio` where neighbours hardly ever
    agree."""
    domain_auc: float | None
    """Cross-fitted area under the curve of a classifier that tells training from target; 0.5 means alike."""
    count: int
    words: str


class ValidationCheck(Record):
    """Does coverage tell where the model is right? Validation images that clean training covers, and the others."""

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
    """Share of shown target points on which coverage in two dimensions and in feature space agree,
    balanced over covered and not covered; 0.5 is chance."""
    warning: str | None


class Rung(Record):
    """One rung of the short runs."""

    stage: Literal["probe", "network"]
    candidates: int
    steps: int
    """Steps of each candidate from each seed on this rung."""
    seconds: float | None
    """Null for the probe, which is fitted with the scores."""


class Budget(Record):
    """What the time for short runs bought."""

    budget_s: float
    used_s: float
    seeds: int
    rungs: list[Rung]
    steps: int
    """Steps of the whole network in all, clean and all seeds counted."""
    share_of_full: float
    """Over the steps of training all candidates for 30 epochs."""
    words: str


class Order(Record):
    """How the parts make the combined score, and where their orders differ."""

    weight: float
    """Of coverage (the larger of before and after training); validation (of probe or network) has the rest."""
    weight_words: str
    units: dict[str, float]
    """MAD unit of each part: the widest of all that are shares of images; distance has its own."""
    agreement: float | None
    """Spearman correlation of the order by coverage with that by validation."""
    by_coverage: list[str]
    by_validation: list[str]
    words: str
    """What it means where the two orders disagree."""


class FullTraining(Record):
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
    """Candidate by model: a good augmentation for one model may not be one for another."""

    models: list[str]
    pages: dict[str, str]
    """Where each model's page lies, relative to this one."""
    advice: dict[str, str]
    rows: list[ModelRow]
    pairs: list[ModelPair]
    words: str


class BaselineAugmentation(Record):
    """The augmentation that is in the pipeline already; gains are on top of it."""

    name: str
    label_breaking: list[str] = []
    """Why it breaks labels itself, if it does."""
    score: float | None = None
    """Its own gain over the identity control without it, as `score` of a candidate."""


class RankingReport(Record):
    """All of `augmentations.json`."""

    version: int = 2
    headline: str
    """The answer: one plain sentence of at most 20 words."""
    next_step: str
    """What to do now: one sentence."""
    longer_baseline_s: int | None = None
    """Time cap for `--scratch-time` where `next_step` asks for a longer training of the baseline."""
    trust: str
    """How far to trust the answer, from real trainings in comparable situations: one sentence."""
    answer: list[str]
    """Further sentences, the most important first."""
    advice: str
    """Name of the candidate to train with; "clean" for no augmentation."""
    recipe: list[str]
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
    samples_per_image: int
    max_images: int
    seed: int
    ranked_by: RankedBy
    """What `score` is, and the part `coverage_gain` of the combined score."""
    shift: Shift
    validation_check: ValidationCheck | None
    candidates: list[Candidate]
    uncovered: list[str]
    """Ids of the target images (of those used) that no ranked candidate covers with a consistent label."""
    projections: list[ProjectionInfo] = []
    baseline_augmentation: BaselineAugmentation | None = None
    budget: Budget | None = None
    """Null where no time was given to short runs; then `score` ranks alone."""
    order: Order | None = None
    full_training: list[FullTraining] = []
    model_table: ModelTable | None = None
    notes: list[str] = []
    skipped: list[SkippedFile] = []
    seconds: dict[str, float] = {}
    versions: dict[str, str] = {}
    hardware: str = ""
    command: str = ""

    def of(self, role: Role) -> list[Candidate]:
        """Candidates of a role, in order of rank."""
        return [candidate for candidate in self.candidates if candidate.role == role]

    def candidate(self, name: str) -> Candidate:
        """The candidate called `name`."""
        return next(candidate for candidate in self.candidates if candidate.name == name)
