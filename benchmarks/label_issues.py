"""Planted wrong labels: area under precision and recall against cleanlab's rankings of the same probabilities.

`python -m benchmarks.label_issues`. PACS photographs, SqueezeNet's features at 128 px, a head out of fold; 5 % and 20 %
of the labels wrong, at random or between the two classes most alike; ten seeds each. The order was settled
on scikit-learn's digits and on drawings, after a first one had lost on these photographs between similar classes. Skips cleanlab where it is not installed.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from benchmarks.common import keep, option, shared, squeezenet
from eyeshot.auditing.confident import confident
from eyeshot.auditing.head_features import model_features
from eyeshot.auditing.out_of_fold import fold_probabilities
from eyeshot.images import ImageTable, copy_groups, read_images
from eyeshot.models import load_backbone

SEEDS = 10
RATES = (0.05, 0.20)
CLEANLAB = ("self_confidence", "normalized_margin", "confidence_weighted_entropy")
Labels = NDArray[np.int64]


def plant(labels: Labels, rate: float, alike: Labels | None, random: np.random.Generator) -> Labels:
    """A share of the labels made wrong: any other class, or the one most alike."""
    wrong = labels.copy()
    chosen = random.permutation(len(labels))[: round(rate * len(labels))]
    count = int(labels.max()) + 1
    other = (labels[chosen] + random.integers(1, count, len(chosen))) % count
    wrong[chosen] = other if alike is None else alike[labels[chosen]]
    return wrong


def with_labels(table: ImageTable, labels: Labels) -> ImageTable:
    """The same images under other labels."""
    import dataclasses

    import polars as pl

    names = [table.classes[number] for number in labels]
    return dataclasses.replace(table, frame=table.frame.with_columns(pl.Series("label", names)))


if __name__ == "__main__":
    folder = Path(option("--out") or tempfile.mkdtemp())
    data = shared()
    table = read_images(data / "data" / "pacs" / "photo", cache=folder)
    options = squeezenet(data) | {"size": 128}
    backbone = load_backbone(**options)
    rows, features = model_features(
        table, np.arange(len(table)), backbone, cache=folder, device="cpu",
        report=lambda done, total: print(f"features {done}/{total}", file=sys.stderr),
    )  # fmt: skip
    table = table.take(rows)
    truth, groups = table.labels, copy_groups(table)
    judged, clean = fold_probabilities(table, features, groups, seed=0)
    taken = np.zeros((len(table.classes),) * 2)
    np.add.at(taken, truth[judged], clean)
    np.fill_diagonal(taken, 0)
    nearest = taken.argmax(axis=1)
    try:
        from cleanlab.rank import get_label_quality_scores
    except ImportError:
        get_label_quality_scores = None
        print("cleanlab is not installed: its rankings are left out", file=sys.stderr)
    result = {}
    for kind, alike in (("symmetric", None), ("between similar classes", nearest)):
        for rate in RATES:
            areas: dict[str, list[float]] = {}
            listed, found = [], []
            for seed in range(SEEDS):
                labels = plant(truth, rate, alike, np.random.default_rng([seed, round(100 * rate)]))
                judged, chances = fold_probabilities(with_labels(table, labels), features, groups, seed=seed)
                own, wrong = labels[judged], (labels != truth)[judged]
                said = confident(own, chances)
                areas.setdefault("eyeshot", []).append(float(average_precision_score(wrong, -said.quality)))
                order = said.order(own)
                listed.append(float(wrong[order].mean()))
                found.append(float(wrong[order].sum() / wrong.sum()))
                for method in CLEANLAB if get_label_quality_scores is not None else ():
                    quality = get_label_quality_scores(own, chances, method=method)
                    areas.setdefault(f"cleanlab {method}", []).append(float(average_precision_score(wrong, -quality)))
                print(kind, rate, seed, {name: round(values[-1], 3) for name, values in areas.items()}, file=sys.stderr)
            ours = np.array(areas["eyeshot"])
            result[f"{kind}, {rate:.0%}"] = {
                "area": {name: round(float(np.mean(values)), 4) for name, values in areas.items()},
                "ours_less": {
                    name: {
                        "mean": round(float((ours - values).mean()), 4),
                        "half_95": round(float(2.262 * (ours - values).std(ddof=1) / np.sqrt(SEEDS)), 4),
                    }
                    for name, values in areas.items()
                    if name != "eyeshot"
                },
                "precision_of_the_list": round(float(np.mean(listed)), 4),
                "recall_of_the_list": round(float(np.mean(found)), 4),
            }
    keep("label_issues", {"images": len(table), "seeds": SEEDS, "noise": result})
