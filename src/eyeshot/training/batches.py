"""Training batches: their rows, augmented images and soft labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eyeshot.augment import Augmentation, Pool, make_samples


class RowsOf:
    """Rows of an image array, read when indexed; nothing is copied beforehand."""

    def __init__(self, images: Any, rows: NDArray[np.int64]) -> None:
        self._images = images
        self._rows = rows
        self.shape = (len(rows), *images.shape[1:])
        self.dtype = np.dtype(np.uint8)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, rows: Any, /) -> NDArray[np.uint8]:
        return np.asarray(self._images[self._rows[rows]])


class _Joined:
    """Several image arrays end to end, read when indexed."""

    def __init__(self, arrays: Sequence[Any]) -> None:
        self._arrays = arrays
        self._ends = np.cumsum([len(array) for array in arrays])
        self.shape = (int(self._ends[-1]), *arrays[0].shape[1:])
        self.dtype = np.dtype(np.uint8)

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, rows: Any, /) -> NDArray[np.uint8]:
        positions = np.asarray(rows)
        images = np.empty((*positions.shape, *self.shape[1:]), np.uint8)
        for array, end in zip(self._arrays, self._ends, strict=True):
            inside = (positions >= end - len(array)) & (positions < end)
            if inside.any():
                images[inside] = array[positions[inside] - (end - len(array))]
        return images


def joined(pools: Sequence[Pool]) -> Pool:
    """One pool of several, in order; no image is copied."""
    filled = [pool for pool in pools if len(pool)]
    return Pool(_Joined([pool.images for pool in filled]), [key for pool in filled for key in pool.keys])


def part_of(pool: Pool, rows: NDArray[np.int64]) -> Pool:
    """A pool of `rows` alone, so that mixing takes no partner from the validation images."""
    return Pool(images=RowsOf(pool.images, rows), keys=[pool.keys[row] for row in rows.tolist()])


def steps_per_epoch(count: int, batch_size: int) -> int:
    """Batches that an epoch over `count` images has."""
    return max(1, count // batch_size)


def epoch_batches(
    count: int, batch_size: int, *, seed: int, epoch: int, balanced: NDArray[np.int64] | None = None
) -> list[NDArray[np.int64]]:
    """Rows of each batch, from a permutation by (seed, epoch); the incomplete last batch is left out.

    It holds other images each epoch. A small last batch would disturb batch normalisation.

    Args:
        count: N images.
        batch_size: images of a batch; all where there are fewer.
        seed: of the run.
        epoch: its number.
        balanced: int64 (N,), class numbers: each class is then drawn equally often.
    """
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(count) if balanced is None else balanced_order(balanced, random)
    size = min(batch_size, count)
    return [order[step * size : (step + 1) * size] for step in range(steps_per_epoch(count, batch_size))]


def balanced_order(labels: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.int64]:
    """As many rows as there are labels, each class equally often but for one.

    Images of small classes are repeated, each as often as the others of its class but for one; of large classes some
    are left out, others in each epoch.
    """
    present = np.unique(labels)
    shares = np.full(len(present), len(labels) // len(present))
    shares[random.permutation(len(present))[: len(labels) % len(present)]] += 1
    drawn = []
    for label, share in zip(present, shares, strict=True):
        rows = np.flatnonzero(labels == label)
        drawn += [random.permutation(rows) for _ in range(share // len(rows))]
        drawn.append(random.permutation(rows)[: share % len(rows)])
    return random.permutation(np.concatenate(drawn))


def of_epoch(augmentations: Sequence[Augmentation], epoch: int, epochs: int) -> tuple[Augmentation, ...]:
    """What is applied in an epoch, from 0, of so many: those of a policy change with its stages.

    An epoch belongs to the stage that its middle lies in, so a training of one epoch has the stage of the middle.
    """
    share = (epoch + 0.5) / max(1, epochs)
    now = (augmentation.at(share) for augmentation in augmentations)
    return tuple(augmentation for augmentation in now if augmentation.probability > 0)


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
) -> tuple[Tensor, Tensor, int]:
    """The images of `rows`, each augmentation applied in order with its probability; labels follow.

    Args:
        pool: the training images alone.
        labels: int64 (N,), class numbers of the pool, on `device`.
        rows: int64 (n,), positions in the pool.
        augmentations: may be none.
        class_count: C.
        seed: of the run.
        epoch: number of the draw.
        device: where the augmented samples are made and stay.

    Returns:
        images uint8 (n, 3, S, S); targets float32 (n, C), rows sum to 1; the number of images on which an augmentation
        failed, which are used without it.
    """
    samples = make_samples(augmentations, pool, rows, seed=seed, draw=epoch, device=device, always=False)
    source_labels = torch.nn.functional.one_hot(labels[samples.sources], class_count)
    targets = (source_labels * samples.weights.unsqueeze(-1)).sum(1)
    return samples.images, targets, int((~samples.success).sum())
