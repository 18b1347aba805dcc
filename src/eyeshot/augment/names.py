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
    if "." in pattern:  # no name of the catalogue has a dot
        hint = "Your augmentations are named package.module:attribute or path/to/file.py:attribute."
    return InputError(f"No augmentation is called {pattern!r}. {hint} List all with: eyeshot list augmentations")


def check_names(*patterns: str) -> None:
    """Refuse a pattern that names no augmentation; the user's own are looked at when they are loaded.

    Raises:
        InputError: a pattern names nothing.
    """
    for pattern in patterns:
        if not is_user_name(pattern):
            matching_names(pattern)
