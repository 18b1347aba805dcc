"""Policies: other operations for each view. All magnitudes are torchvision's.

Unlike there, warps are bilinear and edges are filled by reflection.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from eyeshot.augment.candidate import Augmentation
from eyeshot.augment.operation import Operation, Parameters
from eyeshot.augment.pixels import per_image, to_uint8, with_rows
from eyeshot.augment.policy_steps import Range, apply_steps, draw_step

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


@dataclass(frozen=True)
class TrivialAugment(Operation):
    """One of 14 operations at one of 31 strengths (TrivialAugmentWide, Müller and Hutter 2021).

    Translations are in pixels, whatever the image's size, as in the paper.
    """

    bins: int = 31

    def draw(self, random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
        """Number of the operation, and its signed magnitude."""
        number, magnitude = draw_step(random, TRIVIAL, shape, lambda of: int(of.integers(self.bins)) / (self.bins - 1))
        return {"operation": number, "magnitude": magnitude}

    def apply(self, images: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """Applies each operation to the images that drew it."""
        return apply_steps(images, parameters["operation"], parameters["magnitude"])


@dataclass(frozen=True)
class RandAugment(Operation):
    """So many of 14 operations one after another, all at one strength (Cubuk et al. 2020).

    Attributes:
        steps: operations for each image; one may come twice. N in the paper.
        magnitude: strength as one of `bins`, from 0. M in the paper.
        bins: number of strengths.
    """

    steps: int = 2
    magnitude: int = 9
    bins: int = 31

    def draw(self, random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
        """Numbers of the operations and their signed magnitudes, in order."""
        share = self.magnitude / (self.bins - 1)
        drawn = [draw_step(random, RANDOM, shape, lambda _: share) for _ in range(self.steps)]
        numbers, magnitudes = zip(*drawn, strict=True)
        return {"operations": np.array(numbers), "magnitudes": np.array(magnitudes, dtype=np.float32)}

    def apply(self, images: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """Applies the operations in order."""
        for step in range(self.steps):
            images = apply_steps(images, parameters["operations"][:, step], parameters["magnitudes"][:, step])
        return images


@dataclass(frozen=True)
class AugMix(Operation):
    """The image mixed with several chains of operations on it (Hendrycks et al. 2020), without the paper's loss.

    All 13 operations take part, as in torchvision; the paper leaves those out that ImageNet-C is made of.

    Attributes:
        severity: strengths come from the lowest so many of ten.
        chains: how many; each has one to `depth` operations.
        depth: greatest number of operations in a chain.
        alpha: parameters of the Beta distribution of the image's own weight, and of the Dirichlet distribution of
            the chains' weights in the rest.
    """

    severity: int = 3
    chains: int = 3
    depth: int = 3
    alpha: float = 1.0

    def draw(self, random: np.random.Generator, shape: tuple[int, int]) -> Parameters:
        """Weight of the image and of each chain, and the chains; -1 is no operation."""
        own = random.beta(self.alpha, self.alpha)
        weights = random.dirichlet([self.alpha] * self.chains) * (1 - own)
        numbers = np.full((self.chains, self.depth), -1)
        magnitudes = np.zeros((self.chains, self.depth), dtype=np.float32)
        for chain in range(self.chains):
            for step in range(int(random.integers(1, self.depth + 1))):
                numbers[chain, step], magnitudes[chain, step] = draw_step(
                    random, CHAINED, shape, lambda of: int(of.integers(self.severity)) / 9
                )
        return {"own": own, "weights": weights.astype(np.float32), "operations": numbers, "magnitudes": magnitudes}

    def apply(self, images: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """Runs the chains and mixes."""
        numbers, magnitudes = parameters["operations"].flatten(0, 1), parameters["magnitudes"].flatten(0, 1)
        chained = images.repeat_interleave(self.chains, 0)
        for step in range(self.depth):
            rows = (numbers[:, step] >= 0).nonzero().squeeze(1)
            changed = apply_steps(chained.index_select(0, rows), numbers[rows, step], magnitudes[rows, step])
            chained = with_rows(chained, rows, changed)
        chained = chained.view(len(images), self.chains, *images.shape[1:])
        mixed = images * per_image(parameters["own"])
        for chain in range(self.chains):
            mixed.addcmul_(chained[:, chain].float(), per_image(parameters["weights"][:, chain]))
        return to_uint8(mixed)


def candidates() -> tuple[Augmentation, ...]:
    """Other operations for each view."""
    return (
        Augmentation(
            name="trivial-augment",
            family="policy",
            strength="one of 14 operations at one of 31 strengths",
            probability=1.0,
            description="TrivialAugmentWide: the control to beat.",
            may_destroy="little; some shears and turns are strong",
            source="Müller and Hutter 2021; magnitudes of torchvision",
            operation=TrivialAugment(),
        ),
        Augmentation(
            name="rand-augment",
            family="policy",
            strength="2 of 14 operations at strength 9 of 30",
            probability=1.0,
            description="RandAugment: operations one after another, all at one strength.",
            may_destroy="little",
            source="Cubuk et al. 2020 (ImageNet, ResNet-50); magnitudes of torchvision",
            operation=RandAugment(),
        ),
        Augmentation(
            name="augmix",
            family="policy",
            strength="3 chains of 1-3 operations, strengths 0-2 of 9, alpha 1",
            probability=1.0,
            description="AugMix: the image mixed with chains of weak operations; without the paper's loss.",
            may_destroy="little",
            source="Hendrycks et al. 2020; defaults of torchvision",
            operation=AugMix(),
        ),
    )
