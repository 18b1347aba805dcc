"""Are the labels still right after an augmentation? Affinity, relearnability, retention; label-breaking candidates.

Affinity: Gontijo-Lopes et al., "Tradeoffs in data augmentation: an empirical study", ICLR 2021, section 3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from eyeshot.core import percent, wilson
from eyeshot.models import Head, fit_head
from eyeshot.rankings.augmentations.report import Candidate, MixedClasses

FALL = 0.10
SIGNIFICANCE = 0.05
RARE = 10  # judged images; classes with fewer are pooled
FOLDS = 3
LEAST_HARM = 0.05
LEAST_COVERED = 10  # newly covered target images that are needed to name classes
HELPED_SHARE = 0.2
CONFUSED_SHARE = 0.1


@dataclass(frozen=True, eq=False)
class CleanProbe:
    """A linear probe on clean sources, and its predictions; label preservation is measured against it.

    Attributes:
        sources: float32 (n, d) clean source images in the reference space.
        labels: int64 (n,), classes of the sources.
        held_out: float32 (n_val, d), held-out images.
        held_out_labels: int64 (n_val,), their classes.
        class_count: C
        predicted: int64 (n_val,), classes that the head predicts for the held-out images.
        probabilities: float32 (n_val, C), the head's probabilities for the held-out images.
        judged_labels: int64 (n_val + n,), classes of the images that retention is judged on: the held-out images and,
            because they are few, the sources, each predicted by a head that was fitted without it (3 folds).
        judged_predicted: int64 (n_val + n,), predictions of the heads fitted on clean images for these images.
        predict_features: features in the model's own space (n, D) -> class numbers, by the clean model.
        clean_model_accuracy: accuracy of the clean model on the held-out images.
    """

    sources: NDArray[np.float32]
    labels: NDArray[np.int64]
    held_out: NDArray[np.float32]
    held_out_labels: NDArray[np.int64]
    class_count: int
    predicted: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    judged_labels: NDArray[np.int64]
    judged_predicted: NDArray[np.int64]
    predict_features: Callable[[NDArray[np.floating]], NDArray[np.int64]]
    clean_model_accuracy: float

    @property
    def correct(self) -> NDArray[np.bool_]:
        """bool (n_val,)"""
        right: NDArray[np.bool_] = self.predicted == self.held_out_labels
        return right

    @property
    def accuracy(self) -> float:
        """Share of held-out images that the head classifies correctly."""
        return float(self.correct.mean())

    @property
    def majority(self) -> float:
        """Share of the largest class among the held-out images."""
        return float(np.bincount(self.held_out_labels).max() / len(self.held_out_labels))

    @property
    def at_chance(self) -> bool:
        """Whether the probe predicts the judged images no better than a guess with the same class frequencies.

        The agreement expected by chance is that of Cohen's kappa (Educational and Psychological Measurement 20 (1960),
        p. 37), so a probe that always predicts the largest class is at chance. Binomial test, 5 %.
        """
        count = len(self.judged_labels)
        true, predicted = (
            np.bincount(classes, minlength=self.class_count) / count
            for classes in (self.judged_labels, self.judged_predicted)
        )
        right = int((self.judged_labels == self.judged_predicted).sum())
        return bool(binom.sf(right - 1, count, float(true @ predicted)) > SIGNIFICANCE)


@dataclass(frozen=True, eq=False)
class LabelPreservation:
    """Scores of a candidate; values by class are NaN for a class without held-out images.

    Attributes:
        affinity, relearnability, retention: overall.
        affinity_by_class, relearnability_by_class, retention_by_class: float64 (C,)
        relearned: number of held-out samples that were judged, for the interval.
        probabilities_after: float32 (n_val, C), for clean held-out images, by a head that saw clean images and samples.
        predicted_after: int64 (n_val + n,), predictions for the judged clean images by heads that saw the samples.
        relearn_true, relearn_predicted: classes of the judged held-out samples, and the head's predictions.
    """

    affinity: float | None
    relearnability: float | None
    retention: float
    affinity_by_class: NDArray[np.float64]
    relearnability_by_class: NDArray[np.float64]
    retention_by_class: NDArray[np.float64]
    relearned: int
    probabilities_after: NDArray[np.float32]
    predicted_after: NDArray[np.int64]
    relearn_true: NDArray[np.int64]
    relearn_predicted: NDArray[np.int64]


def fit_clean_probe(
    sources: NDArray[np.float32],
    labels: NDArray[np.int64],
    held_out: NDArray[np.float32],
    held_out_labels: NDArray[np.int64],
    *,
    class_count: int,
    clean_model: Callable[[NDArray[np.floating]], NDArray[np.int64]] | None,
    transform: Callable[[NDArray[np.floating]], NDArray[np.float32]],
    held_out_features: NDArray[np.floating],
) -> CleanProbe:
    """Fit the probe on clean images. Without a `clean_model` the probe is also the clean model."""
    head = fit_head(sources, labels, class_count=class_count)
    predict = clean_model or (lambda features: head.predict(transform(features)))
    model_accuracy = float((predict(held_out_features) == held_out_labels).mean())
    probabilities = head.predict_proba(held_out)
    predicted = probabilities.argmax(axis=1).astype(np.int64)
    crossed = np.empty(len(sources), np.int64)
    for fold in folds_of(len(sources)):
        crossed[fold] = fit_head(sources[~fold], labels[~fold], class_count=class_count).predict(sources[fold])
    return CleanProbe(
        sources=sources,
        labels=labels,
        held_out=held_out,
        held_out_labels=held_out_labels,
        class_count=class_count,
        predicted=predicted,
        probabilities=probabilities,
        judged_labels=np.concatenate([held_out_labels, labels]),
        judged_predicted=np.concatenate([predicted, crossed]),
        predict_features=predict,
        clean_model_accuracy=model_accuracy,
    )


def folds_of(count: int) -> list[NDArray[np.bool_]]:
    """Three folds, each as bool (n,); the sources are in random order, so every third source makes a fold."""
    return [np.arange(count) % FOLDS == fold for fold in range(FOLDS)]


def measure_label_preservation(
    clean: CleanProbe,
    samples: NDArray[np.float32],
    sample_labels: NDArray[np.floating] | NDArray[np.int64],
    *,
    owners: NDArray[np.int64],
    held_out_samples: NDArray[np.float32],
    held_out_sample_features: NDArray[np.floating],
    held_out_sample_labels: NDArray[np.int64],
) -> LabelPreservation:
    """Score a candidate.

    Args:
        clean: the probe on clean images.
        samples: float32 (m, d), all samples of the sources, in the reference space.
        sample_labels: int64 (m,), or float (m, C) if labels are mixed.
        owners: int64 (m,), the source that each sample was made of; -1 for generated images, which have no source.
        held_out_samples: float32 (r, d), samples of held-out images, in the reference space.
        held_out_sample_features: (r, D), the same in the model's own space.
        held_out_sample_labels: int64 (r,); the class of the larger part for mixtures.
    """
    count = clean.class_count
    alone = fit_head(samples, sample_labels, class_count=count)
    soft = one_hot(sample_labels, count)
    everything = np.ones(len(clean.sources), bool)
    probabilities_after = _fit_both(clean, everything, samples, soft).predict_proba(clean.held_out)
    crossed = np.empty(len(clean.sources), np.int64)
    for fold in folds_of(len(clean.sources)):
        kept = (owners < 0) | ~fold[owners]
        crossed[fold] = _fit_both(clean, ~fold, samples[kept], soft[kept]).predict(clean.sources[fold])
    predicted_after = np.concatenate([probabilities_after.argmax(axis=1).astype(np.int64), crossed])
    right_after = predicted_after == clean.judged_labels
    right_before = clean.judged_predicted == clean.judged_labels
    relearn = alone.predict(held_out_samples)
    relearn_right = relearn == held_out_sample_labels
    affine_right = clean.predict_features(held_out_sample_features) == held_out_sample_labels
    before = by_class(right_before, clean.judged_labels, count)
    judged = len(held_out_samples)
    return LabelPreservation(
        affinity=float(affine_right.mean() / clean.clean_model_accuracy)
        if judged and clean.clean_model_accuracy > 0
        else None,
        relearnability=float(relearn_right.mean()) if judged else None,
        retention=float(right_after.mean() - right_before.mean()),
        affinity_by_class=by_class(affine_right, held_out_sample_labels, count),
        relearnability_by_class=by_class(relearn_right, held_out_sample_labels, count),
        retention_by_class=by_class(right_after, clean.judged_labels, count) - before,
        relearned=judged,
        probabilities_after=probabilities_after,
        predicted_after=predicted_after,
        relearn_true=held_out_sample_labels,
        relearn_predicted=relearn,
    )


def _fit_both(
    clean: CleanProbe, chosen: NDArray[np.bool_], samples: NDArray[np.float32], sample_labels: NDArray[np.float32]
) -> Head:
    """A head on clean sources and samples, with equal weights, since training sees both equally often."""
    sources = clean.sources[chosen]
    share = np.concatenate([np.full(len(cloud), 0.5 / max(1, len(cloud))) for cloud in (sources, samples)])
    return fit_head(
        np.concatenate([sources, samples]),
        np.concatenate([one_hot(clean.labels[chosen], clean.class_count), sample_labels]),
        class_count=clean.class_count,
        sample_weights=share * len(share),
        # The ridge of the clean head is used, so samples that change nothing give the same head.
        penalty=len(share) / max(1, len(sources)),
    )


def find_label_breaking(
    clean: CleanProbe, kept: Sequence[LabelPreservation], *, mixing: Sequence[bool]
) -> list[list[str]]:
    """The reasons why each candidate is label-breaking; an empty list for a candidate that is not.

    A reason is a relearnability whose upper bound (Wilson, 95 %) is below the middle between the majority rate and the
    clean accuracy; or a loss of retention of at least 10 points, overall or in a class, if McNemar's exact test is
    below 5 % after Holm's correction over candidates and classes. Low affinity alone is never a reason. Mixtures have
    no single true class, so they are judged by retention only.
    """
    halfway = (clean.majority + clean.accuracy) / 2
    reasons: list[list[str]] = [[] for _ in kept]
    tests: list[tuple[float, int, str, float]] = []
    groups = class_groups(clean.judged_labels)
    for number, scores in enumerate(kept):
        if scores.relearnability is not None and not mixing[number]:
            upper = wilson(round(scores.relearnability * scores.relearned), scores.relearned)[1]
            if upper < halfway:
                reasons[number].append(
                    f"a linear probe trained on its samples classifies {percent(scores.relearnability)} of them right "
                    f"(clean {percent(clean.accuracy)})"
                )
        for name, member in groups.items():
            fall, p_value = fall_of_accuracy(clean, scores, member)
            tests.append((p_value, number, name, fall))
    tests.sort(key=lambda test: test[0])
    for place, (p_value, number, name, fall) in enumerate(tests):
        if p_value * (len(tests) - place) > SIGNIFICANCE:
            break  # Holm: after the first test that fails, all others fail
        if fall >= FALL:
            where = "" if name == "all" else f" in class {name}"
            reasons[number].append(f"training on it costs {100 * fall:.0f} points on clean images{where}")
    return reasons


def fall_of_accuracy(clean: CleanProbe, kept: LabelPreservation, member: NDArray[np.bool_]) -> tuple[float, float]:
    """The loss of accuracy on clean held-out images, and the one-sided p-value of McNemar's exact test."""
    before = (clean.judged_predicted == clean.judged_labels)[member]
    after = (kept.predicted_after == clean.judged_labels)[member]
    lost, won = int((before & ~after).sum()), int((~before & after).sum())
    return (lost - won) / len(before), mcnemar(lost, won)


