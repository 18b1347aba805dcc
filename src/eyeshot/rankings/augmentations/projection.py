"""One joint map of all clouds in two dimensions: a picture, with how far it can be trusted.

Fitted on clean training, target, validation and the mapped candidates together; never one map per cloud, and no
point is put into a map that was fitted without it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness

from eyeshot.core import SILENT, MissingExtraError, Progress, percent, require
from eyeshot.rankings.augmentations.clouds import NEIGHBOURS, cover_by_cloud, make_target
from eyeshot.rankings.augmentations.report import ProjectionInfo
from eyeshot.rankings.augmentations.result import Projection

TRUSTED = 0.8
JUDGED = 2000  # points that trustworthiness is judged on; it needs all pairs of them

Points = NDArray[np.float32]


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
        scales: float32 (d,), undo the whitening: the principal components of whitened points mean nothing.
        names: which maps, in any order.
        seed: of the maps.
        jobs: threads of t-SNE.
        progress: told which map is drawn.

    Returns:
        the projections, and notes on those that could not be made. Time about linear in P.
    """
    found, notes = [], []
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
        found.append(Projection(_judge(name, points, xy, cloud, seed), xy))
    return found, notes


def _pca(points: Points) -> NDArray[np.floating]:
    fitted: NDArray[np.floating] = PCA(n_components=2, svd_solver="full").fit_transform(points)
    return fitted


def _tsne(points: Points, seed: int, jobs: int) -> NDArray[np.floating]:
    tsne = require("openTSNE", extra="maps")
    perplexity = min(30.0, (len(points) - 1) / 3)
    fitted = tsne.TSNE(perplexity=perplexity, random_state=seed, n_jobs=jobs, initialization="pca").fit(points)
    return np.asarray(fitted)


def _umap(points: Points, seed: int) -> NDArray[np.floating]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns that a seed means one thread, which is what we want
        umap = require("umap", extra="maps")
        neighbours = min(15, len(points) - 1)
        threads = torch.get_num_threads()
        try:
            fitted = umap.UMAP(n_neighbors=neighbours, random_state=seed, init="pca", n_jobs=1).fit_transform(points)
        finally:
            torch.set_num_threads(threads)  # numba sets those of the whole process
    return np.asarray(fitted)


def _judge(name: str, points: Points, xy: Points, cloud: NDArray[np.str_], seed: int) -> ProjectionInfo:
    """Trustworthiness (Venna and Kaski 2001, as in scikit-learn, k = 5), and agreement of cover in 2-D."""
    random = np.random.default_rng([seed, 4])
    some = np.sort(random.choice(len(points), min(JUDGED, len(points)), replace=False))
    trust = float(trustworthiness(points[some], xy[some], n_neighbors=NEIGHBOURS))
    inside = _covered(points, cloud)
    agreement = balanced_agreement(inside, _covered(xy, cloud))
    warning = None
    if agreement < TRUSTED:
        share = float(_covered(xy, cloud).mean())
        warning = (
            f"Do not read cover from this {name} map: it shows {percent(share)} of the target covered by clean "
            f"training, in feature space it is {percent(inside.mean())}, and they agree on which in only "
            f"{percent(agreement)} of cases (50 % is chance)."
        )
    return ProjectionInfo(name=name, trustworthiness=trust, agreement=agreement, warning=warning)


def balanced_agreement(truth: NDArray[np.bool_], shown: NDArray[np.bool_]) -> float:
    """Mean over covered and not covered points of the share on which both agree; of one kind where only one is."""
    shares = [float((shown[truth == kind] == kind).mean()) for kind in (True, False) if (truth == kind).any()]
    return float(np.mean(shares))


def _covered(points: Points, cloud: NDArray[np.str_]) -> NDArray[np.bool_]:
    train = np.ascontiguousarray(points[cloud == "train"])[:, None]
    target = make_target(np.ascontiguousarray(points[cloud == "target"]))
    return cover_by_cloud(target, train, np.zeros(len(train), np.int64)).covered
