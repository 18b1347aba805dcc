"""Decode one file to the RGB square that a model sees. Pillow is the judge of what is broken.

The colours are those that a plain viewer shows. ICC profiles are not applied: training pipelines built on
Pillow do not apply them either, and the model should be asked about the pixels that it will be trained on.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError

from eyeshot.core import InputError
from eyeshot.data.geometry import Geometry

ORIENTATION = 0x0112  # the EXIF tag
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
WHITE = (255, 255, 255, 255)
USUAL = ("JPEG", "PNG", "GIF", "BMP")  # of those that Pillow loads first
# Not pictures of pixels: drawings that an outside program would have to render, films, science data that
# Pillow knows by name only.
NOT_PICTURES = frozenset({"EPS", "WMF", "MPEG", "BUFR", "GRIB", "HDF5"})


class UnreadableImageError(InputError):
    """A file cannot be decoded.

    Attributes:
        reason: why, in a few words.
    """

    def __init__(self, reason: str, *, path: Path | None = None) -> None:
        self.reason = reason
        name = "" if path is None else f" {str(path)!r}"
        super().__init__(f"An image must be a file that Pillow can decode; the file{name} is not: {reason}.")


@contextmanager
def strict_pillow() -> Iterator[None]:
    """Pillow's settings while many files are read: truncated files fail, and files cause no warnings.

    Both settings belong to the whole process, so this is entered once around the threads, not within them.
    """
    tolerant = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            warnings.filterwarnings("ignore", module=r"PIL\.")
            yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = tolerant


def formats() -> tuple[str, ...]:
    """Pillow's names of the formats that are read, the usual ones first."""
    Image.init()
    return _formats(len(Image.ID))


@lru_cache(maxsize=1)
def _formats(_known: int) -> tuple[str, ...]:
    """Asked for every unusual image, made again when a plugin has registered one more."""
    usual = [name for name in (*USUAL, "WEBP", "TIFF") if name in Image.ID]
    return tuple(dict.fromkeys([*usual, *(name for name in Image.ID if name not in NOT_PICTURES)]))


def open_image(file: IO[bytes]) -> Image.Image:
    """Open the header of an image file; nothing is decoded yet.

    Raises:
        UnreadableImageError: not an image, or one so large that Pillow takes it for a decompression bomb.
    """
    try:
        image = _open(file)
    except Exception as error:  # Pillow's readers raise what they like on broken files
        file.seek(0)
        raise UnreadableImageError(broken_reason(error, start=file.read(512))) from error
    # Pillow only warns between its limit and twice its limit; a warning would let the decoding go on.
    if Image.MAX_IMAGE_PIXELS and image.width * image.height > Image.MAX_IMAGE_PIXELS:
        raise UnreadableImageError(_bomb_reason())
    return image


def _open(file: IO[bytes]) -> Image.Image:
    """Only what is none of the usual formats needs Pillow's other readers: they take 50 ms to load in each process."""
    Image.preinit()
    try:
        return Image.open(file, formats=USUAL)
    except UnidentifiedImageError:
        return Image.open(file, formats=formats())


def orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 (as stored) where the tag is missing or broken.

    Of a PNG whose tag stands behind the pixels it is known only after they are loaded.
    """
    try:
        # Not image.getexif(): that of a PNG decodes the whole file to look for the tag.
        value = Image.Image.getexif(image).get(ORIENTATION, 1)
    except Exception:  # a broken tag: viewers show such an image as it is stored
        return 1
    return value if value in TURNS else 1


def decode(source: Path | bytes, geometry: Geometry) -> NDArray[np.uint8]:
    """Decode an image file, or its bytes, to `geometry`.

    Returns:
        uint8 (S, S, 3), RGB, 0-255.

    Raises:
        UnreadableImageError: the file is truncated, not an image, or too large; `reason` says which.
    """
    try:
        data = source if isinstance(source, bytes) else source.read_bytes()
    except OSError as error:
        raise UnreadableImageError(os_reason(error), path=Path(str(source))) from error
    path = None if isinstance(source, bytes) else source
    try:
        image = open_image(io.BytesIO(data))
        _draft(image, geometry)
        image.load()
        # After load(): Pillow turns TIFF files by itself while it decodes them, and drops the tag.
        turn = TURNS.get(orientation(image))
        shown = to_rgb(image)
        square = _fit(shown if turn is None else shown.transpose(turn), geometry)
        return np.array(square, dtype=np.uint8)
    except UnreadableImageError as error:
        raise UnreadableImageError(error.reason, path=path) from error
    except Exception as error:
        raise UnreadableImageError(broken_reason(error, start=data[:512]), path=path) from error


def _draft(image: Image.Image, geometry: Geometry) -> None:
    """Let libjpeg decode a large JPEG at a half, a quarter or an eighth, never below twice what is needed."""
    decisive = min if geometry.fit == "crop" else max  # the side that the fit brings to a given length
    needed = 2 * (geometry.short_side if geometry.fit == "crop" else geometry.size)
    if decisive(image.size) > needed:
        # Pillow keeps both sides at or above what it is asked for: ask for the decisive one alone.
        along_width = decisive(image.size) == image.width
        image.draft(None, (needed, 1) if along_width else (1, needed))


def to_rgb(image: Image.Image) -> Image.Image:
    """The RGB of a viewer; what shines through is white."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_deep_to_bytes(image)).convert("RGB")
    if image.has_transparency_data or image.mode in ("La", "RGBa"):
        layer = image.convert("LA" if image.mode == "La" else "RGBA").convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, WHITE), layer).convert("RGB")
    return image.convert("RGB")


