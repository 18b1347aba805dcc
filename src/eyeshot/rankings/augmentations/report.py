"""The contents of `augmentations.json`, the report of `eyeshot rank augmentations`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from eyeshot.predictions import ModelChoice, TargetEstimate

Role = Literal["ranked", "regulariser", "label-breaking", "control"]
RankedBy = Literal["coverage_gain", "nearest_distance"]
Interval = tuple[float, float]


class Record(BaseModel):
    """A part of `augmentations.json`."""

    model_config = ConfigDict(extra="forbid")


class Scores(Record):
    """Scores of a candidate; null where the candidate's `missing` gives the reason.

    Coverage is measured with the candidate's cloud (clean images and their augmented samples), as shares from 0 to 1.
    """

    coverage: float | None = None
    density: float | None = None
    nearest_distance: float | None = None
    """Median over target points: distance to the cloud in units of the point's own neighbour radius."""
    consistent_coverage: float | None = None
    """Label-consistent coverage: covered, and at least 4 of the 5 nearest source images share one class."""
    coverage_gain: float | None = None
    """Label-consistent coverage minus that of the identity control with as many samples per image."""
    raw_coverage_gain: float | None = None
    """The same difference of plain coverage."""
    only_covered: int | None = None
    """Target images that this candidate covers with a consistent label and no other candidate does."""
    affinity: float | None = None
    affinity_worst_class: float | None = None
    relearnability: float | None = None
    relearnability_worst_class: float | None = None
    retention: float | None = None
    """Accuracy on clean held-out images of a linear probe trained with the samples, minus that of a probe without."""
    retention_worst_class: float | None = None


class ClassScores(Record):
    """A class under a candidate."""

    covered: int | None = None
    """Target images newly covered (beyond the identity control) whose nearest images agree on this class."""
    affinity: float | None = None
    relearnability: float | None = None
    retention: float | None = None


class MixedClasses(Record):
    """Two classes that a label-breaking candidate makes indistinguishable."""

    true: str
    taken_for: str
    share: float
    """Share of the held-out images of `true` that are taken for `taken_for` more often than before."""


class ShortRun(Record):
    """Result of a candidate's short run, compared with clean images from the same seeds and the same batches."""

    stage: Literal["probe", "network"]
    """`probe`: a linear probe on frozen features of clean images and samples; `network`: all weights were trained."""
    seeds: int
    steps: int
    """Steps of the whole network from each seed; 0 for the probe."""
    rungs: int
    """Number of rungs of this candidate; the better candidates have more."""
    accuracy: float | None = None
    """On validation images, mean over seeds."""
    accuracy_gain: float | None = None
    """Accuracy minus that of clean images after the same number of steps."""
    log_loss: float | None = None
    """On validation images, after temperature scaling (cross-fitted), in nats."""
    log_loss_gain: float | None = None
    """Log loss of clean images after the same number of steps minus `log_loss`; above 0 is better than clean."""
    log_loss_interval: Interval | None = None
    target_accuracy: float | None = None
    """Estimated from the predictions on the target by confidence optimal transport; mean over seeds. No measurement."""
    target_accuracy_interval: Interval | None = None
    """Over half-samples of target images and seeds; how far the method itself is off is not in it."""
    target_accuracy_gain: float | None = None
    """The estimate minus that of clean images after the same number of steps."""
    target_accuracy_gain_interval: Interval | None = None
    post_training_coverage: float | None = None
    """Label-consistent coverage of the target by clean training images, in the feature space of the trained model."""
    post_training_coverage_gain: float | None = None
    """Post-training coverage minus that of clean images after the same number of steps."""
    post_training_coverage_interval: Interval | None = None
    balance: float | None = None
    """Entropy of the mean prediction on the target divided by its maximum: 1 if classes are predicted equally often."""
    confidence: float | None = None
    """Mean of the largest probability on the target."""
    half_masked_before: float | None = None
    """Mean accuracy over seeds on half-masked validation images, before the run."""
    half_masked_after: float | None = None
    """The same accuracy after the run."""
    half_masked_gain: float | None = None
    """`half_masked_after` minus that of clean images after the same number of steps."""
    ended: str | None = None
    """Why the run ended early: it diverged, or the budget was used up."""


class Part(Record):
    """A part of the combined score of a candidate."""

    value: float | None
    """The gain over clean images (the coverage gain: over the identity control); null if it was not measured."""
    standardised: float
    """The gain in MAD units (`Order.units`); 0 if it was not measured."""
    rank: int | None
    """Rank under this part alone."""


class Candidate(Record):
    """A measured augmentation."""

    name: str
    family: str
    model: str
    role: Role
    rank: int | None = None
    group: int | None = None
    """Indistinguishable candidates share a group; group 1 holds all candidates that may be the best."""
    beats_clean: bool | None = None
    """Significantly better than clean images, for all candidates at once, and by at least two target images; null
    without a rank."""
    score: float | None = None
    """The coverage gain, or how much nearer the cloud comes to the target; see `ranked_by`."""
    interval: Interval | None = None
    combined: float | None = None
    """Combined score: weighted sum of parts, 0 for clean; null without short runs."""
    combined_interval: Interval | None = None
    parts: dict[str, Part] = {}
    """`target_accuracy`, `coverage_gain`, `probe_validation` (pretrained models only), `validation`; regularisers have
    the last two and `half_masked`."""
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
    """Why the baseline trained for fewer epochs than planned; null if it trained to its end or does not exist."""


