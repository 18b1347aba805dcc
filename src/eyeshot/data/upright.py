"""Decode one file at its full size, upright, with what is known of the file itself."""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image

from eyeshot.data.decoding import TURNS, UnreadableImageError, broken_reason, open_image, orientation, to_rgb

JPEG_LUMINANCE_50 = 57.625  # mean of the luminance table of Annex K at quality 50
DEEP_MODES = ("I", "F")


@dataclass(frozen=True)
class UprightImage:
    """A decoded image.

    Attributes:
        rgb: what a viewer shows: mode RGB, turned by the EXIF orientation; what shines through is white.
        layers: the values as they are stored, turned, in a mode that says all about them: RGB, RGBA, or a deep
            grey. Two images are equal when mode, size and bytes of `layers` are.
        format: Pillow's name of the file format, whatever the file is called.
        mode: Pillow's mode of the file.
        frames: how many pictures the file holds.
        orientation: the EXIF orientation, 1 to 8.
        quality: estimated quality of a JPEG, 1 to 100; 0 for other formats.
        metadata_bytes: bytes of EXIF, ICC, XMP and comments.
        trailing_bytes: bytes behind the end of the picture; only told for JPEG and PNG.
    """

    rgb: Image.Image
    layers: Image.Image
    format: str
    mode: str
    frames: int
    orientation: int
    quality: int
    metadata_bytes: int
    trailing_bytes: int


def decode_upright(data: bytes, opened: Image.Image | None = None) -> UprightImage:
    """Decode all of a file's first picture.

    Args:
        data: the file's bytes.
        opened: what `open_image` made of them, if somebody did already.

    Raises:
        UnreadableImageError: the file is truncated, not an image, or too large; `reason` says which.
    """
    try:
        image = opened or open_image(io.BytesIO(data))
        frames = int(getattr(image, "n_frames", 1))
        quality = _jpeg_quality(image)
        mode, name = image.mode, str(image.format)
        image.load()
        turned = orientation(image)
        metadata = _metadata_bytes(image)
        rgb = to_rgb(image)
        layers = rgb if rgb is image else _layers(image, rgb)
        if turned in TURNS:
            same = layers is rgb
            rgb = rgb.transpose(TURNS[turned])
            layers = rgb if same else layers.transpose(TURNS[turned])
        return UprightImage(rgb, layers, name, mode, frames, turned, quality, metadata, _trailing(data, name))
    except UnreadableImageError:
        raise
    except Exception as error:
        raise UnreadableImageError(broken_reason(error, start=data[:512])) from error


def _layers(image: Image.Image, rgb: Image.Image) -> Image.Image:
    if image.mode.startswith(DEEP_MODES):
        return image
    if image.has_transparency_data or image.mode in ("La", "RGBa"):
        return image.convert("LA" if image.mode == "La" else "RGBA").convert("RGBA")
    return rgb


def _jpeg_quality(image: Image.Image) -> int:
    """From the mean of the luminance table, by the scaling that libjpeg's `jpeg_quality_scaling` uses."""
    tables = getattr(image, "quantization", None)
    if not tables:
        return 0
    scale = 100.0 * (sum(tables[min(tables)]) / 64) / JPEG_LUMINANCE_50
    quality = (200 - scale) / 2 if scale <= 100 else 5000 / scale
    return int(min(100, max(1, round(quality))))


def _metadata_bytes(image: Image.Image) -> int:
    parts = ("exif", "icc_profile", "xmp", "comment", "photoshop", "XML:com.adobe.xmp")
    return sum(len(value) for key in parts if isinstance(value := image.info.get(key), bytes | str))


def _trailing(data: bytes, name: str) -> int:
    """Bytes behind the end marker; several pictures in one JPEG (MPO) are no junk, nor is padding with zeros."""
    marker = {"JPEG": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82"}.get(name)
    if marker is None:
        return 0
    trimmed = data.rstrip(b"\x00")
    end = trimmed.rfind(marker)
    return 0 if end < 0 else len(trimmed) - end - len(marker)
