"""Bigger model or more data? Higher resolution? Each answered with an interval, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eyeshot.core import EyeshotError, StorageError, cluster_mean, listing, percent, points
from eyeshot.models import Backbone
from eyeshot.predictions import Accuracy
from eyeshot.rankings.models.learning_curves import Curve, bootstrap_weights
from eyeshot.rankings.models.report import Interval, ModelOrData, RankedModel, Resolution, SizeResult
from eyeshot.rankings.models.tuning_order import line_within

STRIDE = 32
"""Total stride of nearly all convolutional networks, where timm does not say it."""
RATIOS = (3 / 4, 1.0, 4 / 3)
MANY_ENLARGED = 0.5
LITTLE = 0.01

Read = Callable[[int], tuple[NDArray[np.bool_], float]]
"""Which judged images the model answers right with images of a size, bool (n,), and its seconds per 1,000 images."""


def next_bigger(model: RankedModel, ranked: Sequence[RankedModel]) -> RankedModel | None:
    """The smallest ranked model of the same line with at least a quarter more parameters; None without one.

    The next one, not the most accurate one: that was picked by the same images and would look too good.
    """
    least = 1.25 * model.cost.parameters
    bigger = [other for other in ranked if line_within(other) == line_within(model) and other.cost.parameters >= least]
    return min(bigger, key=lambda other: other.cost.parameters, default=None)


def bigger_or_more_data(
    curve: Curve,
    name: str,
    right: NDArray[np.bool_],
    bigger: tuple[str, NDArray[np.bool_], float] | None,
    clusters: NDArray[np.int64],
    *,
    seed: int,
) -> ModelOrData:
    """Compare the next bigger model of a line with twice the training images.

    Both gains are taken from the same bootstrap samples of the judged images, so that their difference is paired.

    Args:
        curve: of the model, on these judged images, with this seed.
        name: of the model.
        right: bool (n,), which of the curve's judged images it answers right with all training images.
        bigger: name of the bigger model, its answers on the same images, and its seconds per image as a multiple of
            the model's; None: there is none.
        clusters: int64 (n,), equal for duplicates.
        seed: of the bootstrap.
    """
    data = curve.record
    if bigger is None:
        words = (
            f"Bigger model or more data cannot be told for {name}: no bigger model of its line was ranked. {data.words}"
        )
        return ModelOrData(words=words)
    weights = bootstrap_weights(clusters, seed=seed)
    change = bigger[1].astype(np.float64) - right
    gains = weights @ change / weights.sum(axis=1)
    difference, half = cluster_mean(change, clusters)
    low, high = (round(float(value), 9) for value in np.quantile(gains - curve.gains, (0.025, 0.975)))
    interval = (difference - half, difference + half)
    if max(interval[1], data.gain_interval[1]) < LITTLE:
        answer = "Neither: both bring less than a point"
    elif low > 0:
        answer = "Bigger model"
    elif high < 0:
        answer = "More data"
    else:
        answer = "Bigger model or more data cannot be told"
    words = (
        f"{answer}: {bigger[0]} brings {_with_interval(difference, interval)} over {name} at {bigger[2]:.1f} times the "
        f"cost, twice the images {_with_interval(data.gain, data.gain_interval)}."
    )
    return ModelOrData(
        bigger=bigger[0],
        difference=difference,
        difference_interval=interval,
        less_data=difference - data.gain,
        less_data_interval=(low, high),
        cost_ratio=bigger[2],
        words=words,
    )


def image_step(backbone: Backbone) -> int:
    """Pixels that the side of its images must be a multiple of: its patch or its total stride."""
    patch = getattr(getattr(backbone.module, "patch_embed", None), "patch_size", None)
    patch = patch[0] if isinstance(patch, (tuple, list)) else patch
    try:
        stride: Any = max(stage["reduction"] for stage in backbone.module.feature_info)  # type: ignore[union-attr]
    except (AttributeError, TypeError, KeyError, ValueError):
        stride = None if patch else STRIDE
    return int(max(patch or 1, stride or 1))


def sizes_around(size: int, step: int) -> tuple[int, ...]:
    """Three quarters of a size, the size, and four thirds of it, rounded to steps and at least one step apart.

    A size of one step at most has nothing below it.
    """
    less, more = (round(ratio * size / step) * step for ratio in (RATIOS[0], RATIOS[2]))
    below, above = (size - 1) // step * step, (size // step + 1) * step
    return *((min(max(step, less), below),) if below else ()), size, max(more, above)


def compare_sizes(
    read: Read,
    sizes: Sequence[int],
    own: tuple[int, NDArray[np.bool_], float],
    clusters: NDArray[np.int64],
    *,
    short_sides: NDArray[np.int64] | None = None,
    crop_share: float = 1.0,
) -> Resolution:
    """The model with smaller and larger images, each compared with its own size on the same images.

    Args:
        read: judges the model at a size; an `EyeshotError` says why it cannot.
        sizes: rising; of `sizes_around`.
        own: its size, bool (n,) which images it answers right there, and its seconds per 1,000 images.
        clusters: int64 (n,), equal for duplicates.
        short_sides: int64 (n,), the shorter side of each image's file in pixels; None: not known.
        crop_share: of the image preparation: the shorter side becomes size / crop_share.
    """
    results = []
    for size in sizes:
        enlarged = None if short_sides is None else float((short_sides < size / crop_share).mean())
        if size == own[0]:
            right, seconds = own[1:]
        else:
            try:
                right, seconds = read(size)
            except StorageError:
                raise
            except EyeshotError as error:
                results.append(SizeResult(size=size, why=str(error), enlarged=enlarged))
                continue
        result = SizeResult(
            size=size,
            accuracy=Accuracy.of_counts(int(right.sum()), len(right)),
            seconds_per_1000=seconds,
            enlarged=enlarged,
        )
        if size != own[0]:
            mean, half = cluster_mean(right.astype(np.float64) - own[1], clusters)
            result.difference, result.difference_interval = mean, (mean - half, mean + half)
        results.append(result)
    return Resolution(sizes=results, words=_resolution_words(results, own[0], own[2]))


def better_size(resolution: Resolution | None) -> SizeResult | None:
    """The most accurate of the sizes that are clearly better than the model's own; None without one."""
    better = [
        size
        for size in (resolution.sizes if resolution is not None else ())
        if size.difference_interval is not None and size.difference_interval[0] > 0
    ]
    return max(better, key=lambda size: size.difference or 0.0, default=None)


