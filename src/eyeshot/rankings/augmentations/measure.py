"""Features of every candidate's cloud, and all its scores."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from eyeshot.augment import Augmentation, augmentation
from eyeshot.models import FeatureBank, fit_head
from eyeshot.rankings.augmentations.clouds import CloudCover, Target, cover_by_cloud, make_target
from eyeshot.rankings.augmentations.data import Data, Part
from eyeshot.rankings.augmentations.kept_labels import (
    CleanHead,
    KeptLabels,
    by_class,
    classes_of,
    measure_kept_labels,
    one_hot,
)
from eyeshot.rankings.augmentations.reference_space import ReferenceSpace

GENERATED = "generated"


def draws_of(steps: tuple[Augmentation, ...], draws: int) -> int:
    """Draws of views; one where every view would be the same."""
    *before, last = steps
    alike = last.deterministic and all(one.deterministic and one.probability >= 1 for one in before)
    return 1 if alike else draws


@dataclass(frozen=True, eq=False)
class Measured:
    """One candidate, measured.

    Attributes:
        name, family: of the candidate.
        augmentation: None for generated images.
        cover: of the target by its cloud.
        yardstick: the same by a no-op with as many draws.
        kept: its labels.
        mixes: whether labels are mixed, so that no neighbour has one class.
        views, draws, left_out: how many views there are, in how many draws, and how many failed.
        points: float32 (n, V, d), its views in the reference space.
        present: bool (n, V)
    """

    name: str
    family: str
    augmentation: Augmentation | None
    cover: CloudCover
    yardstick: CloudCover
    kept: KeptLabels
    mixes: bool
    views: int
    draws: int
    left_out: int
    points: NDArray[np.float32]
    present: NDArray[np.bool_]


@dataclass(eq=False)
class Bench:
    """All that candidates are measured with: the same for every one of them."""

    bank: FeatureBank
    space: ReferenceSpace
    data: Data
    target: Target
    clean: NDArray[np.float32]
    """float32 (n, d), the sources in the reference space."""
    head: CleanHead
    seed: int
    draws: int
    base: tuple[Augmentation, ...] = ()
    """What goes before every candidate and before the no-op."""
    score_s: float = 0.0
    _no_op: dict[int, CloudCover] = field(default_factory=dict)

    @cached_property
    def held_out_covered(self) -> NDArray[np.bool_]:
        """bool (n_val,), which held-out images clean training covers."""
        return cover_by_cloud(make_target(self.head.held_out), self.clean[:, None], self.labels).covered

    @property
    def sources(self) -> Part:
        """The images that views are made of."""
        return self.data.sources

    @property
    def labels(self) -> NDArray[np.int64]:
        """int64 (n,), of the sources."""
        return self.sources.labels


def measure(bench: Bench, candidate: Augmentation) -> Measured:
    """All scores of one candidate."""
    draws = draws_of((*bench.base, candidate), bench.draws)
    points, present, soft = views_of(bench, candidate, draws)
    cover = cover_by_views(bench, points, present)
    kept = _kept(bench, candidate, points, present, soft)
    return Measured(
        name=candidate.name,
        family=candidate.family,
        augmentation=candidate,
        cover=cover,
        yardstick=yardstick(bench, draws),
        kept=kept,
        mixes=candidate.mixes,
        views=int(present.sum()),
        draws=draws,
        left_out=int((~present).sum()),
        points=points,
        present=present,
    )


def yardstick(bench: Bench, draws: int) -> CloudCover:
    """Cover by the no-op with so many draws: what more views bring by chance alone."""
    if draws not in bench._no_op:
        points, present, _ = views_of(bench, augmentation("no-op"), draws)
        bench._no_op[draws] = cover_by_views(bench, points, present)
    return bench._no_op[draws]


def cover_by_views(bench: Bench, points: NDArray[np.float32], present: NDArray[np.bool_]) -> CloudCover:
    """Cover by the clean sources and views of them: `points` (n, V, d), of which `present` (n, V) count."""
    begin = time.perf_counter()
    cloud = np.concatenate([bench.clean[:, None], points], axis=1)
    everywhere = np.concatenate([np.ones((len(points), 1), bool), present], axis=1)
    cover = cover_by_cloud(bench.target, cloud, bench.labels, present=everywhere)
    bench.score_s += time.perf_counter() - begin
    return cover


def measure_generated(bench: Bench, generated: Part) -> Measured:
    """Made images as one more candidate: each is an image of its own in the cloud."""
    features = bench.bank.clean(generated.pool, np.arange(len(generated)))
    begin = time.perf_counter()
    points = bench.space.transform(features)
    cloud = np.concatenate([bench.clean, points])[:, None]
    labels = np.concatenate([bench.labels, generated.labels])
    halves = bench.target.halves
    more = None if halves is None else halves.with_more_sources(len(points), seed=bench.seed)
    cover = cover_by_cloud(bench.target, cloud, labels, halves=more)
    odd = np.arange(len(points)) % 2 == 1
    kept = measure_kept_labels(
        bench.head,
        points,
        generated.labels,
        owners=np.full(len(points), -1),
        held_out_views=points[odd],
        held_out_view_features=features[odd].astype(np.float32),
        held_out_view_labels=generated.labels[odd],
    )
    kept = _relearn_apart(kept, points, generated.labels, odd, bench.head.class_count)
    bench.score_s += time.perf_counter() - begin
    draws = int(np.clip(round(len(points) / len(bench.sources)), 1, bench.draws))
    return Measured(
        name=GENERATED,
        family="generated",
        augmentation=None,
        cover=cover,
        yardstick=yardstick(bench, draws),
        kept=kept,
        mixes=False,
        views=len(points),
        draws=draws,
        left_out=0,
        points=points[:, None],
        present=np.ones((len(points), 1), bool),
    )


def _relearn_apart(
    kept: KeptLabels,
    points: NDArray[np.float32],
    labels: NDArray[np.int64],
    odd: NDArray[np.bool_],
    class_count: int,
) -> KeptLabels:
    """There are no generated held-out images: learn from every other one and judge the rest."""
    if len(np.unique(labels[~odd])) < 2:
        return replace(kept, relearnability=None, relearned=0)
    said = classes_of(fit_head(points[~odd], labels[~odd], class_count=class_count), points[odd])
    right = said == labels[odd]
    return replace(
        kept,
        relearnability=float(right.mean()),
        relearnability_by_class=by_class(right, labels[odd], class_count),
        relearn_predicted=said,
    )


def views_of(
    bench: Bench, candidate: Augmentation, draws: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.float32] | None]:
    """Views in the reference space (n, V, d), which succeeded (n, V), and mixed labels (n, V, C) if any."""
    sources, count = bench.sources, len(bench.sources)
    points, present, soft = [], [], []
    for draw in range(draws):
        features, success, partners, weights = bench.bank.views(
            (*bench.base, candidate), sources.pool, np.arange(count), seed=bench.seed, draw=draw
        )
        points.append(bench.space.transform(features))
        present.append(success)
        if candidate.mixes:
            soft.append(mixed_labels(sources.labels, partners, weights, bench.head.class_count))
    return (
        np.stack(points, axis=1).reshape(count, draws, -1),
        np.stack(present, axis=1),
        np.stack(soft, axis=1) if soft else None,
    )


def mixed_labels(
    labels: NDArray[np.int64], partners: NDArray[np.int64], weights: NDArray[np.float32], class_count: int
) -> NDArray[np.float32]:
    """Label shares of mixtures: float32 (n, C), rows sum to 1."""
    hot = one_hot(labels, class_count)
    mixed: NDArray[np.float32] = np.einsum("np,npc->nc", weights, hot[partners]).astype(np.float32)
    return mixed


def _kept(
    bench: Bench,
    candidate: Augmentation,
    points: NDArray[np.float32],
    present: NDArray[np.bool_],
    soft: NDArray[np.float32] | None,
) -> KeptLabels:
    val = bench.data.val
    features, success, partners, weights = bench.bank.views(
        (*bench.base, candidate), val.pool, np.arange(len(val)), seed=bench.seed, draw=0
    )
    begin = time.perf_counter()
    view_labels: NDArray[np.generic]
    if soft is None:
        view_labels = np.broadcast_to(bench.labels[:, None], present.shape)[present]
        val_labels = val.labels
    else:
        view_labels = soft[present]
        mixed = mixed_labels(val.labels, partners, weights, bench.head.class_count)
        val_labels = mixed.argmax(axis=1).astype(np.int64)
    owners = np.broadcast_to(np.arange(len(points))[:, None], present.shape)[present]
    seen = points[present]
    if len(seen) == 0:  # the operation failed everywhere: clean is all that is left
        seen, view_labels, owners = bench.clean, bench.labels, np.arange(len(points))
    kept = measure_kept_labels(
        bench.head,
        seen,
        view_labels,
        owners=owners,
        held_out_views=bench.space.transform(features)[success],
        held_out_view_features=features[success].astype(np.float32),
        held_out_view_labels=val_labels[success],
    )
    bench.score_s += time.perf_counter() - begin
    return kept
