"""A labelled grid of pictures that shows what augmentations do to one image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import PIL.Image

from eyeshot.augment.candidate import Augmentation


def preview_grid(
    image_path: Path, augmentations: Sequence[Augmentation], *, draws: int = 3
) -> PIL.Image.Image:
    """The grid."""
    raise NotImplementedError
