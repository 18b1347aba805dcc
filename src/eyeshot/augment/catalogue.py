"""The catalogue of augmentations."""

from __future__ import annotations

import difflib
from fnmatch import fnmatchcase
from typing import get_args

from eyeshot.augment.blur_noise import Dilate
from eyeshot.augment.candidate import Augmentation, Family
from eyeshot.augment.colour import Invert
from eyeshot.augment.controls import Identity, OneLevelNoise, ShuffledPixels
from eyeshot.augment.geometric import Mirror, Rotate
from eyeshot.errors import InputError


def _catalogue(aspect_ratios: tuple[float, float] | None) -> tuple[Augmentation, ...]:
    return (
        Augmentation("clean", "control", "none", 1.0, "the image as it is", "nothing", "control", Identity()),
        Augmentation(
            "no-op",
            "control",
            "1 grey level",
            0.5,
            "noise of one grey level",
            "nothing",
            "control",
            OneLevelNoise(),
        ),
        Augmentation(
            "shuffled-pixels",
            "control",
            "all",
            0.5,
            "pixels in a new random order per view",
            "everything",
            "control",
            ShuffledPixels(),
        ),
        Augmentation("mirror", "geometric", "always", 0.5, "left and right exchanged", "text", "", Mirror()),
        Augmentation("rotate-15", "geometric", "15°", 0.5, "turned by up to 15°", "", "", Rotate(15.0)),
        Augmentation("invert", "colour", "full", 0.5, "the negative", "", "", Invert()),
        Augmentation("dilation", "blur and noise", "3x3", 0.5, "bright strokes thicker", "", "", Dilate()),
    )


def augmentations(
    *patterns: str, aspect_ratios: tuple[float, float] | None = None
) -> tuple[Augmentation, ...]:
    """The augmentations that `patterns` name, in the catalogue's order; all without a pattern."""
    everything = _catalogue(aspect_ratios)
    if not patterns:
        return everything
    chosen: set[str] = set()
    for pattern in patterns:
        names = {
            entry.name for entry in everything if fnmatchcase(entry.name, pattern) or entry.family == pattern
        }
        if not names:
            known = [entry.name for entry in everything] + list(get_args(Family))
            near = difflib.get_close_matches(pattern, known, n=3, cutoff=0.4)
            raise InputError(f"Unknown augmentation {pattern!r}. Nearest: {', '.join(near) or 'none'}.")
        chosen |= names
    return tuple(entry for entry in everything if entry.name in chosen)


def augmentation(name: str) -> Augmentation:
    """The augmentation of this name."""
    return augmentations(name)[0]
