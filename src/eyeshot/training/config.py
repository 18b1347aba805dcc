"""Settings of a training, and defaults for a backbone and a number of images."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator, model_validator

from eyeshot.core import InputError, duration, plural, refused_option
from eyeshot.training.recipe.optimizer_catalogue import OPTIMIZERS, check_optimizer, nearest
from eyeshot.training.recipe.schedule_catalogue import check_schedule

if TYPE_CHECKING:  # the command line checks settings before torch is loaded
    from eyeshot.models import Backbone

SCRATCH_BATCH = 64
SCRATCH_EPOCHS = 30
SCRATCH_STEPS = (400, 3000)
SCRATCH_MOST_EPOCHS = 200
MOST_EPOCHS, MOST_BATCH = 100_000, 1_000_000
"""More is a slip of the keyboard: numbers of steps beyond these overflow."""


class TrainConfig(BaseModel):
    """The recipe of one run; all of it but the time cap decides its numbers.

    Attributes:
        epochs: passes over the training images.
        batch_size: images per step; the incomplete last batch of each epoch is left out.
        learning_rate: peak of the schedule.
        weight_decay: on all weights but biases, norms and what the architecture wants to keep.
        warm_up_share: share of all steps until the peak.
        label_smoothing: share of each label that is spread over all classes.
        seed: of the order of images, the draws of augmentations, the head's start and dropout.
        optimizer: a name of `list_optimizers`.
        momentum: of optimizers that take one, such as SGD; None: 0.9, as timm's factory gives.
        schedule: how the learning rate changes, step by step; see `list_schedules`.
        layer_decay: each layer below the head learns by this factor less than the one above it (Clark et al. 2020,
            "ELECTRA"; Bao et al. 2022, "BEiT"); None: all layers learn alike.
        drop_path: chance that a residual branch is left out, rising with depth to this value (Huang et al. 2016, "Deep
            networks with stochastic depth").
        dropout: share of the features that the head does not see in a step.
        clip_norm: longer gradients are shortened to this norm; None: never.
        accumulate: parts that a batch is passed through the network in, to save memory; a step stays one `batch_size`.
        ema_decay: validate and save an exponential moving average of the weights with this decay a step; None: the
            weights themselves.
        freeze: what is not trained. "head": all but the head; "last-stage": all but the last stage and the head;
            "head-first": all but the head for `head_epochs`, then nothing.
        head_epochs: of "head-first".
        class_weights: weigh the loss of each class by the inverse of its number of training images.
        sampling: "balanced" shows each class equally often.
        small_size, small_share: for this share of the steps images are shrunk to this side in pixels.
        norm_statistics: "frozen" keeps the averages that BatchNorm was pretrained with, in training too; "batch" takes
            those of each batch, and the averages follow.
        precision: of the forward pass; "auto" chooses by device.
        time_cap_s: an epoch that would end later is not begun; the schedule is still that of all epochs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(default=30, ge=1, le=MOST_EPOCHS)
    batch_size: int = Field(default=64, ge=2, le=MOST_BATCH)
    learning_rate: float = Field(default=1e-3, gt=0, allow_inf_nan=False)
    weight_decay: float = Field(default=0.05, ge=0, allow_inf_nan=False)
    warm_up_share: float = Field(default=0.1, ge=0, lt=1)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    seed: int = Field(default=0, ge=0, lt=2**63)
    optimizer: str = "adamw"
    time_cap_s: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    momentum: float | None = Field(default=None, gt=0, lt=1)
    schedule: str = "cosine"
    layer_decay: float | None = Field(default=None, gt=0, le=1)
    drop_path: float = Field(default=0.0, ge=0, lt=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    clip_norm: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    accumulate: int = Field(default=1, ge=1)
    ema_decay: float | None = Field(default=None, gt=0, lt=1)
    freeze: Literal["none", "head", "last-stage", "head-first"] = "none"
    head_epochs: int = Field(default=0, ge=0)
    class_weights: bool = False
    sampling: Literal["shuffled", "balanced"] = "shuffled"
    small_size: int | None = Field(default=None, ge=8)
    small_share: float = Field(default=0.0, ge=0, lt=1)
    norm_statistics: Literal["batch", "frozen"] = "batch"
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"

    @field_validator("optimizer")
    @classmethod
    def _known_optimizer(cls, name: str) -> str:
        return check_optimizer(name).name

    @field_validator("schedule")
    @classmethod
    def _known_schedule(cls, name: str) -> str:
        check_schedule(name)
        return name

    @model_validator(mode="after")
    def _fitting_together(self) -> Self:
        if self.accumulate > 1 and self.batch_size < 2 * self.accumulate:
            raise InputError(
                f"Each part of a batch must have at least 2 images, got accumulate {self.accumulate} for batches of "
                f"{self.batch_size}. Accumulate at most {self.batch_size // 2} parts."
            )
        if (self.freeze == "head-first") != (self.head_epochs > 0) or self.head_epochs >= self.epochs:
            raise InputError(
                'freeze "head-first" takes head_epochs of at least 1 and fewer than all epochs, and no other freeze '
                f'takes any; got freeze "{self.freeze}" with head_epochs {self.head_epochs} of {self.epochs} epochs.'
            )
        if (self.small_size is not None) != (self.small_share > 0):
            raise InputError(
                "small_size and small_share go together: the side of small images, and the share of the steps that "
                f"they are used in; got {self.small_size} and {self.small_share:g}."
            )
        if self.momentum is not None and not OPTIMIZERS[self.optimizer].takes_momentum:
            taking = [name for name, record in OPTIMIZERS.items() if record.takes_momentum]
            raise InputError(
                f"momentum is a setting of {', '.join(taking)}; got {self.momentum:g} for {self.optimizer}. Leave it "
                "out, or choose another optimizer."
            )
        return self

    def identity(self) -> dict[str, object]:
        """What decides the numbers of a run, for its key.

        Settings that came later count only where they differ from their defaults, so that runs keep their keys.
        """
        values = self.model_dump(exclude={"time_cap_s"})
        return {name: value for name, value in values.items() if name in _FIRST or value != _default(name)}

    @property
    def words(self) -> str:
        """The settings in one line; those that are seldom changed are named where they differ from the defaults."""
        parts = [
            f"{self.epochs} {plural(self.epochs, 'epoch')}",
            f"batches of {self.batch_size}",
            f"learning rate up to {self.learning_rate:g}",
            f"weight decay {self.weight_decay:g}",
            *([f"label smoothing {self.label_smoothing:g}"] if self.label_smoothing else []),
            self.optimizer,
            *(said for name, said in self._other_words().items() if getattr(self, name) != _default(name)),
            f"seed {self.seed}",
            *([f"at most {duration(self.time_cap_s)}"] if self.time_cap_s is not None else []),
        ]
        return ", ".join(parts)

    def _other_words(self) -> dict[str, str]:
        return {
            "momentum": f"momentum {self.momentum}",
            "schedule": f"{self.schedule} schedule",
            "warm_up_share": f"warm-up over {100 * self.warm_up_share:g} % of the steps",
            "layer_decay": f"layer decay {self.layer_decay}",
            "drop_path": f"drop path {self.drop_path:g}",
            "dropout": f"dropout {self.dropout:g}",
            "clip_norm": f"gradients clipped at {self.clip_norm}",
            "accumulate": f"each batch in {self.accumulate} parts",
            "ema_decay": f"averaged weights (decay {self.ema_decay})",
            "freeze": {
                "head": "the head alone",
                "last-stage": "the last stage and the head",
                "head-first": f"the head alone for {self.head_epochs} {plural(self.head_epochs, 'epoch')}",
            }.get(self.freeze, ""),
            "class_weights": "loss weighted by class",
            "sampling": f"{self.sampling} sampling",
            "small_size": f"{self.small_size} px for {100 * self.small_share:g} % of the steps",
            "norm_statistics": "BatchNorm's averages frozen",
            "precision": self.precision,
        }


OPTIONS = ("epochs", "batch_size", "learning_rate", "seed", "optimizer", "schedule")
"""Settings with an option of their own in `eyeshot train`; the others are given by --set training.NAME=VALUE."""
_FIRST = ("epochs", "batch_size", "learning_rate", "weight_decay", "warm_up_share", "label_smoothing", "seed",
          "optimizer")  # fmt: skip
"""Settings that have been in the key of a run from the beginning."""


def _default(name: str) -> Any:
    return TrainConfig.model_fields[name].default


def check_config(command: str = "train", /, **values: object) -> TrainConfig:
    """Settings from loose values; errors refer to the help of `command`.

    Raises:
        InputError: a value is out of its range, or its name is unknown.
    """
    try:
        return TrainConfig.model_validate(values)
    except ValidationError as error:
        raise InputError(_refused(error, command)) from error


def check_setting(name: str, value: object, *, strict: bool = False) -> Any:
    """One value of the recipe by itself, typed; whether it fits the others is for `check_config`.

    Args:
        name, value: of the setting.
        strict: whether "3" or true is no number; a text of the command line is read as what the setting takes.

    Raises:
        InputError: it is not allowed.
    """
    field = TrainConfig.model_fields[name]
    try:
        form: Any = Annotated[field.annotation, field]
        checked: Any = TypeAdapter(form).validate_python(value, strict=strict)
    except ValidationError as error:
        raise InputError(_wrong_value(name, error)) from error
    if name == "optimizer":
        checked = check_optimizer(checked).name
    elif name == "schedule":
        check_schedule(checked)
    return checked


def _refused(error: ValidationError, command: str) -> str:
    """The first wrong setting, by the option that takes it."""
    first = error.errors()[0]
    name = str(first["loc"][0])
    if first["type"] == "extra_forbidden":
        near = nearest(name, TrainConfig.model_fields)
        return f"`training` has no setting {name!r}. {near}"
    return refused_option(error, command) if name in OPTIONS else _wrong_value(name, error)


def _wrong_value(name: str, error: ValidationError) -> str:
    first = error.errors()[0]
    return f"training.{name}: {first['msg'][0].lower()}{first['msg'][1:]}, got {first['input']!r}."


def default_settings(
    backbone: Backbone, image_count: int, *, seed: int = 0, time_cap_s: float | None = None
) -> tuple[TrainConfig, str]:
    """Settings for a backbone and a number of training images, with the reason."""
    if backbone.pretrained:
        reason = "20 epochs of small steps from the best linear head, since the weights are trained already"
        settings = TrainConfig(epochs=20, learning_rate=5e-5, seed=seed, time_cap_s=time_cap_s)
        if backbone.has_batch_norm:
            # The head was fitted on features made with BatchNorm's averages. With the statistics of batches,
            # EfficientNet-lite0 at 64 px fell from 89 % to 17 % in 40 steps at a rate of 1e-5 (668 PACS photographs).
            settings = settings.model_copy(update={"norm_statistics": "frozen"})
            reason += "; BatchNorm keeps its averages, which the head was fitted with"
        return settings, reason
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