def mcnemar(more: int, fewer: int) -> float:
    """Exact one-sided p-value of `more` changes in one direction against `fewer` in the other.

    McNemar, Psychometrika 12 (1947), p. 153: of the images whose result changed, half should have become wrong.
    """
    return float(binom.sf(more - 1, more + fewer, 0.5)) if more else 1.0


def class_groups(labels: NDArray[np.int64]) -> dict[str, NDArray[np.bool_]]:
    """All images, each class with at least 10 of them, and the rarer classes together."""
    counts = np.bincount(labels)
    groups = {"all": np.ones(len(labels), bool)}
    groups |= {str(number): labels == number for number in np.flatnonzero(counts >= RARE)}
    rare = np.isin(labels, np.flatnonzero(counts < RARE))
    return groups | ({"rare classes together": rare} if rare.any() else {})


def one_hot(labels: NDArray[np.floating] | NDArray[np.int64], count: int) -> NDArray[np.float32]:
    """Class numbers (n,) or mixtures (n, C) as float32 (n, C)."""
    if labels.ndim == 2:
        return labels.astype(np.float32)
    return np.eye(count, dtype=np.float32)[labels.astype(np.int64)]


def mixed_labels(
    labels: NDArray[np.int64], partners: NDArray[np.int64], weights: NDArray[np.float32], class_count: int
) -> NDArray[np.float32]:
    """Label shares of mixtures: float32 (n, C), rows sum to 1."""
    hot = one_hot(labels, class_count)
    mixed: NDArray[np.float32] = np.einsum("np,npc->nc", weights, hot[partners]).astype(np.float32)
    return mixed


