"""The forward pass with features of all stages against that of the last layer alone, on one thread.

Both in turn, in CPU seconds, so that other jobs on the machine count less; the ratio is that of calls in the same turn.
"""

from __future__ import annotations

import statistics
import time

import numpy as np
import torch

from benchmarks.common import keep
from eyeshot.models import Backbone, extract, load_backbone

SIZE = 64
MODELS = {"test_resnet.r160_in1k": 512, "torchvision.models:squeezenet1_0": 256}
"""Images a call."""

TURNS = 40


def seconds(backbone: Backbone, images: np.ndarray, *, with_stages: bool) -> float:
    """CPU seconds of one call."""
    begin = time.process_time()
    extract(backbone, images, with_stages=with_stages)
    return time.process_time() - begin


if __name__ == "__main__":
    torch.set_num_threads(1)
    result = {}
    for model, count in MODELS.items():
        backbone = load_backbone(model, from_scratch=True, size=SIZE)
        images = np.random.default_rng(0).integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8)
        ratios, alone = [], []
        for turn in range(-1, TURNS):
            order = (False, True) if turn % 2 else (True, False)
            taken = {which: seconds(backbone, images, with_stages=which) for which in order}
            if turn >= 0:  # the first turn warms up
                ratios.append(taken[True] / taken[False])
                alone.append(count / taken[False])
        error = 1.96 * statistics.stdev(ratios) / TURNS**0.5
        mean = statistics.mean(ratios)
        result[model] = {
            "stages": backbone.stage_names,
            "images_per_cpu_s_last_layer_alone": statistics.median(alone),
            "ratio": mean,
            "ratio_interval": (mean - error, mean + error),
        }
    keep("stages", {"n": TURNS, "size": SIZE, "models": result})
