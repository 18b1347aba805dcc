"""A labelled grid of pictures that shows what augmentations do to one image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
from PIL.PngImagePlugin import PngInfo

from eyeshot.augment.catalogue import augmentations
from eyeshot.augment.catalogue_entry import Augmentation
from eyeshot.augment.samples import Pool, make_samples
from eyeshot.core import InputError, check_output, make_folder, replacing
from eyeshot.data import Geometry, UnreadableImageError, decode

_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
_SOFTWARE = "eyeshot preview"
"""Stands in every picture that is written, so that no other file is written over."""
_MARGIN = 8
_CAPTION_WIDTH = 190
_ROWS = 12  # more augmentations are drawn in two columns


def preview(
    image: str | Path,
    *patterns: str,
    samples: int = 4,
    size: int = 128,
    seed: int = 0,
    out: str | Path | None = None,
) -> PIL.Image.Image:
    """Draw augmentations on one image: a labelled grid with the original and a few augmented samples of each.

    Args:
        image: the image.
        patterns: names, wildcards, families, or custom ones as "module:attribute"; none: the whole catalogue.
        samples: how many of each; augmentations without anything random show one.
        size: side of the pictures in pixels.
        seed: of the samples.
        out: picture to write; None writes none.

    Raises:
        InputError: an unknown augmentation, an image that cannot be read, or `out` is a file that is no preview.
        StorageError: the picture cannot be written.
    """
    chosen = augmentations(*patterns)
    if size < 1:
        raise InputError(f"--size must be at least 1 pixel, got {size}.")
    if out is not None:
        check_output(Path(out), suffixes=(".png",), mark=_SOFTWARE.encode())
    grid = preview_grid(Path(image), chosen, samples=samples, size=size, seed=seed)
    if out is not None:
        make_folder(Path(out).parent)
        with replacing(Path(out)) as temporary:
            written_by = PngInfo()
            written_by.add_text("Software", _SOFTWARE)
            grid.save(temporary, format="PNG", pnginfo=written_by)
    return grid


def preview_grid(
    image_path: Path,
    chosen: Sequence[Augmentation],
    *,
    samples: int = 4,
    size: int = 128,
    seed: int = 0,
    partners: Sequence[Path] = (),
) -> PIL.Image.Image:
    """A picture with one row per augmentation: name and strength, the original, then a few augmented samples.

    Args:
        image_path: the image to change.
        chosen: the augmentations to show.
        samples: how many of each; augmentations without anything random show one.
        size: side of the pictures in pixels; the image is cropped to its centre, not squeezed.
        seed: of the samples.
        partners: images to mix with; if empty, files of the same folder, or the image's mirror image.

    Raises:
        InputError: there are no augmentations, or `samples` is below 1.
        UnreadableImageError: the image, or one of `partners`, cannot be read.
    """
    if not chosen or samples < 1:
        raise InputError(
            f"A preview needs at least one augmentation and one sample, got {len(chosen)} and {samples}. "
            "List augmentations with: eyeshot list augmentations"
        )
    geometry = Geometry(size=size)
    pixels = [decode(image_path, geometry)]
    for path in partners or _neighbours(image_path):
        try:
            pixels.append(decode(path, geometry))
        except UnreadableImageError:
            if partners:
                raise
    if len(pixels) == 1:
        pixels.append(np.ascontiguousarray(pixels[0][:, ::-1]))
    pool = Pool(np.stack(pixels), [f"preview {number}" for number in range(len(pixels))])
    return _draw_grid(pool, chosen, samples=samples, seed=seed)


def _draw_grid(pool: Pool, augmentations: Sequence[Augmentation], *, samples: int, seed: int) -> PIL.Image.Image:
    step = pool.shape[0] + _MARGIN
    columns = 1 if len(augmentations) <= _ROWS else 2
    rows = -(-len(augmentations) // columns)
    column_width = _CAPTION_WIDTH + (samples + 1) * step + _MARGIN
    grid = PIL.Image.new("RGB", (_MARGIN + columns * column_width, _MARGIN + rows * step), "white")
    for number, augmentation in enumerate(augmentations):
        column, row = divmod(number, rows)
        corner = (_MARGIN + column * column_width, _MARGIN + row * step)
        _draw_row(grid, corner, pool, augmentation, samples=samples, seed=seed)
    return grid


def _draw_row(
    grid: PIL.Image.Image,
    corner: tuple[int, int],
    pool: Pool,
    augmentation: Augmentation,
    *,
    samples: int,
    seed: int,
) -> None:
    left, top = corner
    size = pool.shape[0]
    pen = PIL.ImageDraw.Draw(grid)
    large, small = PIL.ImageFont.load_default(15), PIL.ImageFont.load_default(12)
    name = _wrapped(augmentation.name.replace(":", ": "), large, _CAPTION_WIDTH - _MARGIN).replace(": ", ":")
    pen.multiline_text((left, top), name, fill="#111111", font=large)
    caption = _wrapped(augmentation.strength, small, _CAPTION_WIDTH - _MARGIN)
    pen.multiline_text((left, top + 22 * len(name.splitlines())), caption, fill="#555555", font=small)
    left += _CAPTION_WIDTH
    grid.paste(PIL.Image.fromarray(pool.images[0]), (left, top))
    for draw in range(1 if augmentation.deterministic else samples):
        left += size + _MARGIN
        sample = make_samples(augmentation, pool, [0], seed=seed, draw=draw)
        if bool(sample.success[0]):
            picture = np.ascontiguousarray(sample.images[0].permute(1, 2, 0).numpy())
            grid.paste(PIL.Image.fromarray(picture), (left, top))
        else:
            pen.rectangle((left, top, left + size - 1, top + size - 1), outline="#bb0000")
            pen.text((left + 6, top + 6), "failed", fill="#bb0000", font=small)


def _wrapped(text: str, font: PIL.ImageFont.FreeTypeFont | PIL.ImageFont.ImageFont, width: int) -> str:
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return "\n".join(lines)


def _neighbours(path: Path, *, count: int = 3) -> list[Path]:
    """A few other images of the same folder, the next ones by name first."""
    try:
        images = sorted(
            file for file in path.parent.iterdir() if file.suffix.lower() in _SUFFIXES and not file.name.startswith(".")
        )
    except OSError:
        return []
    after = [file for file in images if file.name > path.name]
    before = [file for file in images if file.name < path.name]
    return (after + before)[:count]
