"""Policies: random chains of operations, new for each sample. All magnitudes are torchvision's.

Unlike torchvision, warps are bilinear and edges are filled by reflection.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from eyeshot.augment.catalogue_entry import Augmentation
from eyeshot.augment.operation import DrawnOperation, Parameters
from eyeshot.augment.ops.colour import brighten, contrast, equalizing_tables, saturate, sharpen, stretch
from eyeshot.augment.ops.pixels import at_least, in_order, look_up, per_image, to_uint8, with_rows
from eyeshot.augment.ops.warp import warp


class Range(NamedTuple):
    """Magnitudes of one operation in a policy.

    Shears are the tangent; translations in pixels, or in shares of the side; turns in degrees; brightness,
    saturation, contrast and sharpness are what is added to the factor 1; posterize drops that many bits; solarize
    inverts that share of the levels. The others take no magnitude.
    """

    least: float = 0.0
    greatest: float = 0.0
    signed: bool = False
    of_side: bool = False


NAMES = (
    "identity",
    "shear-x",
    "shear-y",
    "translate-x",
    "translate-y",
    "rotate",
    "brightness",
    "saturation",
    "contrast",
    "sharpness",
    "posterize",
    "solarize",
    "autocontrast",
    "equalize",
)
"""In torchvision's order."""

_NUMBER = {name: number for number, name in enumerate(NAMES)}
_WARPS = ("shear-x", "shear-y", "translate-x", "translate-y", "rotate")


def draw_step(
    random: np.random.Generator,
    space: dict[str, Range],
    shape: tuple[int, int],
    strength: Callable[[np.random.Generator], float],
) -> tuple[int, float]:
    """Number of an operation, all of the space equally likely, and its magnitude.

    Args:
        random: where all choices come from.
        space: ranges by name.
        shape: height and width of the image.
        strength: draws the place in the range, 0 to 1.
    """
    names = tuple(space)
    name = names[int(random.integers(len(names)))]
    chosen = space[name]
    magnitude = chosen.least + (chosen.greatest - chosen.least) * strength(random)
    if chosen.of_side:
        magnitude *= shape[1] if name == "translate-x" else shape[0]
    if chosen.signed and random.random() < 0.5:
        magnitude = -magnitude
    return _NUMBER[name], magnitude


def apply_steps(images: Tensor, numbers: Tensor, magnitudes: Tensor) -> Tensor:
    """Images uint8 (n, 3, H, W), each changed by operation `numbers` (n,) at its magnitude (n,)."""
    rows_of: dict[str, list[int]] = {}
    for row, number in enumerate(numbers.tolist()):
        name = NAMES[number]
        rows_of.setdefault("warp" if name in _WARPS else name, []).append(row)
    groups = []
    for name, listed in rows_of.items():
        rows = torch.tensor(listed, device=images.device)
        chosen = images.index_select(0, rows)
        if name == "warp":
            matrices = _matrices(numbers[rows], magnitudes[rows], images.shape[2], images.shape[3])
            chosen = warp(chosen, matrices)
        elif name != "identity":
            chosen = _CHANGES[name](chosen, magnitudes[rows])
        groups.append((rows, chosen))
    return in_order(groups) if groups else images.clone()


def _matrices(numbers: Tensor, magnitudes: Tensor, height: int, width: int) -> Tensor:
    zero = torch.zeros_like(magnitudes)

    def only(name: str) -> Tensor:
        return torch.where(numbers == _NUMBER[name], magnitudes, zero)

    angle = only("rotate") * (math.pi / 180)
    shear_x, shear_y = only("shear-x"), only("shear-y")
    cosine, sine = angle.cos(), angle.sin()
    # Shears keep the upper left corner in place, as torchvision's do; whole pixels for translations.
    x = shear_x * (height / 2) - only("translate-x").trunc()
    y = shear_y * (width / 2) - only("translate-y").trunc()
    entries = [cosine, shear_x - sine, x, shear_y + sine, cosine, y, zero, zero, torch.ones_like(zero)]
    return torch.stack(entries, dim=1).view(-1, 3, 3)


def _posterize(images: Tensor, magnitudes: Tensor) -> Tensor:
    dropped = magnitudes.round().long()
    return images & (256 - (1 << dropped)).to(torch.uint8).view(-1, 1, 1, 1)


