"""Settings of a training, and defaults for a backbone and a number of images."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from eyeshot.core import InputError, duration, plural, refused_option

if TYPE_CHECKING:  # the command line checks settings before torch is loaded
    from eyeshot.models import Backbone

SCRATCH_BATCH = 64
SCRATCH_EPOCHS = 30
SCRATCH_STEPS = (400, 3000)
SCRATCH_MOST_EPOCHS = 200


class TrainConfig(BaseModel):
    """Settings of one run; all of them but the time cap decide its numbers.

    Attributes:
        epochs: passes over the training images.
        batch_size: images per step; the incomplete last batch of each epoch is left out.
        learning_rate: peak of the schedule: linear warm-up, then half a cosine down to zero, step by step.
        weight_decay: on all weights but biases, norms and what the architecture wants to keep.
        warm_up_share: share of all steps until the peak.
        label_smoothing: share of each label that is spread over all classes.
        seed: of the order of images, the draws of augmentations, the head's start and dropout.
        optimizer: AdamW (Loshchilov and Hutter 2019).
        time_cap_s: an epoch that would end later is not begun; the schedule is still that of all epochs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(default=30, ge=1)
    batch_size: int = Field(default=64, ge=2)
    learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.05, ge=0)
    warm_up_share: float = Field(default=0.1, ge=0, lt=1)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    seed: int = Field(default=0, ge=0)
    optimizer: Literal["adamw"] = "adamw"
    time_cap_s: float | None = Field(default=None, gt=0)

    @property
    def words(self) -> str:
        """The settings in one line."""
        parts = [
            f"{self.epochs} {plural(self.epochs, 'epoch')}",
            f"batches of {self.batch_size}",
            f"learning rate up to {self.learning_rate:g}",
            f"weight decay {self.weight_decay:g}",
            *([f"label smoothing {self.label_smoothing:g}"] if self.label_smoothing else []),
            self.optimizer,
            f"seed {self.seed}",
            *([f"at most {duration(self.time_cap_s)}"] if self.time_cap_s is not None else []),
        ]
        return ", ".join(parts)


def check_config(**values: object) -> TrainConfig:
    """Settings from loose values.

    Raises:
        InputError: a value is out of its range, or its name is unknown.
    """
    try:
        return TrainConfig.model_validate(values)
    except ValidationError as error:
        raise InputError(refused_option(error, "train")) from error


def default_settings(
    backbone: Backbone, image_count: int, *, seed: int = 0, time_cap_s: float | None = None
) -> tuple[TrainConfig, str]:
    """Settings for a backbone and a number of training images, with the reason."""
    if backbone.pretrained:
        settings = TrainConfig(epochs=20, learning_rate=5e-5, seed=seed, time_cap_s=time_cap_s)
        return settings, "20 epochs of small steps from the best linear head, since the weights are trained already"
    # 30 epochs, but 400 to 3,000 steps. On 668 photographs of 64 px (test_resnet, 334 or 1,002 held out)
    # 200 steps fit the training images, and 200 to 900 steps, learning rates of 2e-3 to 1e-2 and weight decay of
    # 0.05 to 2 all end at 70 to 75 % within noise.
    steps = max(1, image_count // SCRATCH_BATCH)
    total_steps = min(max(SCRATCH_EPOCHS * steps, SCRATCH_STEPS[0]), SCRATCH_STEPS[1])
    epochs = min(math.ceil(total_steps / steps), SCRATCH_MOST_EPOCHS)
    settings = TrainConfig(
        epochs=epochs, batch_size=SCRATCH_BATCH, learning_rate=4e-3, seed=seed, time_cap_s=time_cap_s
    )
    return settings, f"{epochs} epochs of {steps} steps, since the weights start untrained"
