"""Which points go on the joint map, and which small pictures on the page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eyeshot.augment import Augmentation, Pool, make_samples
from eyeshot.core import Progress
from eyeshot.rankings.augmentations.candidates import Judged
from eyeshot.rankings.augmentations.measure import Bench, Measured
from eyeshot.rankings.augmentations.projection import project
from eyeshot.rankings.augmentations.result import JointMap, Pictures
from eyeshot.rankings.augmentations.thumbnails import shrink
from eyeshot.rankings.augmentations.words import CONTROL_ADVICE

PER_CLOUD = 300
MAPPED = 8
THUMBNAIL = 32
SAMPLE_SIDE = 64
SAMPLES = 5
GALLERY = 24


def draw_map(
    bench: Bench,
    measured: Sequence[Measured],
    judged: Judged,
    *,
    advice: str,
    wanted: Sequence[str],
    shown: Sequence[str],
    images: bool,
    progress: Progress,
) -> tuple[JointMap | None, list[str]]:
    """One joint map of clean training, target, validation and up to eight candidates, at most 300 points each."""
    if not shown:
        return None, []
    data = bench.data
    by_name = {one.name: one for one in measured}
    names = [name for name in chosen_names(judged, advice, wanted) if name in by_name]
    random = np.random.default_rng([bench.seed, 5])

    def some(count: int) -> NDArray[np.int64]:
        return np.sort(random.choice(count, min(PER_CLOUD, count), replace=False))

    train, target, val = some(len(data.sources)), some(len(data.target)), some(len(data.val))
    in_val = bench.held_out_covered
    parts = [
        (bench.clean[train], "train", data.sources.labels[train], [data.sources.ids[row] for row in train]),
        (
            bench.target.points[target],
            "target",
            np.full(len(target), -1),
            [data.target.ids[row] for row in target],
        ),
        (bench.head.held_out[val], "validation", data.val.labels[val], [data.val.ids[row] for row in val]),
    ]
    thumbnails = [
        _small(data.sources.pool, train, images),
        _small(data.target.pool, target, images),
        _small(data.val.pool, val, images),
    ]
    best = by_name[advice].cover if advice in by_name else by_name["no-op"].cover
    clean_cover = by_name["clean"].cover
    by_clean = [np.full(len(train), -1), clean_cover.covered[target], in_val[val]]
    by_best = [np.full(len(train), -1), best.covered[target], np.full(len(val), -1)]
    predicted = [np.full(len(train), -1), np.full(len(target), -1), bench.head.predicted[val]]
    for name in names:
        one = by_name[name]
        points, owners, pictures = _views_of(bench, one, train, images)
        parts.append((points, name, owners[0], owners[1]))
        thumbnails.append(pictures)
        for column in (by_clean, by_best, predicted):
            column.append(np.full(len(points), -1))
    points = np.concatenate([part[0] for part in parts])
    cloud = np.concatenate([np.full(len(part[0]), part[1]) for part in parts]).astype(np.str_)
    ids = [name for part in parts for name in part[3]]
    projections, notes = project(
        points, cloud, scales=bench.space.scales, names=shown, seed=bench.seed, progress=progress
    )
    return (
        JointMap(
            cloud=cloud,
            label=np.concatenate([part[2] for part in parts]).astype(np.int64),
            ids=np.array(ids, dtype=np.str_),
            thumbnails=np.concatenate(thumbnails),
            covered_by_clean=np.concatenate(by_clean).astype(np.int8),
            covered_by_best=np.concatenate(by_best).astype(np.int8),
            predicted=np.concatenate(predicted).astype(np.int64),
            projections=projections,
            candidates=names,
        ),
        notes,
    )


def chosen_names(judged: Judged, advice: str, wanted: Sequence[str]) -> list[str]:
    """The winner, TrivialAugment and the no-op, then the asked ones or the next in rank; eight in all."""
    ranked = [one.name for one in judged.candidates if one.role == "ranked"]
    first = [advice, *ranked[:1], CONTROL_ADVICE, "no-op"] if not wanted else [advice]
    names = list(dict.fromkeys([*first, *(wanted or ranked)]))
    return names[: max(MAPPED, len(wanted) + 1)]


def _views_of(
    bench: Bench, one: Measured, train: NDArray[np.int64], images: bool
) -> tuple[NDArray[np.float32], tuple[NDArray[np.int64], list[str]], NDArray[np.uint8]]:
    """The first draw of a candidate's views of the mapped training images, without those left out."""
    if one.augmentation is None:
        generated = bench.data.generated
        if generated is None:
            raise ValueError("generated images were measured but are not in the data")
        rows = np.arange(min(PER_CLOUD, len(generated)))
        return (
            one.points[rows, 0],
            (generated.labels[rows], [generated.ids[row] for row in rows]),
            _small(generated.pool, rows, images),
        )
    rows = train[one.present[train, 0]]
    sources = bench.data.sources
    if images:
        views = make_samples(one.augmentation, sources.pool, rows, seed=bench.seed, draw=0).images
        pictures = shrink(views.permute(0, 2, 3, 1).numpy(), THUMBNAIL)
    else:
        pictures = np.zeros((len(rows), 1, 1, 3), np.uint8)
    return one.points[rows, 0], (sources.labels[rows], [sources.ids[row] for row in rows]), pictures


def take_pictures(bench: Bench, candidates: Sequence[Augmentation], judged: Judged) -> Pictures:
    """Views of the same few source images for every candidate, and target images that nothing reaches."""
    sources = bench.data.sources
    _, first = np.unique(sources.labels, return_index=True)
    rows = np.sort(first)[:SAMPLES]
    samples = {"clean": _small(sources.pool, rows, True, side=SAMPLE_SIDE)}
    for candidate in candidates:
        views = make_samples(candidate, sources.pool, rows, seed=bench.seed, draw=0).images
        samples[candidate.name] = shrink(views.permute(0, 2, 3, 1).numpy(), SAMPLE_SIDE)
    if bench.data.generated is not None:
        some = np.arange(min(SAMPLES, len(bench.data.generated)))
        samples["generated"] = _small(bench.data.generated.pool, some, True, side=SAMPLE_SIDE)
    lost = np.flatnonzero(judged.unreached)
    random = np.random.default_rng([bench.seed, 6])
    shown = np.sort(random.choice(lost, min(GALLERY, len(lost)), replace=False))
    target = bench.data.target
    return Pictures(samples, _small(target.pool, shown, True, side=SAMPLE_SIDE), [target.ids[row] for row in shown])


def _small(pool: Pool, rows: NDArray[np.int64], images: bool, *, side: int = THUMBNAIL) -> NDArray[np.uint8]:
    if not images:
        return np.zeros((len(rows), 1, 1, 3), np.uint8)
    return shrink(np.asarray(pool.images[rows]), side)
