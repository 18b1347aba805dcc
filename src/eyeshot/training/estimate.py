"""What a training would cost in time, memory and disk, from a few steps on this machine."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from eyeshot.augment import Pool
from eyeshot.core import SILENT, Progress, default_workers, duration, megabytes
from eyeshot.data import UnreadableImageError, decode
from eyeshot.models import extract, gpu_errors_explained
from eyeshot.training.batches import steps_per_epoch
from eyeshot.training.classifier import HEAD_IMAGES
from eyeshot.training.folders import TrainPlan
from eyeshot.training.loop import TrainingRun
from eyeshot.training.recipe.schedules import warm_up_cosine
from eyeshot.training.run import EPOCH_VAL_IMAGES

TIMED_STEPS = 3
TIMED_FILES = 8
BASE_BYTES = 900 * 2**20  # Python and torch; used where the system does not report the memory in use
METRICS_LINE_BYTES = 200
HELD_PIXEL_BYTES = 2**30  # of decoded images in memory; the others are read from disk when needed


@dataclass(frozen=True)
class TrainingEstimate:
    """Estimated cost of a training.

    Attributes:
        seconds: from the first file to the result.
        memory_bytes: of the process and, with a GPU, `gpu_bytes` of the device's own.
        disk_bytes: decoded images, the checkpoint and the weights.
        steps: of the optimizer.
        step_s: seconds of one step.
    """

    seconds: float
    memory_bytes: int
    gpu_bytes: int
    disk_bytes: int
    steps: int
    step_s: float

    @property
    def words(self) -> str:
        """The estimate in a sentence."""
        gpu = f", {megabytes(self.gpu_bytes)} of the GPU's" if self.gpu_bytes else ""
        return (
            f"About {duration(self.seconds, 0)} ({self.steps:,} steps of {duration(self.step_s, 3)}), "
            f"{megabytes(self.memory_bytes)} of memory{gpu} and {megabytes(self.disk_bytes)} of disk."
        )


@gpu_errors_explained()
def estimate_training(plan: TrainPlan, *, progress: Progress | None = None) -> TrainingEstimate:
    """Time a few files and a few steps on random images; nothing is written.

    The first step is not timed. A time cap of the plan bounds the estimate.

    Args:
        plan: of `plan_training`.
        progress: called after each of the steps.

    Raises:
        ModelError: the device has no room for a step.
    """
    backbone, config, dataset = plan.backbone, plan.settings, plan.dataset
    side, device = backbone.geometry.size, torch.device(plan.device)
    n_train, n_val, class_count = len(dataset.train_rows), len(dataset.val_rows), len(dataset.classes)
    random = np.random.default_rng(0)
    count = min(config.batch_size, n_train)
    images = random.integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    pool = Pool(images, [f"{number:032x}" for number in range(count)])
    labels = np.arange(count, dtype=np.int64) % class_count
    run = TrainingRun(
        backbone, pool, labels,
        class_count=class_count, config=config, augmentations=plan.augmentations, device=device,
    )  # fmt: skip
    gentle = warm_up_cosine(1e-6, TIMED_STEPS + 1, warm_up_share=0)
    timing = (progress or SILENT).sub("timing a few steps")
    run.advance(1, schedule=gentle, progress=timing)
    begin = time.perf_counter()
    run.advance(TIMED_STEPS + 1, schedule=gentle, progress=timing)
    step_s = (time.perf_counter() - begin) / TIMED_STEPS
    begin = time.perf_counter()
    extract(backbone, images, device=device, batch_size=count)
    read_s = (time.perf_counter() - begin) / count
    steps = config.epochs * steps_per_epoch(n_train, config.batch_size)
    epoch_val = min(n_val, n_train, EPOCH_VAL_IMAGES)
    forwarded = config.epochs * epoch_val + n_val + (min(n_train, HEAD_IMAGES) if backbone.pretrained else 0)
    train_s = steps * step_s + forwarded * read_s
    if config.time_cap_s is not None:
        train_s = min(train_s, config.time_cap_s)
    stored = n_train + n_val
    pixel_bytes = stored * side * side * 3
    weight_bytes = sum(value.numel() * value.element_size() for value in run.weights().values())
    return TrainingEstimate(
        seconds=train_s + stored * _decoding_s(plan) / default_workers(),
        memory_bytes=_used_bytes() + min(pixel_bytes, HELD_PIXEL_BYTES),
        gpu_bytes=torch.cuda.max_memory_reserved(device) if device.type == "cuda" else 0,
        # Two checkpoints hold weights and two averages of each; the metrics have a line for each step.
        disk_bytes=pixel_bytes + 7 * weight_bytes + steps * METRICS_LINE_BYTES,
        steps=steps,
        step_s=step_s,
    )


def _decoding_s(plan: TrainPlan) -> float:
    """Seconds to decode one file on one processor."""
    paths = plan.dataset.images.paths
    files = [Path(path) for path in paths[:: max(1, len(paths) // TIMED_FILES)]]
    begin = time.perf_counter()
    for file in files:
        try:
            decode(file, plan.backbone.geometry)
        except UnreadableImageError:  # the training leaves it out and says so
            continue
    return (time.perf_counter() - begin) / len(files)


def _used_bytes() -> int:
    """Peak memory of this process, a few training steps included."""
    try:
        import resource
    except ImportError:  # Windows
        return BASE_BYTES
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
