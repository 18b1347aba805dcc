"""Colour operations, channels included; strengths mean what they mean in torchvision."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from eyeshot.augment.catalogue_entry import Augmentation
from eyeshot.augment.operation import DrawnOperation, FixedOperation, Operation, Parameters
from eyeshot.augment.ops.pixels import at_least, grey, histograms, in_order, look_up, per_image, to_uint8


@dataclass(frozen=True)
class Jitter(Operation):
    """Brightness, contrast, saturation and hue changed in random order, as torchvision's ColorJitter does.

    Attributes:
        brightness: greatest change of the factor from 1, either way.
        contrast: greatest change of its factor from 1.
        saturation: greatest change of its factor from 1.
        hue: greatest turn of the colour circle either way; 1 is a full turn.
    """

    brightness: float
    contrast: float
    saturation: float
    hue: float

    def draw(self, random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
        """The four amounts and their order."""
        widths = np.array([self.brightness, self.contrast, self.saturation, self.hue])
        amounts = np.array([1.0, 1.0, 1.0, 0.0]) + random.uniform(-1.0, 1.0, 4) * widths
        amounts[:3] = amounts[:3].clip(min=0.0)
        return {"amounts": amounts.astype(np.float32), "order": random.permutation(4)}

    def apply(self, images: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """Jitters the images."""
        steps: tuple[Callable[[Tensor, Tensor], Tensor], ...] = (brighten, contrast, saturate, turn_hue)
        pixels = images.float()
        for place in range(4):
            groups = []
            for number, step in enumerate(steps):
                rows = (parameters["order"][:, place] == number).nonzero().squeeze(1)
                if len(rows):
                    groups.append((rows, step(pixels.index_select(0, rows), parameters["amounts"][rows, number])))
            pixels = in_order(groups)
        return to_uint8(pixels)


def remove_colour(images: Tensor) -> Tensor:
    """Brightness alone, in all three channels."""
    return to_uint8(grey(images.float())).repeat(1, 3, 1, 1)


def invert(images: Tensor) -> Tensor:
    """The negative: 255 minus each value."""
    return 255 - images


def solarize(images: Tensor, threshold: int) -> Tensor:
    """Values from `threshold` on are inverted."""
    return images ^ at_least(images, threshold).neg_()


def posterize(images: Tensor, bits: int) -> Tensor:
    """Only the highest `bits` of each value are kept."""
    return images & (256 - (1 << (8 - bits)))


def equalize(images: Tensor) -> Tensor:
    """Each channel's values spread so that all grey levels are about equally frequent, as Pillow does."""
    return look_up(images, equalizing_tables(images))


def adjust_sharpness(images: Tensor, factor: float) -> Tensor:
    """Details enlarged by `factor`: 1 changes nothing, 0 smooths, 2 sharpens."""
    factors = torch.full((len(images),), factor, device=images.device)
    return to_uint8(sharpen(images.float(), factors))


def brighten(pixels: Tensor, factors: Tensor) -> Tensor:
    """Float grey levels (n, 3, H, W) times `factors` (n,)."""
    return (pixels * per_image(factors)).clamp_(0, 255)


def contrast(pixels: Tensor, factors: Tensor) -> Tensor:
    """Distance of float grey levels from the image's mean brightness times `factors` (n,)."""
    means = grey(pixels).floor_().mean((1, 2, 3))
    return (pixels * per_image(factors)).add_(per_image(means * (1 - factors))).clamp_(0, 255)


def saturate(pixels: Tensor, factors: Tensor) -> Tensor:
    """Distance of float grey levels from the pixel's own brightness times `factors` (n,)."""
    return torch.lerp(grey(pixels), pixels, per_image(factors)).clamp_(0, 255)