def _solarize(images: Tensor, magnitudes: Tensor) -> Tensor:
    threshold = per_image(((1 - magnitudes) * 255).ceil().to(torch.uint8))
    return images ^ at_least(images, threshold).neg_()


def _by_factor(step: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda images, magnitudes: to_uint8(step(images.float(), 1 + magnitudes))


_CHANGES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "brightness": _by_factor(brighten),
    "saturation": _by_factor(saturate),
    "contrast": _by_factor(contrast),
    "sharpness": _by_factor(sharpen),
    "posterize": _posterize,
    "solarize": _solarize,
    "autocontrast": lambda images, _: stretch(images),
    "equalize": lambda images, _: look_up(images, equalizing_tables(images)),
}


TRIVIAL: dict[str, Range] = {
    "identity": Range(),
    "shear-x": Range(greatest=0.99, signed=True),
    "shear-y": Range(greatest=0.99, signed=True),
    "translate-x": Range(greatest=32.0, signed=True),
    "translate-y": Range(greatest=32.0, signed=True),
    "rotate": Range(greatest=135.0, signed=True),
    "brightness": Range(greatest=0.99, signed=True),
    "saturation": Range(greatest=0.99, signed=True),
    "contrast": Range(greatest=0.99, signed=True),
    "sharpness": Range(greatest=0.99, signed=True),
    "posterize": Range(greatest=6.0),
    "solarize": Range(greatest=1.0),
    "autocontrast": Range(),
    "equalize": Range(),
}

RANDOM: dict[str, Range] = {
    "identity": Range(),
    "shear-x": Range(greatest=0.3, signed=True),
    "shear-y": Range(greatest=0.3, signed=True),
    "translate-x": Range(greatest=150 / 331, signed=True, of_side=True),
    "translate-y": Range(greatest=150 / 331, signed=True, of_side=True),
    "rotate": Range(greatest=30.0, signed=True),
    "brightness": Range(greatest=0.9, signed=True),
    "saturation": Range(greatest=0.9, signed=True),
    "contrast": Range(greatest=0.9, signed=True),
    "sharpness": Range(greatest=0.9, signed=True),
    "posterize": Range(greatest=4.0),
    "solarize": Range(greatest=1.0),
    "autocontrast": Range(),
    "equalize": Range(),
}

CHAINED: dict[str, Range] = {
    **{name: chosen for name, chosen in RANDOM.items() if name != "identity"},
    "translate-x": Range(greatest=1 / 3, signed=True, of_side=True),
    "translate-y": Range(greatest=1 / 3, signed=True, of_side=True),
    "posterize": Range(least=4.0, greatest=8.0),
}


def draw_trivial(random: np.random.Generator, shape: tuple[int, int], *, bins: int) -> Parameters:
    """One of 14 operations at one of `bins` strengths (TrivialAugmentWide, Müller and Hutter 2021).

    Translations are in pixels, whatever the image's size, as in the paper.

    Returns:
        number of the `operation`, and its signed `magnitude`.
    """
    number, magnitude = draw_step(random, TRIVIAL, shape, lambda of: int(of.integers(bins)) / (bins - 1))
    return {"operation": number, "magnitude": magnitude}


