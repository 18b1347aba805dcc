"""Lines to paste into a training pipeline: plain torchvision where its operation is the same.

torchvision's warps fill the corners black and eyeshot's reflect, so rotations, shifts and policies differ; their lines
are `eyeshot.augmentation("NAME").as_transform()`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from eyeshot.augment.catalogue_entry import Augmentation
from eyeshot.augment.ops import blur_noise, geometric, mixing
from eyeshot.augment.user import ImageByImage


def compose_lines(augmentation: Augmentation, *, size: int | None = None) -> list[str]:
    """Lines for a `torchvision.transforms.v2.Compose([...])`, in order; none for `clean`.

    They need `import eyeshot` and `from torchvision.transforms import v2`. Lines of mixing augmentations
    belong after the DataLoader, since they take a batch of images and labels; a comment says so.

    Args:
        augmentation: what the lines apply.
        size: side of the model's input. If given, crops are torchvision's, which resize as they crop; if None, crops
            keep the size of the image.
    """
    if augmentation.name == "clean":
        return []
    operation, probability = augmentation.operation, augmentation.probability
    if isinstance(operation, ImageByImage):
        return _user_lines(augmentation, operation)
    if operation.partners:
        return _mixing_lines(augmentation)
    if isinstance(operation, geometric.ResizedCrop):
        return [_crop_line(operation, size)] if size is not None else [_eyeshot_line(augmentation)]
    writer = _WRITERS.get(operation.kind())
    line = writer(operation.settings(), probability) if writer else None
    return [line if line is not None else _eyeshot_line(augmentation)]


def _eyeshot_line(augmentation: Augmentation) -> str:
    operation, ratios = augmentation.operation, ""
    if isinstance(operation, geometric.Affine) and operation.stretch not in ((1.0, 1.0), geometric.USUAL_RATIOS):
        ratios = f", aspect_ratios={operation.stretch}"
    return f'eyeshot.augmentation("{augmentation.name}"{ratios}).as_transform(),'


def _user_lines(augmentation: Augmentation, operation: ImageByImage) -> list[str]:
    """The import is a comment, since the lines are elements of a list; code in a file is named instead of imported."""
    module, _, attribute = operation.reference.rpartition(":")
    if module.endswith(".py") or (operation.takes_random and not operation.decorated):
        return [_eyeshot_line(augmentation)]
    imports = [] if module == "__main__" else [f"# from {module} import {attribute}"]
    return [*imports, f"{attribute}{'.as_transform()' if operation.decorated else ''},"]


def _crop_line(operation: geometric.ResizedCrop, size: int) -> str:
    low, high = operation.ratio
    return f"v2.RandomResizedCrop({size}, scale={operation.scale}, ratio=({low:.4g}, {high:.4g})),"


def _mixing_lines(augmentation: Augmentation) -> list[str]:
    operation = augmentation.operation
    comment = "# on float batches, after the DataLoader: images, labels = mix(images, labels)"
    # torchvision draws one weight for a batch, eyeshot one for each image; single images see the same.
    if isinstance(operation, (mixing.MixUp, mixing.CutMix)):
        name = type(operation).__name__
        line = f"v2.{name}(alpha={operation.alpha}, num_classes=class_count)"
        return [comment, f"mix = v2.RandomApply([{line}], p={augmentation.probability})"]
    transform = f'eyeshot.augmentation("{augmentation.name}").as_transform(class_count=class_count)'
    return [comment, f"mix = {transform}"]


def _flip(strengths: dict[str, Any], probability: float) -> str | None:
    if strengths["sideways"] and strengths["upside_down"]:
        return f"v2.RandomApply([v2.RandomRotation((180, 180))], p={probability}),"
    return f"v2.Random{'Horizontal' if strengths['sideways'] else 'Vertical'}Flip(p={probability}),"


def _jitter(strengths: dict[str, Any], probability: float) -> str:
    amounts = ", ".join(f"{name}={value}" for name, value in strengths.items())
    return f"v2.RandomApply([v2.ColorJitter({amounts})], p={probability}),"


def _blur(strengths: dict[str, Any], probability: float) -> str:
    sigma = strengths["sigma"]
    kernel = 2 * blur_noise.kernel_radius(sigma) + 1
    return f"v2.RandomApply([v2.GaussianBlur({kernel}, sigma={sigma})], p={probability}),"


def _erase(strengths: dict[str, Any], probability: float) -> str | None:
    if strengths["fill"] not in ("black", "white"):
        return None  # torchvision fills with a constant, or with values of a normalised image
    value = 255 if strengths["fill"] == "white" else 0
    return f"v2.RandomErasing(p={probability}, scale={strengths['scale']}, ratio={strengths['ratio']}, value={value}),"


def _shuffle_channels(_: dict[str, Any], probability: float) -> str | None:
    # torchvision draws from all six orders, eyeshot from the five that change something.
    chance = round(probability * 6 / 5, 10)
    return f"v2.RandomApply([v2.RandomChannelPermutation()], p={chance})," if chance <= 1 else None


_WRITERS: dict[str, Callable[[dict[str, Any], float], str | None]] = {
    "geometric.Flip": _flip,
    "colour.Jitter": _jitter,
    "colour.Grey": lambda _, p: f"v2.RandomGrayscale(p={p}),",
    "colour.Invert": lambda _, p: f"v2.RandomInvert(p={p}),",
    "colour.Solarize": lambda strengths, p: f"v2.RandomSolarize(threshold={strengths['threshold']}, p={p}),",
    "colour.Posterize": lambda strengths, p: f"v2.RandomPosterize(bits={strengths['bits']}, p={p}),",
    "colour.Equalize": lambda _, p: f"v2.RandomEqualize(p={p}),",
    "colour.AutoContrast": lambda _, p: f"v2.RandomAutocontrast(p={p}),",
    "channels.ChannelShuffle": _shuffle_channels,
    "colour.Sharpness": lambda strengths, p: (
        f"v2.RandomAdjustSharpness(sharpness_factor={strengths['factor']}, p={p}),"
    ),
    "blur_noise.GaussianBlur": _blur,
    "masking.Erasing": _erase,
}
"""What writes the line of an operation, by its kind: from its strengths and its probability; None where it cannot."""
