"""What a step and a reading of a short run cost on this machine."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from eyeshot.augment import Augmentation, Pool, make_samples
from eyeshot.models import Backbone, smaller_batches
from eyeshot.rankings.augmentations.halving import Costs, least_budget, too_small
from eyeshot.training import State, TrainConfig, read_images_with, start_state, train_steps

PROBED_ON_CPU = 16
QUICK_S = 1.0
"""A step that takes less is timed with the whole batch."""
SPACE_S = 0.3
"""Of a reading: a reference space and cover in it, for 600 images of each kind."""


def probe_costs(
    backbone: Backbone,
    candidates: Sequence[Augmentation],
    *,
    base: Sequence[Augmentation],
    class_count: int,
    read_images: int,
    settings: TrainConfig,
    device: str,
    batch_size: int,
) -> tuple[Costs, int]:
    """Time a step and a reading on made-up images; a few seconds.

    Where a small batch takes a CPU long, it takes as long for each image of a large one, so no larger one is timed. A
    GPU gets a whole batch, and where it has no room for that, half of it, and so on.

    Args:
        backbone: the architecture.
        candidates: those that will be trained with; their views are timed.
        base: what goes before each of them.
        class_count: C.
        read_images: how many images one reading takes.
        settings: of the runs.
        device: where they will run.
        batch_size: images at once in readings.

    Returns:
        the costs, and the batch size that fits.
    """
    side = backbone.geometry.size
    random = np.random.default_rng(0)

    def pool_of(count: int) -> Pool:
        images = random.integers(0, 256, (count, side, side, 3), dtype=np.uint8)
        return Pool(images, [f"{number:032x}" for number in range(count)])

    def state_for(count: int) -> State:
        features = random.standard_normal((count, backbone.feature_count))
        return start_state(backbone, features, np.arange(count) % class_count, class_count=class_count)

    def step_s(pool: Pool) -> float:
        state, labels = state_for(len(pool)), np.arange(len(pool)) % class_count

        def steps(count: int) -> float:
            begin = time.perf_counter()
            train_steps(
                backbone, pool, labels, state,
                class_count=class_count, augmentations=(), device=device, first=0, count=count,
                settings=settings.model_copy(update={"batch_size": max(2, len(pool))}),
            )  # fmt: skip
            return time.perf_counter() - begin

        steps(1)  # what is done once is done
        return max(1e-4, (steps(3) - steps(1)) / 2)

    def reading_s(count: int) -> float:
        images, state = np.asarray(pool_of(count).images), state_for(16)

        def read(some: NDArray[np.uint8]) -> float:
            begin = time.perf_counter()
            read_images_with(backbone, state, [some], class_count=class_count, device=device, batch_size=batch_size)
            return time.perf_counter() - begin

        read(images[:2])
        return read(images) / count

    def timed(size: int) -> Costs:
        probed = min(size, PROBED_ON_CPU) if torch.device(device).type == "cpu" else size
        step = step_s(pool_of(probed)) * size / probed
        if probed < size and step < QUICK_S:
            probed, step = size, step_s(pool_of(size))
        pool = pool_of(probed)
        begin = time.perf_counter()
        for candidate in candidates:
            make_samples((*base, candidate), pool, np.arange(probed), seed=0, draw=0, device=device, always=False)
        views_s = (time.perf_counter() - begin) / max(1, len(candidates)) * size / probed
        return Costs(step, reading_s(probed) * read_images + SPACE_S, views_s)

    return smaller_batches(timed, settings.batch_size, least=2)


def check_budget(budget_s: float, count: int, costs: Costs) -> None:
    """Say before anything is computed that a budget cannot do.

    Raises:
        InputError: not one step of each of `count` candidates fits.
    """
    if least_budget([count], costs) > budget_s:
        raise too_small(budget_s, [count], costs)
