"""Settings of the ranking of augmentations, typed and checked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from eyeshot.core import InputError, refused_option
from eyeshot.data import DataConfig

if TYPE_CHECKING:  # the command line checks settings before torch is loaded
    from eyeshot.augment import Augmentation

MAX_IMAGES = 600
SAMPLES_PER_IMAGE = 3
SCRATCH_TIME_S = 120.0
BUDGET_S = 600.0
TRAIN_OPTIONS = (
    "weights",
    "from_scratch",
    "size",
    "mean",
    "std",
    "interpolation",
    "fit",
    "seed",
    "device",
)
"""Settings of `RankingSettings` that a training of the same model needs too, in addition to its name."""
DATA_OPTIONS = tuple(name for name in DataConfig.model_fields if name != "train")
"""Settings of `RankingSettings` that select the images."""


class RankingSettings(BaseModel):
    """Settings of `eyeshot rank augmentations`.

    Attributes:
        test: folder of unlabelled images to be covered; None: the validation images are the target.
        val: class folders of validation images.
        val_share: share of the training images to hold out if there is no `val`.
        labels: CSV file with paths and labels, instead of class folders.
        path_column, label_column, image_root: how to read the CSV; None: guessed.
        model: timm tag, or "package.module:factory".
        weights: local file with the model's weights.
        from_scratch: train a baseline of the architecture here, on clean images.
        mean, std, interpolation: preprocessing of a custom model.
        size: side of the images in pixels; None: the model's own.
        fit: crop or pad to the square.
        max_images: largest number of images of each kind (source, held-out, target).
        samples_per_image: augmented samples of each source image per candidate; a single sample if all would be equal.
        batch_size: batch size of forward passes.
        workers: threads that decode.
        candidates: names, wildcards or families (a plain string for a single name); empty: all.
        generated: class folders of generated images, which become a further candidate.
        plot: candidates on the map, in addition to the winner; empty: chosen automatically.
        projections: which maps to draw; None: all three; empty: no map.
        images: whether to show small pictures on the page.
        seed: seed of every random choice.
        device: cuda, mps or cpu; None: chosen automatically.
        baseline_aug: an augmentation that is already in the pipeline, before every candidate: gains are on top of it.
        budget_s: seconds for short runs; 0 ranks by coverage alone.
        target_shares: how often classes occur among the target images: "even", or a CSV file with the columns class and
            share; None: as among the training images.
        decisions: decisions file to apply to the training images.
        split: split file; `val` takes precedence over it, and it takes precedence over `val_share`.
        fold: the fold of the split that validates.
        rules: the rules for the use of test images, for the report.
        full_train: how many of the first candidates to train to the end, with clean images and TrivialAugment.
        scratch_time_s: no epoch of the baseline begins after this many seconds.
        policy: whether to compose a policy of what was measured.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    test: Path | None = None
    val: Path | None = None
    val_share: float = 0.2
    labels: Path | None = None
    path_column: str | None = None
    label_column: str | None = None
    image_root: Path | None = None
    model: str | None = None
    weights: Path | None = None
    from_scratch: bool = False
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    interpolation: Literal["bilinear", "bicubic", "nearest", "lanczos"] | None = None
    size: int | None = Field(default=None, ge=8)
    fit: Literal["crop", "pad"] = "crop"
    max_images: int = Field(default=MAX_IMAGES, ge=20)
    samples_per_image: int = Field(default=SAMPLES_PER_IMAGE, ge=1, le=64)
    batch_size: int = Field(default=64, ge=1)
    workers: int | None = Field(default=None, ge=1)
    candidates: tuple[str, ...] = ()
    generated: Path | None = None
    plot: tuple[str, ...] = ()
    projections: tuple[Literal["PCA", "t-SNE", "UMAP"], ...] = Field(default=None, validate_default=True)
    images: bool = True
    seed: int = Field(default=0, ge=0, lt=2**63)
    device: str | None = None
    baseline_aug: str | None = None
    budget_s: float = Field(default=BUDGET_S, ge=0)
    full_train: int = Field(default=0, ge=0)
    target_shares: Literal["even"] | Path | None = None
    decisions: Path | None = None
    split: Path | None = None
    fold: int | None = Field(default=None, ge=0)
    rules: str = ""
    scratch_time_s: float = Field(default=SCRATCH_TIME_S, gt=0)
    policy: bool = False

    @field_validator("projections", mode="before")
    @classmethod
    def _all_maps(cls, value: object) -> object:
        return ("PCA", "t-SNE", "UMAP") if value is None else value

    @field_validator("candidates", "plot", "projections", mode="before")
    @classmethod
    def _single_name_as_list(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    def data(self, train: Path) -> DataConfig:
        """The data configuration, with the folder of the training images."""
        return DataConfig(train=train, **{name: getattr(self, name) for name in DATA_OPTIONS})


def check_settings(**values: object) -> RankingSettings:
    """Check settings given by name.

    Raises:
        InputError: a value is out of its range, or its name is unknown.
    """
    try:
        return RankingSettings.model_validate(values)
    except ValidationError as error:
        raise InputError(refused_option(error, "rank augmentations")) from error


def samples_of(steps: tuple[Augmentation, ...], samples_per_image: int) -> int:
    """Augmented samples of each image by a pipeline; a single sample if all would be equal."""
    *before, last = steps
    same = last.deterministic and all(step.deterministic and step.probability >= 1 for step in before)
    return 1 if same else samples_per_image
