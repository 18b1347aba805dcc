"""Operations at a part of their strength: what they draw is shrunk towards no change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from eyeshot.augment.operation import Operation
from eyeshot.augment.ops.blur_noise import Downscale, GaussianBlur, GaussianNoise, Jpeg
from eyeshot.augment.ops.colour import Jitter
from eyeshot.augment.ops.geometric import Affine, Perspective, ResizedCrop, Rotate
from eyeshot.augment.ops.warp import Elastic

BEST_QUALITY = 100
"""Of JPEG, the nearest to no change."""


def at_strength(operation: Operation, strength: float) -> Operation:
    """The operation at a share of its strength, above 0 and at most 1, at which it is as it was.

    Greatest turns, shifts, changes of factors and standard deviations are multiplied by the share; so are the distances
    of sizes, areas and qualities from those that change nothing. Ratios are raised to the power of it.

    Raises:
        ValueError: the operation has one strength only.
    """
    if strength == 1:
        return operation

    def towards(value: float, neutral: float) -> float:
        return neutral + strength * (value - neutral)

    def pair(values: tuple[float, float], neutral: float) -> tuple[float, float]:
        return towards(values[0], neutral), towards(values[1], neutral)

    changed: dict[str, Any]
    match operation:
        case Rotate():
            changed = {"degrees": operation.degrees * strength}
        case Affine():
            changed = {
                "degrees": operation.degrees * strength, "scale": pair(operation.scale, 1.0),
                "shift": operation.shift * strength,
                "stretch": (operation.stretch[0] ** strength, operation.stretch[1] ** strength),
            }  # fmt: skip
        case Perspective():
            changed = {"distortion": operation.distortion * strength}
        case ResizedCrop():
            changed = {
                "scale": pair(operation.scale, 1.0),
                "ratio": (operation.ratio[0] ** strength, operation.ratio[1] ** strength),
            }
        case Elastic():
            changed = {"reach": operation.reach * strength}
        case Jitter():
            names = ("brightness", "contrast", "saturation", "hue")
            changed = {name: getattr(operation, name) * strength for name in names}
        case GaussianBlur():
            changed = {"sigma": pair(operation.sigma, 0.0)}
        case GaussianNoise():
            changed = {"sigma": operation.sigma * strength}
        case Jpeg():
            low, high = pair(operation.quality, BEST_QUALITY)
            changed = {"quality": (round(low), round(high))}
        case Downscale():
            changed = {"scale": pair(operation.scale, 1.0)}
        case _:
            raise ValueError(f"{operation.kind()} has one strength only")
    scaled: Any = operation
    result: Operation = replace(scaled, **changed)
    return result
