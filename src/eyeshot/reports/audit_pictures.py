"""Pictures on the pages of `eyeshot audit` and `eyeshot errors`: small, upright, duplicates aligned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from eyeshot.auditing import Audit, ImageRef
from eyeshot.data import UnreadableImageError, decode_upright, strict_pillow
from eyeshot.reports.align_pair import difference, turned_like
from eyeshot.reports.pictures import data_address

SIDE = 112  # pixels
QUALITY = 72
VISIBLE = 24  # levels from mid-grey; a difference picture that stays below it shows nothing


@dataclass
class Shown:
    """A picture with its caption; `picture` is empty if it cannot be shown."""

    ref: ImageRef
    picture: str = ""
    caption: str = ""


def audited_paths(audit: Audit) -> dict[tuple[str, str], str]:
    """File of every image of an audit, by split and id."""
    images = audit.images
    return {
        ("test" if images.in_test[position] else "train", name): path
        for position, (name, path) in enumerate(zip(images.ids, images.paths, strict=True))
    }


class Gallery:
    """Small pictures, until `most` of them are shown; `paths` are their files by split and id."""

    def __init__(self, paths: Mapping[tuple[str, str], str], most: int) -> None:
        self._left = most
        self._paths = paths

    def show(self, ref: ImageRef, caption: str = "") -> Shown:
        """The picture of an image, with its aspect ratio kept."""
        image = self._open(ref)
        if image is None:
            return Shown(ref, "", caption)
        image.thumbnail((SIDE, SIDE), Image.Resampling.BILINEAR)
        return Shown(ref, data_address(np.asarray(image), quality=QUALITY), caption)

    def difference(self, reference: ImageRef, duplicate: ImageRef) -> str:
        """Where two aligned duplicates differ: mid-grey where they are equal; empty if no difference is visible."""
        first, second = self._open(reference), self._open(duplicate)
        if first is None or second is None:
            return ""
        for image in (first, second):
            image.thumbnail((SIDE, SIDE), Image.Resampling.BILINEAR)
        picture = np.asarray(difference(first, turned_like(first, second)))
        if np.quantile(np.abs(picture.astype(np.int16) - 128), 0.995) < VISIBLE:
            return ""
        return data_address(picture, quality=QUALITY)

    def _open(self, ref: ImageRef) -> Image.Image | None:
        path = self._paths.get((ref.split, ref.id))
        if path is None or self._left <= 0:
            return None
        self._left -= 1
        try:
            with strict_pillow():
                return decode_upright(Path(path).read_bytes()).rgb
        except (OSError, UnreadableImageError):  # removed or broken since it was read
            return None
