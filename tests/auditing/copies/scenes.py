"""Pictures of fixed scenes, forms and series, drawn without any part of the search for duplicates."""

from __future__ import annotations

import random
import string
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont


def background(seed: int, side: int = 192) -> Image.Image:
    """Smooth shades with fine texture."""
    shades = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(shades).resize((side, side), Image.Resampling.BICUBIC)).astype(float)
    texture = np.random.default_rng(seed + 10_000).normal(0, 10, smooth.shape)
    return Image.fromarray((smooth + texture).clip(0, 255).astype(np.uint8))


def exposed(image: Image.Image, seed: int, noise: float, gain: tuple[float, float] = (1, 1)) -> Image.Image:
    own = np.random.default_rng(seed)
    values = np.asarray(image).astype(float) * own.uniform(*gain)
    return Image.fromarray((values + own.normal(0, noise, values.shape)).clip(0, 255).astype(np.uint8))


def product(seed: int, defective: int) -> Image.Image:
    image = background(1)
    if defective:
        x, y = (int(place) for place in np.random.default_rng(seed).integers(30, 150, 2))
        ImageDraw.Draw(image).line((x, y, x + 5 + seed % 15, y + 8), fill=(20, 20, 20), width=2)
    return exposed(image, seed, 4, (0.94, 1.06))


def small_product(seed: int, defective: int) -> Image.Image:
    return product(seed, defective).resize((32, 32), Image.Resampling.BOX)


def number_plate(seed: int, region: int) -> Image.Image:
    own = random.Random(seed)
    image = Image.new("RGB", (200, 60), (250, 220, 60))
    pen = ImageDraw.Draw(image)
    pen.rectangle((2, 2, 197, 57), outline=0, width=2)
    text = "".join(own.choice(string.ascii_uppercase + string.digits) for _ in range(7))
    pen.text((20, 12), text, fill=0, font=ImageFont.load_default(34))
    return image


def filled_form(seed: int, ticked: int) -> Image.Image:
    own = random.Random(seed)
    image = Image.new("RGB", (210, 280), "white")
    pen = ImageDraw.Draw(image)
    pen.text((14, 7), "APPLICATION 27-B", fill=0, font=ImageFont.load_default(16))
    for row, name in enumerate(("Name", "Street", "City", "Date", "Amount", "Number")):
        pen.text((14, 42 + 34 * row), name, fill=0)
        pen.rectangle((77, 38 + 34 * row, 196, 60 + 34 * row), outline=0)
        text = "".join(own.choice(string.ascii_lowercase) for _ in range(own.randint(4, 14)))
        pen.text((82, 42 + 34 * row), text, fill=(20, 20, 120))
    if ticked:
        pen.rectangle((14, 258, 28, 272), fill=0)
    return image


def camera_trap(seed: int, animal: int) -> Image.Image:
    own = np.random.default_rng(seed)
    image = background(7)
    if animal or own.random() < 0.5:
        x, y, size = (int(value) for value in (*own.integers(20, 140, 2), own.integers(14, 34)))
        ImageDraw.Draw(image).ellipse((x, y, x + size, y + size), fill=tuple(own.integers(20, 90, 3).tolist()))
    return exposed(image, seed, 4, (0.7, 1.2))


def video_frame(seed: int, shot: int) -> Image.Image:
    image = background(11 + shot)
    x = int(20 + seed % 1000 * 1.2) % 150
    pen = ImageDraw.Draw(image)
    pen.ellipse((x, 90, x + 36, 114), fill=(200, 40, 40))
    pen.ellipse((x + 10, 95, x + 16, 101), fill="white")
    return exposed(image, seed, 3)


def chest(seed: int, finding: int) -> Image.Image:
    own = np.random.default_rng(seed)
    image = Image.new("L", (192, 192), 10)
    pen = ImageDraw.Draw(image)
    pen.ellipse((30, 15, 162, 187), fill=120)
    pen.ellipse((45 + int(own.integers(-3, 3)), 45, 90, 150), fill=40)
    pen.ellipse((102, 45, 147 + int(own.integers(-3, 3)), 150), fill=40)
    if finding:
        pen.ellipse((60, 75, 60 + int(own.integers(6, 15)), 88), fill=150)
    pen.text((8, 4), "L  PORTABLE", fill=250)
    tissue = Image.fromarray(own.integers(0, 60, (16, 16), dtype=np.uint8)).resize((192, 192), Image.Resampling.BICUBIC)
    values = np.asarray(image) + 0.6 * np.asarray(tissue) + own.normal(0, 3, (192, 192))
    return Image.fromarray(values.clip(0, 255).astype(np.uint8)).convert("RGB")


def drawing(seed: int, kind: int) -> Image.Image:
    own = random.Random(seed)
    image = Image.new("RGB", (200, 200), "white")
    angles = np.linspace(0, 2 * np.pi, 9 + kind)
    points = [
        (100 + 70 * np.cos(angle) + own.uniform(-12, 12), 100 + 60 * np.sin(angle) + own.uniform(-12, 12))
        for angle in angles
    ]
    ImageDraw.Draw(image).line([(float(x), float(y)) for x, y in points], fill=0, width=2)
    return image


def blank(seed: int, kind: int) -> Image.Image:
    return exposed(Image.new("RGB", (64, 64), (200 + seed % 50,) * 3), seed, 1.5)


SCENES: dict[str, Callable[[int, int], Image.Image]] = {
    made.__name__: made
    for made in (
        product, small_product, number_plate, filled_form, camera_trap, video_frame, chest, drawing, blank,
    )
}  # fmt: skip


def write_scene(folder: Path, name: str, counts: tuple[int, int], test: int) -> None:
    """Two classes a and b of pictures of one scene, and a test folder."""
    for number, count in enumerate(counts):
        (folder / "train" / "ab"[number]).mkdir(parents=True)
        for seed in range(count):
            SCENES[name](seed + 1000 * number, number).save(folder / "train" / "ab"[number] / f"{seed}.png")
    (folder / "test").mkdir()
    for seed in range(test):
        SCENES[name](seed + 5000, seed % 2).save(folder / "test" / f"{seed}.png")
