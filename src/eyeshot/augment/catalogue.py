"""The catalogue, found by name, wildcard or family. Its entries stand in the files of their families.

Strengths were fixed before any measurement, and each entry names the paper or library that it follows.
"""

from __future__ import annotations

import difflib
import functools
import math
from fnmatch import fnmatchcase
from typing import get_args

from eyeshot.augment import (
    blur_noise,
    channels,
    colour,
    controls,
    edges,
    elastic,
    geometric,
    masking,
    mixing,
    policy,
    resolution,
    scattered,
    texture,
)
from eyeshot.augment.candidate import Augmentation, Family
from eyeshot.augment.own import is_own, load_own
from eyeshot.errors import InputError


def augmentations(*patterns: str, aspect_ratios: tuple[float, float] | None = None) -> tuple[Augmentation, ...]:
    """The augmentations that `patterns` name, in the catalogue's order; all of them without a pattern.

    Args:
        patterns: names with wildcards ("rotate-*"), families ("geometric"), or augmentations of your own
            ("package.module:attribute", "path/to/file.py:attribute"), which come last.
        aspect_ratios: 5th and 95th percentile of width over height in the data: limits of `affine-stretch`.

    Raises:
        InputError: a pattern names nothing; the nearest names are told. Or one of your own cannot be loaded.
    """
    everything = _catalogue(_checked_ratios(aspect_ratios))
    if not patterns:
        return everything
    chosen: set[str] = set()
    own: dict[str, Augmentation] = {}
    for pattern in patterns:
        if is_own(pattern):
            own[pattern.strip()] = load_own(pattern.strip())
            continue
        wanted = pattern.strip().lower()
        names = {entry.name for entry in everything if wanted == entry.family or fnmatchcase(entry.name, wanted)}
        if not names:
            raise InputError(_unknown(pattern, everything))
        chosen |= names
    return (*(entry for entry in everything if entry.name in chosen), *own.values())


def augmentation(name: str, *, aspect_ratios: tuple[float, float] | None = None) -> Augmentation:
    """The augmentation of exactly this name, of the catalogue or your own; `aspect_ratios` as in `augmentations`.

    Raises:
        InputError: there is none; the nearest names are told. Or your own cannot be loaded.
    """
    if is_own(name):
        return load_own(name.strip())
    everything = _catalogue(_checked_ratios(aspect_ratios))
    for entry in everything:
        if entry.name == name:
            return entry
    raise InputError(_unknown(name, everything))


@functools.lru_cache(maxsize=16)
def _catalogue(aspect_ratios: tuple[float, float] | None) -> tuple[Augmentation, ...]:
    return (
        *controls.candidates(),
        *geometric.candidates(aspect_ratios),
        *elastic.candidates(),
        *colour.candidates(),
        *channels.candidates(),
        *blur_noise.candidates(),
        *resolution.candidates(),
        *masking.candidates(),
        *scattered.candidates(),
        *mixing.candidates(),
        *edges.candidates(),
        *texture.candidates(),
        *policy.candidates(),
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


def _unknown(pattern: str, everything: tuple[Augmentation, ...]) -> str:
    names = [entry.name for entry in everything]
    families = [family for family in get_args(Family) if any(entry.family == family for entry in everything)]
    nearest = difflib.get_close_matches(pattern.lower(), names + families, n=3, cutoff=0.4)
    hint = f"Nearest: {', '.join(nearest)}." if nearest else f"Families: {', '.join(families)}."
    if "." in pattern:  # no name of the catalogue has a dot
        hint = "Your own are named package.module:attribute or path/to/file.py:attribute."
    return f"No augmentation is called {pattern!r}. {hint} List all with: eyeshot augmentations"
