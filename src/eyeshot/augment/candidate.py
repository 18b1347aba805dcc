"""An augmentation: an operation at a strength and a probability, with what is known about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from eyeshot.augment.operation import Operation
from eyeshot.errors import InputError

if TYPE_CHECKING:
    from torch import nn

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
    "own",
]


@dataclass(frozen=True)
class Augmentation:
    """An operation with its name, strength and probability.

    Attributes:
        name: unique in a run; seeds the random streams.
        family: the kind of change.
        strength: the strength in words.
        probability: share of images that it changes in training. For the clouds it is always applied.
        description: one line.
        may_destroy: which labels it may make unreadable.
        source: where the strength comes from.
        operation: what draws the parameters and applies them.
    """

    name: str
    family: Family
    strength: str
    probability: float
    description: str
    may_destroy: str
    source: str
    operation: Operation

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1:
            raise InputError(
                f"The probability of {self.name} must lie between 0 and 1, got {self.probability}. "
                "It is the share of images that are changed in training."
            )

    @property
    def deterministic(self) -> bool:
        """Whether every draw gives the same view."""
        return self.operation.deterministic

    @property
    def mixes(self) -> bool:
        """Whether labels are mixtures of several images' labels."""
        return self.operation.mixes_labels

    @property
    def fingerprint(self) -> str:
        """Changes when what the augmentation does changes; its probability and texts are no part of it."""
        return f"{self.name}={self.operation.fingerprint}"

    def as_transform(self, *, class_count: int | None = None, always: bool = False) -> nn.Module:
        """A module for a torchvision pipeline: takes a PIL image or a tensor and gives the same kind back.

        Mixing augmentations take a batch of images and their labels instead, as torchvision's MixUp does.

        Args:
            class_count: number of classes; for mixing class numbers.
            always: apply to every image; otherwise with the catalogue's `probability`.
        """
        from eyeshot.augment.transform import make_transform

        return make_transform(self, class_count=class_count, always=always)