def turn_hue(pixels: Tensor, turns: Tensor) -> Tensor:
    """Hue of float grey levels moved along the colour circle by `turns` (n,), 1 a full turn."""
    red, green, blue = pixels[:, :1], pixels[:, 1:2], pixels[:, 2:]
    value = pixels.amax(1, keepdim=True)
    chroma = value - pixels.amin(1, keepdim=True)
    # Sector of the hexagon by the largest channel, 0 to 6; that of grey pixels is never used.
    safe = chroma.clamp(min=1e-6)
    # 1 or 0 as floats, and weights of 1 or 0: exact, and several times as fast as bools and torch.where.
    is_red, is_green = red.clone().eq_(value), green.clone().eq_(value)
    sector = (red - green).div_(safe).add_(4)
    sector = torch.lerp(sector, (blue - red).div_(safe).add_(2), is_green)
    sector = torch.lerp(sector, (green - blue).div_(safe), is_red)
    sector.add_(per_image(turns) * 6)
    # Channel c of hue h is value - chroma * clip(min(k, 4 - k), 0, 1) with k = (n_c + h) mod 6, n = 5, 3, 1.
    offsets = torch.tensor([5.0, 3.0, 1.0], device=pixels.device).view(1, 3, 1, 1)
    k = sector + offsets
    # torch's remainder is not vectorised.
    k.sub_((k / 6).floor_(), alpha=6)
    return value - torch.minimum(k, 4 - k).clamp_(0, 1).mul_(chroma)


def sharpen(pixels: Tensor, factors: Tensor) -> Tensor:
    """Distance of float grey levels from their smoothed version times `factors` (n,); the outermost stay."""
    height, width = pixels.shape[2:]
    if height <= 2 or width <= 2:
        return pixels.clone()
    # Kernel 1 1 1, 1 5 1, 1 1 1 over 13, as sums of neighbours: several times as fast as a convolution.
    across = pixels[..., :-2] + pixels[..., 1:-1]
    across += pixels[..., 2:]
    smooth = across[:, :, :-2] + across[:, :, 1:-1]
    smooth.add_(across[:, :, 2:]).add_(pixels[:, :, 1:-1, 1:-1], alpha=4).div_(13).round_()
    result = pixels.clone()
    inner = result[:, :, 1:-1, 1:-1]
    inner.copy_(torch.lerp(smooth, inner, per_image(factors)))
    return result.clamp_(0, 255)


