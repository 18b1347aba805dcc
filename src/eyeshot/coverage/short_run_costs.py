"""What a step and a reading of a short run cost on this machine."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import torch

from eyeshot.augment import Augmentation, Pool, make_views
from eyeshot.coverage.halving import Costs, least_budget, too_small
from eyeshot.models import Backbone, smaller_batches
from eyeshot.training import TrainSettings, read_images_with, start_state, train_steps

PROBED_ON_CPU = 16


def probe_costs(
    backbone: Backbone,
    candidates: Sequence[Augmentation],
    *,
    base: Sequence[Augmentation],
    class_count: int,
    read_images: int,
    settings: TrainSettings,
    device: str,
    batch_size: int,
) -> tuple[Costs, int]:
    """Time a step and a reading on made-up images; a few seconds.

    A CPU takes as long for each image of a small batch as of a large one, so a small one is timed; a GPU gets a
    whole batch, and where it has no room for that, half of it, and so on.

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
    on_cpu = torch.device(device).type == "cpu"

    def timed(size: int) -> Costs:
        probed = min(size, PROBED_ON_CPU) if on_cpu else size
        side = backbone.geometry.size
        images = np.random.default_rng(0).integers(0, 256, (probed, side, side, 3), dtype=np.uint8)
        pool = Pool(images, [f"{number:032x}" for number in range(probed)])
        labels = np.arange(probed) % class_count
        features = np.random.default_rng(1).standard_normal((probed, backbone.feature_count))
        state = start_state(backbone, features, labels, class_count=class_count)
        chosen = settings.model_copy(update={"batch_size": max(2, probed)})

        def steps(count: int) -> float:
            begin = time.perf_counter()
            train_steps(
                backbone, pool, labels, state,
                class_count=class_count, augmentations=(), settings=chosen, first=0, count=count, device=device,
            )  # fmt: skip
            return time.perf_counter() - begin

        steps(1)
        step_s = max(1e-4, (steps(3) - steps(1)) / 2)
        begin = time.perf_counter()
        for candidate in candidates:
            make_views((*base, candidate), pool, np.arange(probed), seed=0, draw=0, device=device, always=False)
        views_s = (time.perf_counter() - begin) / max(1, len(candidates))
        begin = time.perf_counter()
        read_images_with(backbone, state, [images], class_count=class_count, device=device, batch_size=batch_size)
        read_s = (time.perf_counter() - begin) / probed * read_images
        return Costs(step_s * size / probed, read_s, views_s * size / probed)

    return smaller_batches(timed, settings.batch_size, least=2)


def check_budget(budget_s: float, count: int, costs: Costs) -> None:
    """Say before anything is computed that a budget cannot do.

    Raises:
        InputError: not one step of each of `count` candidates fits.
    """
    if least_budget([count], costs) > budget_s:
        raise too_small(budget_s, [count], costs)
