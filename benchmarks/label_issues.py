"""Planted wrong labels: how well they are ranked, against cleanlab's rankings of the same probabilities.

PACS photographs and digits, features of SqueezeNet at 128 px. 5 and 20 % of the labels are replaced: by any other class
(symmetric), or by the class that a head on the right labels confuses each class with most often (similar). Each of
`--seeds` has another choice of images and other folds. The score is the average precision over all images. cleanlab
(Apache-2.0 since 2.9) ranks by self-confidence (its default), normalised margin and confidence-weighted entropy. It
gets the probabilities of the same head; the mean of these and the neighbours' vote, which is what eyeshot ranks; and
those of a head with the usual penalty of 1 (scikit-learn's default). eyeshot gets the probabilities of either head
alone too, as it ranks the user's own. Also measured: the precision of the findings of `eyeshot audit`, and drawings
planted among photographs as outliers. Choices (the vote, its 20 images, square roots of features, when to rank by odds)
were made on seeds 100 to 105.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from numpy.typing import NDArray
from PIL import Image
from sklearn.metrics import average_precision_score

from benchmarks.common import keep, shared, squeezenet
from eyeshot.auditing.label_issues import contradicted, directions, issue_score, neighbours_vote, rank_label_issues
from eyeshot.auditing.model_checks import FAR, distances_within_classes
from eyeshot.augment import Pool
from eyeshot.data import ImageTable, PixelStore, find_groups, read_images
from eyeshot.data.digits import large_digits
from eyeshot.models import Backbone, FeatureBank, fit_head, load_backbone, out_of_fold

METHODS = ("self_confidence", "normalized_margin", "confidence_weighted_entropy")
COMPARED = METHODS[:2]
SHARES = (0.05, 0.2)
TOP = 50
DRAWINGS = 17  # 1 % of the photographs
BOOTSTRAPS = 10_000
Rows = NDArray[np.int64]


def write_digits(folder: Path) -> Path:
    for number, (image, label) in enumerate(zip(*large_digits(), strict=True)):
        place = folder / str(label) / f"{number:04d}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place)
    return folder


def features_of(table: ImageTable, backbone: Backbone, cache: Path) -> NDArray[np.float32]:
    pixels = PixelStore(cache, backbone.geometry).load(table, np.arange(len(table)))
    found = FeatureBank(cache, backbone).clean(Pool(pixels.images, pixels.keys), np.arange(len(pixels)))
    return np.asarray(found, np.float32)


def relabelled(table: ImageTable, labels: Rows) -> ImageTable:
    names = pl.Series("label", [table.classes[label] for label in labels])
    return replace(table, frame=table.frame.with_columns(names))


def plant(truth: Rows, share: float, taken_for: Rows | None, random: np.random.Generator) -> tuple[Rows, Rows]:
    """Labels of which some are wrong, and which these are."""
    count = int(truth.max()) + 1
    rows = random.choice(len(truth), round(share * len(truth)), replace=False)
    given = truth.copy()
    moved = (truth[rows] + random.integers(1, count, len(rows))) % count
    given[rows] = moved if taken_for is None else taken_for[truth[rows]]
    return given, rows


def usual_head(features: NDArray[np.float32], given: Rows, count: int, seed: int) -> NDArray[np.float32]:
    fold = np.random.default_rng(seed).permutation(len(given)) % 5
    found = np.zeros((len(given), count), np.float32)
    for number in range(5):
        held = fold == number
        found[held] = fit_head(features[~held], given[~held], class_count=count, tolerance=1e-3).predict_proba(
            features[held]
        )
    return found


def cleanlab_scores(given: Rows, probabilities: NDArray[np.floating], method: str) -> NDArray[np.float64]:
    # Its entropy would take logarithms of zero.
    safe = np.maximum(np.asarray(probabilities, np.float64), 1e-12)
    return 1 - np.asarray(get_label_quality_scores(given, safe / safe.sum(axis=1, keepdims=True), method=method))


def interval(values: list[float]) -> list[float]:
    """95 % interval of the mean over seeds, by bootstrap."""
    random = np.random.default_rng(0)
    drawn = np.asarray(values)[random.integers(0, len(values), (BOOTSTRAPS, len(values)))].mean(axis=1)
    return [round(float(value), 4) for value in np.quantile(drawn, (0.025, 0.975))]


def one_seed(
    table: ImageTable, features: NDArray[np.float32], groups: Rows, share: float, taken_for: Rows | None, seed: int
) -> dict[str, float]:
    given, rows = plant(table.labels, share, taken_for, np.random.default_rng([seed, int(1000 * share)]))
    wrong = np.zeros(len(given), bool)
    wrong[rows] = True
    head, judged, penalty = out_of_fold(relabelled(table, given), features, groups, seed=seed)
    assert judged.all()
    votes = neighbours_vote(directions(features), given, groups, len(table.classes))
    mixed = ((head + votes) / 2).astype(np.float32)
    usual = usual_head(features, given, len(table.classes), seed)
    made = {
        "ours": float(average_precision_score(wrong, issue_score(mixed, given)[0])),
        # As with the user's own probabilities and no model.
        "ours, head alone": float(average_precision_score(wrong, issue_score(head, given)[0])),
        "ours, usual head alone": float(average_precision_score(wrong, issue_score(usual, given)[0])),
    }
    for name, probabilities in (("head", head), ("mean", mixed), ("usual head", usual)):
        for method in METHODS:
            scores = cleanlab_scores(given, probabilities, method)
            made[f"cleanlab, {name}, {method}"] = float(average_precision_score(wrong, scores))
    suspects = rank_label_issues(mixed, given)
    theirs = np.flatnonzero(find_label_issues(given, mixed, filter_by="confident_learning", n_jobs=1))
    made |= {
        "penalty": penalty,
        "findings": len(suspects),
        "precision": float(wrong[suspects.rows].mean()),
        "recall": float(wrong[suspects.rows].sum() / wrong.sum()),
        f"precision of the first {TOP}": float(wrong[suspects.rows[:TOP]].mean()),
        "right class proposed, of those": float(
            (suspects.proposed == table.labels[suspects.rows])[wrong[suspects.rows]].mean()
        ),
        "confident learning alone, precision": float(wrong[theirs].mean()),
        "confident learning alone, recall": float(wrong[theirs].sum() / wrong.sum()),
        "cleanlab's confident learning finds the same": float(
            bool((np.flatnonzero(contradicted(mixed, given)) == theirs).all())
        ),
    }
    return made


def labels_of(name: str, table: ImageTable, features: NDArray[np.float32], groups: Rows, seeds: int) -> dict[str, Any]:
    clean = out_of_fold(table, features, groups, seed=999)[0].astype(np.float64)
    confusion = np.zeros((len(table.classes),) * 2)
    np.add.at(confusion, table.labels, clean)
    np.fill_diagonal(confusion, 0)
    made: dict[str, Any] = {}
    for kind, taken_for in (("symmetric", None), ("similar", confusion.argmax(axis=1))):
        for share in SHARES:
            each = [one_seed(table, features, groups, share, taken_for, seed) for seed in range(seeds)]
            mean = {key: round(float(np.mean([of_seed[key] for of_seed in each])), 4) for key in each[0]}
            gains = {}
            for own, probabilities in (
                ("ours", "head"), ("ours", "mean"), ("ours", "usual head"),
                ("ours, head alone", "head"), ("ours, usual head alone", "usual head"),
            ):  # fmt: skip
                keys = [f"cleanlab, {probabilities}, {method}" for method in COMPARED]
                best = max(keys, key=lambda key: mean[key])
                gap = [of_seed[own] - of_seed[best] for of_seed in each]
                gains[f"{own} over {best}"] = {"mean": round(float(np.mean(gap)), 4), "interval": interval(gap)}
            made[f"{kind} {100 * share:.0f} %"] = {
                "images": len(table),
                "seeds": seeds,
                "mean": mean,
                "gain_over_the_better_of_self_confidence_and_margin": gains,
                "each": [{key: round(value, 4) for key, value in of_seed.items()} for of_seed in each],
            }
            print(name, kind, share, mean, gains, flush=True)
    return made


def outliers_of(
    photos: ImageTable, features: NDArray[np.float32], drawings: NDArray[np.float32], classes: Rows, seeds: int
) -> dict[str, Any]:
    """Drawings of a class among its photographs: how high they rank."""
    each = []
    for seed in range(seeds):
        some = np.random.default_rng([seed, 2]).choice(len(drawings), DRAWINGS, replace=False)
        vectors = directions(np.concatenate([features, drawings[some]]))
        labels = np.concatenate([photos.labels, classes[some]])
        in_class, _, _, scores = distances_within_classes(vectors, labels, np.arange(len(labels)))
        planted = in_class >= len(photos)
        found = scores >= FAR
        each.append({
            "average precision": float(average_precision_score(planted, scores)),
            "findings": float(found.sum()),
            "recall": float(planted[found].sum() / DRAWINGS),
            "planted among the findings": float(planted[found].mean()),
        })  # fmt: skip
    return {
        "planted": DRAWINGS,
        "images": len(photos),
        "seeds": seeds,
        "mean": {key: round(float(np.mean([of_seed[key] for of_seed in each])), 4) for key in each[0]},
        "intervals": {key: interval([of_seed[key] for of_seed in each]) for key in each[0]},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args()
    root = shared()
    settings = squeezenet(root)
    backbone = load_backbone(settings.pop("model"), size=128, **settings)
    with tempfile.TemporaryDirectory() as temporary:
        cache = Path(temporary) / "cache"
        photos = read_images(root / "data" / "pacs" / "photo", cache=cache)
        sketches = read_images(root / "data" / "pacs" / "sketch", cache=cache).with_classes(photos.classes)
        sketches = sketches.take(np.random.default_rng(3).choice(len(sketches), 400, replace=False))
        result: dict[str, Any] = {}
        tables = {"photographs": photos, "digits": read_images(write_digits(Path(temporary) / "digits"), cache=cache)}
        for name, table in tables.items():
            features = features_of(table, backbone, cache)
            groups, _ = find_groups(table, cache=cache)
            result[name] = labels_of(name, table, features, groups, options.seeds)
            if name == "photographs":
                drawings = features_of(sketches, backbone, cache)
                result["drawings among photographs"] = outliers_of(
                    photos, features, drawings, sketches.labels, options.seeds
                )
                print(result["drawings among photographs"], flush=True)
    keep("label_issues", result)


if __name__ == "__main__":
    main()