def equalizing_tables(images: Tensor) -> Tensor:
    """New value of each grey level, uint8 (n, 3, 256), by Pillow's rule (`ImageOps.equalize`)."""
    counts = histograms(images)
    cumulated = counts.cumsum(2)
    total = images.shape[2] * images.shape[3]
    # Pillow leaves out the pixels of the channel's greatest value when it fixes the step.
    last = cumulated.argmax(2, keepdim=True)
    step = (total - counts.gather(2, last)) // 255
    before = F.pad(cumulated[..., :-1], (1, 0))
    tables = ((before + step // 2) // step.clamp(min=1)).clamp_(0, 255)
    levels = torch.arange(256, device=images.device).expand_as(tables)
    return torch.where(step > 0, tables, levels).to(torch.uint8)


def stretch(images: Tensor) -> Tensor:
    """Uint8 images (n, 3, H, W), least and greatest value of each channel made 0 and 255; flat channels stay."""
    flat = images.flatten(2)
    least, greatest = (values.float()[..., None, None] for values in (flat.amin(2), flat.amax(2)))
    width = greatest - least
    factor = torch.where(width > 0, 255 / width.clamp(min=1), 1)
    return to_uint8((images - least * (width > 0)).mul_(factor))


_ORDERS = ((0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))


def draw_channel_order(random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
    """Which channel each of the three is taken from: one of the five other orders, all equally likely."""
    return {"order": np.array(_ORDERS[int(random.integers(len(_ORDERS)))])}


def reorder_channels(images: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
    """Red, green and blue in another order."""
    first = torch.arange(len(images), device=images.device).unsqueeze(1) * 3
    return images.flatten(0, 1).index_select(0, (first + parameters["order"]).flatten()).view(images.shape)


CHANNEL_SHUFFLE = DrawnOperation("channels.ChannelShuffle", draw_channel_order, reorder_channels)


def draw_kept_channels(random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
    """Which channels are kept, 1 or 0: one or two of the three."""
    order = random.permutation(3)
    return {"kept": (order >= int(random.integers(1, 3))).astype(np.uint8)}


def drop_channels(images: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
    """The channels that are not kept are black."""
    return images * parameters["kept"].view(-1, 3, 1, 1)


CHANNEL_DROPOUT = DrawnOperation("channels.ChannelDropout", draw_kept_channels, drop_channels)


def entries() -> tuple[Augmentation, ...]:
    """Colour, tone and channels.

    Channel dropout belongs to colour, not to masking: it changes the colour of every pixel and hides none, so coverage
    can measure it.
    """
    return (
        Augmentation(
            name="jitter",
            family="colour",
            strength="brightness, contrast, saturation 0.4, hue 0.1",
            probability=0.5,
            description="Brightness, contrast, saturation and hue changed in random order.",
            may_destroy="classes defined by exact colour",
            source="SimCLR at half strength (Chen et al. 2020), as for CIFAR-10",
            operation=Jitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1),
        ),
        Augmentation(
            name="jitter-mild",
            family="colour",
            strength="brightness, contrast, saturation 0.2, hue 0.05",
            probability=0.5,
            description="Like jitter, at half its strength.",
            may_destroy="little",
            source="half of jitter",
            operation=Jitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.05),
        ),
        Augmentation(
            name="jitter-strong",
            family="colour",
            strength="brightness, contrast, saturation 0.8, hue 0.2",
            probability=0.5,
            description="Like jitter, at twice its strength.",
            may_destroy="classes defined by colour",
            source="SimCLR (Chen et al. 2020), as for ImageNet",
            operation=Jitter(brightness=0.8, contrast=0.8, saturation=0.8, hue=0.2),
        ),
        Augmentation(
            name="grey",
            family="colour",
            strength="all colour",
            probability=0.5,
            description="Colour removed.",
            may_destroy="classes defined by colour",
            source="torchvision RandomGrayscale",
            operation=FixedOperation("colour.Grey", remove_colour),
        ),
        Augmentation(
            name="invert",
            family="colour",
            strength="all values",
            probability=0.5,
            description="The negative.",
            may_destroy="black from white, classes defined by colour",
            source="torchvision RandomInvert",
            operation=FixedOperation("colour.Invert", invert),
        ),
        Augmentation(
            name="solarize",
            family="colour",
            strength="from grey level 128",
            probability=0.5,
            description="Bright values inverted.",
            may_destroy="classes defined by colour",
            source="BYOL (Grill et al. 2020)",
            operation=FixedOperation("colour.Solarize", partial(solarize, threshold=128)),
        ),
        Augmentation(
            name="posterize",
            family="colour",
            strength="2 bits",
            probability=0.5,
            description="Four levels per channel.",
            may_destroy="fine shading",
            source="torchvision's gallery; the greatest strength of TrivialAugmentWide",
            operation=FixedOperation("colour.Posterize", partial(posterize, bits=2)),
        ),
        Augmentation(
            name="posterize-mild",
            family="colour",
            strength="4 bits",
            probability=0.5,
            description="Sixteen levels per channel.",
            may_destroy="little",
            source="AutoAugment's strongest (Cubuk et al. 2019)",
            operation=FixedOperation("colour.Posterize", partial(posterize, bits=4)),
        ),
        Augmentation(
            name="equalize",
            family="colour",
            strength="full",
            probability=0.5,
            description="All grey levels made about equally frequent.",
            may_destroy="classes defined by brightness",
            source="Pillow ImageOps.equalize, torchvision RandomEqualize",
            operation=FixedOperation("colour.Equalize", equalize),
        ),
        Augmentation(
            name="autocontrast",
            family="colour",
            strength="full",
            probability=0.5,
            description="Each channel stretched to the whole range.",
            may_destroy="classes defined by brightness or tint",
            source="Pillow ImageOps.autocontrast, torchvision RandomAutocontrast",
            operation=FixedOperation("colour.AutoContrast", stretch),
        ),
        Augmentation(
            name="sharpness",
            family="colour",
            strength="factor 2",
            probability=0.5,
            description="Details doubled.",
            may_destroy="little",
            source="torchvision's gallery (RandomAdjustSharpness)",
            operation=FixedOperation("colour.Sharpness", partial(adjust_sharpness, factor=2.0)),
        ),
        Augmentation(
            name="channel-shuffle",
            family="colour",
            strength="another order of the three",
            probability=0.5,
            description="Red, green and blue exchanged.",
            may_destroy="classes defined by colour",
            source="torchvision RandomChannelPermutation, albumentations ChannelShuffle",
            operation=CHANNEL_SHUFFLE,
        ),
        Augmentation(
            name="channel-dropout",
            family="colour",
            strength="one or two of three channels",
            probability=0.5,
            description="One or two colour channels black.",
            may_destroy="classes defined by colour",
            source="albumentations ChannelDropout; the idea: Tompson et al. 2015 (on feature maps)",
            operation=CHANNEL_DROPOUT,
        ),
    )