class Shift(Record):
    """How far the target is from the training images."""

    target_coverage: float
    """Coverage of the target by clean training images, at equal counts."""
    held_out_coverage: float | None
    """Coverage of held-out training images by the same clean images, at equal counts."""
    ratio: float | None
    """The first divided by the second, limited to 0-1; 1 means no shift that the model can see."""
    target_consistent: float
    held_out_consistent: float | None
    """Label-consistent coverage of both, measured the same way."""
    weight: float | None
    """Weight of coverage in the combined score: 1 minus the ratio of these two, or `1 - ratio` if neighbours hardly
    ever agree."""
    domain_auc: float | None
    """Cross-fitted area under the curve of a classifier between training and target; 0.5 means no difference."""
    count: int
    words: str


class ValidationCheck(Record):
    """Whether coverage predicts where the model is right: validation images that clean training covers, and others."""

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
    """Share of shown target points on which coverage in two dimensions and coverage in feature space agree, balanced
    over covered and uncovered points; 0.5 is chance."""
    warning: str | None


class Rung(Record):
    """A rung of the short runs."""

    stage: Literal["probe", "network"]
    candidates: int
    steps: int
    """Steps of each candidate from each seed on this rung."""
    seconds: float | None
    """Null for the probe, which is fitted together with the scores."""


class Budget(Record):
    """What the time for short runs was spent on."""

    budget_s: float
    used_s: float
    seeds: int
    rungs: list[Rung]
    steps: int
    """Steps of the whole network in all, including clean training and all seeds."""
    share_of_full: float
    """These steps divided by the steps of training all candidates for the epochs of the model's own recipe."""
    words: str


class Order(Record):
    """How the parts form the combined score, and where their orders differ."""

    weight: float
    """The measured shift, 0-1. Half of it is the weight of coverage gain, the rest that of estimated target accuracy;
    validation is shown, not scored. Only where the target is the validation images, or no network was trained, coverage
    gain has the weight and validation the rest."""
    weight_words: str
    units: dict[str, float]
    """MAD unit of each part; validation has the widest of those of all shares of images."""
    agreement: float | None
    """Spearman correlation of the order by the target with the order by validation."""
    by_target: list[str]
    """By estimated target accuracy and coverage gain."""
    by_validation: list[str]
    words: str
    """What it means if the two orders disagree."""


class FullTraining(Record):
    """A candidate that was trained to the end."""

    name: str
    epochs: int
    n_train: int
    n_val: int
    accuracy: float
    interval: Interval | None
    gain: float | None
    """Accuracy minus that of clean, on the same validation images; null for clean."""
    gain_interval: Interval | None
    """95 % interval of the paired difference."""
    estimate: TargetEstimate | None = None
    """Estimated accuracy on the target, without its labels; null where the target is the validation images."""
    seconds: float


class ModelPair(Record):
    """How similarly two models rank the candidates."""

    first: str
    second: str
    spearman: float | None
    interval: Interval | None
    n: int
    """Number of candidates that both models ranked."""


class ModelRow(Record):
    """A candidate under every model; null for a model that did not rank it."""

    name: str
    family: str
    ranks: dict[str, int | None]
    scores: dict[str, float | None]
    roles: dict[str, Role]


class ModelTable(Record):
    """Candidates by model: an augmentation that fits one model may not fit another."""

    models: list[str]
    pages: dict[str, str]
    """Address of each model's page, relative to this page."""
    advice: dict[str, str]
    rows: list[ModelRow]
    pairs: list[ModelPair]
    words: str


class BaselineAugmentation(Record):
    """The augmentation that is already in the pipeline; gains are measured on top of it."""

    name: str
    label_breaking: list[str] = []
    """Why it breaks labels, if it does."""
    score: float | None = None
    """Its gain over the identity control without it, like `score` of a candidate."""


class PolicyOperation(Record):
    """An operation of the policy, in the order in which it is applied."""

    name: str
    strength: float
    probability: float
    """Share of images that it changes in a stage that is full."""
    added: float | None
    """Share of the half that it was chosen on that it newly covers; null for what coverage did not choose."""
    nearer: float | None = None
    """By how much it shortens distances to that half, where it was chosen by them: 1 - geometric mean of ratios."""
    failed: float = 0.0
    """Share of samples on which the operation failed (edge images); these images stay as they are."""
    why: str


class PolicyRecord(Record):
    """The policy composed of what was measured; `policy.toml` and `policy.py` hold it."""

    words: str
    composed: bool
    """False where nothing adds anything beyond noise: then it is what `advice` says."""
    operations: list[PolicyOperation]
    stages: list[tuple[str, float, float]]
    """Level, and from and to as shares of the epochs; outside of them nothing is applied. Empty: always full."""
    n_chosen_on: int
    n_judged: int
    """Target images of the half that no choice has seen; the covered shares are of these."""
    covered_before: float
    """Label-consistent coverage by clean images (the identity control, with as many samples)."""
    covered_before_interval: Interval
    covered_after: float
    """The same by images as training with the policy sees them."""
    covered_after_interval: Interval
    map: dict[str, Any] | None = None
    """Before it clean training and the target are there, after it the policy's samples too: `projection`, and of each
    point `cloud` ("train", "target", "policy"), `x` and `y` (0-100), `covered_before` and `covered_after` (null for
    points that are no target images); `warning`: why coverage must not be read from it. Null without maps."""


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
    """Ids of the used target images that no ranked candidate covers with a consistent label."""
    projections: list[ProjectionInfo] = []
    baseline_augmentation: BaselineAugmentation | None = None
    budget: Budget | None = None
    """Null without short runs; then `score` alone ranks."""
    order: Order | None = None
    full_training: list[FullTraining] = []
    choice: ModelChoice | None = None
    """Which of the full trainings to take; null without them."""
    model_table: ModelTable | None = None
    policy: PolicyRecord | None = None
    """Null without `--policy`."""
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
