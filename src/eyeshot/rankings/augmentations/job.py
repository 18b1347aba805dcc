"""`rank_augmentations()`: which augmentation fits this model on these images, with the options of the command."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from eyeshot.core import Progress, find_workspace, shown_progress
from eyeshot.data import project_data
from eyeshot.rankings.augmentations.plan import prepare
from eyeshot.rankings.augmentations.result import AugmentationRanking
from eyeshot.rankings.augmentations.run import run_ranking
from eyeshot.rankings.augmentations.settings import (
    BUDGET_S,
    MAX_IMAGES,
    SAMPLES_PER_IMAGE,
    SCRATCH_TIME_S,
    RankingSettings,
    check_settings,
)


def rank_augmentations(
    train: str | Path | None = None,
    *,
    test: str | Path | None = None,
    labels: str | Path | None = None,
    path_column: str | None = None,
    label_column: str | None = None,
    image_root: str | Path | None = None,
    val: str | Path | None = None,
    val_share: float = 0.2,
    decisions: bool | str | Path = True,
    split: bool | str | Path = True,
    fold: int | None = None,
    generated: str | Path | None = None,
    model: str | None = None,
    weights: str | Path | None = None,
    from_scratch: bool = False,
    size: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    interpolation: Literal["bilinear", "bicubic", "nearest", "lanczos"] | None = None,
    fit: Literal["crop", "pad"] = "crop",
    device: str | None = None,
    batch_size: int = 64,
    workers: int | None = None,
    candidates: str | Sequence[str] = (),
    baseline_aug: str | None = None,
    budget_s: float = BUDGET_S,
    full_train: int = 0,
    max_images: int = MAX_IMAGES,
    samples_per_image: int = SAMPLES_PER_IMAGE,
    scratch_time_s: float = SCRATCH_TIME_S,
    plot: str | Sequence[str] = (),
    projections: Sequence[Literal["PCA", "t-SNE", "UMAP"]] = ("PCA", "t-SNE", "UMAP"),
    images: bool = True,
    seed: int = 0,
    cache: str | Path | None = None,
    progress: Progress | bool | None = None,
    command: str = "",
) -> AugmentationRanking:
    """Rank augmentations by what of the target training covers with them, and by short trainings.

    Args:
        train: folder with one folder of images per class, or the root of `labels`; None: what eyeshot.toml says.
        test: folder of unlabelled images to be covered; without one the validation images are the target.
        labels: CSV with paths and labels, in the place of class folders.
        path_column, label_column, image_root: how to read it; guessed where not given.
        val: folder of the user's own held-out images.
        val_share: share of the training images held out where there is neither `val` nor a split.
        decisions: apply the project's decisions.jsonl where there is one, or those of a file.
        split: use the project's split.json where there is one and no `val`, or that of a file.
        fold: of the split, the fold that validates.
        generated: class folders of generated images: one more candidate.
        model: timm tag ("architecture.weights") or "package.module:factory"; a small one of timm where not given.
        weights: local file with its weights: safetensors or a state dict.
        from_scratch: train a baseline of the architecture in place, on clean images.
        size, mean, std, interpolation, fit: how its images are prepared; its own where not given.
        device: cuda, mps or cpu; found where not given.
        batch_size: images at once in the model.
        workers: threads that decode; one per processor where not given.
        candidates: names, wildcards or families, or the user's own as "module:attribute"; all where empty.
        baseline_aug: what is trained with already: gains are on top of it.
        budget_s: seconds for short trainings after the ranking by coverage; 0 for none.
        full_train: how many of the first are trained to the end, with clean and trivial-augment.
        max_images: images of each kind (source, held-out, target) at most.
        samples_per_image: augmented samples per image and candidate.
        scratch_time_s: no epoch of the baseline begins after so many seconds.
        plot: candidates on the joint map beside the winner; chosen where empty.
        projections: which maps to draw; none skips the map.
        images: small pictures for the page.
        seed: of every random choice.
        cache: where pixels, features, short trainings and the baseline are kept; the project's where not given.
        progress: told how far it is; None: shown in a terminal and a notebook; False: nobody.
        command: what was typed, for the report.

    Returns:
        the report with ranking and scores, and the arrays of the page; `save` writes augmentations.json.

    Raises:
        InputError: an argument cannot be used.
        ModelError: the model cannot be had, or gives features that are not finite, or the GPU is lost or full.
        StorageError: the cache cannot be written.

    It costs one forward pass per augmented sample (sources x samples x candidates), and then the budget. The same call
    continues where a killed one stopped.
    """
    options = {name: value for name, value in locals().items() if name not in ("train", "cache", "progress", "command")}
    folder, settings = ranking_settings(train, **options)
    place = find_workspace().cache if cache is None else Path(cache)
    with shown_progress(progress) as shown:
        plan = prepare(folder, settings, cache=place, progress=shown)
        return run_ranking(plan, progress=shown, command=command)


def ranking_settings(train: str | Path | None, **options: Any) -> tuple[Path, RankingSettings]:
    """The training folder and the settings that options of `rank_augmentations` amount to in this project.

    Raises:
        InputError: no training images, a value out of range, or a use of test images that the rules do not allow.
    """
    names = ("test", "labels", "path_column", "label_column", "image_root", "val", "decisions", "split", "fold")
    given = {name: options.pop(name) for name in names if name in options}
    shares = {name: options[name] for name in ("val_share", "seed") if name in options}
    settings = check_settings(**options)
    data = project_data(train, use_test=True, **given, **shares)
    return data.train, settings.model_copy(update=data.model_dump(exclude={"train"}))