def apply_step(images: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
    """Each operation applied to the images that drew it."""
    return apply_steps(images, parameters["operation"], parameters["magnitude"])


TRIVIAL_AUGMENT = DrawnOperation("policy.TrivialAugment", partial(draw_trivial, bins=31), apply_step)


def draw_sequence(
    random: np.random.Generator, shape: tuple[int, int], *, steps: int, magnitude: int, bins: int
) -> Parameters:
    """Several of 14 operations one after another, all at one strength (RandAugment, Cubuk et al. 2020).

    Args:
        random: where all choices come from.
        shape: height and width of the image.
        steps: number of operations per image, drawn with repetition. N in the paper.
        magnitude: strength as one of `bins`, from 0. M in the paper.
        bins: number of strengths.

    Returns:
        numbers of the `operations` and their signed `magnitudes`, in order.
    """
    share = magnitude / (bins - 1)
    drawn = [draw_step(random, RANDOM, shape, lambda _: share) for _ in range(steps)]
    numbers, magnitudes = zip(*drawn, strict=True)
    return {"operations": np.array(numbers), "magnitudes": np.array(magnitudes, dtype=np.float32)}


def apply_sequence(images: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
    """The operations applied in order."""
    for step in range(parameters["operations"].shape[1]):
        images = apply_steps(images, parameters["operations"][:, step], parameters["magnitudes"][:, step])
    return images


RAND_AUGMENT = DrawnOperation(
    "policy.RandAugment", partial(draw_sequence, steps=2, magnitude=9, bins=31), apply_sequence
)


def draw_chains(
    random: np.random.Generator, shape: tuple[int, int], *, severity: int, chains: int, depth: int, alpha: float
) -> Parameters:
    """The image mixed with several chains of operations on it (AugMix, Hendrycks et al. 2020).

    All 13 operations take part, as in torchvision; the paper omits those that ImageNet-C is made of. The paper's
    consistency loss is left out.

    Args:
        random: where all choices come from.
        shape: height and width of the image.
        severity: strengths come from the lowest `severity` of ten.
        chains: number of chains; each has one to `depth` operations.
        depth: greatest number of operations in a chain.
        alpha: parameters of the Beta distribution of the image's own weight, and of the Dirichlet distribution of
            the chains' weights in the rest.

    Returns:
        weights of the image (`own`) and of each chain (`weights`); numbers (-1 is no operation) and magnitudes of the
        operations, (chains, depth).
    """
    own = random.beta(alpha, alpha)
    weights = random.dirichlet([alpha] * chains) * (1 - own)
    numbers = np.full((chains, depth), -1)
    magnitudes = np.zeros((chains, depth), dtype=np.float32)
    for chain in range(chains):
        for step in range(int(random.integers(1, depth + 1))):
            numbers[chain, step], magnitudes[chain, step] = draw_step(
                random, CHAINED, shape, lambda of: int(of.integers(severity)) / 9
            )
    return {"own": own, "weights": weights.astype(np.float32), "operations": numbers, "magnitudes": magnitudes}


def mix_chains(images: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
    """Runs the chains and mixes."""
    chains, depth = parameters["operations"].shape[1:]
    numbers, magnitudes = parameters["operations"].flatten(0, 1), parameters["magnitudes"].flatten(0, 1)
    chained = images.repeat_interleave(chains, 0)
    for step in range(depth):
        rows = (numbers[:, step] >= 0).nonzero().squeeze(1)
        changed = apply_steps(chained.index_select(0, rows), numbers[rows, step], magnitudes[rows, step])
        chained = with_rows(chained, rows, changed)
    chained = chained.view(len(images), chains, *images.shape[1:])
    mixed = images * per_image(parameters["own"])
    for chain in range(chains):
        mixed.addcmul_(chained[:, chain].float(), per_image(parameters["weights"][:, chain]))
    return to_uint8(mixed)


AUGMIX = DrawnOperation("policy.AugMix", partial(draw_chains, severity=3, chains=3, depth=3, alpha=1.0), mix_chains)


def entries() -> tuple[Augmentation, ...]:
    """Policies from the literature."""
    return (
        Augmentation(
            name="trivial-augment",
            family="policy",
            strength="one of 14 operations at one of 31 strengths",
            probability=1.0,
            description="TrivialAugmentWide: the control to beat.",
            may_destroy="little; some shears and turns are strong",
            source="Müller and Hutter 2021; magnitudes of torchvision",
            operation=TRIVIAL_AUGMENT,
        ),
        Augmentation(
            name="rand-augment",
            family="policy",
            strength="2 of 14 operations at strength 9 of 30",
            probability=1.0,
            description="RandAugment: operations one after another, all at one strength.",
            may_destroy="little",
            source="Cubuk et al. 2020 (ImageNet, ResNet-50); magnitudes of torchvision",
            operation=RAND_AUGMENT,
        ),
        Augmentation(
            name="augmix",
            family="policy",
            strength="3 chains of 1-3 operations, strengths 0-2 of 9, alpha 1",
            probability=1.0,
            description="AugMix: the image mixed with chains of weak operations; without the paper's loss.",
            may_destroy="little",
            source="Hendrycks et al. 2020; defaults of torchvision",
            operation=AUGMIX,
        ),
    )
