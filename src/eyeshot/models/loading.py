"""From a name on the command line to a backbone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, cast, get_args

from torch import nn

from eyeshot.core import EyeshotError, InputError, ModelError
from eyeshot.data import Geometry
from eyeshot.models import timm_models
from eyeshot.models.backbone import Backbone, count_features, fingerprint_of
from eyeshot.models.own_models import is_factory, load_own

Interpolation = Literal["bilinear", "bicubic", "nearest", "lanczos"]

DEFAULT_MODEL = "mobilenetv4_conv_small.e2400_r224_in1k"
DEFAULT_MODEL_REASON = (
    "small enough for a laptop: 10 MB of weights, six times as many images a second as resnet18 on a CPU; "
    "trained on ImageNet"
)

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
OWN_SIZE = 224
SMALLEST_SIZES = (32, 48, 64, 96, 128, 160, 192, 224)


def load_backbone(
    model: str = DEFAULT_MODEL,
    *,
    weights: Path | None = None,
    from_scratch: bool = False,
    size: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    interpolation: str | None = None,
    fit: Literal["crop", "pad"] = "crop",
    seed: int = 0,
) -> Backbone:
    """A model by its name, without its classifier, with the images that it wants.

    Args:
        model: a timm tag ("architecture.weights"), or "package.module:factory" for the user's own network.
        weights: safetensors or torch file to take the weights from.
        from_scratch: leave it untrained; a baseline is then trained in place.
        size: side of the images; None takes the model's own.
        mean, std: per channel, for images in 0-1; None takes the model's own.
        interpolation: how images are resized; None takes the model's own.
        fit: crop to a square, or pad with the edge's colour.
        seed: of the untrained weights.

    Raises:
        InputError: the model does not allow the size, or a value is out of range.
        ModelError: unknown model, or weights that cannot be had or do not fit.
    """
    if weights is not None and from_scratch:
        raise InputError("Give either `weights` or `from_scratch`, not both: a baseline starts untrained.")
    if size is not None and size < 1:
        raise InputError(f"`size` must be at least 1 pixel, got {size}.")
    own: int | None
    module: nn.Module
    if is_factory(model):
        name = model
        module, pretrained, head, notes = load_own(
            model, weights=weights, from_scratch=from_scratch, size=size or OWN_SIZE, seed=seed
        )
        own, crop_share, mode = None, 1.0, "bilinear"
        own_mean, own_std = IMAGENET_MEAN, IMAGENET_STD
        notes += _assumed(size=size, mean=mean, std=std, interpolation=interpolation)
    else:
        name, config, notes = timm_models.resolve_tag(model)
        own = timm_models.own_size(name, config)
        module, more = timm_models.load_timm(
            name, config, weights=weights, from_scratch=from_scratch, size=size, seed=seed
        )
        notes += more
        pretrained, head = not from_scratch, timm_models.classifier_name(config)
        found = timm_models.preparation(module)
        timm_models.check_patches(name, module, size or own, own)
        crop_share, mode = float(found["crop_pct"]), str(found["interpolation"])
        own_mean, own_std = tuple(found["mean"]), tuple(found["std"])
        if found.get("crop_mode") == "squash":
            notes.append("Its weights were trained on stretched images; here the ratio is kept.")
    geometry = Geometry(
        size=size or own or OWN_SIZE,
        crop_share=crop_share,
        interpolation=_interpolation(interpolation, mode),
        fit=fit,
    )
    means = _channels("mean", mean, own_mean)
    stds = _channels("std", std, own_std)
    module.eval()
    return Backbone(
        name=name,
        module=module,
        geometry=geometry,
        mean=means,
        std=stds,
        feature_count=_count(name, module, geometry.size, own),
        pretrained=pretrained,
        fingerprint=fingerprint_of(module, name, geometry, means, stds),
        reason=" ".join(notes),
        head=head,
    )


def named_backbone(
    model: str | None,
    *,
    weights: str | Path | None = None,
    size: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    interpolation: str | None = None,
    fit: Literal["crop", "pad"] = "crop",
) -> Backbone | None:
    """The model of a command that needs none: None without a name.

    Raises:
        InputError: something about a model was given without one, or as `load_backbone`.
        ModelError: as `load_backbone`.
    """
    if model is None:
        given = {"weights": weights, "size": size, "mean": mean, "std": std, "interpolation": interpolation}
        for name, value in given.items():
            if value is not None:
                raise InputError(f"--{name} belongs to a model, got {str(value)!r} without one. Add --model TAG.")
        return None
    return load_backbone(
        model,
        weights=None if weights is None else Path(weights),
        size=size,
        mean=mean,
        std=std,
        interpolation=interpolation,
        fit=fit,
    )


def _count(name: str, module: nn.Module, size: int, own: int | None) -> int:
    try:
        return count_features(module, size)
    except EyeshotError:
        raise
    except Exception as error:
        why = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        if own is None or size == own:
            hint = " Try another --size." if own is None else ""
            raise ModelError(f"{name} cannot read an image of {size} x {size}: {why}.{hint}") from error
        possible = [other for other in SMALLEST_SIZES if other > size and _reads(module, other)][:1]
        hint = f"The smallest that it reads is about {possible[0]}; its own is {own}." if possible else ""
        raise InputError(
            f"`size` {size} is not possible for {name} ({why}). {hint or f'Its own size is {own}.'}"
        ) from error


def _reads(module: nn.Module, size: int) -> bool:
    try:
        count_features(module, size)
    except Exception:
        return False
    return True


def _channels(what: str, given: Sequence[float] | None, own: Sequence[float]) -> tuple[float, ...]:
    values = tuple(float(value) for value in (own if given is None else given))
    values = values * 3 if len(values) == 1 else values
    if len(values) != 3:
        raise InputError(f"`{what}` must have one value or three (R, G, B), got {len(values)}.")
    if what == "mean" and max(values) > 1:
        raise InputError(f"`mean` must be for images in 0-1, got {values}. Divide by 255.")
    if what == "std" and min(values) <= 0:
        raise InputError(f"`std` must be above 0, got {values}.")
    return values


def _interpolation(given: str | None, own: str) -> Interpolation:
    known = get_args(Interpolation)
    if given is not None and given not in known:
        raise InputError(f"`interpolation` must be one of {', '.join(known)}, got {given!r}.")
    chosen = given or own
    return cast(Interpolation, chosen if chosen in known else "bicubic")


def _assumed(**given: object) -> list[str]:
    assumed = {
        "size": f"size {OWN_SIZE}",
        "mean": "ImageNet's mean",
        "std": "ImageNet's std",
        "interpolation": "bilinear interpolation",
    }
    missing = [text for what, text in assumed.items() if given[what] is None]
    return [f"Assumed: {', '.join(missing)}; say otherwise with options."] if missing else []