def better_size_words(size: SizeResult) -> str:
    """A sentence for the answer of the ranking."""
    measured = _with_interval(size.difference or 0.0, size.difference_interval or (0.0, 0.0))
    return f"At {size.size} px it gains {measured} more."


def _resolution_words(results: Sequence[SizeResult], own: int, own_seconds: float) -> str:
    sentences = []
    for result in results:
        if result.difference is None or result.difference_interval is None:
            continue
        what = "Higher resolution" if result.size > own else "Lower resolution"
        low, high = result.difference_interval
        cost = (result.seconds_per_1000 or 0.0) / max(own_seconds, 1e-12)
        measured = f"{_with_interval(result.difference, (low, high))} at {cost:.1f} times the cost"
        if low > 0:
            answer = "helps"
        elif high < 0:
            answer = "hurts"
        elif max(-low, high) < LITTLE:
            answer = "changes less than a point"
        else:
            answer = "cannot be told from the model's size"
        sentences.append(f"{what} ({result.size} px) {answer}: {measured}.")
        if result.size > own and (result.enlarged or 0.0) > MANY_ENLARGED:
            sentences.append(f"{percent(result.enlarged)} of the images are smaller than that and were enlarged.")
    failed = [result for result in results if result.why is not None]
    if failed:
        sizes = listing([f"{result.size} px" for result in failed])
        sentences.append(f"{sizes} cannot be judged: {failed[0].why}")
    return " ".join(sentences)


def _with_interval(difference: float, interval: Interval) -> str:
    return f"{points(difference)} ({100 * interval[0]:.1f} to {100 * interval[1]:.1f})"
