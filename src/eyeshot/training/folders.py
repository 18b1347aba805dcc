"""`eyeshot train`: from images in their roles to a finished run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from eyeshot.augment import Augmentation, Pool, augmentation, check_augmentation, with_policies
from eyeshot.core import SILENT, InputError, Progress, Workspace, find_project, find_workspace
from eyeshot.data import DataConfig, Dataset, PixelStore, Skipped, check_data, load_dataset
from eyeshot.models import DEFAULT_MODEL, Backbone, choose_device, gpu_errors_explained, load_backbone
from eyeshot.training.config import TrainConfig, default_settings
from eyeshot.training.loop import check_small_size
from eyeshot.training.precision import choose_precision
from eyeshot.training.recipe.drop_path import drop_path_rates
from eyeshot.training.recipe.sources import RECIPES_FILE, kept_recipe, merge_settings, project_settings
from eyeshot.training.result import TrainResult
from eyeshot.training.run import train
from eyeshot.training.run_folder import check_folder

_NO_FOLDERS = str.maketrans(dict.fromkeys('/\\:*?"<>|', "."))  # characters that some system forbids in file names


@dataclass(frozen=True, eq=False)
class TrainPlan:
    """A training that is ready to start.

    Attributes:
        backbone: where it starts from.
        settings: of the loop.
        augmentations: applied in order.
        dataset: the images, with those that train and those that validate.
        folder: where the run goes.
        notes: what was chosen, and why.
    """

    backbone: Backbone
    settings: TrainConfig
    augmentations: tuple[Augmentation, ...]
    dataset: Dataset
    folder: Path
    device: str
    cache: Path
    notes: list[str]


def plan_training(
    data: Dataset | DataConfig,
    *,
    model: str | None = None,
    weights: Path | None = None,
    from_scratch: bool = False,
    size: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    interpolation: Literal["bilinear", "bicubic", "nearest", "lanczos"] | None = None,
    fit: Literal["crop", "pad"] = "crop",
    augment: Sequence[str] = (),
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    optimizer: str | None = None,
    schedule: str | None = None,
    settings: Mapping[str, object] | None = None,
    seed: int = 0,
    device: str | None = None,
    out: Path | None = None,
    workspace: Workspace | None = None,
    progress: Progress | None = None,
) -> TrainPlan:
    """Check everything that can be checked before the long work. The options are checked before any image is read.

    Args:
        data: the images in their roles, or where they lie. `seed` is the training's; the hold-out has its own.
        settings: more of the recipe, by the names of `TrainConfig`. What is not given is that of the project's
            eyeshot.toml, of the recipe kept for the model, or by default, in this order.

    Raises:
        InputError: a folder, an option or a candidate cannot be used.
        ModelError: the model or its weights cannot be loaded.
    """
    workspace = workspace or find_workspace()
    if isinstance(data, DataConfig):
        check_data(data)
    chosen_device, device_reason = choose_device(device)
    chosen = tuple(augmentation(name) for name in with_policies(augment))
    backbone = load_backbone(
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
    for candidate in chosen:
        check_augmentation(candidate, backbone.geometry.size)
    given = {
        "epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate, "optimizer": optimizer,
        "schedule": schedule,
    }  # fmt: skip
    changed: dict[str, object] = {name: value for name, value in given.items() if value is not None}
    changed |= dict(settings or {})
    seed = int(str(changed.pop("seed", seed)))
    kept, why_kept = kept_recipe(workspace.project, backbone.name)
    of_project = project_settings(find_project(workspace.project))
    asked = changed.get("optimizer", of_project.get("optimizer"))
    if asked is not None and kept.get("optimizer", asked) != asked:
        kept = {}  # its learning rate and decay were found for its own optimizer, and say little of another's
    layers = (
        (f"kept for {backbone.name} in {RECIPES_FILE} ({why_kept})", kept),
        ("from eyeshot.toml", of_project),
        ("as given", changed),
    )
    # Refuse wrong values before any image is read: the defaults depend on the images, the allowed values do not.
    early = merge_settings(*default_settings(backbone, 1, seed=seed), layers)[0]
    if early.drop_path:
        drop_path_rates(backbone, early.drop_path)
    if early.small_size is not None:
        check_small_size(backbone, early.small_size)
    choose_precision(chosen_device, early.precision)
    names = [candidate.name for candidate in chosen] or ["clean"]
    name = "+".join([backbone.name, *names, f"seed{seed}"]).translate(_NO_FOLDERS)
    folder = out or workspace.results("runs") / name
    check_folder(
        folder,
        model=backbone.name,
        augmentations=[candidate.name for candidate in chosen],
        settings={name: getattr(early, name) for name in changed} | {"seed": seed},
    )
    dataset = data if isinstance(data, Dataset) else load_dataset(data, cache=workspace.cache, progress=progress)
    if not len(dataset.val_rows):
        raise InputError("Training needs at least one validation image, got none. Use --val-share 0.2 or --val DIR.")
    recipe, why = merge_settings(*default_settings(backbone, len(dataset.train_rows), seed=seed), layers)
    used = [f"settings: {recipe.words} ({why})", f"device: {chosen_device} ({device_reason})"]
    notes = [*dataset.notes, backbone.reason, *used]
    return TrainPlan(
        backbone=backbone,
        settings=recipe,
        augmentations=chosen,
        dataset=dataset,
        folder=folder,
        device=str(chosen_device),
        cache=workspace.cache,
        notes=[note for note in notes if note],
    )


@gpu_errors_explained()
def train_folder(
    plan: TrainPlan, *, command: str = "", progress: Progress | None = None
) -> tuple[TrainResult, list[Skipped]]:
    """Decode the images once and train; the same plan resumes an interrupted run.

    Returns:
        the result, and files that were left out.

    Raises:
        InputError: the folder holds another run.
        ModelError: the loss is not finite, or the GPU is lost or full.
        StorageError: the cache or the folder cannot be written.
    """
    steps = progress or SILENT
    dataset = plan.dataset
    used = np.union1d(dataset.train_rows, dataset.val_rows)
    store = PixelStore(plan.cache, plan.backbone.geometry)
    pixels = store.load(dataset.images, used, progress=steps.sub("decoding images"))
    ids = dataset.images.ids
    result = train(
        plan.backbone,
        Pool(pixels.images, pixels.keys),
        dataset.images.labels[pixels.rows],
        np.flatnonzero(np.isin(pixels.rows, dataset.train_rows)),
        np.flatnonzero(np.isin(pixels.rows, dataset.val_rows)),
        classes=dataset.classes,
        settings=plan.settings,
        folder=plan.folder,
        augmentations=plan.augmentations,
        ids=[ids[row] for row in pixels.rows],
        device=plan.device,
        progress=steps.sub("training"),
        command=command,
        data=dataset.config.model_dump(mode="json", exclude={"test"}) | {"notes": list(dataset.notes)},
    )
    return result, [*dataset.skipped, *pixels.skipped]
