"""Does a cloud cover the target? The space that all clouds share; coverage, density, distance, and label consistency.

Coverage and density are defined by Naeem et al., "Reliable fidelity and diversity metrics for generative models",
ICML 2020, section 3, with the target in place of the real images. The cloud of a candidate is what training sees: clean
images and several augmented samples of each. Of each source image only the sample nearest to a target point counts, so
that the neighbours of a point are different images.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf_shrinkage
from torch import Tensor

from eyeshot.core import HalfSamples, ModelError
from eyeshot.models import distance_blocks, first_in_halves, nearest_sorted, radii, radii_in_halves

NEIGHBOURS = 5
AGREEING = 4
DIMENSIONS = 64
SAME_FEATURES = 1e-12
"""Share of the mean square of the features that their variance must exceed; a smaller variance is rounding error."""


@dataclass(frozen=True, eq=False)
class ReferenceSpace:
    """Centring, projection to principal components and whitening, fitted once on clean images.

    Attributes:
        centre: float64 (D,)
        directions: float64 (D, d), principal directions divided by their shrunk standard deviations.
        scales: float32 (d,), those standard deviations; multiplying by them undoes the whitening.
        shrinkage: share of the mean variance that is mixed into every variance, 0-1.
    """

    centre: NDArray[np.float64]
    directions: NDArray[np.float64]
    scales: NDArray[np.float32]
    shrinkage: float

    def transform(self, features: NDArray[np.floating]) -> NDArray[np.float32]:
        """`features` (n, D) -> float32 (n, d)."""
        moved = (np.asarray(features, np.float64) - self.centre) @ self.directions
        return moved.astype(np.float32)


def fit_reference_space(
    train: NDArray[np.floating],
    target: NDArray[np.floating],
    *,
    seed: int,
    dimensions: int = DIMENSIONS,
) -> ReferenceSpace:
    """Fit on equal numbers of clean training and target images, never on augmented images.

    The shrinkage is that of Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance
    matrices", J. Multivariate Analysis 88 (2004). Without it the whitening would magnify directions of almost no
    variance. Costs O(n D min(n, D)).

    Args:
        train: (n, D) features of clean training images.
        target: (M, D) features of the target.
        seed: seed of the choice of images that makes the numbers equal.
        dimensions: at most d dimensions; fewer if there are fewer images or features.

    Raises:
        ModelError: the features are the same for all images.
    """
    random = np.random.default_rng(seed)
    count = min(len(train), len(target))
    rows = np.concatenate(
        [
            np.asarray(cloud, np.float64)[np.sort(random.choice(len(cloud), count, replace=False))]
            for cloud in (train, target)
        ]
    )
    centre = rows.mean(axis=0)
    mean_square = float(np.square(rows).mean())
    rows = rows - centre
    if float(np.square(rows).mean()) <= SAME_FEATURES * mean_square:
        raise ModelError(
            f"This model gives the same features for all {len(rows)} images, so it cannot tell images apart, and "
            "nothing can be ranked with it. Check its weights and the preprocessing (--mean, --std, --size), or choose "
            "another model with --model."
        )
    shrinkage = float(ledoit_wolf_shrinkage(rows, assume_centered=True))
    _, singular, directions = np.linalg.svd(rows, full_matrices=False)
    variances = singular**2 / len(rows)
    mean_variance = variances.sum() / rows.shape[1]
    kept = min(dimensions, int((variances > 1e-12 * max(variances[0], 1e-30)).sum()))
    shrunk = (1 - shrinkage) * variances[:kept] + shrinkage * mean_variance
    chosen = directions[:kept]
    # The sign of a singular vector is arbitrary. The largest entry is made positive, so that maps are reproducible.
    signs = np.sign(chosen[np.arange(kept), np.abs(chosen).argmax(axis=1)])
    scales = np.sqrt(shrunk)
    return ReferenceSpace(centre, (chosen * signs[:, None]).T / scales, scales.astype(np.float32), shrinkage)


@dataclass(frozen=True, eq=False)
class Target:
    """The points to be covered, with their neighbour balls.

    Attributes:
        points: float32 (M, d) in the reference space.
        radii: float32 (M,), distance to the k-th neighbour within the target.
        halves: the half-samples; None without intervals.
        half_radii: float32 (B, M), the radii within each half.
    """

    points: NDArray[np.float32]
    radii: NDArray[np.float32]
    halves: HalfSamples | None
    half_radii: NDArray[np.float32] | None


@dataclass(frozen=True, eq=False)
class CoverageScores:
    """How a cloud covers the target.

    Attributes:
        covered: bool (M,), whether the point's ball holds an image of the cloud.
        agreed_class: int64 (M,), the class on which the nearest images agree; -1 if they do not.
        distance: float32 (M,), distance to the nearest image, in units of the point's radius.
        density: mean number of balls that hold an image, divided by k.
        half_coverage, half_consistent, half_distance: (B,), the three scores on the halves; empty without halves.
    """

    covered: NDArray[np.bool_]
    agreed_class: NDArray[np.int64]
    distance: NDArray[np.float32]
    density: float
    half_coverage: NDArray[np.float64]
    half_consistent: NDArray[np.float64]
    half_distance: NDArray[np.float64]

    @property
    def consistent(self) -> NDArray[np.bool_]:
        """bool (M,), whether a point is covered and its nearest images agree on one class."""
        return self.covered & (self.agreed_class >= 0)

    @property
    def coverage(self) -> float:
        """Share of target points that are covered."""
        return float(self.covered.mean())

    @property
    def consistent_coverage(self) -> float:
        """Share of target points that are covered and whose neighbours agree."""
        return float(self.consistent.mean())

    @property
    def nearest_distance(self) -> float:
        """Median distance to the cloud in units of the neighbour radius."""
        return float(np.median(self.distance))


def make_target(
    points: NDArray[np.float32], *, halves: HalfSamples | None = None, neighbours: int = NEIGHBOURS
) -> Target:
    """Measure the neighbour balls of the target; O(M² d) time, O(M) memory."""
    half_radii = None if halves is None else radii_in_halves(points, neighbours, halves.target)
    return Target(points, radii(points, neighbours), halves, half_radii)


def measure_coverage(
    target: Target,
    clouds: NDArray[np.float32],
    labels: NDArray[np.int64],
    *,
    present: NDArray[np.bool_] | None = None,
    halves: HalfSamples | None = None,
    neighbours: int = NEIGHBOURS,
) -> CoverageScores:
    """Measure a cloud.

    Args:
        target: the points to be covered.
        clouds: float32 (n, L, d): of each of n sources the L images that training sees, the clean image first.
        labels: int64 (n,), class of each source.
        present: bool (n, L), False for samples left out; the clean image must be present.
        halves: used instead of the target's own half-samples if the cloud has more sources.
        neighbours: k of the density.

    Time O(M · n · L · d) plus O(B · M) for the halves; memory 48 MiB beyond the arguments.
    """
    count, layers, width = clouds.shape
    points = torch.from_numpy(target.points)
    samples = torch.from_numpy(np.ascontiguousarray(clouds).reshape(count * layers, width))
    absent = None if present is None or present.all() else torch.from_numpy(~present)
    balls = torch.from_numpy(target.radii)
    classes = torch.from_numpy(labels)
    used = min(NEIGHBOURS, count)
    halves = halves or target.halves
    chosen = torch.from_numpy(halves.sources) if halves is not None else torch.ones((1, count), dtype=torch.bool)
    covered, agreed, distance = [], [], []
    half_distance: list[Tensor] = []
    half_agreed: list[Tensor] = []
    inside = 0
    for rows, squared in distance_blocks(points, samples, columns_per_other=2):
        nearest_sample = squared.view(-1, count, layers)
        if absent is not None:
            nearest_sample = nearest_sample.masked_fill(absent, torch.inf)
        per_source = nearest_sample.amin(dim=2) if layers > 1 else nearest_sample[:, :, 0]
        ball = balls[rows].square()
        inside += int((per_source <= ball[:, None]).sum())
        nearest, order = nearest_sorted(per_source, chosen, used)
        covered.append(nearest[:, 0] <= ball)
        agreed.append(_agreed(classes[order[:, :used]]))
        distance.append((nearest[:, 0] / ball.clamp_min(1e-20)).sqrt())
        if halves is not None:
            picked = first_in_halves(order, chosen, used)  # (B, b, used)
            spread = nearest.expand(len(chosen), -1, -1)
            half_distance.append(torch.gather(spread, 2, picked[..., :1])[..., 0].sqrt())
            half_agreed.append(_agreed(torch.gather(classes[order].expand(len(chosen), -1, -1), 2, picked)))
    empty = np.empty(0)
    over_halves = (empty, empty, empty)
    if halves is not None and target.half_radii is not None:
        over_halves = _over_halves(torch.cat(half_distance, 1), torch.cat(half_agreed, 1), target, halves)
    return CoverageScores(
        torch.cat(covered).numpy(),
        torch.cat(agreed).numpy(),
        torch.cat(distance).numpy(),
        inside / (neighbours * count),
        *over_halves,
    )


def _agreed(classes: Tensor) -> Tensor:
    """The class that at least 4 of the 5 neighbours (..., 5) share, otherwise -1."""
    ordered = classes.sort(dim=-1).values
    width = ordered.shape[-1]
    needed = min(AGREEING, width)
    middle = ordered[..., width // 2]
    alike = torch.zeros(middle.shape, dtype=torch.bool)
    for start in range(width - needed + 1):
        alike |= ordered[..., start] == ordered[..., start + needed - 1]
    return torch.where(alike, middle, -1)


def _over_halves(
    distances: Tensor, agreed: Tensor, target: Target, halves: HalfSamples
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    ball = torch.from_numpy(target.half_radii)
    member = torch.from_numpy(halves.target)
    covered = (distances <= ball) & member
    size = member.sum(dim=1)
    ratio = torch.where(member, distances / ball.clamp_min(1e-10), torch.nan)
    return (
        (covered.sum(dim=1) / size).double().numpy(),
        ((covered & (agreed >= 0)).sum(dim=1) / size).double().numpy(),
        torch.nanmedian(ratio, dim=1).values.double().numpy(),
    )
