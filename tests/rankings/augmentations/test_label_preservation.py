from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from eyeshot.rankings.augmentations.label_preservation import (
    CleanProbe,
    LabelPreservation,
    by_class,
    class_groups,
    fall_of_accuracy,
    find_label_breaking,
    fit_clean_probe,
    folds_of,
    mcnemar,
    measure_label_preservation,
    one_hot,
)

CLASSES, WIDTH = 4, 8
CENTRES = 4 * np.eye(CLASSES, WIDTH)


def images(count: int, seed: int, *, width: int = WIDTH) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = np.arange(count) % CLASSES
    points = np.zeros((count, width))
    points[:, :WIDTH] = CENTRES[labels]
    return (points + random.normal(size=points.shape)).astype(np.float32), labels.astype(np.int64)


def clean_head(count: int = 160, held_out: int = 120) -> CleanProbe:
    sources, labels = images(count, 0)
    held, held_labels = images(held_out, 1)
    return fit_clean_probe(
        sources,
        labels,
        held,
        held_labels,
        class_count=CLASSES,
        clean_model=None,
        transform=lambda features: np.asarray(features, np.float32),
        held_out_features=held,
    )


def kept_by(clean: CleanProbe, change, *, draws: int = 1) -> LabelPreservation:
    """Kept labels of the candidate that makes `change(points, labels)` of clean images."""
    samples = np.concatenate([change(clean.sources, clean.labels) for _ in range(draws)])
    held_out = change(clean.held_out, clean.held_out_labels)
    return measure_label_preservation(
        clean,
        samples,
        np.tile(clean.labels, draws),
        owners=np.tile(np.arange(len(clean.sources)), draws),
        held_out_samples=held_out,
        held_out_sample_features=held_out,
        held_out_sample_labels=clean.held_out_labels,
    )


def reasons_against(clean: CleanProbe, kept: LabelPreservation, *, mixing: bool = False) -> str:
    (found,) = find_label_breaking(clean, [kept], mixing=[mixing])
    return "; ".join(found)


def test_the_yardstick_knows_its_images():
    clean = clean_head()
    assert clean.accuracy > 0.9
    assert clean.clean_model_accuracy == clean.accuracy
    assert clean.majority == 0.25
    assert len(clean.judged_labels) == 280
    assert (clean.judged_predicted == clean.judged_labels).mean() > 0.9


def test_a_model_of_its_own_speaks_for_affinity_in_its_own_space():
    sources, labels = images(80, 0)
    held, held_labels = images(40, 1)
    clean = fit_clean_probe(
        sources,
        labels,
        held,
        held_labels,
        class_count=CLASSES,
        clean_model=lambda features: features[:, 0].astype(np.int64),
        transform=lambda features: features,
        held_out_features=np.column_stack([held_labels, held_labels]),
    )
    assert clean.clean_model_accuracy == 1
    assert clean.predict_features(np.array([[2.0, 2.0]])).tolist() == [2]
    wrong = replace(clean, predict_features=lambda features: 0 * held_labels, clean_model_accuracy=0.5)
    assert kept_by(wrong, lambda points, labels: points).affinity == pytest.approx(0.25 / 0.5)


def test_samples_that_hold_no_class_any_more_are_label_breaking():
    clean, random = clean_head(), np.random.default_rng(2)
    kept = kept_by(clean, lambda points, labels: random.normal(size=points.shape).astype(np.float32))
    assert kept.relearnability < 0.45
    assert kept.affinity < 0.5
    assert "linear probe trained on its samples" in reasons_against(clean, kept)


def test_samples_whose_classes_are_shuffled_are_label_breaking():
    clean, random = clean_head(), np.random.default_rng(3)
    kept = kept_by(clean, lambda points, labels: random.permutation(points))
    assert "linear probe trained on its samples" in reasons_against(clean, kept)


