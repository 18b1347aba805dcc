"""Models and how each is trained: fixed before the first table, and the same for all candidates."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import xxhash

from benchmarks.augmentation_truth.tasks import Task
from benchmarks.common import SQUEEZENET, shared
from eyeshot.augment import Augmentation, augmentations
from eyeshot.models import Backbone, load_backbone
from eyeshot.training import TrainConfig, default_settings

CONTROLS = ("clean", "no-op", "shuffled-pixels")
CANDIDATES = (
    *("mirror", "half-turns", "rotate-15", "rotate-30", "translate", "affine", "perspective", "crop-strong", "elastic"),
    *("jitter", "jitter-strong", "grey", "invert", "solarize", "equalize", "sharpness"),
    *("gaussian-blur", "gaussian-blur-strong", "motion-blur", "gaussian-noise", "erosion", "dilation", "downscale"),
    *("erasing", "grid-mask", "mixup", "cutmix"),
    *("edges", "random-convolution", "amplitude-mix", "trivial-augment", "augmix"),
)
SEEDS = 3
MOST_SEEDS = 8


@dataclass(frozen=True)
class Model:
    """A model and its recipe.

    Attributes:
        name: name in the tables.
        options: options of `load_backbone`; a name in `weights` is in the shared folder.
        frozen: a head on frozen features instead of a training of all weights.
        size: side of the images in pixels; `digits_size` for the digits.
        epochs: None uses the product's own number, multiplied by `times`.
        times: see `epochs`; 1 was shown to be too short for the small CNN (`benchmarks/results/truth_recipe_*`).
        draws: draws of samples, for a head on frozen features.
    """

    name: str
    options: tuple[tuple[str, Any], ...]
    frozen: bool = False
    size: int = 48
    digits_size: int = 32
    epochs: int | None = None
    draws: int = 3
    times: int = 1

    @property
    def from_scratch(self) -> bool:
        """Whether it starts untrained."""
        return bool(dict(self.options).get("from_scratch", False))

    def size_for(self, source: str) -> int:
        """Side of the images of a source."""
        return self.digits_size if source == "digits" else self.size

    def load(self, source: str, *, seed: int) -> Backbone:
        """The backbone; `seed` is the seed of untrained weights."""
        options = dict(self.options)
        if isinstance(options.get("weights"), str):
            options["weights"] = shared() / "weights" / options["weights"]
        return load_backbone(size=self.size_for(source), seed=seed, **options)

    def settings(self, backbone: Backbone, image_count: int, *, seed: int) -> TrainConfig:
        """The product's own settings, with this recipe's number of epochs."""
        settings, _ = default_settings(backbone, image_count, seed=seed)
        return settings.model_copy(update={"epochs": self.epochs or self.times * settings.epochs})


def _squeezenet(name: str, **more: Any) -> Model:
    options = SQUEEZENET | {"weights": "squeezenet1_0-imagenet.safetensors", "interpolation": "bilinear"}
    return Model(name, tuple(options.items()), size=64, digits_size=64, **more)


MODELS = {
    model.name: model
    for model in (
        Model("small-cnn", (("model", "test_resnet.r160_in1k"), ("from_scratch", True)), times=2),
        Model("small-vit", (("model", "test_vit.r160_in1k"), ("from_scratch", True))),
        _squeezenet("squeezenet-head", frozen=True),
        _squeezenet("squeezenet-tuned", epochs=6),
        Model(
            "efficientnet-tuned",
            (("model", "tf_efficientnet_lite0"), ("weights", "tf_efficientnet_lite0-imagenet.safetensors")),
            size=64,
            digits_size=64,
            epochs=6,
        ),
    )
}


def users_model(tag: str, *, from_scratch: bool, weights: Path | None, size: int | None, epochs: int | None) -> Model:
    """A model by its timm tag or factory, or a model of `MODELS` with another size or number of epochs."""
    known = MODELS.get(tag)
    if known is not None:
        return replace(
            known, size=size or known.size, digits_size=size or known.digits_size, epochs=epochs or known.epochs
        )
    options: dict[str, Any] = {"model": tag, "from_scratch": from_scratch}
    if weights is not None:
        options["weights"] = weights
    return Model(tag, tuple(options.items()), size=size or 64, digits_size=size or 32, epochs=epochs)


def recipe_fingerprint(model: Model, task: Task, settings: TrainConfig | None) -> str:
    """Changes if images or recipe change: rows with another fingerprint belong to another table.

    `settings` are the settings of the training, None for a head on frozen features.
    """
    options = {key: Path(value).name if key == "weights" else value for key, value in model.options}
    how = model.draws if settings is None else settings.model_dump_json(exclude={"seed"})
    kind = (options, model.size_for(task.name), how, task.name, task.version)
    return xxhash.xxh3_64_hexdigest(repr(kind).encode())[:8]


def candidate_fingerprint(candidate: Augmentation) -> str:
    """Changes if the operation that the catalogue has under this name changes."""
    return xxhash.xxh3_64_hexdigest(f"{candidate.fingerprint}@{candidate.probability}".encode())[:8]


def choose_candidates(names: tuple[str, ...], aspect_ratios: tuple[float, float]) -> dict[str, Augmentation]:
    """The named candidates and the controls, by name.

    Raises:
        InputError: an unknown name; the message has the nearest names.
    """
    chosen = augmentations(*(names or CANDIDATES), *CONTROLS, aspect_ratios=aspect_ratios)
    return {candidate.name: candidate for candidate in chosen}
