"""What a training run is told to do."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from eyeshot.models import Backbone


class TrainSettings(BaseModel):
    """Settings of one run; all of them but the time cap decide its numbers.

    Attributes:
        epochs: passes over the training images.
        batch_size: images per step; an incomplete last batch is left out, another one each epoch.
        learning_rate: peak of the schedule: linear warm-up, then a cosine down to zero, step by step.
        weight_decay: of AdamW, on all weights but biases and normalisation.
        warm_up_share: share of all steps until the peak.
        label_smoothing: share of each label spread over all classes.
        seed: order of images, draws of augmentations, initialisation of the head, dropout.
        optimizer: AdamW is the only one so far.
        time_cap_s: no epoch begins after so many seconds; the schedule stays that of all epochs.
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


def default_settings(backbone: Backbone, image_count: int, *, seed: int = 0) -> tuple[TrainSettings, str]:
    """Settings for a backbone and a number of training images, with the reason."""
    if backbone.pretrained:
        return TrainSettings(epochs=20, learning_rate=2e-4, seed=seed), "fine-tuning: 20 epochs, small steps"
    steps = max(1, image_count // 64)
    epochs = max(40, min(300, round(1500 / steps)))
    reason = f"from scratch: {epochs} epochs, {epochs * steps} steps of 64 images"
    return TrainSettings(epochs=epochs, learning_rate=2e-3, seed=seed), reason
