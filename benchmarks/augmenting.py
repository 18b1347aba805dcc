"""Augmenting on a single thread with separate parameters for each image, against torchvision v2 called image by image.

The upper limit is v2 called once on the whole batch, with the same parameters for all. Every operation of the catalogue
that v2 has too is measured, except those of batches (MixUp, CutMix), which v2 cannot apply to an image. All calls start
from decoded images in memory and end with a uint8 batch. The three are timed in turn, in CPU seconds, so that other
jobs on the machine matter less; ratios are of calls in the same turn, and medians over turns.
"""

from __future__ import annotations

import functools
import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torchvision.transforms import v2

from benchmarks.common import keep
from eyeshot.augment import Pool, augmentation, augmentations, make_samples

SIZES = {64: 64, 224: 32}
"""Images for each side."""

SLOW = {"elastic": 2}
"""v2 smooths its moves with a kernel of twice the image's side, seconds per image, so only this many are timed."""

TURNS = 9
BILINEAR = v2.InterpolationMode.BILINEAR


def elastic(side: int) -> v2.Transform:
    """v2's elastic transform with moves as large and smooth as eyeshot's."""
    ours: Any = augmentation("elastic").operation
    sigma = ours.smoothness * side
    return v2.ElasticTransform(alpha=ours.reach * 2 * side * math.sqrt(12 * math.pi) * sigma, sigma=sigma)


def jitter(amount: float, hue: float) -> v2.Transform:
    return v2.ColorJitter(amount, amount, amount, hue)


THEIRS: dict[str, Callable[[int], v2.Transform]] = {
    "mirror": lambda _: v2.RandomHorizontalFlip(1),
    "vertical-flip": lambda _: v2.RandomVerticalFlip(1),
    "half-turns": lambda _: v2.RandomRotation((180, 180)),
    "rotate-15": lambda _: v2.RandomRotation(15, BILINEAR),
    "rotate-30": lambda _: v2.RandomRotation(30, BILINEAR),
    "rotate-180": lambda _: v2.RandomRotation(180, BILINEAR),
    "translate": lambda _: v2.RandomAffine(0, translate=(0.2, 0.2), interpolation=BILINEAR),
    "affine": lambda _: v2.RandomAffine(15, translate=(0.1, 0.1), scale=(0.8, 1.2), interpolation=BILINEAR),
    "perspective": lambda _: v2.RandomPerspective(0.5, p=1, interpolation=BILINEAR),
    "crop-mild": lambda side: v2.RandomResizedCrop(side, scale=(0.7, 1.0)),
    "crop-strong": lambda side: v2.RandomResizedCrop(side, scale=(0.2, 1.0)),
    "elastic": elastic,
    "jitter": lambda _: jitter(0.4, 0.1),
    "jitter-mild": lambda _: jitter(0.2, 0.05),
    "jitter-strong": lambda _: jitter(0.8, 0.2),
    "grey": lambda _: v2.RandomGrayscale(1),
    "invert": lambda _: v2.RandomInvert(1),
    "solarize": lambda _: v2.RandomSolarize(128, 1),
    "posterize": lambda _: v2.RandomPosterize(2, 1),
    "posterize-mild": lambda _: v2.RandomPosterize(4, 1),
    "equalize": lambda _: v2.RandomEqualize(1),
    "autocontrast": lambda _: v2.RandomAutocontrast(1),
    "sharpness": lambda _: v2.RandomAdjustSharpness(2, 1),
    "channel-shuffle": lambda _: v2.RandomChannelPermutation(),
    "gaussian-blur": lambda _: v2.GaussianBlur(13, (0.1, 2.0)),
    "gaussian-blur-strong": lambda _: v2.GaussianBlur(25, (2.0, 4.0)),
    "gaussian-noise": lambda _: v2.GaussianNoise(sigma=0.1),
    "gaussian-noise-mild": lambda _: v2.GaussianNoise(sigma=0.05),
    "jpeg": lambda _: v2.JPEG(tuple(vars(augmentation("jpeg").operation)["quality"])),
    "erasing": lambda _: v2.RandomErasing(1),
    "trivial-augment": lambda _: v2.TrivialAugmentWide(interpolation=BILINEAR),
    "rand-augment": lambda _: v2.RandAugment(interpolation=BILINEAR),
    "augmix": lambda _: v2.AugMix(),
}
"""v2's transform for images of a side. It fills edges and erased parts with black, eyeshot with the reflection and with
noise, which is more work; eyeshot's images come with colours last, as decoders return them, v2's with colours first."""


def made_up(count: int, side: int) -> torch.Tensor:
    """Smooth colours with grain, uint8 (n, 3, side, side): only the time of JPEG depends on the content."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 3, 8, 8, generator=generator) * 255
    smooth = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bicubic")
    grain = torch.randn(smooth.shape, generator=generator) * 6
    return (smooth + grain).round().clamp(0, 255).to(torch.uint8)


def seconds(call: Callable[[], Any]) -> float:
    """CPU seconds of a call."""
    begin = time.process_time()
    call()
    return time.process_time() - begin


def measure(name: str, side: int, count: int) -> dict[str, float]:
    """Images per second of the three, and the ratios."""
    images = made_up(count, side)
    pool = Pool(images.permute(0, 2, 3, 1).contiguous().numpy(), [f"{number:032x}" for number in range(count)])
    entry, transform = augmentation(name), THEIRS[name](side)
    torch.manual_seed(0)

    def ours(draw: int) -> None:
        make_samples(entry, pool, range(count), seed=0, draw=draw)

    few = SLOW.get(name, count)

    def one_by_one() -> None:
        torch.stack([transform(image) for image in images[:few]])

    def at_once() -> None:
        transform(images)

    ours(TURNS)
    one_by_one()
    at_once()
    turns = [
        (seconds(functools.partial(ours, turn)), seconds(one_by_one) * count / few, seconds(at_once))
        for turn in range(TURNS)
    ]
    return {
        "images_per_s": statistics.median(count / turn[0] for turn in turns),
        "v2_one_by_one_images_per_s": statistics.median(count / turn[1] for turn in turns),
        "v2_at_once_images_per_s": statistics.median(count / turn[2] for turn in turns),
        "ratio": statistics.median(turn[1] / turn[0] for turn in turns),
        "ratio_min": min(turn[1] / turn[0] for turn in turns),
        "ratio_max": max(turn[1] / turn[0] for turn in turns),
        "ratio_to_limit": statistics.median(turn[2] / turn[0] for turn in turns),
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    result: dict[str, Any] = {
        "threads": 1,
        "turns": TURNS,
        "n_operations": len(THEIRS),
        "n_catalogue": len(augmentations()),
    }
    for side, count in SIZES.items():
        rows = {name: measure(name, side, count) for name in THEIRS}
        result[f"{side}px"] = {
            "images": count,
            "ratio_median": statistics.median(row["ratio"] for row in rows.values()),
            "ratio_to_limit_median": statistics.median(row["ratio_to_limit"] for row in rows.values()),
            "operations": rows,
        }
    keep("augmenting", result)
