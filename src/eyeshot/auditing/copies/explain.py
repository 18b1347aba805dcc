"""What was done to one picture to make another: named in words."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eyeshot.auditing.copies.descriptors import ORIENTATIONS, inverse, oriented
from eyeshot.auditing.copies.verify import agreement, detail_of
from eyeshot.auditing.image_stats import ImageStats

SAME_SIZE = 0.01
NO_COLOUR = 1.0  # mean distance of the channels from grey, levels
SOME_COLOUR = 3.0
CONTRAST_CHANGED = 0.08
BRIGHTNESS_CHANGED = 5.0  # levels
SATURATION_CHANGED = 0.12
QUALITY_CHANGED = 3
PLACES_CHANGED = 0.1  # share of the detail


def describe_transform(stats: ImageStats, reference: int, position: int, orientation: int, part: str = "") -> str:
    """What makes an image of the reference; `orientation` turns it back; `part` says what was cropped or tilted."""
    parts = []
    if orientation:
        parts.append(ORIENTATIONS[inverse(orientation)])
    if part:
        parts.append(part)
    parts += _size(stats, reference, position, orientation)
    if not part:  # of a part other pixels are compared, which tells nothing of contrast
        parts += _levels(stats, reference, position, orientation)
    parts += _colour(stats, reference, position)
    parts += _encoding(stats, reference, position)
    places = 1 - float(_agreement(stats, reference, position, orientation))
    if places >= PLACES_CHANGED and not part:
        parts.append(f"detail changed in {100 * places:.0f} % of the picture")
    return ", ".join(parts) or "encoded again"


def _agreement(stats: ImageStats, reference: int, position: int, orientation: int) -> float:
    grey = stats.records["grey"]
    turned = np.asarray(oriented(grey[position][None], orientation), np.uint8)
    return float(agreement(detail_of(grey[reference][None]), detail_of(turned))[0])


def _size(stats: ImageStats, reference: int, position: int, orientation: int) -> list[str]:
    width, height = stats.number("width"), stats.number("height")
    sides = (width[position], height[position])
    if orientation % 2:
        sides = (sides[1], sides[0])
    across, down = sides[0] / width[reference], sides[1] / height[reference]
    if abs(across - 1) <= SAME_SIZE and abs(down - 1) <= SAME_SIZE:
        return []
    if abs(across / down - 1) <= 0.03:
        return [f"{np.sqrt(across * down):.2f} × the size"]
    return [f"stretched to {across:.2f} × the width and {down:.2f} × the height"]


def _levels(stats: ImageStats, reference: int, position: int, orientation: int) -> list[str]:
    before, after = _luma(stats, reference, 0), _luma(stats, position, orientation)
    spread = float(before.std())
    slope = float(((before - before.mean()) * (after - after.mean())).mean() / max(spread * spread, 1e-6))
    shift = float(after.mean() - before.mean())
    multiplied = float(after.mean() / max(before.mean(), 1e-6))
    if abs(slope - 1) > CONTRAST_CHANGED and abs(multiplied - slope) < CONTRAST_CHANGED * 1.5:
        return [f"brightness × {multiplied:.2f}"]
    parts = []
    if abs(slope - 1) > CONTRAST_CHANGED:
        parts.append(f"contrast × {slope:.2f}")
    if abs(shift) > BRIGHTNESS_CHANGED:
        parts.append(f"{'brighter' if shift > 0 else 'darker'} by {abs(shift):.0f} levels")
    return parts


def _colour(stats: ImageStats, reference: int, position: int) -> list[str]:
    colour, contrast = stats.number("colour"), stats.number("contrast")
    if colour[reference] >= SOME_COLOUR and colour[position] < NO_COLOUR:
        return ["without colour"]
    if colour[position] >= SOME_COLOUR and colour[reference] < NO_COLOUR:
        return ["with colour"]
    if min(colour[reference], colour[position]) >= SOME_COLOUR and min(contrast[reference], contrast[position]) >= 1:
        saturation = float(colour[position] / colour[reference] / (contrast[position] / contrast[reference]))
        if abs(saturation - 1) > SATURATION_CHANGED:
            return [f"saturation × {saturation:.2f}"]
    return []


def _luma(stats: ImageStats, position: int, orientation: int) -> NDArray[np.float64]:
    return np.asarray(oriented(stats.records["grey"][position][None], orientation)[0], np.float64)


def _encoding(stats: ImageStats, reference: int, position: int) -> list[str]:
    parts = []
    layers = [stats.records["layers"][image].decode() for image in (reference, position)]
    if layers[0] != layers[1]:
        words = {"RGBA": "with an alpha channel", "RGB": "8 bits a channel"}
        parts.append(words.get(layers[1], "more than 8 bits of grey"))
    formats = [stats.records["format"][image].decode() for image in (reference, position)]
    quality = [int(stats.number("quality")[image]) for image in (reference, position)]
    if formats[0] != formats[1]:
        parts.append(f"as {formats[1]}" + (f" of quality {quality[1]}" if quality[1] else ""))
    elif abs(quality[0] - quality[1]) >= QUALITY_CHANGED:
        parts.append(f"{formats[1]} quality {quality[1]}, not {quality[0]}")
    return parts
