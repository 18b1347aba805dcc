"""From a folder and decisions to a split, with what it is worth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eyeshot.auditing.findings import read_groups
from eyeshot.auditing.importance_weights import check_effective, density_ratio, judge_likeness, order_by_weight
from eyeshot.auditing.split_quality import measure_leakage
from eyeshot.core import SILENT, InputError, Progress
from eyeshot.data import Decisions, ImageTable, LikeTest, Part, Split, divide, find_groups, merge_copy_groups
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
    table: ImageTable,
    decisions: Decisions,
    request: SplitRequest,
    *,
    cache: Path,
    audit: Path | None = None,
    like: ImageTable | None = None,
    backbone: Backbone | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
    command: str = "",
) -> tuple[Split, ImageTable, list[str]]:
    """Divide the images of a manifest.

    Args:
        table: the labelled images of the manifest.
        decisions: what people know about copies.
        request: what is wanted.
        cache: folder of decoded images and features.
        audit: an `audit.json` whose near copies stay together too.
        like: test images that the part "val" should resemble.
        backbone: whose features are read for leakage and likeness; None: thumbnails.
        device: where it runs.
        progress: told how far it is; None: nobody.
        command: what was typed.

    Returns:
        the split, the images that it divides (those that can be decoded), and sentences to print.

    Raises:
        InputError: an impossible demand, with its numbers.
    """
    if like is not None and not request.val:
        raise InputError("--like-test chooses the part that is held out: give its share too, for instance --val 0.2.")
    progress = progress or SILENT
    groups, pixels = find_groups(table, cache=cache, progress=progress.sub("decoding training images"))
    more = read_groups(audit) if audit is not None else []
    groups = merge_copy_groups(table, groups, decisions, more=more)
    notes = []
    if pixels.skipped:
        one = pixels.skipped[0]
        notes.append(f"{len(pixels.skipped)} images cannot be decoded and have no part, as {one.path}: {one.reason}.")
    table, groups = table.take(pixels.rows), groups[pixels.rows]
    basis = COPIES
    if audit is not None:
        basis += f", near copies of {audit.name} ({len(more)} groups)"
    reader = name_reader(backbone)
    features: NDArray[np.generic] | None = None
    if request.leakage or like is not None:
        features = image_features(table, pixels, backbone, cache=cache, device=device, progress=progress)
    found: LikeTest | None = None
    if like is None:
        parts = _divide(table, groups, request)
    else:
        assert features is not None
        parts, found = _like_test(table, groups, features, like, request, backbone, cache, device, progress)
    leakage = None
    if request.leakage:
        assert features is not None
        leakage = measure_leakage(
            table, features, groups, folds=request.folds or round(1 / request.val), seed=request.seed, reader=reader,
            progress=progress.sub("heads on both splits"),
        )  # fmt: skip
    split = Split(
        command=command, seed=request.seed, folds=request.folds, val=request.val, like_test=found, basis=basis,
        leakage=leakage, parts=dict(sorted(zip(table.contents, parts, strict=True), key=lambda pair: pair[0])),
    )  # fmt: skip
    return split, table, notes


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
    pixels = find_groups(like, cache=cache, progress=progress.sub("decoding test images"))[1]
    test = image_features(like.take(pixels.rows), pixels, backbone, cache=cache, device=device, progress=progress)
    train, target = np.asarray(features, np.float32), np.asarray(test, np.float32)
    weights, effective = density_ratio(train, target, groups, seed=request.seed)
    check_effective(effective, len(table), round(request.val * len(table)), request.val)
    parts = _divide(table, groups, request, order_by_weight(table, groups, weights, seed=request.seed))
    held = np.array([row for row, part in enumerate(parts) if part == "val"], dtype=np.int64)
    found = judge_likeness(table, groups, train, target, held, effective, share=request.val, seed=request.seed)
    return parts, found
