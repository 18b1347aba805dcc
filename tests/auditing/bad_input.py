"""A folder of files that make trouble, from one picture, each with its right answer."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageOps


def photograph(seed: int = 0, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """Smooth ground, shapes with edges and a little texture; another seed, another picture."""
    random = np.random.default_rng(seed)
    ground = random.integers(40, 216, (4, 5, 3), dtype=np.uint8)
    image = Image.fromarray(ground).resize(size, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for _ in range(28):
        x, y = random.integers(0, size[0]), random.integers(0, size[1])
        width, height = random.integers(8, 90, 2)
        colour = tuple(random.integers(0, 256, 3).tolist())
        shape = draw.ellipse if random.random() < 0.5 else draw.rectangle
        shape((x, y, x + width, y + height), fill=colour)
    pixels = np.asarray(image).astype(np.int16) + random.integers(-6, 7, (size[1], size[0], 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def as_jpeg(image: Image.Image, quality: int, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, **options)
    return buffer.getvalue()


def turned_by_exif(image: Image.Image) -> bytes:
    """Stored lying on its side, with the tag that sets it upright."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return as_jpeg(image.transpose(Image.Transpose.ROTATE_90), 95, exif=exif)


def grey_of_16_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image.convert("L")).astype(np.uint16) * 257
    return Image.fromarray(values)


def with_alpha(image: Image.Image) -> Image.Image:
    made = image.copy()
    made.putalpha(255)
    return made


def cropped(image: Image.Image, share: float) -> Image.Image:
    """`share` of the width and of the height cut off, evenly on both sides."""
    width, height = image.size
    left, top = round(width * share / 2), round(height * share / 2)
    return image.crop((left, top, width - left, height - top))


def tilted(image: Image.Image, degrees: float) -> Image.Image:
    """Turned a little, and what then has empty corners cut off."""
    return cropped(image.rotate(degrees, Image.Resampling.BICUBIC), 0.13)


IDENTICAL = ("original.jpg", "copy.jpg", "same.bmp")
NEAR: dict[str, tuple[Callable[[Image.Image], Image.Image | bytes], str]] = {
    "q90.jpg": (lambda image: as_jpeg(image, 90), "quality 90"),
    "q30.jpg": (lambda image: as_jpeg(image, 30), "quality 30"),
    "half.png": (lambda image: image.resize((160, 120), Image.Resampling.LANCZOS), "0.50 × the size"),
    "grey.png": (lambda image: image.convert("L"), "without colour"),
    "alpha.png": (with_alpha, "with an alpha channel"),
    "deep.png": (grey_of_16_bits, "more than 8 bits of grey"),
    "mirrored.png": (ImageOps.mirror, "mirrored"),
    "turned.png": (lambda image: image.transpose(Image.Transpose.ROTATE_90), "turned by 90° counterclockwise"),
    "upside.png": (lambda image: image.transpose(Image.Transpose.ROTATE_180), "turned by 180°"),
    "crop.png": (lambda image: cropped(image, 0.05), "cropped to 95 % of each side"),
    "tilted.png": (lambda image: tilted(image, 4), "turned by 4."),
    "exif.jpg": (turned_by_exif, "encoded again"),
}
FLAT = {"black.png": (0, 0, 0), "white.png": (255, 255, 255), "red.png": (255, 0, 0)}
BROKEN = {
    "truncated.jpg": "truncated",
    "random.jpg": "not an image that Pillow knows",
    "empty.jpg": "empty file (0 bytes)",
    "page.jpg": "a web page or XML, not an image",
}


def write_bad_input(folder: Path) -> Path:
    """Write all of them into `folder`."""
    folder.mkdir(parents=True)
    original = as_jpeg(photograph(), 97)
    (folder / "original.jpg").write_bytes(original)
    (folder / "copy.jpg").write_bytes(original)
    image = Image.open(io.BytesIO(original)).convert("RGB")
    image.save(folder / "same.bmp")
    for name, (change, _) in NEAR.items():
        save(change(image), folder / name)
    write_never_copies(folder)
    write_broken(folder, original)
    photograph(5).save(folder / "png-inside.jpg", "PNG")
    return folder


def save(made: Image.Image | bytes, path: Path) -> None:
    if isinstance(made, bytes):
        path.write_bytes(made)
    else:
        made.save(path)


def write_never_copies(folder: Path) -> None:
    indices = np.random.default_rng(1).integers(0, 4, (48, 48), dtype=np.uint8).repeat(2, 0).repeat(2, 1)
    for name, palette in (("palette-a.png", [200, 30, 30, 30, 200, 30, 30, 30, 200, 250, 250, 20]),
                          ("palette-b.png", [10, 10, 90, 240, 240, 240, 200, 120, 10, 0, 90, 0])):  # fmt: skip
        image = Image.fromarray(indices, "P")
        image.putpalette(palette)
        image.save(folder / name)
    values = np.random.default_rng(2).integers(0, 256, (128, 32, 3), dtype=np.uint8)
    Image.fromarray(values).save(folder / "tall.png")
    Image.fromarray(values.reshape(32, 128, 3)).save(folder / "wide.png")
    for name, colour in FLAT.items():
        Image.new("RGB", (64, 64), colour).save(folder / name)


def write_broken(folder: Path, original: bytes) -> None:
    (folder / "truncated.jpg").write_bytes(original[: len(original) // 2])
    (folder / "random.jpg").write_bytes(np.random.default_rng(3).bytes(5000))
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "page.jpg").write_bytes(b"<!doctype html><html><body>404 not found</body></html>")
