"""Pictures on the page of `eyeshot audit`: small, upright, duplicates turned alike, with their difference."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from eyeshot.auditing import Audit, ImageRef
from eyeshot.data import UnreadableImageError, decode_upright, strict_pillow
from eyeshot.reports.align_pair import difference, turned_like
from eyeshot.reports.pictures import data_address

SIDE = 112  # pixels
QUALITY = 72
SEEN = 24  # levels from mid-grey; a difference picture that stays below shows nothing


@dataclass
class Shown:
    """One picture with its words; empty `picture` where it cannot be shown."""

    ref: ImageRef
    picture: str = ""
    caption: str = ""


@dataclass
class Gallery:
    """Small pictures of a run's images, as long as `most` of them are not used up."""

    audit: Audit
    most: int
    _paths: dict[tuple[str, str], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        images = self.audit.images
        for position, (name, path) in enumerate(zip(images.ids, images.paths, strict=True)):
            self._paths["test" if images.in_test[position] else "train", name] = path

    def show(self, ref: ImageRef, caption: str = "") -> Shown:
        """The picture of an image, its ratio kept."""
        image = self._open(ref)
        if image is None:
            return Shown(ref, "", caption)
        image.thumbnail((SIDE, SIDE), Image.Resampling.BILINEAR)
        return Shown(ref, data_address(np.asarray(image), quality=QUALITY), caption)

    def difference(self, one: ImageRef, other: ImageRef) -> str:
        """Where two duplicates differ, laid alike: mid-grey where they are equal; empty if nothing would be seen."""
        first, second = self._open(one), self._open(other)
        if first is None or second is None:
            return ""
        for image in (first, second):
            image.thumbnail((SIDE, SIDE), Image.Resampling.BILINEAR)
        picture = np.asarray(difference(first, turned_like(first, second)))
        if np.quantile(np.abs(picture.astype(np.int16) - 128), 0.995) < SEEN:
            return ""
        return data_address(picture, quality=QUALITY)

    def _open(self, ref: ImageRef) -> Image.Image | None:
        path = self._paths.get((ref.split, ref.id))
        if path is None or self.most <= 0:
            return None
        self.most -= 1
        try:
            with strict_pillow():
                return decode_upright(Path(path).read_bytes()).rgb
        except (OSError, UnreadableImageError):  # gone or broken since it was read
            return None
