"""Half-samples without replacement, the same for all candidates: where every interval comes from.

A bootstrap's doubled points fool nearest-neighbour counts (a doubled target point has radius 0), halves do not.
Over half-samples of n points the spread of a statistic estimates its standard error on all n: the delete-d
jackknife of Shao and Wu, "A general theory for jackknife variance estimation", Annals of Statistics 17 (1989),
p. 1177, whose factor (n - d) / d is 1 for d = n / 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

COUNT = 100
NORMAL_95 = 1.959964


@dataclass(frozen=True, eq=False)
class HalfSamples:
    """Which points are in each of B halves.

    Attributes:
        target: bool (B, M)
        sources: bool (B, n)
    """

    target: NDArray[np.bool_]
    sources: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.target)

    def with_more_sources(self, count: int, *, seed: int) -> HalfSamples:
        """The same halves with `count` further sources behind the others."""
        more = _halves(len(self), count, np.random.default_rng([seed, count]))
        return HalfSamples(self.target, np.concatenate([self.sources, more], axis=1))


def draw_half_samples(target_count: int, source_count: int, *, seed: int, count: int = COUNT) -> HalfSamples:
    """Draw B = `count` halves of `target_count` target images and `source_count` source images."""
    random = np.random.default_rng([seed, 1])
    return HalfSamples(_halves(count, target_count, random), _halves(count, source_count, random))


def standard_error(over_halves: NDArray[np.floating]) -> float:
    """Standard error of a statistic on all points from its values on the halves (B,)."""
    return float(np.std(over_halves, ddof=1))


def interval(estimate: float, over_halves: NDArray[np.floating]) -> tuple[float, float]:
    """95 % interval: the estimate on all points, plus and minus 1.96 standard errors."""
    reach = NORMAL_95 * standard_error(over_halves)
    return estimate - reach, estimate + reach


def _halves(count: int, size: int, random: np.random.Generator) -> NDArray[np.bool_]:
    order = random.permuted(np.tile(np.arange(size), (count, 1)), axis=1)
    chosen = np.zeros((count, size), bool)
    np.put_along_axis(chosen, order[:, : size // 2], True, axis=1)
    return chosen
