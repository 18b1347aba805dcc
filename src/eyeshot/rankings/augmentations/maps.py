"""The joint map of all clouds in two dimensions, with its trustworthiness, and the small pictures of the page.

The map is fitted on clean training, target, validation and the mapped candidates together. There is never a separate
map for each cloud, and no point is placed on a map that was fitted without it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness

from eyeshot.augment import Augmentation, PolicyStep, Pool, augmentation, make_samples, policy_augmentation
from eyeshot.core import SILENT, MissingExtraError, Progress, percent, require
from eyeshot.models import nearest_neighbours
from eyeshot.rankings.augmentations.context import IDENTITY, EvalContext
from eyeshot.rankings.augmentations.coverage import NEIGHBOURS, make_target, measure_coverage
from eyeshot.rankings.augmentations.policy import POLICY
from eyeshot.rankings.augmentations.recommendation import CONTROL_ADVICE
from eyeshot.rankings.augmentations.report import Candidate, ProjectionInfo
from eyeshot.rankings.augmentations.result import JointMap, Pictures, Projection
from eyeshot.rankings.augmentations.scores import CLEAN, AugmentationScores

PER_CLOUD = 300
MAPPED = 8
THUMBNAIL = 32
SAMPLE_SIDE = 64
SAMPLES = 5
GALLERY = 24
TRUSTED = 0.8
JUDGED = 2000  # points that trustworthiness is measured on; it needs all pairs of them
Points = NDArray[np.float32]


def draw_map(
    context: EvalContext,
    measured: Sequence[AugmentationScores],
    candidates: Sequence[Candidate],
    *,
    advice: str,
    wanted: Sequence[str],
    shown: Sequence[str],
    images: bool,
    progress: Progress,
    policy: AugmentationScores | None = None,
    policy_steps: Sequence[PolicyStep] = (),
) -> tuple[JointMap | None, list[str]]:
    """The joint map of clean training, target, validation and up to eight candidates, at most 300 points of each.

    A policy is one more of them, the first, and `covered_by_best` is then by its cloud.
    """
    if not shown:
        return None, []
    data = context.data
    by_name = {scores.name: scores for scores in measured}
    pipelines = {
        scores.name: (*context.before, scores.augmentation) for scores in measured if scores.augmentation is not None
    }
    names = [name for name in mapped_names(candidates, advice, wanted) if name in by_name]
    if policy is not None:
        advice = POLICY
        names = [advice, *names][:MAPPED] if not wanted else [advice, *names]
        by_name[advice] = policy
        own = (policy_augmentation(step._replace(stages=())) for step in policy_steps)  # as where a stage is full
        pipelines[advice] = (*context.before, *own, augmentation(IDENTITY))
    random = np.random.default_rng([context.seed, 5])

    def some(count: int) -> NDArray[np.int64]:
        return np.sort(random.choice(count, min(PER_CLOUD, count), replace=False))

    train, target, val = some(len(data.sources)), some(len(data.target)), some(len(data.val))
    in_val = context.held_out_covered
    parts = [
        (context.probe.sources[train], "train", data.sources.labels[train], [data.sources.ids[row] for row in train]),
        (
            context.target.points[target],
            "target",
            np.full(len(target), -1),
            [data.target.ids[row] for row in target],
        ),
        (context.probe.held_out[val], "validation", data.val.labels[val], [data.val.ids[row] for row in val]),
    ]
    thumbnails = [
        _small(data.sources.pool, train, images),
        _small(data.target.pool, target, images),
        _small(data.val.pool, val, images),
    ]
    best = by_name[advice if advice in by_name else IDENTITY].cloud
    by_clean_training = by_name[CLEAN].cloud
    by_clean = [np.full(len(train), -1), by_clean_training.covered[target], in_val[val]]
    by_best = [np.full(len(train), -1), best.covered[target], np.full(len(val), -1)]
    predicted = [np.full(len(train), -1), np.full(len(target), -1), context.probe.predicted[val]]
    for name in names:
        points, owners, pictures = _mapped_samples(context, by_name[name], pipelines.get(name), train, images)
        parts.append((points, name, owners[0], owners[1]))
        thumbnails.append(pictures)
        for column in (by_clean, by_best, predicted):
            column.append(np.full(len(points), -1))
    points = np.concatenate([part[0] for part in parts])
    cloud = np.concatenate([np.full(len(part[0]), part[1]) for part in parts]).astype(np.str_)
    ids = [name for part in parts for name in part[3]]
    projections, notes = project(
        points, cloud, scales=context.space.scales, names=shown, seed=context.seed, progress=progress
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


def mapped_names(candidates: Sequence[Candidate], advice: str, wanted: Sequence[str]) -> list[str]:
    """The winner, TrivialAugment and the identity control, then those asked for or the next ranks; at most 8."""
    ranked = [candidate.name for candidate in candidates if candidate.role == "ranked"]
    first = [advice, *ranked[:1], CONTROL_ADVICE, IDENTITY] if not wanted else [advice]
    names = list(dict.fromkeys([*first, *(wanted or ranked)]))
    return names[: max(MAPPED, len(wanted) + 1)]


def _mapped_samples(
    context: EvalContext,
    scores: AugmentationScores,
    pipeline: tuple[Augmentation, ...] | None,
    train: NDArray[np.int64],
    images: bool,
) -> tuple[NDArray[np.float32], tuple[NDArray[np.int64], list[str]], NDArray[np.uint8]]:
    """The first samples of a candidate for the mapped training images, without samples that were left out."""
    if pipeline is None:
        generated = context.data.generated
        if generated is None:
            raise ValueError("generated images were measured but are not in the data")
        rows = np.arange(min(PER_CLOUD, len(generated)))
        return (
            scores.points[rows, 0],
            (generated.labels[rows], [generated.ids[row] for row in rows]),
            _small(generated.pool, rows, images),
        )
    rows = train[scores.present[train, 0]]
    sources = context.data.sources
    if images:
        samples = make_samples(pipeline, sources.pool, rows, seed=context.seed, draw=0).images
        pictures = shrink(samples.permute(0, 2, 3, 1).numpy(), THUMBNAIL)
    else:
        pictures = np.zeros((len(rows), 1, 1, 3), np.uint8)
    return scores.points[rows, 0], (sources.labels[rows], [sources.ids[row] for row in rows]), pictures


def take_pictures(context: EvalContext, candidates: Sequence[Augmentation], uncovered: NDArray[np.bool_]) -> Pictures:
    """Samples of the same few source images for every candidate, and target images that are uncovered (bool (M,))."""
    sources = context.data.sources
    _, first = np.unique(sources.labels, return_index=True)
    rows = np.sort(first)[:SAMPLES]
    samples = {CLEAN: _small(sources.pool, rows, True, side=SAMPLE_SIDE)}
    for candidate in candidates:
        augmented = make_samples(candidate, sources.pool, rows, seed=context.seed, draw=0).images
        samples[candidate.name] = shrink(augmented.permute(0, 2, 3, 1).numpy(), SAMPLE_SIDE)
    if context.data.generated is not None:
        some = np.arange(min(SAMPLES, len(context.data.generated)))
        samples["generated"] = _small(context.data.generated.pool, some, True, side=SAMPLE_SIDE)
    lost = np.flatnonzero(uncovered)
    random = np.random.default_rng([context.seed, 6])
    shown = np.sort(random.choice(lost, min(GALLERY, len(lost)), replace=False))
    target = context.data.target
    return Pictures(samples, _small(target.pool, shown, True, side=SAMPLE_SIDE), [target.ids[row] for row in shown])


def _small(pool: Pool, rows: NDArray[np.int64], images: bool, *, side: int = THUMBNAIL) -> NDArray[np.uint8]:
    if not images:
        return np.zeros((len(rows), 1, 1, 3), np.uint8)
    return shrink(np.asarray(pool.images[rows]), side)


def project(
    points: Points,
    cloud: NDArray[np.str_],
    *,
    scales: Points,
    names: Sequence[str] = ("PCA", "t-SNE", "UMAP"),
    seed: int,
    jobs: int = 1,
    progress: Progress = SILENT,
) -> tuple[list[Projection], list[str]]:
    """Map the points with PCA, t-SNE and UMAP.

    Args:
        points: float32 (P, d) in the reference space.
        cloud: (P,) name of each point's cloud; "train" and "target" must be among them.
        scales: float32 (d,), undo the whitening, because principal components of whitened points mean nothing.
        names: which maps, in any order.
        seed: seed of the maps.
        jobs: threads of t-SNE.
        progress: called with the name of the map that is drawn.

    Returns:
        the projections, and notes on maps that could not be made. Time is about linear in P.
    """
    projections, notes = [], []
    methods: dict[str, Callable[[], NDArray[np.floating]]] = {
        "PCA": lambda: _pca(points * scales),
        "t-SNE": lambda: _tsne(points, seed, jobs),
        "UMAP": lambda: _umap(points, seed),
    }
    for name, method in methods.items():
        if name not in names:
            continue
        progress(0, 0, f"drawing the {name} map")
        try:
            xy = method().astype(np.float32)
        except MissingExtraError as error:
            notes.append(f"No {name} map: {error}")
            continue
        projections.append(Projection(_judge(name, points, xy, cloud, seed), xy))
    return projections, notes


def _pca(points: Points) -> NDArray[np.floating]:
    fitted: NDArray[np.floating] = PCA(n_components=2, svd_solver="full").fit_transform(points)
    return fitted


def _tsne(points: Points, seed: int, jobs: int) -> NDArray[np.floating]:
    tsne = require("openTSNE", extra="maps")
    perplexity = min(30.0, (len(points) - 1) / 3)
    order, distances = _neighbours(points, int(3 * perplexity))
    affinities = tsne.affinity.PerplexityBasedNN(
        perplexity=perplexity,
        knn_index=tsne.nearest_neighbors.PrecomputedNeighbors(order, distances),
        n_jobs=jobs,
    )
    # Coarser cells and 500 iterations instead of 750: less than half the time, and maps that are as trustworthy.
    fitted = tsne.TSNE(theta=0.8, early_exaggeration_iter=125, n_iter=375, random_state=seed, n_jobs=jobs).fit(
        affinities=affinities, initialization=tsne.initialization.pca(points, random_state=seed)
    )
    return np.asarray(fitted)


def _umap(points: Points, seed: int) -> NDArray[np.floating]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # umap warns that a seed means a single thread, which is intended
        umap = require("umap", extra="maps")
        # Each point is the first of its own neighbours. Without these neighbours umap calls Python for each pair.
        order, distances = _neighbours(points, min(15, len(points) - 1) - 1)
        order = np.column_stack([np.arange(len(points)), order])
        distances = np.column_stack([np.zeros(len(points), np.float32), distances])
        threads = torch.get_num_threads()
        try:
            fitted = umap.UMAP(
                n_neighbors=order.shape[1],
                precomputed_knn=(order, distances),
                random_state=seed,
                init="pca",
                n_jobs=1,
            ).fit_transform(points)
        finally:
            torch.set_num_threads(threads)  # numba changes the number of threads of the whole process
    return np.asarray(fitted)


def _neighbours(points: Points, count: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The nearest other points of each point, int64 (P, count), and their distances, float32 (P, count)."""
    order, squared = nearest_neighbours(np.ascontiguousarray(points), None, count)
    return order, np.sqrt(squared)


