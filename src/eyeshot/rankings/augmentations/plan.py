"""The plan of a ranking: everything that can be checked before the long work, and an estimate of what it costs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from eyeshot.augment import Augmentation, Pool, augmentation, augmentations, check_augmentation, make_samples
from eyeshot.core import SILENT, InputError, Progress, find_workspace
from eyeshot.data import Dataset, check_data, check_folder, class_folders, load_dataset
from eyeshot.models import (
    DEFAULT_MODEL,
    DEFAULT_MODEL_REASON,
    Backbone,
    choose_device,
    extract,
    feature_precision,
    gpu_errors_explained,
    load_backbone,
)
from eyeshot.predictions import check_share_names, checked_shares, fewer_than_classes, read_class_shares
from eyeshot.rankings.augmentations.data import Tables, check_images, sample_tables
from eyeshot.rankings.augmentations.evaluate import probe_costs
from eyeshot.rankings.augmentations.recommendation import Target, too_few, too_few_words
from eyeshot.rankings.augmentations.settings import RankingSettings, samples_of
from eyeshot.sweep import Costs
from eyeshot.training import TrainConfig, default_settings

ASPECT_PERCENTILES = (5, 95)
SCRATCH_RATE = 0.25
"""Factor on the learning rate of a training from scratch: short runs continue a network that is trained already."""
PROBE_IMAGES = 32
DECODE_PER_S = 300.0  # JPEG images of 500 x 375 pixels, with a single thread
MAP_S = 40.0
SHARES_OPTION = "--target-shares"
BASE_BYTES = 900 * 2**20  # Python, torch and the blocks of distances


@dataclass(frozen=True, eq=False)
class Plan:
    """A run that is ready to start: folders read, model loaded, candidates chosen, nothing decoded.

    Attributes:
        base: the augmentation before every candidate; empty if there is none.
        run_settings: settings of the short runs.
        costs: of a step and an evaluation of the short runs on this machine; None if nothing will be trained.
        class_shares: float64 (C,), how often each class is assumed to occur among the target images.
        shares_words: where these shares come from: "as often as among the training images".
    """

    settings: RankingSettings
    tables: Tables
    backbone: Backbone
    device: str
    candidates: tuple[Augmentation, ...]
    base: tuple[Augmentation, ...]
    run_settings: TrainConfig
    costs: Costs | None
    cache: Path
    notes: list[str]
    class_shares: NDArray[np.float64]
    shares_words: str

    @property
    def n_samples(self) -> int:
        """Augmented samples that will go through the model, including samples of held-out images."""
        held_out = len(self.tables.val)
        counts = [samples_of((*self.base, candidate), self.settings.samples_per_image) for candidate in self.candidates]
        return sum(count * len(self.tables.sources) + held_out for count in counts)

    def makes_samples_for(self, other: Plan) -> bool:
        """Whether its augmented samples are also those of a plan that differs in the model only, and whose weights are
        known by then: a baseline is trained in the run itself."""
        return (
            self.settings == other.settings.model_copy(update={"model": self.settings.model})
            and self.backbone.geometry.fingerprint == other.backbone.geometry.fingerprint
            and not len(other.tables.baseline)
        )


@dataclass(frozen=True)
class Cost:
    """Estimated cost of a run; `words` lists its parts."""

    seconds: float
    memory_bytes: int
    disk_bytes: int
    words: str


@gpu_errors_explained()
def prepare(
    train: str | Path | Dataset,
    settings: RankingSettings,
    *,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Plan:
    """Check everything that can be checked before the long work.

    Args:
        train: folder of the training images, read by `settings`; or a dataset.
        settings: settings of the ranking.
        cache: folder of all caches.
        progress: called with the progress; None: not shown.

    Raises:
        InputError: a folder, option or candidate cannot be used.
        ModelError: the model or its weights are not available.
    """
    cache = cache or find_workspace().cache
    device, device_reason = choose_device(settings.device)
    shares = settings.target_shares
    given_shares = read_class_shares(shares, name=SHARES_OPTION) if isinstance(shares, Path) else shares
    if not isinstance(train, Dataset):
        check_data(settings.data(Path(train)))
        if isinstance(given_shares, dict) and not (settings.labels or settings.decisions):
            # Classes of a CSV, and those that decisions make, are known only after the images are listed.
            check_share_names(given_shares, class_folders(Path(train)), name=SHARES_OPTION)
    if settings.generated is not None:
        check_folder(settings.generated, role="--generated")
    augmentations(*settings.candidates)  # an unknown name fails before folders are read
    if settings.plot:
        augmentations(*settings.plot)
    base = _base(settings.baseline_aug)
    model, reason = (
        (settings.model, "") if settings.model else (DEFAULT_MODEL, f" (no --model given: {DEFAULT_MODEL_REASON})")
    )
    backbone = load_backbone(
        model,
        weights=settings.weights,
        from_scratch=settings.from_scratch,
        size=settings.size,
        mean=settings.mean,
        std=settings.std,
        interpolation=settings.interpolation,
        fit=settings.fit,
    )
    for candidate in (*base, *augmentations(*settings.candidates)):
        check_augmentation(candidate, backbone.geometry.size)
    progress = progress or SILENT
    dataset = (
        train
        if isinstance(train, Dataset)
        else load_dataset(settings.data(Path(train)), cache=cache, workers=settings.workers, progress=progress)
    )
    class_shares, shares_words = _class_shares(dataset, given_shares)
    tables = sample_tables(dataset, settings, cache=cache)
    check_images(tables)
    candidates, left_out = _choose_candidates(settings, tables, base)
    notes = [
        *tables.notes,
        f"model: {backbone.name}{reason}" + (f"; {backbone.reason}" if backbone.reason else ""),
        f"device: {device} ({device_reason})",
        *left_out,
        *_early_words(tables, settings, class_shares),
    ]
    run_settings = short_run_settings(backbone, tables.n_train, seed=settings.seed)
    costs = None
    if settings.budget_s or settings.full_train:
        trained = [candidate for candidate in candidates if candidate.family != "control"]
        evaluated = len(tables.sources) + len(tables.target) + 2 * len(tables.val)
        costs, batch_size = probe_costs(
            backbone,
            trained,
            base=base,
            class_count=len(tables.train.classes),
            evaluated_images=evaluated,
            settings=run_settings,
            device=str(device),
            batch_size=settings.batch_size,
            cache=cache,
            progress=progress,
        )
        if batch_size < run_settings.batch_size:
            notes.append(f"short runs: batches of {batch_size}, because {device} has no room for more.")
            run_settings = run_settings.model_copy(update={"batch_size": batch_size})
    return Plan(
        settings=settings,
        tables=tables,
        backbone=backbone,
        device=str(device),
        candidates=candidates,
        base=base,
        run_settings=run_settings,
        costs=costs,
        cache=cache,
        notes=notes,
        class_shares=class_shares,
        shares_words=shares_words,
    )


def short_run_settings(backbone: Backbone, n_train: int, *, seed: int) -> TrainConfig:
    """Settings of a whole training, with a smaller learning rate if the whole training would start untrained."""
    settings, _ = default_settings(backbone, n_train, seed=seed)
    if backbone.pretrained:
        return settings
    return settings.model_copy(update={"learning_rate": settings.learning_rate * SCRATCH_RATE})


def estimate(plan: Plan, *, earlier: Sequence[Plan] = ()) -> Cost:
    """Time a batch of the model and a few samples of every candidate; takes a few seconds.

    Args:
        plan: from `prepare`.
        earlier: plans that run before it, and may make its samples.
    """
    side, backbone = plan.backbone.geometry.size, plan.backbone
    device = torch.device(plan.device)
    forward_once = partial(extract, backbone, device=device, precision=feature_precision(device))
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (PROBE_IMAGES, side, side, 3), dtype=np.uint8)
    forward_once(images[:4])
    begin = time.perf_counter()
    forward_once(images)
    forward = (time.perf_counter() - begin) / PROBE_IMAGES
    pool = Pool(images, [f"{number:032x}" for number in range(PROBE_IMAGES)])
    tables, settings = plan.tables, plan.settings
    augment_s = 0.0
    for candidate in () if any(other.makes_samples_for(plan) for other in earlier) else plan.candidates:
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
        words += f", full trainings {confirm_s:.0f} s"
    pixels = stored * side * side * 3
    disk = pixels + passed * 2 * (backbone.feature_count + 1)
    return Cost(seconds, BASE_BYTES + min(pixels, 2**30) * 2, disk, words)


def _class_shares(dataset: Dataset, given: str | dict[str, float] | None) -> tuple[NDArray[np.float64], str]:
    """Shares (C,) of the classes among the target images, and where they come from."""
    if given is None:
        counts = np.bincount(dataset.images.labels[dataset.train_rows], minlength=len(dataset.classes))
        return counts / counts.sum(), "as often as among the training images"
    shares = checked_shares(given, dataset.classes, len(dataset.classes), name=SHARES_OPTION)
    return shares, "evenly" if isinstance(given, str) else "as often as given"


def _early_words(tables: Tables, settings: RankingSettings, class_shares: NDArray[np.float64]) -> list[str]:
    """What the answer cannot say with so few images, before the work is done for it."""
    n_target, n_val = len(tables.target), len(tables.val)
    words = []
    if too_few(n_target, n_val):
        target: Target = "validation" if tables.target_is_validation else "test"
        words.append(" ".join(too_few_words(n_target, n_val, target=target)))
    fewer = fewer_than_classes(n_target, class_shares)
    if fewer and (settings.budget_s or settings.full_train):  # only trainings are estimated
        words.append(fewer)
    return words


def _base(name: str | None) -> tuple[Augmentation, ...]:
    if name is None:
        return ()
    base = augmentation(name)
    if base.mixes:
        raise InputError(
            f"--baseline-aug must leave each image with a single label, got {name}, which mixes labels. Leave it out, "
            "and add it to the training afterwards."
        )
    return (base,)


def _choose_candidates(
    settings: RankingSettings, tables: Tables, base: tuple[Augmentation, ...]
) -> tuple[tuple[Augmentation, ...], list[str]]:
    """The candidates asked for, without the baseline augmentation, and the controls, which are in every run."""
    dataset = tables.dataset
    own = dataset.train_rows if settings.val is not None else np.concatenate([dataset.train_rows, dataset.val_rows])
    frame = dataset.images.take(own).frame
    ratios = (frame["width"] / frame["height"]).to_numpy()
    low, high = np.percentile(ratios, ASPECT_PERCENTILES)
    asked = augmentations(*settings.candidates, aspect_ratios=(float(low), float(high)))
    controls = augmentations("control")
    names = {augmentation.name for augmentation in base}
    chosen = tuple(candidate for candidate in asked if candidate.family != "control" and candidate.name not in names)
    notes = [f"{own.name} is the baseline augmentation, so it is not ranked." for own in asked if own.name in names]
    return (*chosen, *controls), notes
