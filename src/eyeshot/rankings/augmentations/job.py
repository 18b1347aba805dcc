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
    target_shares: str | Path | None = None,
    policy: bool = False,
    max_images: int = MAX_IMAGES,
    samples_per_image: int = SAMPLES_PER_IMAGE,
    scratch_time_s: float = SCRATCH_TIME_S,
    plot: str | Sequence[str] = (),
    projections: Sequence[Literal["PCA", "t-SNE", "UMAP"]] | None = None,
    images: bool = True,
    seed: int = 0,
    cache: str | Path | None = None,
    progress: Progress | bool | None = None,
    command: str = "",
) -> AugmentationRanking:
    """Rank augmentations by how much of the target the training images cover with them, and by short trainings.

    Args:
        train: folder with one folder of images per class, or the root of `labels`; None: the folder in eyeshot.toml.
        test: folder of unlabelled images to be covered; None: the validation images are the target.
        labels: CSV with paths and labels, instead of class folders.
        path_column, label_column, image_root: how to read the CSV; None: guessed.
        val: folder of the user's own validation images.
        val_share: share of the training images to hold out if there is neither `val` nor a split.
        decisions: whether to apply the project's decisions.jsonl, or a decisions file.
        split: whether to use the project's split.json if there is no `val`, or a split file.
        fold: the fold of the split that validates.
        generated: class folders of generated images, which become a further candidate.
        model: timm tag ("architecture.weights") or "package.module:factory"; None: a small timm model.
        weights: local file with its weights: safetensors or a state dict.
        from_scratch: train a baseline of the architecture here, on clean images.
        size, mean, std, interpolation, fit: how its images are prepared; None: the model's own.
        device: cuda, mps or cpu; None: chosen automatically.
        batch_size: batch size of forward passes.
        workers: threads that decode; None: one per processor.
        candidates: names, wildcards or families, or the user's own as "module:attribute"; empty: all.
        baseline_aug: augmentation that is already in the pipeline: gains are measured on top of it.
        budget_s: seconds for short trainings after the ranking by coverage; 0 for none.
        full_train: how many of the first candidates to train to the end, with clean and trivial-augment.
        target_shares: how often classes occur among the target images, for the estimate of accuracy on them: "even", or
            a CSV file with the columns class and share; None: as among the training images.
        policy: whether to compose a policy of what was measured; `save` then writes policy.toml and policy.py too.
        max_images: largest number of images of each kind (source, held-out, target).
        samples_per_image: augmented samples per image and candidate.
        scratch_time_s: no epoch of the baseline begins after this many seconds.
        plot: candidates on the joint map in addition to the winner; empty: chosen automatically.
        projections: which maps to draw; None: all three; empty: no map.
        images: whether to keep small pictures for the page.
        seed: seed of every random choice.
        cache: folder of pixels, features, short trainings and the baseline; None: the project's cache.
        progress: called with the progress; None: shown in a terminal or notebook; False: not shown.
        command: what was typed, for the report.

    Returns:
        the report with ranking and scores, and the arrays of the page; `save` writes augmentations.json.

    Raises:
        InputError: an argument cannot be used.
        ModelError: the model is not available or gives features that are not finite, or the GPU is lost or full.
        StorageError: the cache cannot be written.

    It costs one forward pass per augmented sample (sources x samples x candidates), and then the budget. The same call
    continues a run that was interrupted.
    """
    options = {name: value for name, value in locals().items() if name not in ("train", "cache", "progress", "command")}
    folder, settings = ranking_settings(train, **options)
    place = find_workspace().cache if cache is None else Path(cache)
    with shown_progress(progress) as shown:
        plan = prepare(folder, settings, cache=place, progress=shown)
        return run_ranking(plan, progress=shown, command=command)


def ranking_settings(train: str | Path | None, **options: Any) -> tuple[Path, RankingSettings]:
    """The training folder, and the settings for given options of `rank_augmentations` in this project.

    Raises:
        InputError: no training images, a value out of range, or a use of test images that the rules do not allow.
    """
    names = ("test", "labels", "path_column", "label_column", "image_root", "val", "decisions", "split", "fold")
    given = {name: options.pop(name) for name in names if name in options}
    shares = {name: options[name] for name in ("val_share", "seed") if name in options}
    settings = check_settings(**options)
    data = project_data(train, use_test=True, **given, **shares)
    return data.train, settings.model_copy(update=data.model_dump(exclude={"train"}))
