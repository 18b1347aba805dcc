"""Lines to paste into a training pipeline."""

from __future__ import annotations

from eyeshot.augment.candidate import Augmentation


def compose_lines(augmentation: Augmentation) -> list[str]:
    """Lines for a torchvision `v2.Compose`."""
    return [f'eyeshot.augmentation("{augmentation.name}").as_transform(),']
