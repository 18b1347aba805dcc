"""Pixel functions that many operations share: tables of grey levels, rounding, edges, boxes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

# ITU-R BT.601, as Pillow and torchvision weigh them.
GREY_WEIGHTS = (0.2989, 0.587, 0.114)


def to_uint8(values: Tensor) -> Tensor:
    """Rounds and clips float grey levels in place, and gives them as uint8."""
    # By way of int16: torch's kernels from float to bytes are not vectorised, these two are.
    return values.round_().clamp_(0, 255).to(torch.int16).to(torch.uint8)


def per_image(values: Tensor) -> Tensor:
    """One value per image, shaped (n, 1, 1, 1) to multiply images with."""
    return values.view(-1, 1, 1, 1)


def in_order(groups: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Images of several groups as one batch, each at the row that its group names.

    This is several times as fast as writing rows of bytes with `result[rows] = ...`. `index_select` is faster than
    `[rows]` by as much.

    Args:
        groups: row numbers, int64 (k,), and images (k, ...); together every row from 0 once.
    """
    if len(groups) == 1:
        rows, images = groups[0]
    else:
        rows, images = torch.cat([rows for rows, _ in groups]), torch.cat([images for _, images in groups])
    return images.index_select(0, rows.argsort())


def with_rows(images: Tensor, rows: Tensor, replacements: Tensor) -> Tensor:
    """`images` with those at `rows`, int64 (k,), replaced by the k `replacements`."""
    numbers = torch.arange(len(images), device=images.device)
    numbers[rows] = torch.arange(len(images), len(images) + len(replacements), device=images.device)
    return torch.cat([images, replacements]).index_select(0, numbers)


def at_least(images: Tensor, level: Tensor | int) -> Tensor:
    """Uint8 images: 1 where `images` have `level` or more, else 0."""
    # In place, and so in bytes: comparisons that give bools are not vectorised.
    return images.clone().ge_(level)


def look_up(images: Tensor, tables: Tensor) -> Tensor:
    """Every value replaced by the entry that its own channel's table has for it.

    Args:
        images: uint8 (n, 3, H, W).
        tables: (n, 3, 256) or (n, 1, 256), new value of each grey level.
    """
    tables = tables.expand(-1, images.shape[1], -1)
    return tables.gather(2, images.flatten(2).long()).view(images.shape)


def histograms(images: Tensor) -> Tensor:
    """Number of pixels of each grey level, int64 (n, 3, 256), of uint8 images (n, 3, H, W)."""
    count, channels = images.shape[:2]
    offsets = torch.arange(count * channels, device=images.device, dtype=torch.int32) * 256
    levels = images.reshape(count * channels, -1).int() + offsets.unsqueeze(1)
    counts = torch.bincount(levels.view(-1), minlength=count * channels * 256)
    return counts.view(count, channels, 256)


def grey(images: Tensor) -> Tensor:
    """Brightness of each pixel, float32 (n, 1, H, W), of float images (n, 3, H, W)."""
    red, green, blue = GREY_WEIGHTS
    return (images[:, :1] * red).add_(images[:, 1:2], alpha=green).add_(images[:, 2:], alpha=blue)


def pad_mirrored(images: Tensor, rows: int, columns: int) -> Tensor:
    """`images` continued by their mirror image about the outermost pixels; any size down to one pixel.

    Args:
        images: (..., H, W).
        rows: how many to add above and below.
        columns: how many to add on the left and right.
    """
    down = _mirrored_positions(images.shape[-2], rows, images.device)
    along = _mirrored_positions(images.shape[-1], columns, images.device)
    return images.index_select(-2, down).index_select(-1, along)


def _mirrored_positions(size: int, margin: int, device: torch.device) -> Tensor:
    positions = torch.arange(-margin, size + margin, device=device)
    period = max(2 * (size - 1), 1)
    positions = positions.remainder(period)
    return torch.minimum(positions, period - positions) if size > 1 else torch.zeros_like(positions)


def inside_boxes(boxes: Tensor, height: int, width: int) -> Tensor:
    """Which pixels lie in the box of their image, bool (n, 1, H, W).

    Args:
        boxes: int64 (n, 4): top, left, bottom, right; the last row and column are outside.
        height: of the images.
        width: of the images.
    """
    down = torch.arange(height, device=boxes.device)
    along = torch.arange(width, device=boxes.device)
    top, left, bottom, right = (edge.unsqueeze(1) for edge in boxes.unbind(1))
    rows = (down >= top) & (down < bottom)
    columns = (along >= left) & (along < right)
    return (rows.unsqueeze(2) & columns.unsqueeze(1)).unsqueeze(1)


def blend(inside: Tensor, outside: Tensor, region: Tensor) -> Tensor:
    """`inside` where `region` is true, `outside` elsewhere; all uint8 but for the bool region.

    Multiplies and adds: several times as fast as `torch.where`, which is not vectorised for bytes.
    """
    chosen = region.to(torch.uint8)
    return inside * chosen + outside * (1 - chosen)


def halved(images: Tensor) -> Tensor:
    """Float images (n, c, H, W) at half the size; each pixel is the mean of those that it replaces."""
    height, width = images.shape[2:]
    if height % 2 or width % 2:
        return F.adaptive_avg_pool2d(images, (max(1, height // 2), max(1, width // 2)))
    # The same as pooling, ten times as fast.
    rows = images[:, :, ::2] + images[:, :, 1::2]
    return (rows[..., ::2] + rows[..., 1::2]).mul_(0.25)
