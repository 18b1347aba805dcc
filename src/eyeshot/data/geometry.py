"""How an image is brought to the square that a model sees."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import PIL

from eyeshot.core import InputError

Interpolation = Literal["bilinear", "bicubic", "nearest", "lanczos"]
Fit = Literal["crop", "pad"]

DECODING_VERSION = 1  # part of the fingerprint: raise it when decode() gives other pixels for the same file


@dataclass(frozen=True)
class Geometry:
    """Size and fit of the decoded images. The ratio of the sides is always kept.

    Attributes:
        size: side of the square, in pixels.
        crop_share: share of the resized short side that the centre crop shows (timm calls it `crop_pct`).
        interpolation: how pixels are resampled.
        fit: `crop` fills the square and loses what lies beyond it; `pad` shows the whole image and fills
            the rest with the colour of its border. `pad` has no use for `crop_share`.

    Raises:
        InputError: a value outside its range.
    """

    size: int
    crop_share: float = 1.0
    interpolation: Interpolation = "bicubic"
    fit: Fit = "crop"

    def __post_init__(self) -> None:
        if not 1 <= self.size <= 4096:
            raise InputError(f"The size must lie between 1 and 4096 pixels, got {self.size}. Use --size 224.")
        if not 0 < self.crop_share <= 1:
            raise InputError(f"The share of the crop must lie in (0, 1], got {self.crop_share}. Use 1.0.")
        if self.interpolation not in get_args(Interpolation):
            known = ", ".join(get_args(Interpolation))
            raise InputError(f"Interpolation must be one of {known}, got {self.interpolation!r}.")
        if self.fit not in get_args(Fit):
            raise InputError(f"The fit must be crop or pad, got {self.fit!r}.")

    @property
    def short_side(self) -> int:
        """Length that the short side is resized to before the crop; rounded down, as timm does."""
        return math.floor(self.size / self.crop_share)

    @property
    def fingerprint(self) -> str:
        """Changes whenever the decoded pixels may: name of the folder that they are stored in."""
        share = f"{self.crop_share:.6g}" if self.fit == "crop" else "1"
        decoder = f"pillow{PIL.__version__}-v{DECODING_VERSION}"
        return f"{self.size}px-{self.fit}-{share}-{self.interpolation}-{decoder}"
