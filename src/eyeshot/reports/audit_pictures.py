"""Pictures on the page of `eyeshot audit`: small, upright, copies turned alike, with their difference."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eyeshot.auditing import Audit, ImageRef
from eyeshot.images import UnreadableImageError, decode_upright, strict_pillow
from eyeshot.reports.pictures import data_address

SIDE = 112  # pixels
QUALITY = 72


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
        sources = self.audit.sources
        for position, (name, path) in enumerate(zip(sources.ids, sources.paths, strict=True)):
            self._paths["test" if sources.in_test[position] else "train", name] = path

    def show(self, ref: ImageRef, caption: str = "") -> Shown:
        """The picture of an image, its ratio kept."""
        image = self._open(ref)
        if image is None:
            return Shown(ref, "", caption)
        image.thumbnail((SIDE, SIDE), Image.Resampling.BILINEAR)
        return Shown(ref, data_address(np.asarray(image), quality=QUALITY), caption)

    def difference(self, one: ImageRef, other: ImageRef) -> str:
        """Where two copies differ, the second one turned like the first: a grey picture, mid-grey where equal."""
        images = [self._open(one), self._open(other)]
        if images[0] is None or images[1] is None:
            return ""
        first, second = (
            np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR), np.float32)
            for image in images
            if image is not None
        )
        second = min(_turned(second), key=lambda view: float(np.square(_even(first) - _even(view)).mean()))
        shown = np.clip(128 + 24 * (_even(first) - _even(second)), 0, 255).astype(np.uint8)
        return data_address(np.repeat(shown[:, :, None], 3, axis=2), quality=QUALITY)

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


def _turned(values: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    return [np.rot90(one, turns) for one in (values, values[:, ::-1]) for turns in range(4)]


def _even(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean 0 and spread 1, so that brightness and contrast are no difference."""
    return np.asarray((values - values.mean()) / max(float(values.std()), 1.0), np.float32)