def _judge(name: str, points: Points, xy: Points, cloud: NDArray[np.str_], seed: int) -> ProjectionInfo:
    """Trustworthiness (Venna and Kaski 2001, as in scikit-learn, k = 5), and agreement of coverage in 2-D."""
    random = np.random.default_rng([seed, 4])
    some = np.sort(random.choice(len(points), min(JUDGED, len(points)), replace=False))
    trust = float(trustworthiness(points[some], xy[some], n_neighbors=NEIGHBOURS))
    inside = _covered(points, cloud)
    agreement = balanced_agreement(inside, _covered(xy, cloud))
    warning = None
    if agreement < TRUSTED:
        share = float(_covered(xy, cloud).mean())
        warning = (
            f"Do not read coverage from this {name} map: it shows {percent(share)} of the target covered by clean "
            f"training, while in feature space {percent(inside.mean())} is covered, and they agree on which points in "
            f"only {percent(agreement)} of cases (50 % is chance)."
        )
    return ProjectionInfo(name=name, trustworthiness=trust, agreement=agreement, warning=warning)


def balanced_agreement(truth: NDArray[np.bool_], shown: NDArray[np.bool_]) -> float:
    """Mean of the agreement on covered points and on uncovered points; if all points are of one kind, its agreement."""
    shares = [float((shown[truth == kind] == kind).mean()) for kind in (True, False) if (truth == kind).any()]
    return float(np.mean(shares))


def _covered(points: Points, cloud: NDArray[np.str_]) -> NDArray[np.bool_]:
    train = np.ascontiguousarray(points[cloud == "train"])[:, None]
    target = make_target(np.ascontiguousarray(points[cloud == "target"]))
    return measure_coverage(target, train, np.zeros(len(train), np.int64)).covered


def shrink(images: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Resize uint8 (n, S, S, 3), RGB, to (n, side, side, 3): antialiased when shrunk, not blurred when enlarged."""
    if not len(images):
        return np.empty((0, side, side, 3), np.uint8)
    pixels = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float()
    larger = side > pixels.shape[-1]
    sized = torch.nn.functional.interpolate(
        pixels,
        size=(side, side),
        **({"mode": "nearest"} if larger else {"mode": "bilinear", "antialias": True}),
    )
    return sized.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
