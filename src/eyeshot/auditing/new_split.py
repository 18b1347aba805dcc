"""`split()`: from a dataset to folds and a validation set, with how far they can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eyeshot.auditing.findings import read_groups
from eyeshot.auditing.importance_weights import check_effective, density_ratio, judge_likeness, order_by_weight
from eyeshot.auditing.split_quality import measure_leakage
from eyeshot.core import SILENT, InputError, Progress, audit_file, find_workspace, plural, shown_progress
from eyeshot.data import (
    Dataset,
    ImageTable,
    LikeTest,
    Part,
    Split,
    check_shares,
    count_parts,
    divide,
    load_dataset,
    load_small,
    project_data,
)
from eyeshot.models import Backbone, choose_device, image_features, name_reader, named_backbone

COPIES = "equal bytes and pixels, flips, quarter turns, resizing and re-encoding"


def split(
    train: str | Path | None = None,
    *,
    folds: int | None = None,
    val_share: float = 0.0,
    match_test: str | Path | None = None,
    small_classes: Literal["refuse", "train"] = "refuse",
    leakage: bool = True,
    audit: str | Path | None = None,
    labels: str | Path | None = None,
    path_column: str | None = None,
    label_column: str | None = None,
    image_root: str | Path | None = None,
    decisions: bool | str | Path = True,
    model: str | None = None,
    weights: str | Path | None = None,
    size: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    interpolation: Literal["bilinear", "bicubic", "nearest", "lanczos"] | None = None,
    fit: Literal["crop", "pad"] = "crop",
    device: str | None = None,
    seed: int = 0,
    cache: str | Path | None = None,
    progress: Progress | bool | None = None,
    command: str = "",
) -> Split:
    """Divide labelled images into folds and a validation set: each class evenly, and duplicates never apart.

    Nothing is written: `Split.write` does that, and the file split.json of a project is used by trainings and rankings.

    Args:
        train: folder of labelled images; None: the folder in eyeshot.toml.
        folds: number of folds; 0 for none. None: 5, or none if `val_share` is given.
        val_share: share held out of all folds, for validation alone.
        match_test: folder of test images that the held-out images should resemble.
        small_classes: classes with fewer duplicate groups than folds are refused, or train in every fold.
        leakage: measure what duplicates across a plain random split would add to the accuracy.
        audit: folder of an audit, or its audit.json, whose near-duplicates stay together; None: the project's audit.
        labels: CSV with paths and labels.
        path_column, label_column, image_root: how to read the CSV; None: guessed.
        decisions: whether to apply the project's decisions.jsonl, or a decisions file.
        model: timm tag or "package.module:factory" whose features measure leakage; None: thumbnails.
        weights: local file with its weights.
        size, mean, std, interpolation, fit: how its images are prepared; None: the model's own.
        device: where the model runs: cuda, mps or cpu; None: chosen automatically.
        seed: another seed gives another split.
        cache: folder of decoded images and features; None: the project's cache.
        progress: called with the progress; None: shown in a terminal or notebook; False: not shown.
        command: what was typed, for the file.

    Raises:
        InputError: a folder or option cannot be used, or the images cannot be divided like this.
        ModelError: the model is not available.
        StorageError: the cache cannot be written.
    """
    if small_classes not in ("refuse", "train"):
        raise InputError(f"--small-classes must be refuse or train, got {small_classes!r}.")
    request = SplitRequest(
        folds=check_shares(folds, val_share), val=val_share, seed=seed,
        small=small_classes == "train", leakage=leakage,
    )  # fmt: skip
    check_request(request, match_test=match_test is not None)
    data = project_data(
        train, match_test, decisions=decisions, split=False, val_share=None, seed=seed, labels=labels,
        path_column=path_column, label_column=label_column, image_root=image_root,
    )  # fmt: skip
    near = audit_file(audit)
    backbone = named_backbone(
        model, weights=weights, size=size, mean=mean, std=std, interpolation=interpolation, fit=fit
    )
    place = str(choose_device(device)[0])
    folder = find_workspace().cache if cache is None else Path(cache)
    groups = [] if near is None else read_groups(near)
    basis = (
        COPIES
        if near is None
        else f"{COPIES}, near-duplicates of {near.name} ({len(groups)} {plural(len(groups), 'group')})"
    )
    with shown_progress(progress) as report_progress:
        dataset = load_dataset(data, cache=folder, progress=report_progress, near_duplicates=groups)
        return make_split(
            dataset, request, cache=folder, basis=basis, backbone=backbone, device=place, progress=report_progress,
            command=command,
        )  # fmt: skip


@dataclass(frozen=True)
class SplitRequest:
    """Settings of a split.

    Attributes:
        folds: 0 for none.
        val: share to hold out; 0 for none.
        seed: another seed gives another split.
        small: classes with fewer groups than folds train in every fold instead of being refused.
        leakage: measure by how much a plain random split would inflate the accuracy.
    """

    folds: int
    val: float
    seed: int = 0
    small: bool = False
    leakage: bool = True


def make_split(
    dataset: Dataset,
    request: SplitRequest,
    *,
    cache: Path,
    basis: str = COPIES,
    backbone: Backbone | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
    command: str = "",
) -> Split:
    """Divide all images of a dataset, whatever their roles were, and keep duplicate groups whole.

    Args:
        dataset: the images and their groups; if it has test images, the part "val" should resemble them.
        request: settings of the split.
        cache: folder of decoded images and features.
        basis: what counts as duplicates, for the record.
        backbone: model whose features are used for leakage and likeness; None: thumbnails.
        device: device of the model.
        progress: called with the progress; None: not shown.
        command: what was typed.

    Raises:
        InputError: the images cannot be divided like this.
    """
    check_request(request, match_test=dataset.test is not None)
    progress = progress or SILENT
    table, groups = dataset.images, dataset.groups
    reader = name_reader(backbone)
    features: NDArray[np.generic] | None = None
    if request.leakage or dataset.test is not None:
        pixels = load_small(table, cache=cache, progress=progress.sub("reading images"))
        features = image_features(table, pixels, backbone, cache=cache, device=device, progress=progress)
    likeness: LikeTest | None = None
    if dataset.test is None:
        parts = _divide(table, groups, request)
    else:
        assert features is not None
        parts, likeness = _like_test(table, groups, features, dataset.test, request, backbone, cache, device, progress)
    leakage = None
    if request.leakage:
        assert features is not None
        leakage = measure_leakage(
            table, features, groups, folds=request.folds or round(1 / request.val), seed=request.seed, reader=reader,
            progress=progress.sub("heads on both splits"),
        )  # fmt: skip
    notes = list(dataset.notes)
    if request.leakage and leakage is None:
        notes.append("Leakage was not measured: no class has enough images that are not duplicates of each other.")
    return Split(
        command=command, seed=request.seed, folds=request.folds, val=request.val, like_test=likeness, basis=basis,
        leakage=leakage, counts=count_parts(table, parts), n_classes=len(table.classes), notes=notes,
        parts=dict(sorted(zip(table.contents, parts, strict=True), key=lambda pair: pair[0])),
    )  # fmt: skip


def check_request(request: SplitRequest, *, match_test: bool) -> None:
    """Check the settings before any image is read.

    Raises:
        InputError: there are neither folds nor a share, a value is out of range, or test images come without a share.
    """
    if match_test and not request.val:
        raise InputError(
            "--match-test chooses the held-out part, so it needs its share too, for instance --val-share 0.2."
        )
    check_shares(request.folds, request.val)


def _divide(
    table: ImageTable, groups: NDArray[np.int64], request: SplitRequest, order: NDArray[np.floating] | None = None
) -> list[Part]:
    return divide(
        table, groups, folds=request.folds, val=request.val, seed=request.seed, small=request.small,
        order=None if order is None else order.tolist(),
    )  # fmt: skip


def _like_test(
    table: ImageTable,
    groups: NDArray[np.int64],
    features: NDArray[np.generic],
    like: ImageTable,
    request: SplitRequest,
    backbone: Backbone | None,
    cache: Path,
    device: str,
    progress: Progress,
) -> tuple[list[Part], LikeTest]:
    pixels = load_small(like, cache=cache, progress=progress.sub("decoding test images"))
    test = image_features(like.take(pixels.rows), pixels, backbone, cache=cache, device=device, progress=progress)
    train, target = np.asarray(features, np.float32), np.asarray(test, np.float32)
    weights, effective = density_ratio(train, target, groups, seed=request.seed)
    check_effective(effective, len(table), round(request.val * len(table)), request.val)
    parts = _divide(table, groups, request, order_by_weight(table, groups, weights, seed=request.seed))
    held_out = np.array([row for row, part in enumerate(parts) if part == "val"], dtype=np.int64)
    likeness = judge_likeness(table, groups, train, target, held_out, effective, share=request.val, seed=request.seed)
    return parts, likeness
