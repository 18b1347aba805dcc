"""The contents of `models.json`, the report of `eyeshot rank models`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from eyeshot.predictions import Accuracy, ModelChoice, TargetEstimate
from eyeshot.training import TrainConfig

State = Literal["probe only", "recipe untested", "fine-tuned"]
Interval = tuple[float, float]


class Record(BaseModel):
    """A part of `models.json`."""

    model_config = ConfigDict(extra="forbid")


class ClassAccuracy(Record):
    """A class and the accuracy on its judged images."""

    name: str
    accuracy: Accuracy


class TestImages(Record):
    """What a model says about the test images, without their labels.

    Attributes:
        n: test images that were used.
        n_train: clean training images that may cover them.
        coverage: share of the test images whose neighbour ball holds a training image.
        consistent_coverage: the share that is covered by images that agree on one class.
        estimate: estimated accuracy of the probe on the test images; never a measurement.
    """

    n: int
    n_train: int
    coverage: float
    consistent_coverage: float
    estimate: TargetEstimate


class Probe(Record):
    """Rung 1: a linear probe on frozen features, without augmentation.

    Attributes:
        accuracy: on all judged images, each judged by a probe that did not see it, with the interval of Wilson.
        log_loss: mean over the same images, in nats.
        difference, difference_interval: accuracy less that of the best probe, paired over the images (duplicates
            together), 95 %; null for the best.
        with_best: whether it cannot be told apart from the best probe.
        worst_classes: those of the lowest recall, the lowest first.
        penalty: of the probe, chosen once.
        seconds: that rung 1 took, with forward passes.
    """

    accuracy: Accuracy
    log_loss: float
    difference: float | None = None
    difference_interval: Interval | None = None
    with_best: bool = False
    worst_classes: list[ClassAccuracy]
    penalty: float
    test: TestImages | None = None
    seconds: float


class ModelCost(Record):
    """What a model costs on this machine.

    Attributes:
        parameters: numbers in the weights, without a classifier.
        weights_bytes: bytes of the weights in memory.
        seconds_per_1000: of the forward pass alone, without decoding, by the fastest batch.
        timed_images: images that this was measured on.
        memory_bytes: weights and the largest sum of arrays that are alive at once in a forward pass.
        memory_batch: images of that forward pass.
    """

    parameters: int
    weights_bytes: int
    seconds_per_1000: float
    timed_images: int
    memory_bytes: int
    memory_batch: int


class FineTuning(Record):
    """Rung 2: a short training of the whole network with the recipe of its line, without augmentation.

    Attributes:
        fold: which fold it was judged on; the probe's numbers here are those of the same images.
        n_train: images that trained it.
        accuracy, probe: of the network and of its own probe, on the same images.
        difference, difference_interval: accuracy less that of its probe, paired over the images (duplicates together).
        settings: what it was trained with.
        recipe: where that comes from.
        rate: why the learning rate is what it is.
        tested_rates, tested_losses: the curve of the range test, losses as a moving average; empty without one.
        steps, seconds: of the training.
        alarms: what looks wrong, in sentences.
        notes: what the training did on its own, such as ending earlier on a slow machine.
    """

    fold: int
    n_train: int
    accuracy: Accuracy
    probe: Accuracy
    difference: float
    difference_interval: Interval
    settings: TrainConfig
    recipe: str
    rate: str
    tested_rates: list[float] = []
    tested_losses: list[float] = []
    steps: int
    seconds: float
    alarms: list[str] = []
    notes: list[str] = []


class CurvePoint(Record):
    """A size of a learning curve: mean error over `draws` trainings on as many images, with a 95 % interval."""

    images: int
    draws: int
    error: float
    low: float
    high: float


class LearningCurve(Record):
    """Errors over the number of training images, and the fit error(n) = asymptote + factor n^-exponent.

    Attributes:
        how: what was trained.
        points: the smallest number of images first.
        gain, gain_interval: by how much twice the images would lower the error.
        judged: images that every training was judged on.
        words: what twice the images would bring, in a sentence.
    """

    how: str
    points: list[CurvePoint]
    asymptote: float
    factor: float
    exponent: float
    gain: float
    gain_interval: Interval
    judged: int
    words: str


class ModelOrData(Record):
    """Bigger model or more data: what the next bigger model of the line brings, less what twice the images would.

    Attributes:
        bigger: name of the bigger model; null where none of its line was ranked.
        difference, difference_interval: its accuracy less that of the model, paired.
        less_data, less_data_interval: that difference less the gain from twice the images.
        cost_ratio: seconds per 1,000 images of the bigger model, as a multiple of the model's.
        words: the answer in a sentence.
    """

    bigger: str | None = None
    difference: float | None = None
    difference_interval: Interval | None = None
    less_data: float | None = None
    less_data_interval: Interval | None = None
    cost_ratio: float | None = None
    words: str


class SizeResult(Record):
    """A probe with images of another size.

    Attributes:
        accuracy: null where the model cannot read this size; `why` says so.
        difference, difference_interval: accuracy less that at the model's size, paired; null at that size.
        enlarged: share of the images that are smaller than what is read of them; their enlarging adds no detail.
    """

    size: int
    accuracy: Accuracy | None = None
    difference: float | None = None
    difference_interval: Interval | None = None
    seconds_per_1000: float | None = None
    enlarged: float | None = None
    why: str | None = None


class Resolution(Record):
    """Higher resolution? The best model with smaller and larger images, and the answer in a sentence."""

    sizes: list[SizeResult]
    words: str


class RankedModel(Record):
    """One model of the ranking.

    Attributes:
        name: timm tag, or the user's own factory.
        line: family of architectures, as in the catalogue: "ResNet".
        weights: where they came from, in words.
        weights_file: the file that was named or found in --weights; null: from the hub's cache, or the user's factory
            brings them. Sweeps and `try` load it where no other is given.
        fingerprint: hash of weights and image preparation.
        size: side of its images, pixels.
        feature_count: D.
        state: "recipe untested" until the line was trained with its own recipe; a low probe does not make it bad.
        rank: place by the accuracy of the probe; 1 is first.
        rung: highest rung that judged it.
        probe: rung 1.
        fine_tuning: rung 2; null where it was not trained.
        curve, model_or_data, resolution: rung 3; null where it was not asked.
        notes: what was chosen for it, in sentences.
    """

    name: str
    line: str
    weights: str
    weights_file: str | None = None
    fingerprint: str
    size: int
    feature_count: int
    state: State = "recipe untested"
    rank: int
    rung: int = 1
    cost: ModelCost
    probe: Probe
    fine_tuning: FineTuning | None = None
    curve: LearningCurve | None = None
    model_or_data: ModelOrData | None = None
    resolution: Resolution | None = None
    notes: list[str] = []


class LeftOut(Record):
    """A model that was not ranked: `why`, and the `ways` to have it ranked."""

    name: str
    why: str
    ways: list[str] = []


class Advice(Record):
    """A model and the reason to take it, in one sentence."""

    name: str
    reason: str


class ModelsReport(Record):
    """All of `models.json`. Keys are only added until 1.0.

    Attributes:
        headline: the answer in one sentence.
        advised, cheap: the model to take, and a fast one; the same where the advised one is the fastest.
        choice: which models were considered: under a shift those that may be the best by the estimate on the test
            images; null without test images.
        trust: how far to trust it, in one sentence.
        n_images, n_judged, n_test: images with a label; judged in some fold; test images that were used.
        classes: names of the C classes.
        folds: number of folds that judge.
        models: the ranking, best first.
        not_at_hand: models whose weights are not on this machine.
        left_out: models that failed or that the budget left out.
        next_command: what to type next.
    """

    version: int = 1
    headline: str
    advised: Advice
    cheap: Advice
    choice: ModelChoice | None = None
    trust: str
    n_images: int
    n_judged: int
    n_test: int
    classes: list[str]
    folds: int
    models: list[RankedModel]
    not_at_hand: list[LeftOut]
    left_out: list[LeftOut]
    notes: list[str]
    budget_s: float | None
    used_s: float
    seed: int
    next_command: str
    hardware: str
    versions: dict[str, str]
    command: str
