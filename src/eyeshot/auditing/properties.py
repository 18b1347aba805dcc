"""The measured properties of images, as numbers and as categories, in the words of the report."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eyeshot.auditing.inspection import Inspected
from eyeshot.auditing.sources import Sources

PLAIN_BORDER = 12.0  # levels of spread up to which a border counts as plain
GREY = 1.0  # mean distance of the channels from grey, levels


@dataclass(frozen=True, eq=False)
class Property:
    """One property of every image.

    Attributes:
        name: in the report.
        unit: of the numbers; empty for categories.
        numbers: float64 (n,), or None.
        values: n texts, or None.
        logarithmic: a classifier had better see the logarithm.
        more, less: what a larger and a smaller number means in words.
    """

    name: str
    unit: str = ""
    numbers: NDArray[np.float64] | None = None
    values: NDArray[np.str_] | None = None
    logarithmic: bool = False
    more: str = "higher"
    less: str = "lower"


def properties(sources: Sources, inspected: Inspected, rows: NDArray[np.int64]) -> list[Property]:
    """All properties of the images at `rows`; JPEG quality only where there are JPEGs."""

    def of(name: str) -> NDArray[np.float64]:
        return inspected.number(name)[rows]

    width, height, colour, quality = of("width"), of("height"), of("colour"), of("quality")
    border = np.where(
        of("border_spread") > PLAIN_BORDER, "mixed", np.where(of("border_brightness") > 127, "light", "dark")
    )
    polarity = of("polarity")
    formats, modes = (np.array(inspected.text(name))[rows] for name in ("format", "mode"))
    sizes = np.array([f"{int(w)} × {int(h)}" for w, h in zip(width, height, strict=True)])
    found = [
        Property("area", "megapixels", width * height / 1e6, logarithmic=True, more="larger", less="smaller"),
        Property("ratio of width to height", "", width / height, logarithmic=True, more="wider", less="taller"),
        Property("size", values=sizes),
        Property("brightness", "levels", of("brightness"), more="brighter", less="darker"),
        Property("contrast", "levels", of("contrast"), more="more contrast", less="less contrast"),
        Property("colourfulness", "levels", colour, logarithmic=True, more="more colour", less="less colour"),
        Property("colour or grey", values=np.where(colour < GREY, "grey", "colour")),
        Property("border", values=border),
        Property("brightness of the border", "levels", of("border_brightness"), more="brighter", less="darker"),
        Property(
            "background polarity", "levels", polarity,
            more="dark on a lighter background", less="light on a darker background",
        ),
        Property(
            "sharpness", "variance of the Laplacian", of("sharpness"), logarithmic=True, more="sharper", less="softer"
        ),
        Property("file format", values=formats),
        Property("colour mode", values=modes),
        Property("bytes of the file", "kB", sources.bytes[rows] / 1e3, logarithmic=True, more="larger", less="smaller"),
    ]  # fmt: skip
    if (quality > 0).all():
        found.append(Property("JPEG quality", "", quality, more="better", less="worse"))
    elif (quality > 0).any():
        bands = np.where(
            quality <= 0,
            "no JPEG",
            np.where(quality < 75, "under 75", np.where(quality < 90, "75 to 89", "90 and more")),
        )
        found.append(Property("JPEG quality", values=bands))
    return found