def _deep_to_bytes(image: Image.Image) -> NDArray[np.uint8]:
    """More than 8 bits of grey, scaled (Pillow's own convert() clips at 255)."""
    values = np.nan_to_num(np.asarray(image).astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    # 16-bit files, also those that Pillow opens as 32-bit integers, use the whole range of 16 bits.
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        low, high = 0.0, 65535.0
    elif low >= 0 and high <= 1 and image.mode == "F":
        low, high = 0.0, 1.0
    elif low >= 0 and high <= 255:
        low, high = 0.0, 255.0
    elif low >= 0 and high <= 65535 and image.mode == "I":
        low, high = 0.0, 65535.0
    scaled = (values - low) * (255.0 / (high - low)) if high > low else np.zeros_like(values)
    return np.rint(scaled).clip(0, 255).astype(np.uint8)


def _fit(image: Image.Image, geometry: Geometry) -> Image.Image:
    size, resampling = geometry.size, RESAMPLING[geometry.interpolation]
    width, height = image.size
    if geometry.fit == "crop":
        # Resizing just the box of the centre crop spares the pixels that the crop would drop. The box lies
        # exactly in the middle, where torchvision rounds to whole pixels: so a flipped or turned copy gets
        # the same pixels, flipped or turned, and can be recognised.
        side = min(width, height) * size / geometry.short_side
        left, top = (width - side) / 2, (height - side) / 2
        box = (max(0.0, left), max(0.0, top), min(width, left + side), min(height, top + side))
        return image.resize((size, size), resampling, box=box)
    shown = image.resize([_centred(size, side / max(width, height)) for side in (width, height)], resampling)
    square = Image.new("RGB", (size, size), _border_colour(shown))
    square.paste(shown, ((size - shown.width) // 2, (size - shown.height) // 2))
    return square


def _centred(size: int, share: float) -> int:
    """`share` of `size` in whole pixels, with equal margins on both sides: at most one pixel off the ratio.

    As for the crop, a flipped copy then gets flipped pixels.
    """
    return max(2 - size % 2, size - 2 * round(size * (1 - share) / 2))


def _border_colour(image: Image.Image) -> tuple[int, int, int]:
    pixels = np.asarray(image)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    red, green, blue = np.median(border, axis=0).astype(int).tolist()
    return red, green, blue


def os_reason(error: OSError) -> str:
    """Why the system does not give a file."""
    if isinstance(error, PermissionError):
        return "unreadable (no permission)"
    if isinstance(error, FileNotFoundError):
        return "not found"
    return f"unreadable ({error.strerror or type(error).__name__})"


def _bomb_reason() -> str:
    return f"decompression bomb (over {Image.MAX_IMAGE_PIXELS or 0:,} pixels, the limit of Pillow)"


def broken_reason(error: Exception, *, start: bytes) -> str:
    """The same few words for the same trouble, so that files can be counted by them."""
    text = str(error).lower()
    if isinstance(error, Image.DecompressionBombError):
        return _bomb_reason()
    if isinstance(error, MemoryError):
        return "too large for the memory"
    if not start:
        return "empty file (0 bytes)"
    if start.lstrip().lower().startswith((b"<!doctype html", b"<html", b"<head", b"<?xml", b"<svg")):
        return "a web page or XML, not an image"
    if isinstance(error, UnidentifiedImageError):
        return "not an image that Pillow knows"
    if "truncated" in text or "not enough image data" in text or isinstance(error, EOFError):
        return "truncated"
    return f"broken ({type(error).__name__})"
