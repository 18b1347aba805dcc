"""Names of the catalogue, in a file that loads nothing heavy: a typing error is reported before torch is loaded."""

from __future__ import annotations

import difflib
from fnmatch import fnmatchcase

from eyeshot.core import InputError

FAMILIES: dict[str, tuple[str, ...]] = {
    "control": ("clean", "no-op", "shuffled-pixels"),
    "geometric": (
        "mirror", "vertical-flip", "half-turns", "quarter-turns", "rotate-15", "rotate-30", "rotate-180", "translate",
        "affine", "affine-stretch", "perspective", "crop-mild", "crop-strong", "elastic",
    ),
    "colour": (
        "jitter", "jitter-mild", "jitter-strong", "grey", "invert", "solarize", "posterize", "posterize-mild",
        "equalize", "autocontrast", "sharpness", "channel-shuffle", "channel-dropout",
    ),
    "blur and noise": (
        "gaussian-blur", "gaussian-blur-strong", "motion-blur", "gaussian-noise", "gaussian-noise-mild", "jpeg",
        "erosion", "dilation", "downscale",
    ),
    "masking": ("erasing", "cutout", "grid-mask", "patch-mask", "hide-and-seek", "coarse-dropout"),
    "mixing": ("mixup", "mixup-strong", "cutmix", "mosaic"),
    "edge and texture": ("edges", "pencil", "random-convolution", "amplitude-mix"),
    "policy": ("trivial-augment", "rand-augment", "augmix"),
}  # fmt: skip
"""Names by family, in the catalogue's order; a test compares them with the catalogue itself."""

SYNONYMS: dict[str, tuple[str, ...]] = {
    "mirror": ("hflip", "horizontal-flip", "random-horizontal-flip", "flip", "fliplr", "flip-lr"),
    "vertical-flip": ("vflip", "random-vertical-flip", "flipud", "flip-ud"),
    "quarter-turns": ("rot90", "rotate90", "random-rotate90", "rotate-90"),
    "rotate-15": ("rotate", "rotation", "random-rotation"),
    "translate": ("shift", "translation"),
    "affine": ("random-affine", "shift-scale-rotate"),
    "perspective": ("random-perspective",),
    "crop-mild": ("crop", "random-crop", "random-resized-crop"),
    "elastic": ("elastic-transform",),
    "jitter": ("color-jitter", "colour-jitter", "brightness", "contrast", "saturation", "hue"),
    "grey": ("gray", "grayscale", "greyscale", "random-grayscale", "to-gray"),
    "invert": ("random-invert", "invert-img"),
    "solarize": ("random-solarize",),
    "posterize": ("random-posterize",),
    "equalize": ("random-equalize", "clahe"),
    "autocontrast": ("random-autocontrast", "auto-contrast"),
    "sharpness": ("sharpen", "random-adjust-sharpness"),
    "channel-shuffle": ("random-channel-permutation",),
    "gaussian-blur": ("blur",),
    "gaussian-noise": ("noise", "gauss-noise"),
    "jpeg": ("image-compression", "jpeg-compression"),
    "erasing": ("random-erasing", "random-erase"),
    "cutout": ("cut-out",),
    "grid-mask": ("grid-dropout",),
    "mixup": ("mix-up",),
    "cutmix": ("cut-mix",),
    "trivial-augment": ("trivial-augment-wide", "ta-wide"),
    "rand-augment": ("random-augment",),
    "augmix": ("aug-mix",),
}
"""What torchvision, albumentations and people call the entries of the catalogue; only error messages know them."""


def is_user_name(name: str) -> bool:
    """Whether a name is that of the user's code; names of the catalogue have no colon."""
    return ":" in name


def matching_names(pattern: str) -> set[str]:
    """Names of the catalogue that a name, a wildcard or a family stands for.

    Raises:
        InputError: it stands for none; the message holds the nearest names.
    """
    wanted = pattern.strip().lower()
    matches = {
        name for family, names in FAMILIES.items() for name in names if wanted == family or fnmatchcase(name, wanted)
    }
    if not matches:
        raise unknown_name(pattern)
    return matches


def unknown_name(pattern: str) -> InputError:
    """The error for a pattern that names nothing."""
    names = [name for family in FAMILIES.values() for name in family]
    nearest = difflib.get_close_matches(pattern.lower(), [*names, *FAMILIES], n=3, cutoff=0.4)
    hint = f"Nearest: {', '.join(nearest)}." if nearest else f"Families: {', '.join(FAMILIES)}."
    if meant := _meant(pattern):
        hint = f"Did you mean {meant}?"
    if "." in pattern:  # no name of the catalogue has a dot
        hint = "Your augmentations are named package.module:attribute or path/to/file.py:attribute."
    return InputError(f"No augmentation is called {pattern!r}. {hint} List all with: eyeshot list augmentations")


def _meant(pattern: str) -> str:
    """The name of the catalogue that another library's name stands for, however it is spelled; empty if unknown."""
    letters = _letters(pattern)
    return next((name for name, others in SYNONYMS.items() if letters in map(_letters, (name, *others))), "")


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.lower()))
