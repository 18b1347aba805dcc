"""Pictures whose class is their colour, a model that sees colour, and labels put wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from torch import nn

from eyeshot.data import Geometry
from eyeshot.models import Backbone

COLOURS = {"blue": (40, 60, 200), "green": (50, 190, 60), "red": (200, 50, 40)}
PER_CLASS = 30


def picture(colour: tuple[int, int, int], seed: int) -> Image.Image:
    """Blobs of about one colour; another seed, another picture."""
    random = np.random.default_rng(seed)
    blobs = np.array(colour) + random.integers(-40, 41, (5, 5, 1)) + random.integers(-30, 31, (5, 5, 3))
    return Image.fromarray(blobs.clip(0, 255).astype(np.uint8)).resize((48, 48), Image.Resampling.BICUBIC)


def write_pictures(folder: Path) -> Path:
    """30 pictures a class, `CLASS/NUMBER.png`."""
    for place, (name, colour) in enumerate(COLOURS.items()):
        for number in range(PER_CLASS):
            path = folder / name / f"{number:02}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            picture(colour, 1000 * place + number).save(path)
    return folder


def write_bright_and_dark(folder: Path) -> Path:
    """40 pictures of noise of 32 px in two classes that differ in brightness, `CLASS/NUMBER.png`."""
    random = np.random.default_rng(0)
    for number in range(40):
        kind = ("bright", "dark")[number % 2]
        pixels = random.integers(0, 100, (32, 32, 3), dtype=np.uint8) + np.uint8(120 * (kind == "bright"))
        file = folder / kind / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file)
    return folder


def move(folder: Path, name: str, label: str) -> str:
    """Put one picture under another class; returns its new id."""
    new = f"{label}/from-{name.replace('/', '-')}"
    (folder / name).rename(folder / new)
    return new


def sees_colour() -> Backbone:
    """Mean colours in a grid of 2 x 2: 12 features."""
    module = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten())
    none, one = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    return Backbone(
        name="mean-colour", module=module, geometry=Geometry(16), mean=none, std=one, feature_count=12,
        pretrained=True, fingerprint="0" * 32, reason="",
    )  # fmt: skip
