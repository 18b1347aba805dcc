"""`eyeshot train`: from a folder of labelled images to a finished run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eyeshot.augment import Augmentation, Pool, augmentation, check_augmentation
from eyeshot.core import SILENT, InputError, Progress, Workspace, find_workspace
from eyeshot.data import ImageTable, PixelStore, Skipped, check_apart, copy_groups, hold_out, read_images
from eyeshot.models import DEFAULT_MODEL, Backbone, choose_device, gpu_errors_told, load_backbone
from eyeshot.training.batches import joined
from eyeshot.training.config import TrainConfig, default_settings
from eyeshot.training.result import TrainResult
from eyeshot.training.run import train

_NO_FOLDERS = str.maketrans(dict.fromkeys('/\\:*?"<>|', "."))  # what no file name holds on one system or another


@dataclass(frozen=True, eq=False)
class TrainPlan:
    """A training that is ready to start.

    Attributes:
        backbone: where it starts from.
        settings: of the loop.
        augmentations: applied in order.
        train, val: image tables; `val` is None where validation images are held out of `train`.
        val_share, seed: how they are held out.
        folder: where the run goes.
        notes: what was chosen, and why.
    """

    backbone: Backbone
    settings: TrainConfig
    augmentations: tuple[Augmentation, ...]
    train: ImageTable
    val: ImageTable | None
    val_share: float
    folder: Path
    device: str
    cache: Path
    notes: list[str]


def plan_training(
    train: Path | ImageTable,
    *,
    backbone: Backbone | None = None,
    model: str | None = None,
    weights: Path | None = None,
    from_scratch: bool = False,
    size: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    interpolation: Literal["bilinear", "bicubic", "nearest", "lanczos"] | None = None,
    fit: Literal["crop", "pad"] = "crop",
    augment: Sequence[str] = (),
    val: Path | ImageTable | None = None,
    val_share: float = 0.2,
    labels: Path | None = None,
    path_column: str | None = None,
    label_column: str | None = None,
    image_root: Path | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    seed: int = 0,
    device: str | None = None,
    out: Path | None = None,
    workspace: Workspace | None = None,
    progress: Progress | None = None,
) -> TrainPlan:
    """Check everything that can be checked before the long work.

    Args:
        train, val: folders, or tables of images that were chosen already.
        backbone: a model that is loaded already, in the place of what says which and how.

    Raises:
        InputError: a folder, an option or a candidate cannot be used.
        ModelError: the model or its weights cannot be had.
    """
    workspace = workspace or find_workspace()
    chosen_device, device_reason = choose_device(device)
    chosen = tuple(augmentation(name) for name in augment)
    backbone = backbone or load_backbone(
        model or DEFAULT_MODEL,
        weights=weights,
        from_scratch=from_scratch,
        size=size,
        mean=mean,
        std=std,
        interpolation=interpolation,
        fit=fit,
        seed=seed,
    )
    for one in chosen:
        check_augmentation(one, backbone.geometry.size)
    if isinstance(train, ImageTable):
        table = train
    else:
        table = read_images(
            train,
            labels=labels,
            path_column=path_column,
            label_column=label_column,
            image_root=image_root,
            cache=workspace.cache,
            progress=(progress or SILENT).sub("reading files"),
        )
    held_out = None
    if isinstance(val, ImageTable):
        held_out = val.with_classes(table.classes)
    elif val is not None:
        if isinstance(train, Path):
            check_apart(train, val)
        held_out = read_images(val, minimum_classes=1, cache=workspace.cache).with_classes(table.classes)
    settings, reason = default_settings(backbone, len(table), seed=seed)
    changed = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate}
    settings = TrainConfig.model_validate(
        settings.model_dump() | {name: value for name, value in changed.items() if value is not None}
    )
    notes = [*table.notes, backbone.reason, f"settings: {reason}", f"device: {chosen_device} ({device_reason})"]
    return TrainPlan(
        backbone=backbone,
        settings=settings,
        augmentations=chosen,
        train=table,
        val=held_out,
        val_share=val_share,
        folder=out or run_folder(workspace, backbone, augment, seed),
        device=str(chosen_device),
        cache=workspace.cache,
        notes=[note for note in notes if note],
    )


def run_folder(workspace: Workspace, backbone: Backbone, augment: Sequence[str], seed: int) -> Path:
    """Where a run goes whose folder nobody named."""
    name = "+".join([backbone.name, *(augment or ("clean",)), f"seed{seed}"])
    return workspace.results("runs") / name.translate(_NO_FOLDERS)


@gpu_errors_told()
def train_folder(
    plan: TrainPlan, *, command: str = "", progress: Progress | None = None
) -> tuple[TrainResult, list[Skipped]]:
    """Decode the images once and train; the same plan continues a run that was cut off.

    Returns:
        the result, and files that were left out.

    Raises:
        InputError: nothing can be held out, or the folder holds another run.
        ModelError: the loss is not finite, or the GPU is lost or full.
        StorageError: the cache or the folder cannot be written.
    """
    steps = progress or SILENT
    store = PixelStore(plan.cache, plan.backbone.geometry)
    skipped = list(plan.train.skipped)

    def load(table: ImageTable, words: str) -> tuple[Pool, NDArray[np.int64], list[str], NDArray[np.int64]]:
        pixels = store.load(table, np.arange(len(table)), progress=steps.sub(words))
        skipped.extend(pixels.skipped)
        ids = table.ids
        groups = copy_groups(table, pixels)[pixels.rows]
        return Pool(pixels.images, pixels.keys), table.labels[pixels.rows], [ids[row] for row in pixels.rows], groups

    pool, labels, ids, groups = load(plan.train, "decoding training images")
    if plan.val is None:
        usable = (
            plan.train.take([plan.train.ids.index(name) for name in ids]) if len(ids) < len(plan.train) else plan.train
        )
        train_rows, val_rows = hold_out(usable, groups, share=plan.val_share, seed=plan.settings.seed)
    else:
        val_pool, val_labels, val_ids, _ = load(plan.val, "decoding validation images")
        known = set(pool.keys)
        fresh = [row for row, key in enumerate(val_pool.keys) if key not in known]
        if not fresh:
            raise InputError("Validation images must not be training images, and all of --val are. Give others.")
        train_rows = np.arange(len(pool))
        val_rows = len(pool) + np.array(fresh, np.int64)
        pool = joined([pool, val_pool])
        labels, ids = np.concatenate([labels, val_labels]), ids + val_ids
    result = train(
        plan.backbone,
        pool,
        labels,
        train_rows,
        val_rows,
        classes=plan.train.classes,
        settings=plan.settings,
        folder=plan.folder,
        augmentations=plan.augmentations,
        ids=ids,
        device=plan.device,
        progress=steps.sub("training"),
        command=command,
    )
    return result, skipped
