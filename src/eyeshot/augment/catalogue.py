"""The catalogue, searched by name, wildcard or family. The file of each family in `ops` holds its entries.

Strengths were fixed before any measurement, and each entry names the paper or library that it follows.
"""

from __future__ import annotations

import difflib
import functools
import math
from fnmatch import fnmatchcase
from typing import get_args

from eyeshot.augment.catalogue_entry import Augmentation, Family
from eyeshot.augment.ops import blur_noise, colour, controls, geometric, masking, mixing, policies, texture, warp
from eyeshot.augment.user import is_user_name, load_augmentation
from eyeshot.core import InputError


def augmentations(*patterns: str, aspect_ratios: tuple[float, float] | None = None) -> tuple[Augmentation, ...]:
    """The augmentations that `patterns` name, in the catalogue's order; the whole catalogue without a pattern.

    Args:
        patterns: names with wildcards ("rotate-*"), families ("geometric"), or your augmentations
            ("package.module:attribute", "path/to/file.py:attribute"), which come last.
        aspect_ratios: 5th and 95th percentile of width over height in the data: limits of `affine-stretch`.

    Raises:
        InputError: a pattern names nothing (the message holds the nearest names), or one of yours cannot be loaded.
    """
    catalogue = _catalogue(_checked_ratios(aspect_ratios))
    if not patterns:
        return catalogue
    chosen: set[str] = set()
    users: dict[str, Augmentation] = {}
    for pattern in patterns:
        if is_user_name(pattern):
            users[pattern.strip()] = load_augmentation(pattern.strip())
            continue
        wanted = pattern.strip().lower()
        names = {entry.name for entry in catalogue if wanted == entry.family or fnmatchcase(entry.name, wanted)}
        if not names:
            raise InputError(_unknown(pattern, catalogue))
        chosen |= names
    return (*(entry for entry in catalogue if entry.name in chosen), *users.values())


def augmentation(name: str, *, aspect_ratios: tuple[float, float] | None = None) -> Augmentation:
    """The augmentation of exactly this name, of the catalogue or yours; `aspect_ratios` as in `augmentations`.

    Raises:
        InputError: there is none (the message holds the nearest names), or yours cannot be loaded.
    """
    if is_user_name(name):
        return load_augmentation(name.strip())
    catalogue = _catalogue(_checked_ratios(aspect_ratios))
    for entry in catalogue:
        if entry.name == name:
            return entry
    raise InputError(_unknown(name, catalogue))


@functools.lru_cache(maxsize=16)
def _catalogue(aspect_ratios: tuple[float, float] | None) -> tuple[Augmentation, ...]:
    return (
        *controls.entries(),
        *geometric.entries(aspect_ratios),
        *warp.entries(),
        *colour.entries(),
        *blur_noise.entries(),
        *masking.entries(),
        *mixing.entries(),
        *texture.entries(),
        *policies.entries(),
    )


def _checked_ratios(aspect_ratios: tuple[float, float] | None) -> tuple[float, float] | None:
    if aspect_ratios is None:
        return None
    low, high = (float(limit) for limit in aspect_ratios)
    if not (0 < low <= high < math.inf):
        raise InputError(
            f"aspect_ratios must be two ratios of width to height, the smaller first, got {aspect_ratios}. "
            "Give the 5th and the 95th percentile of the data, or None."
        )
    return low, high


def _unknown(pattern: str, catalogue: tuple[Augmentation, ...]) -> str:
    names = [entry.name for entry in catalogue]
    families = [family for family in get_args(Family) if any(entry.family == family for entry in catalogue)]
    nearest = difflib.get_close_matches(pattern.lower(), names + families, n=3, cutoff=0.4)
    hint = f"Nearest: {', '.join(nearest)}." if nearest else f"Families: {', '.join(families)}."
    if "." in pattern:  # no name of the catalogue has a dot
        hint = "Your augmentations are named package.module:attribute or path/to/file.py:attribute."
    return f"No augmentation is called {pattern!r}. {hint} List all with: eyeshot list augmentations"
