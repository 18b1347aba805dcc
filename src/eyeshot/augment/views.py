"""Views of images: parameters are drawn per image, applied in batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from eyeshot.augment.candidate import Augmentation
from eyeshot.augment.operation import Mixing, Parameters, stack
from eyeshot.augment.pixels import with_rows
from eyeshot.augment.plans import Pool, checked_rows, draw_plan, keys_of, labels_of, mixed_labels, own_labels

# Values (3 H W) per step on the CPU: what fits into its caches is several times as fast.
_CHUNK_VALUES = 1 << 19


@dataclass(frozen=True)
class Views:
    """Augmented copies of images.

    Attributes:
        images: uint8 (n, 3, H, W), RGB, 0-255.
        sources: int64 (n, P), positions in the pool of the images that entered each view; the image itself is
            first. P is 1 unless the augmentation mixes.
        weights: float32 (n, P), label weights of the sources; rows sum to 1.
        success: bool (n,); where False the operation failed and the view is the image without it.
    """

    images: Tensor
    sources: Tensor
    weights: Tensor
    success: Tensor


def make_views(
    augmentation: Augmentation | Sequence[Augmentation],
    pool: Pool,
    rows: ArrayLike,
    *,
    seed: int,
    draw: int,
    device: torch.device | str = "cpu",
    always: bool = True,
) -> Views:
    """Views of the images at `rows` of the pool.

    What is drawn for an image follows from (seed, augmentation, draw, image key) alone.

    Args:
        augmentation: one, or several that are applied in order. Mixing partners have gone through the earlier
            ones as well, as they would in a training batch.
        pool: where images and partners come from.
        rows: int (n,), positions in the pool; may repeat.
        seed: of the run.
        draw: number of the round of views, from 0; in training, the epoch.
        device: where to compute; the views stay there.
        always: apply the last one to every image, as for the clouds. Otherwise, as in training, it is applied with
            its own probability, by a coin that is independent of the parameters; so are those before it in any case.
    """
    steps = (augmentation,) if isinstance(augmentation, Augmentation) else tuple(augmentation)
    positions = checked_rows(rows, pool)
    on = torch.device(device)
    # Apple's backend lacks sampling with reflection; its memory is the CPU's, so the way back is short.
    at = torch.device("cpu") if on.type == "mps" else on
    values = max(1, 3 * pool.shape[0] * pool.shape[1])
    chunk = len(positions) if at.type != "cpu" else max(1, _CHUNK_VALUES // values)
    parts = [
        _apply_all(steps, pool, positions[start : start + chunk], seed, draw, at, always)
        for start in range(0, max(1, len(positions)), max(1, chunk))
    ]
    if len(parts) == 1 and at == on:
        return parts[0]
    return Views(
        torch.cat([part.images for part in parts]).to(on),
        torch.cat([part.sources for part in parts]).to(on),
        torch.cat([part.weights for part in parts]).to(on),
        torch.cat([part.success for part in parts]).to(on),
    )


def view_labels(
    augmentation: Augmentation | Sequence[Augmentation],
    pool: Pool,
    rows: ArrayLike,
    *,
    seed: int,
    draw: int,
    always: bool = True,
) -> tuple[Tensor, Tensor]:
    """Sources int64 (n, P) and label weights float32 (n, P), as in `Views`, without making the views."""
    steps = (augmentation,) if isinstance(augmentation, Augmentation) else tuple(augmentation)
    return labels_of(steps, pool, checked_rows(rows, pool), seed, draw, always)


def view_keys(
    augmentation: Augmentation | Sequence[Augmentation],
    pool: Pool,
    rows: ArrayLike,
    *,
    seed: int,
    draw: int,
) -> list[str]:
    """A key (32 hexadecimal digits) of all that each view depends on, to cache features by.

    That is: the augmentation's fingerprint, seed and draw (unless the view is always the same), the image's
    content and size, and those of its partners. It holds for views made with `always=True`.
    """
    steps = (augmentation,) if isinstance(augmentation, Augmentation) else tuple(augmentation)
    return keys_of(steps, pool, checked_rows(rows, pool), seed, draw)


def _apply_all(
    steps: tuple[Augmentation, ...],
    pool: Pool,
    positions: NDArray[np.int64],
    seed: int,
    draw: int,
    device: torch.device,
    always: bool,
) -> Views:
    count = len(positions)
    if not steps:
        sources, weights = own_labels(positions)
        success = torch.ones(count, dtype=torch.bool, device=device)
        return Views(pool.take(positions, device=device), sources.to(device), weights.to(device), success)
    before, step = steps[:-1], steps[-1]
    views = _apply_all(before, pool, positions, seed, draw, device, False)
    operation = step.operation
    plan = draw_plan(step, pool, positions, seed, draw, always)
    if not isinstance(operation, Mixing):
        images, success = apply_to(operation, views.images, plan.chosen, plan.parameters)
        return Views(images, views.sources, views.weights, views.success & success)
    sources, weights = views.sources, views.weights
    images = views.images
    partner_views = _apply_all(before, pool, plan.partners.reshape(-1), seed, draw, device, False)
    if len(plan.chosen):
        rows = torch.from_numpy(plan.chosen).to(device)
        parameters = stack(plan.parameters, device)
        partners = partner_views.images.view(len(rows), operation.partners, *images.shape[1:])
        images = with_rows(images, rows, operation.mix(images.index_select(0, rows), partners, parameters))
    sources, weights = mixed_labels(
        operation,
        plan,
        (sources.cpu(), weights.cpu()),
        (partner_views.sources.cpu(), partner_views.weights.cpu()),
        pool.shape,
    )
    return Views(images, sources.to(device), weights.to(device), views.success)


def apply_to(
    operation: Any, images: Tensor, chosen: NDArray[np.int64], parameters: list[Parameters]
) -> tuple[Tensor, Tensor]:
    """`images`, which may be overwritten, with the `chosen` ones changed; which did not fail, bool (n,)."""
    success = torch.ones(len(images), dtype=torch.bool, device=images.device)
    if not len(chosen):
        return images, success
    everything = len(chosen) == len(images)
    rows = torch.from_numpy(chosen).to(images.device)
    given = images if everything else images.index_select(0, rows)
    result = operation.apply(given, stack(parameters, images.device))
    if isinstance(result, tuple):
        result, succeeded = result
        if succeeded.shape != (len(given),) or succeeded.dtype != torch.bool:
            raise _broken(operation, f"a success mask bool ({len(given)},)", succeeded)
        success[rows] = succeeded
        failed = (~succeeded).nonzero().squeeze(1)
        result[failed] = given[failed]
    if result.shape != given.shape or result.dtype != torch.uint8:
        raise _broken(operation, f"images uint8 {tuple(given.shape)}", result)
    if everything:
        return result, success
    return with_rows(images, rows, result), success


def _broken(operation: Any, rule: str, result: Tensor) -> TypeError:
    return TypeError(
        f"{type(operation).__name__}.apply must return {rule}, got {result.dtype} {tuple(result.shape)}. "
        "Run eyeshot.testing.AugmentationContract on it."
    )
