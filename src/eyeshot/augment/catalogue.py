"""The catalogue, searched by name, wildcard or family. The file of each family in `ops` holds its entries.

Strengths were fixed before any measurement, and each entry names the paper or library that it follows.
"""

from __future__ import annotations

import functools
import math
from dataclasses import replace

from eyeshot.augment.catalogue_entry import Augmentation
from eyeshot.augment.names import is_user_name, matching_names, unknown_name
from eyeshot.augment.ops import blur_noise, colour, controls, geometric, masking, mixing, policies, texture, warp
from eyeshot.augment.policy_file import LEVELS, PolicyStep, is_step, read_step
from eyeshot.augment.random import POLICY_STREAM
from eyeshot.augment.strengths import at_strength
from eyeshot.augment.user import load_augmentation
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
        chosen |= matching_names(pattern)
    return (*(entry for entry in catalogue if entry.name in chosen), *users.values())


def augmentation(name: str, *, aspect_ratios: tuple[float, float] | None = None) -> Augmentation:
    """The augmentation of exactly this name, of the catalogue, of a policy or yours.

    `aspect_ratios` is as in `augmentations`; operations of a policy are those of data whose ratios are not known.

    Raises:
        InputError: there is none (the message holds the nearest names), or yours cannot be loaded.
    """
    if is_user_name(name):
        return load_augmentation(name.strip())
    if is_step(name):
        return policy_augmentation(read_step(name))
    for entry in _catalogue(_checked_ratios(aspect_ratios)):
        if entry.name == name:
            return entry
    raise unknown_name(name)


def policy_augmentation(step: PolicyStep) -> Augmentation:
    """An operation of a policy as an augmentation; its name says all of it, and `augmentation` reads it."""
    entry = augmentation(step.operation)
    return replace(
        entry,
        name=step.name,
        probability=step.probability,
        operation=at_strength(entry.operation, step.strength),
        stream=f"{POLICY_STREAM}{step.operation}",
        stages=tuple((start, end, LEVELS[level]) for level, start, end in step.stages),
    )


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
