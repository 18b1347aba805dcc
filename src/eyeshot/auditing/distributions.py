"""Train against test, property by property: how far apart, with an interval, and against what chance alone brings.

Numbers are compared by the Kolmogorov-Smirnov distance, categories by total variation: both run from 0 (alike) to 1
(no overlap) and need no unit. Copies count together: intervals are by bootstrap over copy groups.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from eyeshot.auditing.properties import Property
from eyeshot.auditing.report import Distribution, ImageRef, ValueShare

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
REPEATS = 200
MOST_SHARES = 12
MOST_ENDS = 5

Weights = NDArray[np.float64]


def compare(
    found: list[Property],
    in_test: NDArray[np.bool_],
    groups: NDArray[np.int64],
    refs: Callable[[NDArray[np.int64]], list[ImageRef]],
    *,
    seed: int = 0,
) -> list[Distribution]:
    """Every property, train against test, the one that differs most first.

    Args:
        found: the properties of n images.
        in_test: bool (n,)
        groups: int64 (n,), the copy group of each.
        refs: makes references of positions among the n.
        seed: of the bootstrap.
    """
    random = np.random.default_rng([seed, 12])
    draws = [_resampled(in_test, groups, random) for _ in range(REPEATS)]
    halves = [_halves(in_test, groups, random) for _ in range(REPEATS)]
    made = [_compare_one(one, in_test, draws, halves, refs) for one in found]
    return sorted(made, key=lambda one: (-(one.effect or 0.0) if one.apart else 1.0, one.name))


def effect_of(codes: NDArray[np.int64], train: Weights, test: Weights, *, ordered: bool) -> float:
    """Distance of two weighted samples of codes 0..m-1: Kolmogorov-Smirnov where ordered, else total variation."""
    most = int(codes.max()) + 1
    one = np.bincount(codes, train, most) / train.sum()
    other = np.bincount(codes, test, most) / test.sum()
    if ordered:
        return float(np.abs(np.cumsum(one - other)).max())
    return float(np.abs(one - other).sum() / 2)


def _compare_one(
    one: Property,
    in_test: NDArray[np.bool_],
    draws: list[tuple[Weights, Weights]],
    halves: list[tuple[Weights, Weights]],
    refs: Callable[[NDArray[np.int64]], list[ImageRef]],
) -> Distribution:
    ordered = one.numbers is not None
    values = one.numbers if one.numbers is not None else one.values
    names, codes = np.unique(np.asarray(values), return_inverse=True)
    train, test = (~in_test).astype(np.float64), in_test.astype(np.float64)
    effect = effect_of(codes, train, test, ordered=ordered)
    resampled = [effect_of(codes, a, b, ordered=ordered) for a, b in draws]
    chance = [effect_of(codes, a, b, ordered=ordered) for a, b in halves]
    # Resampling adds its own noise to a distance, which cannot be negative: the bootstrap is centred on the estimate.
    low, high = (2 * effect - np.quantile(resampled, q) for q in (0.975, 0.025))
    interval = (float(np.clip(low, 0, 1)), float(np.clip(high, effect, 1)))
    interval = (min(interval[0], effect), interval[1])
    noise = float(np.quantile(chance, 0.95))
    lows, highs = _ends(one, codes, in_test)
    made = Distribution(
        name=one.name,
        unit=one.unit,
        kind="number" if ordered else "category",
        n_train=int((~in_test).sum()),
        n_test=int(in_test.sum()),
        train=[] if one.numbers is None else np.quantile(one.numbers[~in_test], QUANTILES).tolist(),
        test=[] if one.numbers is None else np.quantile(one.numbers[in_test], QUANTILES).tolist(),
        shares=[] if ordered else _shares(names, codes, in_test),
        effect=effect,
        interval=interval,
        noise=noise,
        apart=effect > noise,
        words="",
        low=refs(lows),
        high=refs(highs),
    )
    return made.model_copy(update={"words": _words(made, one)})


def _shares(names: NDArray[np.generic], codes: NDArray[np.int64], in_test: NDArray[np.bool_]) -> list[ValueShare]:
    one = np.bincount(codes[~in_test], minlength=len(names)) / (~in_test).sum()
    other = np.bincount(codes[in_test], minlength=len(names)) / in_test.sum()
    order = np.argsort(-(one + other), kind="stable")[:MOST_SHARES]
    return [ValueShare(value=str(names[n]), train=float(one[n]), test=float(other[n])) for n in order]


def _ends(
    one: Property, codes: NDArray[np.int64], in_test: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Training images that test images are least like in this, and the other way round."""
    most = int(codes.max()) + 1
    share = [np.bincount(codes[side], minlength=most) / side.sum() for side in (~in_test, in_test)]
    if one.numbers is None:
        lean = (share[1] - share[0])[codes]
    else:
        # Towards the side on which test has more: beyond the value where the two distributions lie farthest apart.
        gap = np.cumsum(share[0] - share[1])
        sign = 1.0 if gap[np.abs(gap).argmax()] > 0 else -1.0
        lean = sign * codes
    order = np.argsort(lean, kind="stable")
    return order[~in_test[order]][:MOST_ENDS], order[::-1][in_test[order[::-1]]][:MOST_ENDS]


def _words(one: Distribution, measured: Property) -> str:
    effect, (low, high) = one.effect or 0.0, one.interval or (0.0, 0.0)
    measure = "Kolmogorov–Smirnov" if one.kind == "number" else "total variation"
    numbers = f"{measure} distance {effect:.2f}, 95 % interval {low:.2f} to {high:.2f}"
    if not one.apart:
        return f"{one.name}: no farther apart than two random halves would be ({numbers})."
    if one.kind == "number":
        before, after = one.train[3], one.test[3]
        unit = f" {one.unit}" if one.unit else ""
        if _short(before) == _short(after):
            spread = "more widely spread" if one.test[5] - one.test[1] > one.train[5] - one.train[1] else "less spread"
            return f"{one.name}: test images are {spread} around the same median, {_short(after)}{unit} ({numbers})."
        how = measured.more if after > before else measured.less
        return (
            f"{one.name}: test images are {how}, median {_short(after)} against {_short(before)}{unit} of training "
            f"({numbers})."
        )
    most = max(one.shares, key=lambda share: abs(share.test - share.train))
    return (
        f"{one.name}: {most.value} in {100 * most.test:.0f} % of test and {100 * most.train:.0f} % of training images "
        f"({numbers})."
    )


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _resampled(
    in_test: NDArray[np.bool_], groups: NDArray[np.int64], random: np.random.Generator
) -> tuple[Weights, Weights]:
    """How often each image is drawn when copy groups are, on either side."""
    both = []
    for side in (~in_test, in_test):
        names, place = np.unique(groups[side], return_inverse=True)
        counts = np.bincount(random.integers(0, len(names), len(names)), minlength=len(names))
        weights = np.zeros(len(in_test))
        weights[side] = counts[place]
        both.append(weights)
    return both[0], both[1]


def _halves(
    in_test: NDArray[np.bool_], groups: NDArray[np.int64], random: np.random.Generator
) -> tuple[Weights, Weights]:
    """A random division of all copy groups in the same proportion: what chance alone brings."""
    names, place = np.unique(groups, return_inverse=True)
    chosen = random.random(len(names)) < in_test.mean()
    if chosen.all() or not chosen.any():
        chosen[random.integers(len(names))] ^= True
    as_test = chosen[place].astype(np.float64)
    return 1 - as_test, as_test
