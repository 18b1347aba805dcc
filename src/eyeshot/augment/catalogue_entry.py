"""An augmentation: an operation at a strength and a probability, with what is known about it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from torch import nn

from eyeshot.augment.operation import Operation
from eyeshot.augment.transform import make_transform
from eyeshot.core import InputError

Family = Literal[
    "control",
    "geometric",
    "colour",
    "blur and noise",
    "masking",
    "mixing",
    "edge and texture",
    "policy",
    "generated",
    "custom",
]


@dataclass(frozen=True)
class Augmentation:
    """An operation with its name, strength and probability.

    Attributes:
        name: unique in a run.
        family: the kind of change.
        strength: the strength in words.
        probability: share of images that it changes in training; clouds have it applied to every image.
        description: one line.
        may_destroy: which labels it may make unreadable.
        source: where the strength comes from.
        operation: draws the parameters and applies them.
        stream: seeds the random streams; the name where not given. A copy under another name keeps it, so that one
            operation under two names gives the same samples, and noise can't rank one of them above the other.
        stages: of a policy: (from, to, factor), shares of the epochs and what they multiply the probability by; outside
            of them it is 0. None: the probability stays.
    """

    name: str
    family: Family
    strength: str
    probability: float
    description: str
    may_destroy: str
    source: str
    operation: Operation
    stream: str = ""
    stages: tuple[tuple[float, float, float], ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "stream", self.stream or self.name)
        if not 0 <= self.probability <= 1:
            raise InputError(
                f"The probability of {self.name} must lie between 0 and 1, got {self.probability}. "
                "It is the share of images that are changed in training."
            )

    @property
    def deterministic(self) -> bool:
        """Whether every draw gives the same augmented sample."""
        return self.operation.deterministic

    @property
    def mixes(self) -> bool:
        """Whether its labels are mixtures of several images' labels."""
        return self.operation.mixes_labels

    def at(self, share: float) -> Augmentation:
        """What is applied when this share of the epochs is over, 0 to 1."""
        if not self.stages:
            return self
        factor = next((factor for start, end, factor in self.stages if start <= share < end), 0.0)
        return replace(self, probability=self.probability * factor, stages=())

    @property
    def fingerprint(self) -> str:
        """Changes when what the augmentation does changes; the probability and the texts do not count."""
        drawn_as = "" if self.stream == self.name else f" drawn as {self.stream}"
        return f"{self.name}{drawn_as}={self.operation.fingerprint}"

    def as_transform(self, *, class_count: int | None = None, always: bool = False) -> nn.Module:
        """A module for a torchvision pipeline: takes a PIL image or a tensor and returns the same kind.

        Mixing augmentations take a batch of images and their labels instead, as torchvision's MixUp does.

        Args:
            class_count: number of classes; mixing augmentations need it where labels are class numbers.
            always: apply to every image; otherwise with the catalogue's `probability`.
        """
        probability = 1.0 if always else self.probability
        return make_transform(self.operation, name=self.name, probability=probability, class_count=class_count)