def by_class(right: NDArray[np.bool_], labels: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    """Share of `right` in each class: float64 (C,), NaN where a class is empty."""
    total = np.bincount(labels, minlength=count).astype(np.float64)
    hits = np.bincount(labels, weights=right, minlength=count)
    share: NDArray[np.float64] = np.divide(hits, total, out=np.full(count, np.nan), where=total > 0)
    return share


def helped_classes(candidate: Candidate) -> list[str]:
    """Classes that most of the newly covered target images are near to."""
    total = sum(scores.covered or 0 for scores in candidate.per_class.values())
    helped = [
        (scores.covered or 0, name)
        for name, scores in candidate.per_class.items()
        if total >= LEAST_COVERED and (scores.covered or 0) >= HELPED_SHARE * total
    ]
    return [name for _, name in sorted(helped, reverse=True)[:3]]


def harmed_classes(kept: LabelPreservation, clean: CleanProbe, classes: Sequence[str]) -> list[str]:
    """Classes whose clean accuracy falls by at least 5 points, significantly (McNemar, 5 %, each class by itself)."""
    harmed = []
    for number, name in enumerate(classes):
        member = clean.judged_labels == number
        if not member.any():
            continue
        fall, p_value = fall_of_accuracy(clean, kept, member)
        if fall >= LEAST_HARM and p_value < SIGNIFICANCE:
            harmed.append((fall, name))
    return [name for _, name in sorted(harmed, reverse=True)[:3]]


def confused_classes(kept: LabelPreservation, clean: CleanProbe, classes: Sequence[str]) -> list[MixedClasses]:
    """Pairs of classes that are confused more often than before."""
    count = len(classes)

    def confusion(true: NDArray[np.int64], predicted: NDArray[np.int64]) -> NDArray[np.float64]:
        table = np.bincount(true * count + predicted, minlength=count * count).reshape(count, count).astype(float)
        shares: NDArray[np.float64] = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
        return shares

    before = confusion(clean.judged_labels, clean.judged_predicted)
    after = confusion(clean.judged_labels, kept.predicted_after)
    if kept.relearnability is not None and kept.relearnability < (clean.majority + clean.accuracy) / 2:
        after = np.maximum(after, confusion(kept.relearn_true, kept.relearn_predicted))
    more = after - before
    np.fill_diagonal(more, 0)
    order = np.argsort(-more, axis=None)[:4]
    return [
        MixedClasses(true=classes[cell // count], taken_for=classes[cell % count], share=float(more.flat[cell]))
        for cell in order
        if more.flat[cell] >= CONFUSED_SHARE
    ]
