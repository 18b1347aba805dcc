"""Reads, decodes and measures every image once; records are kept by content, so later runs read only new images."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image

from eyeshot.auditing.copies.descriptors import thumbnails
from eyeshot.core import ArrayCache, Failure, Progress, default_workers, in_parallel, room_for
from eyeshot.data import (
    Levels,
    Look,
    UnreadableImageError,
    UprightImage,
    decode_upright,
    is_deep,
    open_image,
    read_content,
    strict_pillow,
    undecodable,
)

THUMBNAIL = 64  # grey, for verification; its means are the 16 x 16 pixels of the search
REDUCING_GAP = 1.5  # means of whole pixels first, down to at least this multiple of the size: half the work
COLOURS = 16
MOST_VALUES = 1 << 20  # pixels among which the levels of a deep image are counted
SAMPLED = 32  # pixels along a side from which colours are measured: 1 % of the differences between images is lost
WINDOW = 512  # pixels of the central window in which sharpness is measured
LINES = 32  # evenly spread, or up to twice as many, are enough for contrast and sharpness
PLAIN_CONTRAST = 16.0  # levels; below it and below `SOME_RANGE` all pixels are measured: a stain may be between lines
SOME_RANGE = 16  # levels: the image has several colours, so the channels need not be measured separately
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601

NUMBERS = (
    "width",  # pixels, upright
    "height",
    "frames",
    "orientation",  # EXIF, 1 to 8
    "quality",  # JPEG, 1 to 100; 0 for other formats
    "metadata_bytes",
    "trailing_bytes",
    "brightness",  # mean luma of the grey thumbnail, 0 to 255
    "contrast",  # standard deviation of luma, on lines; under `PLAIN_CONTRAST`, of all pixels
    "colour",  # mean distance of the channels from their mean, levels
    "border_red",  # median of the outermost pixels of the colour thumbnail
    "border_green",
    "border_blue",
    "border_brightness",
    "border_spread",  # standard deviation of luma along the border: small if the background is plain
    "polarity",  # luma of the border minus that of the middle: above 0, dark on light
    "sharpness",  # variance of the Laplacian (Pech-Pacheco et al. 2000), on lines of the central window
    "grey_levels",  # different values of a grey image of more than 8 bits, among about a million; 0 for others
    "range",  # largest minus smallest value over all pixels, worst channel; at `SOME_RANGE` and above, of some luma
)
RECORD = np.dtype(
    [
        ("grey", "u1", (THUMBNAIL, THUMBNAIL)),
        ("colour", "u1", (COLOURS, COLOURS, 3)),
        ("numbers", "f4", (len(NUMBERS),)),
        ("format", "S8"),
        ("mode", "S8"),
        ("layers", "S8"),
    ]
)
VERSION = 6  # part of the folder's name: increase it when measure() gives other values for the same file
CHUNK = 2048  # records that a killed run may lose
PER_TASK = 16  # images: passing each image separately costs a twentieth of the time of reading it


@dataclass(frozen=True, eq=False)
class ImageStats:
    """Records of images.

    Attributes:
        records: (n,) of `RECORD`; all zeros for images that failed.
        failed: reasons by position, for images that cannot be decoded.
        read: number of images that had to be decoded in this run.
    """

    records: NDArray[np.void]
    failed: dict[int, str]
    read: int

    def number(self, name: str) -> NDArray[np.float64]:
        """A measurement of `NUMBERS` for every image, float64 (n,)."""
        return np.asarray(self.records["numbers"][:, NUMBERS.index(name)], np.float64)

    def text(self, name: str) -> list[str]:
        """`format`, `mode` or `layers` of every image."""
        return [value.decode() for value in self.records[name].tolist()]


class ImageStatsCache:
    """Decodes and measures every image whose content is not in its cache.

    Args:
        cache: folder of all caches.

    Raises:
        StorageError: the cache cannot be written; its methods raise it too.
    """

    def __init__(self, cache: Path) -> None:
        folder = cache / "audit" / f"pillow{PIL.__version__}-v{VERSION}"
        self._store = ArrayCache(
            folder, shape=(RECORD.itemsize,), dtype="uint8", finish=_complete_rows, chunk_rows=CHUNK
        )
        self._seen: set[str] = set()

    def measurer(self) -> Look:
        """A function that measures an image after its header was read, in any thread or process; skips known images."""
        return partial(_measure_unknown, frozenset(self._store.failed).union(self._store.keys()))

    def keep(self, content: str, result: bytes | Failure) -> None:
        """Store the result of `measurer` for an image."""
        self._seen.add(content)
        self._store.add(content, _row(result))

    def get(
        self,
        contents: Sequence[str],
        paths: Sequence[str],
        *,
        keys: Sequence[str] | None = None,
        levels: Levels | None = None,
        workers: int | None,
        progress: Progress,
    ) -> ImageStats:
        """Records of images; images that were not measured yet are read.

        Args:
            contents: content keys.
            paths: a file with each content.
            keys: of their pixels, see `ImageTable.pixel_keys`; None: their contents.
            levels: the scale of grey images of more than 8 bits, see `decode`.
            workers: threads that decode.
            progress: called with the progress.
        """
        read = 0
        keys = contents if keys is None else keys

        def read_missing(positions: list[int]) -> Iterator[NDArray[np.generic] | Failure]:
            nonlocal read
            read = len(positions)
            todo = [(contents[position], paths[position]) for position in positions]
            tasks = [todo[start : start + PER_TASK] for start in range(0, read, PER_TASK)]
            with strict_pillow():
                for results in in_parallel(
                    partial(_read_some, levels), tasks, workers or default_workers(), files=read
                ):
                    yield from map(_row, results)

        failed = self._store.get_or_compute(keys, read_missing, progress=progress.sub("reading images"))
        good = [position for position, key in enumerate(keys) if key not in failed]
        records = np.zeros(len(contents), RECORD)
        for start in range(0, len(good), CHUNK):  # in parts: a copy of everything would need new memory, which is slow
            block = good[start : start + CHUNK]
            stored = np.asarray(self._store.read([keys[position] for position in block]), np.uint8)
            records[block] = np.ascontiguousarray(stored).view(RECORD)[:, 0]
        bad = {position: failed[key] for position, key in enumerate(keys) if key in failed}
        return ImageStats(records, bad, len(self._seen) + read)


def _complete_rows(rows: NDArray[np.generic]) -> None:
    complete(rows.view(RECORD)[:, 0])


def _row(result: bytes | Failure) -> NDArray[np.generic] | Failure:
    return result if isinstance(result, Failure) else np.frombuffer(result, np.uint8)


def _read_some(levels: Levels | None, items: list[tuple[str, str]]) -> list[bytes | Failure]:
    return [_read_one(content, path, levels) for content, path in items]


def _read_one(content: str, path: str, levels: Levels | None) -> bytes | Failure:
    data = read_content(path, content)
    return data if isinstance(data, Failure) else _measure_bytes(data, levels=levels)


def _measure_unknown(known: frozenset[str], content: str, data: bytes, image: Image.Image) -> bytes | Failure | None:
    # The scale of grey images of more than 8 bits is known only after all headers are read.
    return None if content in known or is_deep(image.mode) else _measure_bytes(data, image)


def _measure_bytes(data: bytes, image: Image.Image | None = None, *, levels: Levels | None = None) -> bytes | Failure:
    try:
        image = image or open_image(io.BytesIO(data))
        with room_for(image.width * image.height):
            record = measure(decode_upright(data, image, levels=levels))
        return record.tobytes()  # a process would send the long type of an array along
    except UnreadableImageError as error:
        return undecodable(error)


def measure(image: UprightImage) -> NDArray[Any]:
    """The `RECORD` of a decoded image, of shape (), without the values that `complete` adds."""
    record = np.zeros((), RECORD)
    rgb = image.rgb
    luma = rgb.convert("L")
    # Smoother than area means: a copy of half the size then has the same thumbnail within 2 %.
    small = luma.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BILINEAR, reducing_gap=REDUCING_GAP)
    record["grey"] = np.asarray(small)
    # Colour varies less than brightness: some pixels are enough, and `complete` takes brightness from all of them.
    sample = rgb.resize((min(SAMPLED, rgb.width), min(SAMPLED, rgb.height)), Image.Resampling.NEAREST)
    record["colour"] = np.asarray(sample.resize((COLOURS, COLOURS), Image.Resampling.BOX))
    levels = np.asarray(luma)
    contrast, extent = _spread(rgb, luma, levels)
    numbers = {
        "width": rgb.width,
        "height": rgb.height,
        "frames": image.frames,
        "orientation": image.orientation,
        "quality": image.quality,
        "metadata_bytes": image.metadata_bytes,
        "trailing_bytes": image.trailing_bytes,
        "contrast": contrast,
        "sharpness": _sharpness(levels),
        "range": extent,
        "grey_levels": _grey_levels(image.layers),
    }
    record["numbers"] = [numbers.get(name, 0.0) for name in NUMBERS]
    record["format"], record["mode"] = image.format.encode()[:8], image.mode.encode()[:8]
    record["layers"] = image.layers.mode.encode()[:8]
    return record


def _grey_levels(layers: Image.Image) -> int:
    if not is_deep(layers.mode):
        return 0
    values = np.asarray(layers).ravel()
    return len(np.unique(values[:: -(-len(values) // MOST_VALUES)]))


def complete(records: NDArray[Any]) -> None:
    """Fill in the values that follow from the colour thumbnails of many images, `RECORD` (n,), in place."""
    values = records["colour"].astype(np.float32)
    values += (thumbnails(records["grey"]) - values @ LUMA)[..., None]
    records["colour"] = values.round().clip(0, 255)
    border = np.concatenate([values[:, 0], values[:, -1], values[:, 1:-1, 0], values[:, 1:-1, -1]], axis=1)
    medians = np.median(border, axis=1)
    edge = border @ LUMA
    quarter = COLOURS // 4
    middle = values[:, quarter:-quarter, quarter:-quarter] @ LUMA
    by_name = {
        "brightness": records["grey"].reshape(len(records), -1).mean(axis=1, dtype=np.float32),
        "colour": np.abs(values - values.mean(axis=3, keepdims=True)).mean(axis=(1, 2, 3)),
        "border_red": medians[:, 0],
        "border_green": medians[:, 1],
        "border_blue": medians[:, 2],
        "border_brightness": np.median(edge, axis=1),
        "border_spread": edge.std(axis=1),
        "polarity": edge.mean(axis=1) - middle.mean(axis=(1, 2)),
    }
    for name, numbers in by_name.items():
        records["numbers"][:, NUMBERS.index(name)] = numbers


def _spread(rgb: Image.Image, luma: Image.Image, levels: NDArray[np.uint8]) -> tuple[float, int]:
    """Contrast and range."""
    sample = levels[:: max(1, len(levels) // LINES)].ravel()
    extent = int(sample.max()) - int(sample.min())
    flat = sample.astype(np.float32)
    flat -= flat.mean()
    contrast = float(flat @ flat / len(flat)) ** 0.5
    if extent >= SOME_RANGE and contrast >= PLAIN_CONTRAST:
        return contrast, extent
    counts = np.asarray(luma.histogram(), np.float64)
    all_levels = np.arange(256.0)
    mean = counts @ all_levels / counts.sum()
    contrast = float(max(0.0, counts @ np.square(all_levels - mean) / counts.sum())) ** 0.5
    extent = _extent(counts)
    if extent < SOME_RANGE:
        extent = max(map(_extent, np.asarray(rgb.histogram()).reshape(3, 256)))
    return contrast, extent


def _extent(counts: NDArray[np.generic]) -> int:
    used = np.flatnonzero(counts)
    return int(used[-1] - used[0])


def _sharpness(levels: NDArray[np.uint8]) -> float:
    height, width = levels.shape
    left, top = max(0, (width - WINDOW) // 2), max(0, (height - WINDOW) // 2)
    values = levels[top : top + WINDOW, left : left + WINDOW]
    if min(values.shape) < 3:
        return 0.0
    inner = len(values) - 2
    step = max(1, inner // LINES)
    # Levels as int16: the Laplacian of bytes is within 1,020 of zero.
    above, line, below = (values[first : first + inner : step].astype(np.int16) for first in range(3))
    laplacian = above[:, 1:-1] + below[:, 1:-1]
    laplacian += line[:, :-2]
    laplacian += line[:, 2:]
    laplacian -= 4 * line[:, 1:-1]
    flat = laplacian.ravel().astype(np.float32)
    mean = float(flat.mean())
    return float(flat @ flat) / len(flat) - mean * mean
