"""Small runs for the tests of this room."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from eyeshot.augment import Pool
from eyeshot.data import Geometry
from eyeshot.models import Backbone
from eyeshot.models.backbone import fingerprint_of
from eyeshot.training import TrainConfig, TrainResult, train

HALF = (0.5, 0.5, 0.5)
CLASSES = ("dark", "middle", "bright")


class Tiny(nn.Module):
    """Convolutions with all that could make a resumed run differ: batch norm's averages and dropout."""

    def __init__(self, features: int = 8) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.2),
            nn.Conv2d(8, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
            nn.Conv2d(8, features, 1),
        )  # fmt: skip

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images).mean((2, 3))


def tiny_backbone(module: nn.Module | None = None, *, features: int = 8, pretrained: bool = False) -> Backbone:
    if module is None:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            module = Tiny(features)
    geometry = Geometry(size=16)
    fingerprint = fingerprint_of(module, "tiny", geometry, HALF, HALF)
    return Backbone("tiny", module, geometry, HALF, HALF, features, pretrained, fingerprint, "")


def make_pool(count: int = 60, size: int = 16) -> tuple[Pool, np.ndarray]:
    """Noise around one grey level per class, and the labels."""
    random = np.random.default_rng(0)
    labels = np.arange(count, dtype=np.int64) % 3
    images = (50 + 80 * labels)[:, None, None, None] + random.normal(0, 30, (count, size, size, 3))
    return Pool(images.clip(0, 255).astype(np.uint8), [f"{number:032x}" for number in range(count)]), labels


SETTINGS = TrainConfig(epochs=6, batch_size=8, learning_rate=0.01)


def run(folder: Path, settings: TrainConfig = SETTINGS, **options: Any) -> TrainResult:
    """Train the tiny network on 42 images, 18 for validation."""
    pool, labels = options.pop("data", None) or make_pool()
    backbone = options.pop("backbone", None) or tiny_backbone()
    rows = np.arange(len(pool))
    arguments = {"classes": CLASSES, "settings": settings, "folder": folder, "curves": False} | options
    arguments["data"] = arguments.pop("data_used", None)
    return train(backbone, pool, labels, rows[:42], rows[42:], **arguments)
