"""What `eyeshot rank optimizers` found: the contents of `optimizers.json`.

Keys are only added until version 1.0. `docs/optimizers-json.md` says what each one means.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from eyeshot.core import replacing
from eyeshot.predictions import Accuracy, Difference

OPTIMIZERS_FILE = "optimizers.json"
Kind = Literal["convolutional with BatchNorm", "convolutional without BatchNorm", "transformer", "other"]


class Record(BaseModel):
    """A part of `optimizers.json`."""

    model_config = ConfigDict(extra="forbid")


class Spread(Record):
    """How one number differs between random batches, relative to its median at the same weights."""

    n: int
    """Batches times states of the weights."""
    median: float
    """Of the number itself, over all of them."""
    spread: float
    """1.4826 times the median distance from the median: the standard deviation of normal values, robustly."""
    tail: float
    """95 % quantile over the median."""
    kurtosis: float | None
    """Excess over a normal distribution's; null where all are equal."""


class BatchImage(Record):
    """An image of a batch that stands out."""

    id: str
    label: str
    loss: float


class OddBatch(Record):
    """A random batch whose loss or gradient stands out from the others."""

    number: int
    """Its place among the batches that were drawn, from 1."""
    step: int
    """Steps that were done at the state where it stands out most."""
    loss_ratio: float
    """Its loss over the median of the batches at the same weights."""
    norm_ratio: float
    images: list[BatchImage]
    """Those with the highest losses, the highest first."""


class Situation(Record):
    """What the advice depends on."""

    model: str
    kind: Kind
    kind_reason: str
    pretrained: bool
    parameters: int
    batch_size: int
    epochs: int
    steps: int
    warm_up_steps: int
    schedule: str
    augmentations: list[str]
    n_train: int
    classes: int
    smallest_class: int
    losses: Spread
    norms: Spread
    batches: int
    """Random batches that were measured, the same ones at each state of the weights."""
    loss_ratios: list[float]
    """One a batch and state, the states in turn: loss over the median at that state."""
    norm_ratios: list[float]
    noise_scale: float | None
    """In images, before the first step; null where it cannot be told."""
    odd_batches: list[OddBatch]
    heavy_tailed: bool
    spread_words: str
    """How the batches differ, and why that is called heavy-tailed or not, in a sentence."""

    @property
    def odd(self) -> bool:
        """Whether random batches look odd: heavy tails, or single batches that stand out."""
        return self.heavy_tailed or bool(self.odd_batches)


class Advised(Record):
    """An optimizer that is worth a try here."""

    optimizer: str
    reason: str
    """What in the situation speaks for it."""
    evidence: str
    """With the source."""
    against: str


class RateTrial(Record):
    """A learning rate of an optimizer, judged by images that were held out of the training images for this choice."""

    learning_rate: float
    accuracy: Accuracy | None
    """Null where the loss did not stay finite."""
    log_loss: float | None


class TriedOptimizer(Record):
    """An optimizer at its best learning rate, on the validation images."""

    optimizer: str
    learning_rate: float
    weight_decay: float
    schedule: str
    rates: list[RateTrial]
    """The smallest learning rate first."""
    at_edge: bool
    """Whether the best rate is the smallest or largest that was tried: a better one may lie beyond."""
    accuracies: list[float]
    """One a seed; 0 where it diverged."""
    diverged: int
    """Seeds whose loss did not stay finite; all of their answers count as wrong."""
    accuracy: Accuracy
    difference: Difference | None
    """From AdamW on the same images and seeds; null for AdamW itself."""
    verdict: str
    """In a sentence."""
    seconds: float
    """Of one training, the mean over seeds."""


class OptimizersReport(Record):
    """The contents of `optimizers.json`."""

    version: int = 1
    answer: str
    next_step: str
    choice: str
    """The optimizer to take: the best that is better than AdamW, otherwise AdamW."""
    situation: Situation
    advised: list[Advised]
    left_out: list[str]
    """Advised optimizers that are not installed, with the way to get them."""
    schedule: str
    """Advised, not tried."""
    schedule_reason: str
    tried: list[TriedOptimizer]
    """AdamW first; empty without a budget."""
    epochs: int
    """Of each training; the recipe's are in `situation`."""
    seeds: int
    seeds_planned: int
    n_train: int
    n_val: int
    n_inner_train: int
    n_inner_val: int
    plan_words: str
    """Why so many epochs and seeds."""
    notes: list[str]
    created: datetime
    seconds: float
    """Of all trainings, those of earlier sittings included."""
    budget_s: float
    hardware: str
    command: str

    def save(self, folder: Path) -> None:
        """Write `optimizers.json` whole or not at all.

        Raises:
            StorageError: the folder cannot be written.
        """
        with replacing(folder / OPTIMIZERS_FILE) as temporary:
            temporary.write_bytes((self.model_dump_json(indent=2) + "\n").encode("utf-8", "replace"))
