"""Augmented samples: copies of images, with parameters drawn per image and applied in batches.

Parameters, partners, labels and keys are known before any pixel is touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from eyeshot.augment.catalogue_entry import Augmentation
from eyeshot.augment.operation import Mixing, Parameters, apply_to_rows, stack
from eyeshot.augment.ops.pixels import with_rows
from eyeshot.augment.random import Streams, combine

# Values (3 H W) per step on the CPU: batches that fit into its caches are several times as fast.
_CHUNK_VALUES = 1 << 19


@dataclass(frozen=True)
class Pool:
    """The images that augmented samples are made of and that partners are drawn from.

    Attributes:
        images: array-like uint8 (N, H, W, 3), RGB, 0-255; read by fancy indexing (a memory map will do, and so will a
            tensor on the device that computes).
        keys: N content keys; the parameters drawn for an image depend on its key.
    """

    images: Any
    keys: Sequence[str]

    def __post_init__(self) -> None:
        shape = tuple(self.images.shape)
        whole = torch.uint8 if isinstance(self.images, Tensor) else np.uint8
        if len(shape) != 4 or shape[3] != 3 or self.images.dtype != whole:
            raise ValueError(f"images must be uint8 (N, H, W, 3), got {self.images.dtype} {shape}")
        if len(self.keys) != shape[0]:
            raise ValueError(f"keys must be as many as images ({shape[0]}), got {len(self.keys)}")

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the images."""
        return int(self.images.shape[1]), int(self.images.shape[2])

    def take(self, rows: NDArray[np.int64], *, device: torch.device | str = "cpu") -> Tensor:
        """The images of `rows`, a copy, uint8 (n, 3, H, W)."""
        target = torch.device(device)
        if isinstance(self.images, Tensor):
            chosen = self.images[torch.from_numpy(rows).to(self.images.device)]
            return chosen.to(target).permute(0, 3, 1, 2).contiguous()
        pixels = np.asarray(self.images[rows])
        if target.type != "cpu":
            host = torch.from_numpy(np.ascontiguousarray(pixels))
            # From pinned memory, so that the copy runs beside the GPU's work and this thread goes on.
            host = host.pin_memory() if target.type == "cuda" else host
            return host.to(target, non_blocking=target.type == "cuda").permute(0, 3, 1, 2).contiguous()
        # NumPy reorders bytes in half the time of torch.
        return torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))


@dataclass(frozen=True)
class AugmentedSamples:
    """Augmented copies of images.

    Attributes:
        images: uint8 (n, 3, H, W), RGB, 0-255.
        sources: int64 (n, P), positions in the pool of the images that entered each sample; the image itself is
            first. P is 1 unless the augmentation mixes.
        weights: float32 (n, P), label weights of the sources; rows sum to 1.
        success: bool (n,); where False the operation failed and the sample is the image without it.
    """

    images: Tensor
    sources: Tensor
    weights: Tensor
    success: Tensor


