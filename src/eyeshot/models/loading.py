"""Loads a backbone by the name of the model on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, cast, get_args

from torch import nn

from eyeshot.core import EyeshotError, InputError, ModelError
from eyeshot.data import Geometry
from eyeshot.models import timm_models
from eyeshot.models.backbone import Backbone, count_features, fingerprint_of
from eyeshot.models.local_weights import weights_in_folder
from eyeshot.models.own_models import OWN_SIZE, is_factory, load_own, own_preparation

Interpolation = Literal["bilinear", "bicubic", "nearest", "lanczos"]

DEFAULT_MODEL = "mobilenetv4_conv_small.e2400_r224_in1k"
DEFAULT_MODEL_REASON = (
    "small enough for a laptop: 10 MB of weights, six times as many images a second as resnet18 on a CPU; "
    "trained on ImageNet"
)

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
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
    """Load a model by its name, without its classifier, with the image preparation that it needs.

    Args:
        model: a timm tag ("architecture.weights"), or "package.module:factory" for the user's own network.
        weights: safetensors or torch file with the weights, or a folder of such files named by tag.
        from_scratch: leave the model untrained, to train a baseline from it.
        size: side of the images, pixels; None: the model's own.
        mean, std: per channel, for images in 0-1; None: the model's own.
        interpolation: how images are resized; None: the model's own.
        fit: crop to a square, or pad with the colour of the border.
        seed: seed of untrained weights.

    Raises:
        InputError: the model does not allow the size, or a value is out of range.
        ModelError: the model is unknown, or its weights are unavailable or do not fit, or the folder has none of it.
    """
    if weights is not None and from_scratch:
        raise InputError("`weights` and `from_scratch` exclude each other, got both. Leave one of them out.")
    if size is not None and size < 1:
        raise InputError(f"`size` must be at least 1 pixel, got {size}.")
    own_size: int | None
    module: nn.Module
    taken = []
    if is_factory(model):
        name = model
        if weights is not None and weights.is_dir():
            weights, why = weights_in_folder(model, weights)
            taken = [why]
        own, pretrained, head, notes = load_own(model, weights=weights, from_scratch=from_scratch, size=size, seed=seed)
        module = own
        if prepared := own_preparation(own):
            own_size, crop_share = int(prepared["input_size"][-1]), float(prepared["crop_pct"])
            mode = str(prepared["interpolation"])
            own_mean, own_std = tuple(prepared["mean"]), tuple(prepared["std"])
            notes.append("Size, crop, mean, std and interpolation are those of its pretrained_cfg.")
        else:
            own_size, crop_share, mode = None, 1.0, "bilinear"
            own_mean, own_std = IMAGENET_MEAN, IMAGENET_STD
            notes += _assumed(size=size, mean=mean, std=std, interpolation=interpolation)
    else:
        name, config, notes = timm_models.resolve_tag(model)
        own_size = timm_models.own_size(name, config)
        if weights is not None and weights.is_dir():
            weights, why = weights_in_folder(name, weights)
            taken = [why]
        module, more = timm_models.load_timm(
            name, config, weights=weights, from_scratch=from_scratch, size=size, seed=seed
        )
        notes += more
        pretrained, head = not from_scratch, timm_models.classifier_name(config)
        preparation = timm_models.preparation(module)
        timm_models.check_patches(name, module, size or own_size, own_size)
        crop_share, mode = float(preparation["crop_pct"]), str(preparation["interpolation"])
        own_mean, own_std = tuple(preparation["mean"]), tuple(preparation["std"])
        if preparation.get("crop_mode") == "squash":
            notes.append("Its weights were trained on stretched images; here the aspect ratio is kept.")
    geometry = Geometry(
        size=size or own_size or OWN_SIZE,
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
        feature_count=_count(name, module, geometry.size, own_size),
        pretrained=pretrained,
        fingerprint=fingerprint_of(module, name, geometry, means, stds),
        reason=" ".join([*taken, *notes]),
        head=head,
        own_normalisation=(own_mean, own_std) if pretrained and weights is None and not is_factory(model) else None,
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
    """The backbone of a command for which a model is optional; None without a name.

    Raises:
        InputError: an option of a model was given without a model, or as `load_backbone`.
        ModelError: as `load_backbone`.
    """
    if model is None:
        options = {"weights": weights, "size": size, "mean": mean, "std": std, "interpolation": interpolation}
        for name, value in options.items():
            if value is not None:
                raise InputError(f"--{name} belongs to a model, got {str(value)!r} without --model. Add --model TAG.")
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


def _count(name: str, module: nn.Module, size: int, own_size: int | None) -> int:
    try:
        return count_features(module, size)
    except Exception as error:
        # What an own network raised is told here by the size, since one image alone was asked for.
        cause = error.__cause__ if isinstance(error, EyeshotError) else error
        if cause is None:
            raise
        first = next((layer for layer in module.modules() if isinstance(layer, nn.Conv2d)), None)
        if first is not None and first.in_channels != 3:
            raise ModelError(
                f"{name} must read images of 3 channels (RGB), and its first layer reads {first.in_channels}. Make it "
                "with 3 channels (in timm: in_chans=3), or average the channels in its forward."
            ) from error
        why = (str(cause).strip().splitlines() or [type(cause).__name__])[0][:200]
        if own_size is None or size == own_size:
            hint = " Try another --size." if own_size is None else ""
            raise ModelError(f"{name} cannot read an image of {size} x {size}: {why}.{hint}") from error
        possible = [larger for larger in SMALLEST_SIZES if larger > size and _reads(module, larger)][:1]
        hint = f"The smallest size that works is about {possible[0]}; its own size is {own_size}." if possible else ""
        raise InputError(
            f"`size` {size} is not possible for {name} ({why}). {hint or f'Its own size is {own_size}.'}"
        ) from error


def _reads(module: nn.Module, size: int) -> bool:
    try:
        count_features(module, size)
    except Exception:
        return False
    return True


def _channels(name: str, override: Sequence[float] | None, default: Sequence[float]) -> tuple[float, ...]:
    values = tuple(float(value) for value in (default if override is None else override))
    values = values * 3 if len(values) == 1 else values
    if len(values) != 3:
        raise InputError(f"`{name}` must have one value or three values (R, G, B), got {len(values)}.")
    if name == "mean" and max(values) > 1:
        raise InputError(f"`mean` must be for images in 0-1, got {values}. Divide by 255.")
    if name == "std" and min(values) <= 0:
        raise InputError(f"`std` must be above 0, got {values}.")
    return values


def _interpolation(override: str | None, default: str) -> Interpolation:
    allowed = get_args(Interpolation)
    if override is not None and override not in allowed:
        raise InputError(f"`interpolation` must be one of {', '.join(allowed)}, got {override!r}.")
    interpolation = override or default
    return cast(Interpolation, interpolation if interpolation in allowed else "bicubic")


def _assumed(**overrides: object) -> list[str]:
    assumed = {
        "size": f"size {OWN_SIZE}",
        "mean": "ImageNet's mean",
        "std": "ImageNet's std",
        "interpolation": "bilinear interpolation",
    }
    missing = [text for name, text in assumed.items() if overrides[name] is None]
    return [f"Assumed: {', '.join(missing)}; say otherwise with options."] if missing else []
