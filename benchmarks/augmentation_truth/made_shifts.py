"""Shifts made with Pillow and NumPy alone: nothing here is shared with the catalogue.

Their kinds and strengths were fixed before any training. The random values of an image depend on its name alone.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Shift = Callable[[Image.Image, np.random.Generator], Image.Image]


def turned(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """Turned by 10° to 35° to either side; the corners have the colour of the border."""
    angle = float(random.uniform(10, 35) * random.choice([-1, 1]))
    return image.rotate(angle, Image.Resampling.BILINEAR, fillcolor=border_colour(image))


def inverted(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """The negative."""
    return Image.fromarray(255 - np.asarray(image))


def blurred_noisy(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """A box blur of 2 % to 4 % of the side in each direction, then noise of 15 to 35 grey levels: a poor camera."""
    radius = float(random.uniform(0.02, 0.04)) * min(image.size)
    soft = np.asarray(image.filter(ImageFilter.BoxBlur(radius)), np.float64)
    noise = random.normal(0.0, float(random.uniform(15, 35)), soft.shape)
    return _picture(soft + noise)


def hazed(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """Behind fog (Koschmieder 1924): 65 % to 85 % fog at the top edge, 30 % to 50 % at the bottom edge."""
    pixels = np.asarray(image, np.float64)
    top, bottom = float(random.uniform(0.65, 0.85)), float(random.uniform(0.3, 0.5))
    fog = np.linspace(top, bottom, len(pixels))[:, None, None]
    return _picture(pixels * (1 - fog) + float(random.uniform(190, 230)) * fog)


def off_centre(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """Moved by 15 % to 30 % of the side along both axes; uncovered parts have the colour of the border."""
    along, down = random.uniform(0.15, 0.30, 2) * random.choice([-1, 1], 2) * np.array(image.size)
    moved = Image.new("RGB", image.size, border_colour(image))
    moved.paste(image, (round(float(along)), round(float(down))))
    return moved


MADE_SHIFTS: dict[str, Shift] = {
    "turned": turned,
    "inverted": inverted,
    "blurred-noisy": blurred_noisy,
    "hazed": hazed,
    "off-centre": off_centre,
}

FAMILY_OF = {
    "turned": "geometric",
    "inverted": "colour",
    "blurred-noisy": "blur and noise",
    "hazed": "colour",
    "off-centre": "geometric",
}
"""The family of the catalogue that contains the cure, for judging without it."""


def make_shift(name: str, image: Image.Image, key: str) -> Image.Image:
    """The shifted picture, RGB of the same size; `key` names the image and seeds its random values."""
    random = np.random.default_rng([zlib.crc32(name.encode()), zlib.crc32(key.encode())])
    return MADE_SHIFTS[name](image.convert("RGB"), random)


def border_colour(image: Image.Image) -> tuple[int, int, int]:
    """The median colour of the outermost pixels."""
    pixels = np.asarray(image.convert("RGB"))
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    red, green, blue = np.median(border, axis=0).round().astype(int).tolist()
    return red, green, blue


def _picture(pixels: NDArray[np.float64]) -> Image.Image:
    return Image.fromarray(np.clip(pixels.round(), 0, 255).astype(np.uint8))
