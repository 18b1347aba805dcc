"""Decodes images: fitting to a square, file formats, and the reasons why a file cannot be read."""

from __future__ import annotations

import importlib
import io
import itertools
import math
import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Literal, get_args

import numpy as np
import PIL
import xxhash
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError

from eyeshot.core import Failure, InputError, room_for

# What torchvision's ImageFolder reads (torchvision/datasets/folder.py); readers like it choose files by their endings.
NAMED_LIKE_IMAGES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")

Interpolation = Literal["bilinear", "bicubic", "nearest", "lanczos"]
Fit = Literal["crop", "pad"]
DECODING_VERSION = 3  # part of the fingerprint: raise it when decode() gives other pixels for the same file
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
USUAL = ("JPEG", "PNG", "GIF", "BMP")  # formats that Pillow loads first
# Not raster images: drawings that an external program would have to render, films, and science data that Pillow
# knows by name only.
NOT_PICTURES = frozenset({"EPS", "WMF", "MPEG", "BUFR", "GRIB", "HDF5"})
JPEG_LUMINANCE_50 = 57.625  # mean of the luminance table of Annex K at quality 50
DEEP_MODES = ("I", "F")
BLOCK = 1 << 20  # pixels that are scaled at once: what is needed besides the image itself is a few megabytes
Levels = tuple[float, float]  # the values of deep grey images that are shown black and white
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_TEXTS = frozenset({b"tEXt", b"zTXt", b"iTXt", b"iCCP"})
# Formats whose number of pictures Pillow counts by reading every picture's header.
COUNTED_BY_SEEKING = frozenset({"GIF", "TIFF", "MPO", "PSD", "DCX", "FLI", "SPIDER", "IM", "ICNS", "MIC", "FPX"})
HEIF_BRANDS = frozenset({b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"})
NEEDS = "pip install"  # reasons that another package would remove; they do not last
MOST_REASON = 100  # letters


@dataclass(frozen=True)
class Geometry:
    """Size and fit of the decoded images. The ratio of the sides is always kept.

    Attributes:
        size: side of the square, in pixels.
        crop_share: share of the resized short side that the centre crop shows (timm calls it `crop_pct`).
        interpolation: how pixels are resampled.
        fit: `crop` fills the square and cuts off the rest; `pad` shows the whole image and fills the margins with
            the colour of its border. `pad` ignores `crop_share`.

    Raises:
        InputError: a value outside its range.
    """

    size: int
    crop_share: float = 1.0
    interpolation: Interpolation = "bicubic"
    fit: Fit = "crop"

    def __post_init__(self) -> None:
        if not 1 <= self.size <= 4096:
            raise InputError(f"The size must lie between 1 and 4096 pixels, got {self.size}. Use --size 224.")
        if not 0 < self.crop_share <= 1:
            raise InputError(f"The share of the crop must lie in (0, 1], got {self.crop_share}. Use 1.0.")
        if self.interpolation not in get_args(Interpolation):
            allowed = ", ".join(get_args(Interpolation))
            raise InputError(f"Interpolation must be one of {allowed}, got {self.interpolation!r}.")
        if self.fit not in get_args(Fit):
            raise InputError(f"The fit must be crop or pad, got {self.fit!r}.")

    @property
    def short_side(self) -> int:
        """Length that the short side is resized to before the crop; rounded down, as timm does."""
        return math.floor(self.size / self.crop_share)

    @property
    def fingerprint(self) -> str:
        """Name of the folder of stored pixels; it changes whenever the decoded pixels may change."""
        share = f"{self.crop_share:.6g}" if self.fit == "crop" else "1"
        decoder = f"pillow{PIL.__version__}-v{DECODING_VERSION}"
        return f"{self.size}px-{self.fit}-{share}-{self.interpolation}-{decoder}"


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
    """Pillow's settings for reading many files: truncated files fail, and no file causes warnings.

    Both settings apply to the whole process, so enter this once around the threads, not inside them.
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
    """Pillow's names of the formats that are read, the common formats first."""
    Image.init()
    return _formats(len(Image.ID))


@lru_cache(maxsize=1)
def _formats(_known: int) -> tuple[str, ...]:
    """Cached, because it is needed for every unusual image; computed again when a plugin registers another format."""
    usual = [name for name in (*USUAL, "WEBP", "TIFF") if name in Image.ID]
    return tuple(dict.fromkeys([*usual, *(name for name in Image.ID if name not in NOT_PICTURES)]))


def open_image(file: IO[bytes]) -> Image.Image:
    """Open the header of an image file; nothing is decoded yet.

    Raises:
        UnreadableImageError: not an image, or so large that Pillow treats it as a decompression bomb.
    """
    try:
        image = _open(file)
    except Exception as error:  # Pillow's readers raise errors of any class on broken files
        file.seek(0)
        lean = without_texts(file.read()) if isinstance(error, ValueError) else None
        if lean is not None:
            return open_image(io.BytesIO(lean))
        file.seek(0)
        raise UnreadableImageError(broken_reason(error, start=file.read(512))) from error
    # Between its limit and twice its limit Pillow only warns, and decoding would continue.
    if Image.MAX_IMAGE_PIXELS and image.width * image.height > Image.MAX_IMAGE_PIXELS:
        raise UnreadableImageError(_bomb_reason())
    return image


def _open(file: IO[bytes]) -> Image.Image:
    """Pillow's other readers are loaded only for uncommon formats, because loading takes 50 ms per process."""
    Image.preinit()
    try:
        return Image.open(file, formats=USUAL)
    except UnidentifiedImageError:
        file.seek(0)
        if file.read(12)[8:] in HEIF_BRANDS:
            _register_heif()
        file.seek(0)
        return Image.open(file, formats=formats())


def has_common_name(name: str) -> bool:
    """Whether readers that choose files by their ending take this file."""
    return name.lower().endswith(NAMED_LIKE_IMAGES)


@lru_cache(maxsize=1)
def _register_heif() -> None:
    """Let Pillow read HEIC, the format of phones, where the package for it is installed."""
    with suppress(ImportError):
        importlib.import_module("pillow_heif").register_heif_opener()


def orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 (as stored) if the tag is missing or broken.

    If the tag of a PNG follows the pixels, it is known only after they are loaded.
    """
    try:
        # Not image.getexif(), because for a PNG that decodes the whole file to look for the tag.
        value = Image.Image.getexif(image).get(ORIENTATION, 1)
    except Exception:  # a broken tag; viewers show such an image as stored
        return 1
    return value if value in TURNS else 1


def decode(source: Path | bytes, geometry: Geometry, *, levels: Levels | None = None) -> NDArray[np.uint8]:
    """Decode an image file, or its bytes, to `geometry`.

    Args:
        source: the file, or its bytes.
        geometry: size and fit.
        levels: of the set that a grey image of more than 8 bits belongs to; None: those of this image alone.

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
        with room_for(image.width * image.height):
            image = _load(data, image)
            # After loading, because Pillow itself turns TIFF files while decoding and drops the tag.
            turn = TURNS.get(orientation(image))
            rgb = to_rgb(image, levels)
            square = _fit(rgb if turn is None else rgb.transpose(turn), geometry)
            return np.array(square, dtype=np.uint8)
    except UnreadableImageError as error:
        raise UnreadableImageError(error.reason, path=path) from error
    except Exception as error:
        raise UnreadableImageError(broken_reason(error, start=data[:512]), path=path) from error


def _load(data: bytes, image: Image.Image) -> Image.Image:
    """The first picture of a file, loaded; both ways of decoding go through here, so they agree on what is readable."""
    if isinstance(image, ImageFile.ImageFile):
        # Pillow reads blocks until it has a row, and copies what it has for each: millions of pixels in a row, which a
        # damaged WebP may claim, would take minutes.
        image.decodermaxblock = max(image.decodermaxblock, 4 * image.width)
    try:
        image.load()
        return image
    except ValueError:
        # Pillow reads the texts behind the pixels of a PNG while it loads.
        if (lean := without_texts(data)) is None:
            raise
        image = open_image(io.BytesIO(lean))
        image.load()
        return image


def without_texts(data: bytes) -> bytes | None:
    """A PNG file without its texts and colour profile; None if it is no PNG or holds none.

    Pillow refuses a PNG with more than 1 MB of text or profile, though the picture is sound, and the limit is a
    setting of the whole process. The picture is decoded as well without them.
    """
    if not data.startswith(PNG_SIGNATURE):
        return None
    kept, place = [data[: len(PNG_SIGNATURE)]], len(PNG_SIGNATURE)
    while place + 8 <= len(data):
        end = place + 12 + int.from_bytes(data[place : place + 4], "big")
        if data[place + 4 : place + 8] not in PNG_TEXTS:
            kept.append(data[place:end])
        place = end
    lean = b"".join(kept)
    return lean if len(lean) < len(data) else None


def _draft(image: Image.Image, geometry: Geometry) -> None:
    """Let libjpeg decode a large JPEG at 1/2, 1/4 or 1/8 of its size, never below twice the needed size."""
    decisive = min if geometry.fit == "crop" else max  # the side that the fit brings to a given length
    needed = 2 * (geometry.short_side if geometry.fit == "crop" else geometry.size)
    if decisive(image.size) > needed:
        # Pillow keeps both sides at or above the requested size, so only the decisive side is requested.
        along_width = decisive(image.size) == image.width
        image.draft(None, (needed, 1) if along_width else (1, needed))


def to_rgb(image: Image.Image, levels: Levels | None = None) -> Image.Image:
    """The image as a viewer shows it, RGB; transparent areas are white. For `levels` see `decode`."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if is_deep(image.mode):
        return Image.fromarray(_deep_to_bytes(image, levels)).convert("RGB")
    if image.has_transparency_data or image.mode in ("La", "RGBa"):
        layer = image.convert("LA" if image.mode == "La" else "RGBA").convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, WHITE), layer).convert("RGB")
    return image.convert("RGB")


def is_deep(mode: str) -> bool:
    """Whether images of this mode of Pillow are grey with more than 8 bits."""
    return mode.startswith(DEEP_MODES)


def value_range(image: Image.Image) -> Levels:
    """Smallest and largest value of a deep grey image; values that are no numbers count as 0."""
    low, high = np.inf, -np.inf
    for block in _blocks(image):
        low, high = min(low, float(block.min())), max(high, float(block.max()))
    return low, high


def common_levels(ranges: Iterable[Levels], *, floating: bool = False) -> Levels:
    """One scale for a set of deep grey images: the values that are shown black and white.

    Sensors give 10, 12 or 16 bits in files of 16 or 32: black is 0, and white the next 2^k - 1 (8 bits at least) over
    the largest value of the set. Sets with values below 0 are shown from their smallest to their largest value.

    Args:
        ranges: smallest and largest value of each image.
        floating: the values are fractional; where all lie within 0 and 1, white is 1.
    """
    lows, highs = zip(*ranges, strict=True)
    low, high = min(lows), max(highs)
    if low < 0:
        return low, max(high, low + 1.0)
    if floating and high <= 1:
        return 0.0, 1.0
    return 0.0, float(2 ** max(8, math.ceil(math.log2(high + 1))) - 1)


def _blocks(image: Image.Image) -> Iterator[NDArray[np.float32]]:
    """The values of a deep image, a few rows at a time, with 0 for what is no number."""
    values = np.asarray(image)
    rows = max(1, BLOCK // max(1, values.shape[1]))
    for start in range(0, len(values), rows):
        # Integers of 32 bits lose their last digits in float32, far below one of 256 levels.
        block = values[start : start + rows].astype(np.float32)
        yield np.nan_to_num(block, copy=False, nan=0.0, posinf=0.0, neginf=0.0)


def _deep_to_bytes(image: Image.Image, levels: Levels | None) -> NDArray[np.uint8]:
    """Grey images of more than 8 bits, scaled to 0-255 (Pillow's own convert() clips at 255)."""
    low, high = levels or common_levels([value_range(image)], floating=image.mode == "F")
    pixels = np.empty((image.height, image.width), np.uint8)
    start = 0
    for block in _blocks(image):
        # In float64: the difference of two values of float32 may be too large for float32.
        scaled = (block.astype(np.float64) - low) * (255.0 / (high - low))
        pixels[start : start + len(block)] = np.rint(scaled).clip(0, 255)
        start += len(block)
    return pixels


def _fit(image: Image.Image, geometry: Geometry) -> Image.Image:
    size, resampling = geometry.size, RESAMPLING[geometry.interpolation]
    width, height = image.size
    if geometry.fit == "crop":
        # Only the box of the centre crop is resized, not the pixels outside it. The box is exactly centred, while
        # torchvision rounds to whole pixels: so a flipped or turned duplicate gets the same pixels, flipped or turned,
        # and can be recognised.
        side = min(width, height) * size / geometry.short_side
        box_left, box_top = (width - side) / 2, (height - side) / 2
        box = (max(0.0, box_left), max(0.0, box_top), min(width, box_left + side), min(height, box_top + side))
        return image.resize((size, size), resampling, box=box)
    resized = image.resize([_centred(size, side / max(width, height)) for side in (width, height)], resampling)
    square = Image.new("RGB", (size, size), _border_colour(resized))
    square.paste(resized, ((size - resized.width) // 2, (size - resized.height) // 2))
    return square


def _centred(size: int, share: float) -> int:
    """`share` of `size` in whole pixels with equal margins on both sides, at most one pixel off the exact ratio.

    With equal margins a flipped duplicate gets flipped pixels, as with the crop.
    """
    return max(2 - size % 2, size - 2 * round(size * (1 - share) / 2))


def _border_colour(image: Image.Image) -> tuple[int, int, int]:
    pixels = np.asarray(image)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    red, green, blue = np.median(border, axis=0).astype(int).tolist()
    return red, green, blue


def os_reason(error: OSError) -> str:
    """Why a file cannot be read, in a few words."""
    if isinstance(error, PermissionError):
        return "unreadable (no permission)"
    if isinstance(error, FileNotFoundError):
        return "not found"
    return f"unreadable ({error.strerror or type(error).__name__})"


def _bomb_reason() -> str:
    return (
        f"decompression bomb (over {Image.MAX_IMAGE_PIXELS or 0:,} pixels, the limit of Pillow): shrink it or cut it "
        "into parts"
    )


def broken_reason(error: Exception, *, start: bytes) -> str:
    """The reason in a few words, the same for the same problem, so files can be counted by reason."""
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
        if start[8:12] in HEIF_BRANDS:
            return f"HEIC, which needs another package ({NEEDS} pillow-heif)"
        if start.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")):
            return "JPEG XL, which Pillow does not read: save it as PNG"
        return "not an image that Pillow knows"
    if "truncated" in text or "not enough image data" in text or isinstance(error, EOFError):
        return "truncated"
    # What Pillow says, without the numbers, addresses and bytes that differ between files.
    says = re.sub(r"b'[^']*'|b\"[^\"]*\"|0x[0-9a-f]+|\d{3,}", "…", (str(error).strip().splitlines() or [""])[0])[
        :MOST_REASON
    ]
    return f"broken ({type(error).__name__}: {says})" if says else f"broken ({type(error).__name__})"


@dataclass(frozen=True)
class UprightImage:
    """A decoded image.

    Attributes:
        rgb: the image as a viewer shows it: mode RGB, turned by the EXIF orientation; transparent areas are white.
        layers: the stored values, turned, in a lossless mode: RGB, RGBA, or deep grey. Two images are equal if the
            mode, size and bytes of `layers` are equal.
        format: Pillow's name of the file format, whatever the file extension.
        mode: Pillow's mode of the file.
        frames: number of pictures in the file.
        orientation: the EXIF orientation, 1 to 8.
        quality: estimated quality of a JPEG, 1 to 100; 0 for other formats.
        metadata_bytes: bytes of EXIF, ICC, XMP and comments.
        trailing_bytes: bytes after the end of the picture; only for JPEG and PNG, otherwise 0.
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


def decode_upright(data: bytes, opened: Image.Image | None = None, *, levels: Levels | None = None) -> UprightImage:
    """Decode the first picture of a file completely.

    Args:
        data: the file's bytes.
        opened: the result of `open_image` on these bytes, if available.
        levels: see `decode`.

    Raises:
        UnreadableImageError: the file is truncated, not an image, or too large; `reason` says which.
    """
    try:
        image = opened or open_image(io.BytesIO(data))
        quality = _jpeg_quality(image)
        mode, name = image.mode, str(image.format)
        image = _load(data, image)
        frames = _frame_count(data, image)
        turned = orientation(image)
        metadata = _metadata_bytes(image)
        rgb = to_rgb(image, levels)
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


def _frame_count(data: bytes, image: Image.Image) -> int:
    """Number of pictures that can be found; damage behind the first picture does not touch the first."""
    if image.format not in COUNTED_BY_SEEKING:
        try:
            return int(getattr(image, "n_frames", 1))
        except Exception:
            return 1
    try:
        again = Image.open(io.BytesIO(data), formats=[image.format])  # a loaded image may have closed its file
    except Exception:
        return 1
    try:
        return int(getattr(again, "n_frames", 1))
    except Exception:
        pass
    try:
        for number in itertools.count(1):
            again.seek(number)
    except Exception:  # the end, or the damage
        pass
    return number


def _layers(image: Image.Image, rgb: Image.Image) -> Image.Image:
    if is_deep(image.mode):
        return image
    if image.has_transparency_data or image.mode in ("La", "RGBa"):
        return image.convert("LA" if image.mode == "La" else "RGBA").convert("RGBA")
    return rgb


def _jpeg_quality(image: Image.Image) -> int:
    """Estimate the quality from the mean of the luminance table, scaled as in libjpeg's `jpeg_quality_scaling`."""
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
    """Bytes after the end marker; further pictures in a JPEG (MPO) and padding with zeros do not count."""
    marker = {"JPEG": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82"}.get(name)
    if marker is None:
        return 0
    trimmed = data.rstrip(b"\x00")
    end = trimmed.rfind(marker)
    return 0 if end < 0 else len(trimmed) - end - len(marker)


def undecodable(error: UnreadableImageError) -> Failure:
    """A decoding error as a `Failure`; a lack of memory or of a package does not last."""
    return Failure(error.reason, lasting=lasts(error.reason))


def lasts(reason: str) -> bool:
    """Whether a reason follows from the bytes of the file alone, so that it may be cached."""
    return "memory" not in reason and NEEDS not in reason


def read_content(path: str, content: str) -> bytes | Failure:
    """The bytes of a file if they still have this content key, under which derived data are cached."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        return Failure(os_reason(error), lasting=False)
    if xxhash.xxh3_128_hexdigest(data) != content:
        return Failure("changed while it was being read", lasting=False)
    return data