def test_harmless_samples_are_not_label_breaking():
    clean, random = clean_head(), np.random.default_rng(4)
    kept = kept_by(clean, lambda points, labels: points + random.normal(0, 0.2, points.shape).astype(np.float32))
    assert kept.affinity == pytest.approx(1, abs=0.05)
    assert kept.relearnability == pytest.approx(clean.accuracy, abs=0.05)
    assert abs(kept.retention) < 0.03
    assert reasons_against(clean, kept) == ""


def test_low_affinity_alone_is_never_a_reason():
    clean = clean_head()
    shift = np.array([0, 0, 0, 0, 500, -500, 500, -500], np.float32)
    kept = kept_by(clean, lambda points, labels: points + shift)
    assert kept.affinity < 0.6
    assert kept.relearnability > 0.9
    assert reasons_against(clean, kept) == ""


def usurp(points: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Views of class 1 look like clean class 0, those of class 0 like nothing before: easy to learn, and harmful."""
    moved = points.copy()
    moved[labels == 1] += (CENTRES[0] - CENTRES[1]).astype(np.float32)
    moved[labels == 0] -= 3 * CENTRES[0].astype(np.float32)
    return moved


def test_a_fall_on_clean_images_of_one_class_is_a_reason_and_names_the_class():
    clean = clean_head()
    kept = kept_by(clean, usurp, draws=2)
    assert kept.relearnability > 0.9
    assert kept.retention_by_class[0] < -0.3
    assert kept.retention_by_class[2] > -0.1
    why = reasons_against(clean, kept)
    assert "points on clean images in class 0" in why
    assert "class 2" not in why
    assert "tells their classes" not in why


def test_a_small_fall_is_no_reason_however_sure():
    clean = clean_head()
    right = np.flatnonzero(clean.judged_predicted == clean.judged_labels)
    after = clean.judged_predicted.copy()
    after[right[::13]] = (after[right[::13]] + 1) % CLASSES
    kept = replace(kept_by(clean, lambda points, labels: points), predicted_after=after)
    fall, p_value = fall_of_accuracy(clean, kept, np.ones(len(after), bool))
    assert 0.05 < fall < 0.1
    assert p_value < 1e-4
    assert reasons_against(clean, kept) == ""


def test_mixtures_are_never_flagged_by_relearnability_but_by_retention():
    clean, random = clean_head(), np.random.default_rng(5)
    blank = kept_by(clean, lambda points, labels: random.normal(size=points.shape).astype(np.float32))
    assert reasons_against(clean, replace(blank, predicted_after=clean.judged_predicted), mixing=True) == ""
    assert "clean images" in reasons_against(clean, kept_by(clean, usurp, draws=2), mixing=True)


def test_soft_labels_count_by_their_shares():
    clean = clean_head()
    soft = one_hot(clean.labels, CLASSES)
    options = {
        "owners": np.arange(len(clean.sources)),
        "held_out_samples": clean.held_out,
        "held_out_sample_features": clean.held_out,
        "held_out_sample_labels": clean.held_out_labels,
    }
    hard = measure_label_preservation(clean, clean.sources, clean.labels, **options)
    as_soft = measure_label_preservation(clean, clean.sources, soft, **options)
    blurred = measure_label_preservation(clean, clean.sources, 0 * soft + 0.25, **options)
    assert hard.relearnability == as_soft.relearnability
    assert hard.predicted_after.tolist() == as_soft.predicted_after.tolist()
    assert blurred.relearnability < 0.5


def test_scores_of_a_class_are_those_of_its_images_alone():
    clean = clean_head()
    kept = kept_by(clean, usurp)
    for number in range(CLASSES):
        member = kept.relearn_true == number
        right = (kept.relearn_predicted == kept.relearn_true)[member].mean()
        assert kept.relearnability_by_class[number] == pytest.approx(right)
        judged = clean.judged_labels == number
        before, after = ((said[judged] == number).mean() for said in (clean.judged_predicted, kept.predicted_after))
        assert kept.retention_by_class[number] == pytest.approx(after - before)


def test_clean_and_augmented_images_weigh_the_same_however_many_draws():
    clean = clean_head()
    once, thrice = kept_by(clean, usurp), kept_by(clean, usurp, draws=3)
    assert (once.predicted_after == thrice.predicted_after).mean() > 0.95
    assert abs(once.retention - thrice.retention) < 0.03


def test_no_source_is_judged_by_a_head_that_saw_it_or_a_view_of_it():
    """With more features than images a head knows all it saw by heart: labels at random must stay at chance."""
    random = np.random.default_rng(6)
    sources = random.normal(size=(90, 200)).astype(np.float32)
    labels, held = random.integers(0, CLASSES, 90), random.normal(size=(30, 200)).astype(np.float32)
    clean = fit_clean_probe(
        sources,
        labels,
        held,
        random.integers(0, CLASSES, 30),
        class_count=CLASSES,
        clean_model=None,
        transform=lambda features: features,
        held_out_features=held,
    )
    kept = kept_by(clean, lambda points, labels: points + np.float32(1e-3))
    chance = 0.25 + 4 * math.sqrt(0.25 * 0.75 / 90)
    assert (clean.judged_predicted[30:] == labels).mean() < chance
    assert (kept.predicted_after[30:] == labels).mean() < chance


def test_without_held_out_samples_affinity_and_relearnability_are_not_defined():
    clean = clean_head()
    kept = measure_label_preservation(
        clean,
        clean.sources,
        clean.labels,
        owners=np.arange(len(clean.sources)),
        held_out_samples=clean.held_out[:0],
        held_out_sample_features=clean.held_out[:0],
        held_out_sample_labels=clean.held_out_labels[:0],
    )
    assert kept.affinity is None
    assert kept.relearnability is None
    assert np.isnan(kept.relearnability_by_class).all()
    assert reasons_against(clean, kept) == ""


def made_up(random: np.random.Generator, changed: float, count: int = 300, classes: int = 5):
    """A yardstick that is right in 80 %, and a candidate that changes some answers at random."""
    labels = np.arange(count) % classes
    before = np.where(random.random(count) < 0.8, labels, (labels + 1) % classes)
    redrawn = np.where(random.random(count) < 0.8, labels, (labels + 1) % classes)
    after = np.where(random.random(count) < changed, redrawn, before)
    return labels, before, after


def yardstick_of(labels: np.ndarray, said: np.ndarray, classes: int = 5) -> CleanProbe:
    empty = np.empty((0, 2), np.float32)
    sure = np.eye(classes, dtype=np.float32)[said]
    return CleanProbe(empty, labels[:0], empty, labels, classes, said, sure, labels, said, lambda rows: labels, 0.8)


def kept_of(after: np.ndarray, *, relearnability: float | None = 0.8, classes: int = 5) -> LabelPreservation:
    nothing, none = np.full(classes, np.nan), np.empty(0, np.int64)
    sure = np.eye(classes, dtype=np.float32)[after]
    return LabelPreservation(1.0, relearnability, 0.0, nothing, nothing, nothing, 300, sure, after, none, none)


def test_under_the_null_retention_flags_a_candidate_in_at_most_one_run_of_twenty():
    """Thirty candidates, each with all images and five classes: 180 tests in a run.

    A candidate draws half of its answers anew, right as often as before.
    """
    runs, false = 60, 0
    for run in range(runs):
        random = np.random.default_rng(run)
        labels, before, _ = made_up(random, 0)
        redrawn = [np.where(random.random(300) < 0.8, labels, (labels + 1) % 5) for _ in range(30)]
        kept = [kept_of(np.where(random.random(300) < 0.5, one, before)) for one in redrawn]
        false += any(find_label_breaking(yardstick_of(labels, before), kept, mixing=[False] * 30))
    assert false / runs <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)


def test_one_real_fall_among_thirty_candidates_is_found():
    random = np.random.default_rng(0)
    labels, before, _ = made_up(random, 0)
    kept = [kept_of(before) for _ in range(30)]
    kept[7] = kept_of(np.where((labels == 3) & (random.random(300) < 0.7), 0, before))
    found = find_label_breaking(yardstick_of(labels, before), kept, mixing=[False] * 30)
    assert [number for number, why in enumerate(found) if why] == [7]
    assert any(why.endswith("in class 3") for why in found[7])


@pytest.mark.parametrize(("relearnability", "flagged"), [(0.44, True), (0.48, False), (0.55, False)])
def test_relearnability_is_judged_by_its_upper_bound_against_halfway(relearnability, flagged):
    """Halfway from 0.2 to 0.8 is 0.5; of 300 samples the bound lies 0.056 above the share."""
    labels = np.arange(300) % 5
    said = np.where(np.arange(300) < 240, labels, (labels + 1) % 5)
    clean = yardstick_of(labels, said)
    assert (clean.accuracy, clean.majority) == (0.8, 0.2)
    upper = binomtest(round(300 * relearnability), 300).proportion_ci(method="wilson").high
    assert (upper < 0.5) == flagged
    assert bool(reasons_against(clean, kept_of(said, relearnability=relearnability))) == flagged


@pytest.mark.parametrize("seed", range(8))
def test_the_p_value_is_mcnemars_exact_one(seed):
    random = np.random.default_rng(seed)
    labels, before, after = made_up(random, 0.4)
    member = random.random(300) < 0.5
    lost = int(((before == labels) & (after != labels) & member).sum())
    won = int(((before != labels) & (after == labels) & member).sum())
    fall, p_value = fall_of_accuracy(yardstick_of(labels, before), kept_of(after), member)
    assert fall == pytest.approx((lost - won) / member.sum())
    assert p_value == pytest.approx(binomtest(lost, lost + won, 0.5, alternative="greater").pvalue)


def test_where_nothing_changed_the_p_value_is_one():
    labels, before, _ = made_up(np.random.default_rng(0), 0)
    assert fall_of_accuracy(yardstick_of(labels, before), kept_of(before), labels >= 0) == (0, 1)


def test_rare_classes_are_judged_together():
    groups = class_groups(np.repeat([0, 1, 2, 3], [30, 10, 9, 4]))
    assert set(groups) == {"all", "0", "1", "rare classes together"}
    assert groups["rare classes together"].sum() == 13
    assert groups["1"].sum() == 10
    assert groups["all"].all()


def test_folds_share_out_every_image_once():
    folds = folds_of(20)
    assert sum(fold.astype(int) for fold in folds).tolist() == [1] * 20
    assert sorted(fold.sum() for fold in folds) == [6, 7, 7]


def test_a_class_without_images_has_no_share():
    shares = by_class(np.array([True, False, True]), np.array([0, 0, 2]), 4)
    np.testing.assert_array_equal(shares, [0.5, np.nan, 1, np.nan])


def test_mcnemars_test_counts_coins():
    assert mcnemar(5, 0) == pytest.approx(1 / 32)
    assert mcnemar(2, 1) == pytest.approx(4 / 8)
    assert mcnemar(0, 7) == 1.0


def test_a_probe_that_always_names_one_class_or_guesses_is_at_chance_and_a_good_one_is_not():
    clean = clean_head()
    assert not clean.at_chance
    assert replace(clean, judged_predicted=np.zeros_like(clean.judged_predicted)).at_chance
    guessed = np.random.default_rng(0).integers(0, CLASSES, len(clean.judged_labels))
    assert replace(clean, judged_predicted=guessed).at_chance
    # Of 280 images, 60 more right than by chance.
    better = np.where(np.arange(280) % 4 == 0, clean.judged_labels, guessed)
    assert not replace(clean, judged_predicted=better).at_chance


def test_a_probe_that_names_the_larger_class_too_often_is_at_chance_though_it_is_mostly_right():
    clean = clean_head()
    labels = (np.arange(200) % 20 == 0).astype(np.int64)
    assert replace(clean, judged_labels=labels, judged_predicted=np.zeros(200, np.int64)).at_chance
    assert not replace(clean, judged_labels=labels, judged_predicted=labels).at_chance
