"""Small images and networks for the tests of this room."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from eyeshot.augment import Pool
from eyeshot.data import Geometry
from eyeshot.models import Backbone, load_backbone
from eyeshot.models.backbone import fingerprint_of

HALF = (0.5, 0.5, 0.5)


def make_pool(count: int = 24, size: int = 16, *, classes: int = 3, seed: int = 0) -> tuple[Pool, NDArray[np.int64]]:
    """Noise around one grey level per class, and the labels."""
    random = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.int64) % classes
    levels = 40 + labels * (170 // max(1, classes - 1))
    images = (levels[:, None, None, None] + random.normal(0, 12, (count, size, size, 3))).clip(0, 255)
    pixels = images.astype(np.uint8)
    return Pool(pixels, [hashlib.md5(image.tobytes()).hexdigest() for image in pixels]), labels


def make_backbone(module: nn.Module, *, size: int = 16, features: int = 6, name: str = "tiny") -> Backbone:
    """A backbone around any module."""
    geometry = Geometry(size=size)
    return Backbone(
        name=name,
        module=module,
        geometry=geometry,
        mean=HALF,
        std=HALF,
        feature_count=features,
        pretrained=True,
        fingerprint=fingerprint_of(module, name, geometry, HALF, HALF),
        reason="",
    )


class Tiny(nn.Module):
    """Three convolutions and an average."""

    def __init__(self, features: int = 6) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(8, 8, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(8, features, 1),
        )  # fmt: skip

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images).mean((2, 3))


def tiny_backbone(*, seed: int = 0) -> Backbone:
    torch.manual_seed(seed)
    return make_backbone(Tiny())


def small_timm(size: int = 32) -> Backbone:
    return load_backbone("test_resnet.r160_in1k", from_scratch=True, size=size)
