"""Any augmentation of the catalogue as a module in a torchvision pipeline."""

from __future__ import annotations

from torch import nn

from eyeshot.augment.candidate import Augmentation


def make_transform(augmentation: Augmentation, *, always: bool = False) -> nn.Module:
    """The augmentation as a module."""
    raise NotImplementedError