def make_samples(
    augmentation: Augmentation | Sequence[Augmentation],
    pool: Pool,
    rows: ArrayLike,
    *,
    seed: int,
    draw: int,
    device: torch.device | str = "cpu",
    always: bool = True,
) -> AugmentedSamples:
    """Makes one augmented sample of each image at `rows` of the pool.

    The parameters of an image depend on (seed, augmentation, draw, image key) alone.

    Args:
        augmentation: one, or several that are applied in order. The earlier ones are applied to mixing partners
            too, as they would be in a training batch.
        pool: where images and partners come from.
        rows: int (n,), positions in the pool; may repeat.
        seed: of the run.
        draw: number of the sample among those of the same image, from 0; in training, the epoch.
        device: where to compute; the samples stay there.
        always: apply the last augmentation to every image, as clouds do. If false it is applied with its own
            probability, as in training, by a coin that is independent of the parameters. The augmentations before
            it are applied with their probabilities in either case.

    Raises:
        ValueError: `rows` are not positions in the pool.
    """
    positions = _checked_rows(rows, pool)
    target = torch.device(device)
    # Apple's backend lacks sampling with reflection; its memory is the CPU's, so the way back is short.
    compute = torch.device("cpu") if target.type == "mps" else target
    values = max(1, 3 * pool.shape[0] * pool.shape[1])
    chunk = len(positions) if compute.type != "cpu" else max(1, _CHUNK_VALUES // values)
    parts = [
        _apply_steps(_steps(augmentation), pool, positions[start : start + chunk], seed, draw, compute, always)
        for start in range(0, max(1, len(positions)), max(1, chunk))
    ]
    if len(parts) == 1 and compute == target:
        return parts[0]
    return AugmentedSamples(
        torch.cat([part.images for part in parts]).to(target),
        torch.cat([part.sources for part in parts]).to(target),
        torch.cat([part.weights for part in parts]).to(target),
        torch.cat([part.success for part in parts]).to(target),
    )


def sample_labels(
    augmentation: Augmentation | Sequence[Augmentation],
    pool: Pool,
    rows: ArrayLike,
    *,
    seed: int,
    draw: int,
    always: bool = True,
) -> tuple[Tensor, Tensor]:
    """Sources int64 (n, P) and label weights float32 (n, P), as in `AugmentedSamples`, without making the images."""
    return _labels(_steps(augmentation), pool, _checked_rows(rows, pool), seed, draw, always)


def sample_keys(
    augmentation: Augmentation | Sequence[Augmentation],
    pool: Pool,
    rows: ArrayLike,
    *,
    seed: int,
    draw: int,
) -> list[str]:
    """A key (32 hexadecimal digits) of all that each augmented sample depends on, to cache features by.

    That is: the augmentation's fingerprint, seed and draw (unless every draw gives the same sample), the image's
    content and size, and those of its partners. The keys hold for samples made with `always=True`.
    """
    return _keys(_steps(augmentation), pool, _checked_rows(rows, pool), seed, draw, True)


_Draws = tuple[NDArray[np.int64], list[Parameters], NDArray[np.int64]]
"""What was drawn for one augmentation of some images: numbers of the k images that are changed, ascending; their
parameters; and their partners' positions in the pool, (k, partners)."""


def _draw(step: Augmentation, pool: Pool, positions: NDArray[np.int64], seed: int, draw: int, always: bool) -> _Draws:
    """Tosses the coins, and draws the parameters and partners of one augmentation."""
    name, operation, shape = step.stream, step.operation, pool.shape
    rows, parameters, partners, streams = [], [], [], Streams()
    # Fixed operations draw nothing, so that no image needs a stream.
    fixed = operation.draw(streams.start(seed, name, draw, ""), shape) if step.deterministic else None
    for row, position in enumerate(positions.tolist()):
        key = pool.keys[position]
        if not always and streams.start(seed, name, draw, key, purpose="coin").random() >= step.probability:
            continue
        rows.append(row)
        parameters.append(operation.draw(streams.start(seed, name, draw, key), shape) if fixed is None else fixed)
        if operation.partners:
            numbers = streams.start(seed, name, draw, key, purpose="partners").random(operation.partners)
            # Any image but itself; an image alone in the pool is its own partner.
            partner = (numbers * (len(pool) - 1)).astype(np.int64)
            partners.append(np.where(partner >= position, partner + 1, partner) % len(pool))
    changed = np.array(rows, dtype=np.int64)
    return changed, parameters, np.array(partners, dtype=np.int64).reshape(len(rows), operation.partners)


def _apply_steps(
    steps: tuple[Augmentation, ...],
    pool: Pool,
    positions: NDArray[np.int64],
    seed: int,
    draw: int,
    device: torch.device,
    always: bool,
) -> AugmentedSamples:
    """Samples of the images at `positions` after all `steps`; `always` holds for the last step."""
    if not steps:
        sources, weights = _clean_labels(positions)
        success = torch.ones(len(positions), dtype=torch.bool, device=device)
        return AugmentedSamples(pool.take(positions, device=device), sources.to(device), weights.to(device), success)
    before, step = steps[:-1], steps[-1]
    samples = _apply_steps(before, pool, positions, seed, draw, device, False)
    operation, images = step.operation, samples.images
    draws = _draw(step, pool, positions, seed, draw, always)
    changed, parameters, partners_of = draws
    if not isinstance(operation, Mixing):
        images, success = apply_to_rows(operation, images, changed, parameters)
        return AugmentedSamples(images, samples.sources, samples.weights, samples.success & success)
    partner_samples = _apply_steps(before, pool, partners_of.reshape(-1), seed, draw, device, False)
    if len(changed):
        rows = torch.from_numpy(changed).to(device)
        partners = partner_samples.images.view(len(rows), operation.partners, *images.shape[1:])
        mixed = operation.mix(images.index_select(0, rows), partners, stack(parameters, device))
        images = with_rows(images, rows, mixed)
    sources, weights = _mixed_labels(
        operation,
        draws,
        (samples.sources.cpu(), samples.weights.cpu()),
        (partner_samples.sources.cpu(), partner_samples.weights.cpu()),
        pool.shape,
    )
    return AugmentedSamples(images, sources.to(device), weights.to(device), samples.success)


def _labels(
    steps: tuple[Augmentation, ...],
    pool: Pool,
    positions: NDArray[np.int64],
    seed: int,
    draw: int,
    always: bool,
) -> tuple[Tensor, Tensor]:
    """Sources and label weights of the images at `positions` after all `steps`; `always` holds for the last step."""
    if not steps:
        return _clean_labels(positions)
    before, step = steps[:-1], steps[-1]
    labels = _labels(before, pool, positions, seed, draw, False)
    if not isinstance(step.operation, Mixing):
        return labels
    draws = _draw(step, pool, positions, seed, draw, always)
    partners = _labels(before, pool, draws[2].reshape(-1), seed, draw, False)
    return _mixed_labels(step.operation, draws, labels, partners, pool.shape)


def _clean_labels(positions: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    """Sources and label weights of clean images: each image is its own only source."""
    return torch.from_numpy(positions.copy()).unsqueeze(1), torch.ones(len(positions), 1)


def _mixed_labels(
    operation: Mixing,
    draws: _Draws,
    labels: tuple[Tensor, Tensor],
    partners: tuple[Tensor, Tensor],
    shape: tuple[int, int],
) -> tuple[Tensor, Tensor]:
    """Sources and label weights after mixing; images that were not mixed keep all their weight."""
    count, width = labels[0].shape
    # Unused columns name the image's own sources, with no weight.
    sources = labels[0].repeat(1, 1 + operation.partners)
    weights = torch.cat([labels[1], torch.zeros(count, width * operation.partners)], dim=1)
    changed, parameters, _ = draws
    if len(changed):
        rows = torch.from_numpy(changed)
        shares = operation.weights(stack(parameters), shape)
        sources[rows, width:] = partners[0].view(len(rows), -1)
        before = torch.cat([labels[1][rows].unsqueeze(1), partners[1].view(len(rows), -1, width)], dim=1)
        weights[rows] = (shares.unsqueeze(2) * before).flatten(1)
    return sources, weights


def _keys(
    steps: tuple[Augmentation, ...],
    pool: Pool,
    positions: NDArray[np.int64],
    seed: int,
    draw: int,
    always: bool,
) -> list[str]:
    """Keys of the samples of the images at `positions` after all `steps`; `always` holds for the last step."""
    if not steps:
        return [combine("image", *pool.shape, pool.keys[position]) for position in positions.tolist()]
    before, step = steps[:-1], steps[-1]
    keys = _keys(before, pool, positions, seed, draw, False)
    fingerprint = step.fingerprint if always else f"{step.fingerprint}@{step.probability}"
    if step.deterministic and (always or step.probability >= 1):
        return [combine(fingerprint, key) for key in keys]
    width = step.operation.partners
    if not width:
        return [combine(fingerprint, seed, draw, key) for key in keys]
    draws = _draw(step, pool, positions, seed, draw, always)
    partners = _keys(before, pool, draws[2].reshape(-1), seed, draw, False)
    partners_of: list[list[str]] = [[] for _ in keys]
    for number, row in enumerate(draws[0].tolist()):
        partners_of[row] = partners[number * width : (number + 1) * width]
    return [combine(fingerprint, seed, draw, key, *partners_of[row]) for row, key in enumerate(keys)]


def _steps(augmentation: Augmentation | Sequence[Augmentation]) -> tuple[Augmentation, ...]:
    return (augmentation,) if isinstance(augmentation, Augmentation) else tuple(augmentation)


def _checked_rows(rows: ArrayLike, pool: Pool) -> NDArray[np.int64]:
    """`rows` as positions in the pool, int64 (n,)."""
    positions = np.asarray(rows).reshape(-1)
    if len(positions) and (positions.dtype.kind not in "iu" or positions.min() < 0 or positions.max() >= len(pool)):
        raise ValueError(f"rows must be positions in the pool, 0 to {len(pool) - 1}, got {positions!r}")
    return positions.astype(np.int64)
