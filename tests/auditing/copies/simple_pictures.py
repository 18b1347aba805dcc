"""Different pictures that carry little: icons, digits, letters, drawings on white, masks, blank and medical frames.

No code is shared with the search. Two pictures of a kind differ in a size or a place by at least a pixel, in what is
written or drawn, or in who wrote it. None is another mirrored or turned.
"""

from __future__ import annotations

import random
import string
from collections.abc import Callable
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from sklearn.datasets import load_digits  # type: ignore[import-untyped]

COLOURS = ((200, 30, 40), (30, 90, 200), (20, 20, 20), (240, 150, 20))


def icon(seed: int, kind: int) -> Image.Image:
    """A flat shape of a size and at a place of its own, smoothed at its edge."""
    image = Image.new("RGB", (256, 256), "white")
    pen = ImageDraw.Draw(image)
    size, x, y = 60 + 8 * (seed % 4), 128 + 8 * (seed // 4 % 4), 132 + 4 * (seed // 16 % 8)
    colour = COLOURS[seed % 4]
    box = (x - size, y - size, x + size, y + size)
    if kind:
        pen.ellipse(box, outline=colour, width=24)
        pen.line((x, y - size // 2, x, y + size // 2), fill=colour, width=20)
    else:
        pen.polygon([(x, y - size), (x + size, y + size), (x - size, y + size)], fill=colour)
    return image.resize((64, 64), Image.Resampling.BOX)


def sprite(seed: int, kind: int) -> Image.Image:
    """White on black, one of three shapes, moved by whole pixels."""
    image = Image.new("L", (64, 64), 0)
    pen = ImageDraw.Draw(image)
    size, x, y = 8 + seed % 5, 30 - 2 * (seed // 5 % 5), 32 + 2 * (seed // 25 % 5)
    if kind:
        pen.rectangle((x - size, y - size, x + size, y + size), fill=255)
    else:
        pen.ellipse((x - size, y - size, x + size, y + size), fill=255)
    return image


@cache
def _digits() -> tuple[list[np.ndarray], list[np.ndarray]]:
    digits = load_digits()
    of = [digits.images[digits.target == number] for number in (3, 8)]
    return list(of[0]), list(of[1])


def digit(seed: int, kind: int) -> Image.Image:
    """A digit that a person wrote (scikit-learn, 8 x 8), enlarged smoothly."""
    values = _digits()[kind][seed % 170] * 255 / 16
    return Image.fromarray(values.astype(np.uint8)).resize((64, 64), Image.Resampling.BICUBIC)


def coarse_digit(seed: int, kind: int) -> Image.Image:
    values = _digits()[kind][seed % 170] * 255 / 16
    return Image.fromarray(values.astype(np.uint8)).resize((128, 128), Image.Resampling.NEAREST)


def small_digit(seed: int, kind: int) -> Image.Image:
    values = _digits()[kind][seed % 170] * 255 / 16
    return Image.fromarray(255 - values.astype(np.uint8)).resize((28, 28), Image.Resampling.BILINEAR)


def letter(seed: int, kind: int) -> Image.Image:
    image = Image.new("L", (64, 64), 255)
    size, x, y = 36 + 2 * (seed % 4), 8 + 2 * (seed // 4 % 6), 4 + 2 * (seed // 24 % 5)
    ImageDraw.Draw(image).text((x, y), "RG"[kind], fill=0, font=ImageFont.load_default(size))
    return image


def doodle(seed: int, kind: int) -> Image.Image:
    """A house or a face with a few strokes, drawn anew each time."""
    own = random.Random(seed)

    def near(x: float, y: float) -> tuple[float, float]:
        return x + own.uniform(-5, 5), y + own.uniform(-5, 5)

    image = Image.new("RGB", (224, 224), "white")
    pen = ImageDraw.Draw(image)
    if kind:
        pen.ellipse((*near(30, 30), *near(194, 194)), outline=0, width=4)
        for x in (80, 144):
            pen.ellipse((*near(x - 8, 80), *near(x + 14, 104)), outline=0, width=4)
        pen.line([near(70, 140), near(112, 160), near(154, 140)], fill=0, width=4)
    else:
        corners = [near(50, 110), near(174, 110), near(174, 200), near(50, 200)]
        pen.line([*corners, corners[0], near(112, 40), corners[1]], fill=0, width=4)
        pen.rectangle((*near(100, 150), *near(130, 196)), outline=0, width=4)
    return image


def chart(seed: int, kind: int) -> Image.Image:
    """A curve within the same axes."""
    own = np.random.default_rng(seed)
    image = Image.new("RGB", (240, 180), "white")
    pen = ImageDraw.Draw(image)
    pen.line((30, 10, 30, 150, 230, 150), fill=0, width=2)
    for step in range(5):
        pen.line((26, 20 + 30 * step, 230, 20 + 30 * step), fill=(220, 220, 220))
        pen.text((4, 14 + 30 * step), str(100 - 20 * step), fill=0)
    walk = 80 + np.cumsum(own.normal(0.4 if kind else -0.4, 6, 21))
    pen.line([(30 + 10 * x, float(y.clip(12, 148))) for x, y in enumerate(walk)], fill=(30, 90, 200), width=2)
    return image


def mask(seed: int, kind: int) -> Image.Image:
    """What a segmentation stores: a blob with a wavy edge, two levels."""
    own = np.random.default_rng(seed)
    angle = np.linspace(0, 2 * np.pi, 60)
    radius = 50 + 20 * kind + sum(own.normal(0, 4) * np.sin(wave * angle + own.uniform(0, 6)) for wave in (2, 3, 4))
    image = Image.new("L", (192, 192), 0)
    outline = [(float(96 + r * np.cos(a)), float(96 + r * np.sin(a))) for r, a in zip(radius, angle, strict=True)]
    ImageDraw.Draw(image).polygon(outline, fill=255)
    return image


def paper(seed: int, kind: int) -> Image.Image:
    """An empty page: shaded towards one side, grain of its own."""
    own = np.random.default_rng(seed)
    across, down = np.meshgrid(np.linspace(-1, 1, 160), np.linspace(-1, 1, 160))
    shading = own.uniform(5, 9) * across + own.uniform(5, 9) * down * (1 if kind else -1)
    values = 235 - np.abs(shading) + own.normal(0, 2, (160, 160))
    return Image.fromarray(values.clip(0, 255).astype(np.uint8)).convert("RGB")


def night(seed: int, kind: int) -> Image.Image:
    """A dark frame of a camera with nothing but noise and a burnt-in clock."""
    own = np.random.default_rng(seed)
    image = Image.fromarray((6 + np.abs(own.normal(0, 3, (120, 160)))).astype(np.uint8))
    clock = f"{seed // 60 % 24:02}:{seed % 60:02}:{own.integers(60):02}"
    ImageDraw.Draw(image).text((8, 104), f"CAM{kind} {clock}", fill=230)
    return image.convert("RGB")


def cell(seed: int, kind: int) -> Image.Image:
    """One stained cell in the middle of a pale field."""
    own = np.random.default_rng(seed)
    image = Image.new("RGB", (100, 100), (232, 214, 222))
    pen = ImageDraw.Draw(image)
    wide, high, left = 24 + 2 * (seed % 6), 25 + 2 * (seed // 6 % 6), 3 * (seed // 36 % 4)
    pen.ellipse((50 - wide - left, 50 - high, 50 + wide - left, 50 + high), fill=(196, 140, 170))
    if kind:
        x, y = own.uniform(38, 62, 2)
        pen.ellipse((x - 7, y - 7, x + 7, y + 7), fill=(110, 50, 130))
    values = np.asarray(image.filter(ImageFilter.GaussianBlur(1.5))).astype(float)
    return Image.fromarray((values + own.normal(0, 2, values.shape)).clip(0, 255).astype(np.uint8))


def ultrasound(seed: int, kind: int) -> Image.Image:
    """The same sector, scale and text around speckle of its own."""
    own = np.random.default_rng(seed)
    speckle = Image.fromarray(own.rayleigh(30, (96, 128)).clip(0, 255).astype(np.uint8))
    sector = Image.new("L", (256, 192), 0)
    ImageDraw.Draw(sector).pieslice((-40, -150, 296, 186), 45, 135, fill=255)
    image = Image.composite(speckle.resize((256, 192), Image.Resampling.BICUBIC), Image.new("L", (256, 192)), sector)
    pen = ImageDraw.Draw(image)
    if kind:
        x, y = own.uniform(100, 150), own.uniform(70, 130)
        pen.ellipse((x - 12, y - 9, x + 12, y + 9), fill=8)
    pen.text((4, 4), "CLINIC 7  MI 1.2", fill=220)
    for step in range(10):
        pen.line((246, 12 + 18 * step, 252, 12 + 18 * step), fill=200)
    return image


def fundus(seed: int, kind: int) -> Image.Image:
    """A retina: a dark frame, a bright disc with a nerve head, vessels of its own."""
    own = np.random.default_rng(seed)
    image = Image.new("RGB", (224, 224), 0)
    pen = ImageDraw.Draw(image)
    pen.ellipse((8, 8, 216, 216), fill=(190, 90, 40))
    x, y = own.uniform(68, 76), own.uniform(106, 118)
    pen.ellipse((x - 15, y - 15, x + 15, y + 15), fill=(250, 200, 120))
    for _ in range(6):
        points = np.array([x, y]) + np.cumsum(own.normal(0, 12, (8, 2)) + own.normal(0, 10, 2), axis=0)
        inside = [tuple(point) for point in points if np.hypot(*(point - 112)) < 100]
        pen.line([(x, y), *inside], fill=(130, 30, 20), width=3)
    for _ in range(5 * kind):
        u, v = own.uniform(70, 160, 2)
        pen.ellipse((u - 3, v - 3, u + 3, v + 3), fill=(240, 220, 120))
    return image.filter(ImageFilter.GaussianBlur(1.2))


def word(seed: int, kind: int) -> Image.Image:
    own = random.Random(seed)
    image = Image.new("L", (128, 32), 255)
    text = "".join(own.choice(string.ascii_letters) for _ in range(5 + kind))
    ImageDraw.Draw(image).text((6, 2), text, fill=0, font=ImageFont.load_default(22))
    return image


SIMPLE: dict[str, Callable[[int, int], Image.Image]] = {
    made.__name__: made
    for made in (
        icon, sprite, digit, coarse_digit, small_digit, letter, doodle, chart, mask, paper, night, cell, ultrasound,
        fundus, word,
    )
}  # fmt: skip
