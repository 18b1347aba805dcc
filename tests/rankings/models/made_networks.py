"""Own networks of a few weights, and folders of coloured pictures, for rankings of models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

NETWORKS = '''
import time

import torch
from torch import nn


class Grid(nn.Module):
    """Mean colour of each of `side` x `side` fields, through fixed random weights."""

    def __init__(self, side, noise=0.0, seed=0):
        super().__init__()
        self.side, self.noise = side, noise
        self.mix = nn.Linear(3 * side * side, 12)
        torch.manual_seed(seed)
        nn.init.normal_(self.mix.weight)

    def forward(self, images):
        fields = nn.functional.adaptive_avg_pool2d(images, self.side).flatten(1)
        # Noise that depends on the picture alone.
        hashed = torch.sin(1e4 * images.flatten(1)[:, :12])
        return self.mix(fields) * (1 - self.noise) + self.noise * hashed


def good(**_):
    return Grid(2)


def twin(**_):
    return Grid(2)


def poor(**_):
    return Grid(2, noise=0.97)


class Timed(Grid):
    """Moves a clock that a test put in the place of the real one; a training step takes three times a forward pass."""

    def forward(self, images):
        tick = getattr(time.perf_counter, "tick", None)
        if tick is not None:
            tick(len(images) * (3 if self.training else 1), self.training)
        return super().forward(images)


def timed(**_):
    return Timed(2)


def second(**_):
    return Timed(2, noise=0.9, seed=1)


def broken(**_):
    raise ValueError("this network cannot be made")
'''


def write_networks(folder: Path) -> Path:
    """`nets.py` with the factories good, twin, poor, broken, and timed and second, which move a test's clock."""
    file = folder / "nets.py"
    file.write_text(NETWORKS, encoding="utf-8")
    return file


def write_pictures(
    folder: Path, counts: tuple[int, ...] = (20, 20, 20), *, size: int = 24, noise: float = 60, seed: int = 0
) -> Path:
    """Class folders c0, c1, … of noisy pictures around a colour per class; all pictures are different."""
    random = np.random.default_rng(seed)
    for number, count in enumerate(counts):
        colour = np.array([(60 + 70 * number) % 256, (200 - 50 * number) % 256, 90])
        place = folder / f"c{number}"
        place.mkdir(parents=True, exist_ok=True)
        for row in range(count):
            level = colour + random.normal(0, noise, 3)
            pixels = level + random.normal(0, 25, (size, size, 3))
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(place / f"{seed}-{row}.png")
    return folder
