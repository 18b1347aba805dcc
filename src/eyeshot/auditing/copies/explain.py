"""What was done to one picture to make another: named in words."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eyeshot.auditing.copies.descriptors import ORIENTATIONS, inverse, oriented
from eyeshot.auditing.copies.verify import agreement, detail_of
from eyeshot.auditing.image_stats import Inspected

SAME_SIZE = 0.01
NO_COLOUR = 1.0  # mean distance of the channels from grey, levels
SOME_COLOUR = 3.0
CONTRAST_CHANGED = 0.08
BRIGHTNESS_CHANGED = 5.0  # levels
SATURATION_CHANGED = 0.12
QUALITY_CHANGED = 3
PLACES_CHANGED = 0.1  # share of the detail


def name_transform(inspected: Inspected, one: int, other: int, orientation: int, part: str = "") -> str:
    """What makes `other` of `one`; `orientation` turns `other` into `one`; `part` says what was cropped or turned."""
    parts = []
    if orientation:
        parts.append(ORIENTATIONS[inverse(orientation)])
    if part:
        parts.append(part)
    parts += _size(inspected, one, other, orientation)
    if not part:  # of a part other pixels are compared, which tells nothing of contrast
        parts += _levels(inspected, one, other, orientation)
    parts += _colour(inspected, one, other)
    parts += _encoding(inspected, one, other)
    places = 1 - float(_agreement(inspected, one, other, orientation))
    if places >= PLACES_CHANGED and not part:
        parts.append(f"detail changed in {100 * places:.0f} % of the picture")
    return ", ".join(parts) or "encoded again"


def _agreement(inspected: Inspected, one: int, other: int, orientation: int) -> float:
    grey = inspected.records["grey"]
    turned = np.asarray(oriented(grey[other][None], orientation), np.uint8)
    return float(agreement(detail_of(grey[one][None]), detail_of(turned))[0])


def _size(inspected: Inspected, one: int, other: int, orientation: int) -> list[str]:
    width, height = inspected.number("width"), inspected.number("height")
    sides = (width[other], height[other])
    if orientation % 2:
        sides = (sides[1], sides[0])
    across, down = sides[0] / width[one], sides[1] / height[one]
    if abs(across - 1) <= SAME_SIZE and abs(down - 1) <= SAME_SIZE:
        return []
    if abs(across / down - 1) <= 0.03:
        return [f"{np.sqrt(across * down):.2f} × the size"]
    return [f"stretched to {across:.2f} × the width and {down:.2f} × the height"]


def _levels(inspected: Inspected, one: int, other: int, orientation: int) -> list[str]:
    before, after = _luma(inspected, one, 0), _luma(inspected, other, orientation)
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


def _colour(inspected: Inspected, one: int, other: int) -> list[str]:
    colour, contrast = inspected.number("colour"), inspected.number("contrast")
    if colour[one] >= SOME_COLOUR and colour[other] < NO_COLOUR:
        return ["without colour"]
    if colour[other] >= SOME_COLOUR and colour[one] < NO_COLOUR:
        return ["with colour"]
    if min(colour[one], colour[other]) >= SOME_COLOUR and min(contrast[one], contrast[other]) >= 1:
        saturation = float(colour[other] / colour[one] / (contrast[other] / contrast[one]))
        if abs(saturation - 1) > SATURATION_CHANGED:
            return [f"saturation × {saturation:.2f}"]
    return []


def _luma(inspected: Inspected, position: int, orientation: int) -> NDArray[np.float64]:
    return np.asarray(oriented(inspected.records["grey"][position][None], orientation)[0], np.float64)


def _encoding(inspected: Inspected, one: int, other: int) -> list[str]:
    parts = []
    layers = [inspected.records["layers"][position].decode() for position in (one, other)]
    if layers[0] != layers[1]:
        words = {"RGBA": "with an alpha channel", "RGB": "8 bits a channel"}
        parts.append(words.get(layers[1], "more than 8 bits of grey"))
    formats = [inspected.records["format"][position].decode() for position in (one, other)]
    quality = [int(inspected.number("quality")[position]) for position in (one, other)]
    if formats[0] != formats[1]:
        parts.append(f"as {formats[1]}" + (f" of quality {quality[1]}" if quality[1] else ""))
    elif abs(quality[0] - quality[1]) >= QUALITY_CHANGED:
        parts.append(f"{formats[1]} quality {quality[1]}, not {quality[0]}")
    return parts
