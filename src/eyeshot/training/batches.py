"""One training batch: which images, augmented how, with which labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eyeshot.augment import Augmentation, Pool, make_views


@dataclass(frozen=True)
class Batch:
    """Images with soft labels.

    Attributes:
        images: uint8 (n, 3, S, S), RGB, 0-255.
        targets: float32 (n, C), rows sum to 1.
        failed: per augmentation, how many of the images it could not be applied to.
    """

    images: Tensor
    targets: Tensor
    failed: tuple[int, ...]


class RowsOf:
    """Some rows of an image array, looked up when asked for: nothing is copied beforehand."""

    def __init__(self, images: NDArray[np.uint8], rows: NDArray[np.int64]) -> None:
        self._images = images
        self._rows = rows
        self.shape = (len(rows), *images.shape[1:])
        self.dtype = np.dtype(np.uint8)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, rows: object) -> NDArray[np.uint8]:
        return np.asarray(self._images[self._rows[rows]])  # type: ignore[index]


def part_of(pool: Pool, rows: NDArray[np.int64]) -> Pool:
    """A pool of `rows` alone, so that mixing takes no partner from the validation images."""
    return Pool(images=RowsOf(pool.images, rows), keys=[pool.keys[row] for row in rows])


def epoch_batches(count: int, batch_size: int, *, seed: int, epoch: int) -> list[NDArray[np.int64]]:
    """Rows of each batch: a permutation that follows from (seed, epoch), the incomplete rest left out."""
    order = np.random.default_rng([seed, epoch]).permutation(count)
    size = min(batch_size, count)
    return [order[start : start + size] for start in range(0, count - size + 1, size)]


def make_batch(
    pool: Pool,
    labels: Tensor,
    rows: NDArray[np.int64],
    augmentations: Sequence[Augmentation],
    *,
    class_count: int,
    seed: int,
    epoch: int,
    device: torch.device,
) -> Batch:
    """Apply `augmentations` one after the other, each with its probability, and follow the labels.

    Args:
        pool: the training images alone.
        labels: int64 (N,), class numbers of the pool.
        rows: positions in the pool.
    """
    targets = torch.nn.functional.one_hot(labels[torch.from_numpy(rows)], class_count).float().to(device)
    if not augmentations:
        images = torch.from_numpy(np.ascontiguousarray(pool.images[rows])).permute(0, 3, 1, 2).to(device)
        return Batch(images, targets, ())
    failed = []
    current, places = pool, rows
    all_targets = torch.nn.functional.one_hot(labels, class_count).float().to(device)
    for augmentation in augmentations:
        views = make_views(augmentation, current, places, seed=seed, draw=epoch, device=device, always=False)
        failed.append(int((~views.success).sum()))
        sources, weights = views.sources.to(device), views.weights.to(device)
        # From the second augmentation on, partners are other images of this batch, as they are by now.
        targets = (all_targets[sources] * weights[..., None]).sum(1)
        all_targets = targets
        channels_last = views.images.permute(0, 2, 3, 1).contiguous().cpu().numpy()
        current = Pool(images=channels_last, keys=[pool.keys[row] for row in rows])
        places = np.arange(len(rows))
    return Batch(views.images, targets, tuple(failed))
