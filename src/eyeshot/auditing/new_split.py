"""From a dataset to a split, with what it is worth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eyeshot.auditing.importance_weights import check_effective, density_ratio, judge_likeness, order_by_weight
from eyeshot.auditing.split_quality import measure_leakage
from eyeshot.core import SILENT, InputError, Progress
from eyeshot.data import Dataset, ImageTable, LikeTest, Part, Split, check_shares, divide, load_small
from eyeshot.models import Backbone, image_features, name_reader

COPIES = "equal bytes and pixels, flips, quarter turns, resizing and encoding again"


@dataclass(frozen=True)
class SplitRequest:
    """What a split should be.

    Attributes:
        folds: 0 for none.
        val: share to hold out; 0 for none.
        seed: another seed, another split.
        small: classes with fewer groups than folds train in every fold instead of being refused.
        leakage: measure what a plain random split would flatter.
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
    """Divide all images of a dataset, whatever their roles were, duplicate groups whole.

    Args:
        dataset: the images and their groups; where it has test images, the part "val" should resemble these.
        request: what is wanted.
        cache: folder of decoded images and features.
        basis: what counts as copies, for the record.
        backbone: whose features are read for leakage and likeness; None: thumbnails.
        device: where it runs.
        progress: told how far it is; None: nobody.
        command: what was typed.

    Raises:
        InputError: an impossible demand, with its numbers.
    """
    check_request(request, like_test=dataset.test is not None)
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
    return Split(
        command=command, seed=request.seed, folds=request.folds, val=request.val, like_test=likeness, basis=basis,
        leakage=leakage, parts=dict(sorted(zip(table.contents, parts, strict=True), key=lambda pair: pair[0])),
    )  # fmt: skip


def check_request(request: SplitRequest, *, like_test: bool) -> None:
    """Refuse what no images can give, before any is read.

    Raises:
        InputError: neither folds nor a share, one that is out of range, or test images without a share.
    """
    if like_test and not request.val:
        raise InputError("--like-test chooses the part that is held out: give its share too, for instance --val 0.2.")
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
    held = np.array([row for row, part in enumerate(parts) if part == "val"], dtype=np.int64)
    found = judge_likeness(table, groups, train, target, held, effective, share=request.val, seed=request.seed)
    return parts, found
