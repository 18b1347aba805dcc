"""What a run would cost, from a short probe of this machine."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch

from eyeshot.augment import Pool, make_samples
from eyeshot.models import extract
from eyeshot.rankings.augmentations.plan import Plan
from eyeshot.rankings.augmentations.settings import samples_of
from eyeshot.training import default_settings

PROBE_IMAGES = 32
DECODE_PER_S = 300.0  # 500 x 375 JPEG on one thread
MAP_S = 40.0
BASE_BYTES = 900 * 2**20  # Python, torch and the blocks of distances


@dataclass(frozen=True)
class Cost:
    """Estimated cost of a run; `words` says what it consists of."""

    seconds: float
    memory_bytes: int
    disk_bytes: int
    words: str


def estimate(plan: Plan) -> Cost:
    """Time one batch of the model and a few samples of every candidate; takes a few seconds."""
    side, backbone = plan.backbone.geometry.size, plan.backbone
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (PROBE_IMAGES, side, side, 3), dtype=np.uint8)
    extract(backbone, images[:4], device=torch.device(plan.device), batch_size=4)
    begin = time.perf_counter()
    extract(backbone, images, device=torch.device(plan.device), batch_size=PROBE_IMAGES)
    forward = (time.perf_counter() - begin) / PROBE_IMAGES
    pool = Pool(images, [f"{number:032x}" for number in range(PROBE_IMAGES)])
    tables, settings = plan.tables, plan.settings
    augment_s = 0.0
    for candidate in plan.candidates:
        begin = time.perf_counter()
        make_samples((*plan.base, candidate), pool, np.arange(PROBE_IMAGES), seed=0, draw=0, device=plan.device)
        each = (time.perf_counter() - begin) / PROBE_IMAGES
        samples = samples_of((*plan.base, candidate), settings.samples_per_image)
        augment_s += each * (samples * len(tables.sources) + len(tables.val))
    stored = len(tables.sources) + len(tables.more) + len(tables.baseline) + len(tables.val) + len(tables.target)
    passed = plan.n_samples + stored - (0 if settings.budget_s else len(tables.more))
    forward_s = forward * passed
    decode_s = stored / DECODE_PER_S
    score_s = (
        1e-8 * len(plan.candidates) * len(tables.target) * len(tables.sources) * (1 + settings.samples_per_image) + 10
    )
    baseline_s = settings.scratch_time_s if len(tables.baseline) else 0.0
    confirm_s = 0.0
    if settings.full_train and plan.costs is not None:
        whole, _ = default_settings(backbone, tables.n_train, seed=settings.seed)
        steps = whole.epochs * max(1, tables.n_train // whole.batch_size)
        confirm_s = (settings.full_train + 2) * steps * (plan.costs.step_s + plan.costs.extra_s)
    seconds = decode_s + augment_s + forward_s + score_s + MAP_S + baseline_s + settings.budget_s + confirm_s
    words = f"augment {augment_s:.0f} s, forward {forward_s:.0f} s, decode {decode_s:.0f} s, "
    words += f"scores {score_s:.0f} s, map {MAP_S:.0f} s"
    if baseline_s:
        words += f", baseline at most {baseline_s:.0f} s"
    if settings.budget_s:
        words += f", short runs at most {settings.budget_s:.0f} s"
    if confirm_s:
        words += f", confirming {confirm_s:.0f} s"
    pixels = stored * side * side * 3
    disk = pixels + passed * 2 * (backbone.feature_count + 1)
    return Cost(seconds, BASE_BYTES + min(pixels, 2**30) * 2, disk, words)
