from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from decisions_made import key, table_of
from eyeshot.auditing.split_quality import compare_on_features, measure_leakage
from eyeshot.core.errors import InputError
from eyeshot.data import Decision, ImageTable, Leakage, copy_groups, decide
from eyeshot.data.decisions import ordered


def wrong_labels(share: float, seed: int = 0):
    """Three classes in clouds of their own, some images of two of them under the other's label."""
    random = np.random.default_rng(seed)
    count = 300
    truth = np.arange(count) % 3
    features = random.normal(size=(count, 12)) + 2.2 * np.eye(12)[truth]
    given = truth.copy()
    wrong = random.permutation(np.flatnonzero(truth < 2))[: int(share * count)]
    given[wrong] = 1 - given[wrong]
    table = table_of([("abc"[label], number) for number, label in enumerate(given)])
    return table, features, np.arange(count), wrong, truth


def compared(table, features, groups, made: list[Decision], chosen=None):
    decisions = ordered(made)
    ids = [one.id for one in decisions.active] if chosen is None else chosen
    return compare_on_features(table, features, groups, decisions, ids, folds=5, seed=0, reader="a test")


def right_labels(wrong, truth) -> list[Decision]:
    return [decide("relabel", [key(row)], label="abc"[truth[row]], author="ann") for row in wrong]


def test_wrong_labels_put_right_help_and_undone_nothing_is_left_to_compare() -> None:
    table, features, groups, wrong, truth = wrong_labels(0.3)
    made = right_labels(wrong, truth)
    found = compared(table, features, groups, made)
    assert (found.verdict, found.decisions, found.judged) == ("helps", 90, 210)
    assert found.gain_points == pytest.approx(100 * (found.after - found.before))
    assert found.gain_low < found.gain_points < found.gain_high
    assert "helps" in found.words()
    undone = [*made, *(decide("undo", undoes=one.id, author="ann") for one in made)]
    with pytest.raises(InputError, match="nothing can be compared"):
        compared(table, features, groups, undone, [one.id for one in made])


def test_right_labels_put_wrong_hurt() -> None:
    table, features, groups, _, truth = wrong_labels(0.0)
    rows = np.flatnonzero(truth < 2)[:90]
    made = [decide("relabel", [key(row)], label="ba"[truth[row]], author="ann") for row in rows]
    assert compared(table, features, groups, made).verdict == "hurts"


def test_a_few_images_left_out_cannot_be_told() -> None:
    table, features, groups, _, _ = wrong_labels(0.0)
    found = compared(table, features, groups, [decide("drop", [key(row) for row in range(4)], author="ann")])
    assert (found.verdict, found.judged) == ("not distinguishable", 296)


def test_decisions_that_are_not_chosen_count_on_both_sides() -> None:
    table, features, groups, wrong, truth = wrong_labels(0.3)
    made = right_labels(wrong, truth)
    extra = decide("drop", [key(row) for row in range(200, 204)], author="ann")
    found = compared(table, features, groups, [*made, extra], [extra.id])
    assert found.decisions == 1
    assert found.before > 0.85  # the labels are right on both sides
    assert found.verdict == "not distinguishable"


def test_merging_two_classes_that_look_the_same_is_judged_as_one_class_on_both_sides() -> None:
    random = np.random.default_rng(0)
    labels = np.arange(300) % 3
    features = random.normal(size=(300, 12)) + 4.0 * np.eye(12)[np.maximum(labels, 1)]
    table = table_of([("abc"[label], number) for number, label in enumerate(labels)])
    merged = decide("merge-classes", classes=["a", "b"], label="ab", author="ann")
    found = compared(table, features, np.arange(300), [merged])
    assert found.judged == 300
    assert found.before > 0.95  # mistaking a for b is no mistake any more
    assert found.verdict == "not distinguishable"


def test_copies_train_on_the_same_side_only() -> None:
    """Labels by chance: with a copy in training they would be known, without one they are not."""
    random = np.random.default_rng(0)
    pictures = random.normal(size=(150, 200))
    table = table_of([("ab"[n % 2], copy * 1000 + n) for copy in range(2) for n in range(150)])
    made = [decide("drop", [key(5)], author="ann")]
    found = compared(table, np.tile(pictures, (2, 1)), np.tile(np.arange(150), 2), made)
    assert found.before < 0.65


def test_too_few_images_to_judge_on_are_refused_with_the_number() -> None:
    table, features, groups, _, _ = wrong_labels(0.0)
    made = [decide("relabel", [key(row) for row in range(290)], label="z", author="ann")]
    with pytest.raises(InputError, match="at least 20 images that the decisions do not change, got 10"):
        compared(table, features, groups, made)


def planted(copies: int, seed: int = 0):
    """Classes that no head can tell apart, but each picture `copies` times with a little noise: pure leakage."""
    random = np.random.default_rng(seed)
    count, width = 120, 150
    pictures = random.normal(size=(count, width))
    labels = random.permutation(np.arange(count) % 3)
    listed = [("abc"[labels[n]], 1000 * copy + n) for copy in range(copies) for n in range(count)]
    features = np.concatenate([pictures + 0.05 * random.normal(size=pictures.shape) for _ in range(copies)])
    return table_of(listed), features, np.tile(np.arange(count), copies)


def test_planted_copies_leak_and_the_gap_says_so() -> None:
    table, features, groups = planted(copies=3)
    found = measure_leakage(table, features, groups, folds=5, seed=0, reader="a test")
    assert found.images == found.copies == 360
    assert found.straddling > 300
    assert found.plain > 0.9
    assert found.grouped < 0.5
    assert found.gap_low > 40
    assert found.gap_points == pytest.approx(100 * (found.plain - found.grouped))
    assert "not distinguishable" not in found.words()


def test_without_copies_both_splits_are_the_same_and_nothing_leaks() -> None:
    table, features, groups = planted(copies=1)
    found = measure_leakage(table, features, groups, folds=5, seed=0, reader="a test")
    assert (found.copies, found.straddling, found.gap_points) == (0, 0, 0.0)
    assert "No leakage: none of" in found.words()


def leakage(**changes) -> Leakage:
    usual = {
        "reader": "a test", "images": 2040, "copies": 4, "straddling": 2, "chance": 0.2, "plain": 0.614, "grouped": 0.6,
        "gap_points": 1.4, "gap_low": 0.2, "gap_high": 2.6,
    }  # fmt: skip
    return Leakage.model_validate(usual | changes)


def test_two_copies_among_two_thousand_images_cannot_leak_more_than_a_tenth_of_a_point() -> None:
    words = leakage().words()
    straddling = "2 of 2040 images have a duplicate in training under the plain split"
    assert f"{straddling}, so leakage is at most 0.1 points" in words
    assert "the measured difference of +1.4 points (95 % interval +0.2 to +2.6) is larger, so it is noise" in words
    assert "No leakage can be shown: 2 of 2040" in words
    assert "Leakage +1.4" not in words
    assert "at most 0.05 points" in leakage(straddling=1).words()
    assert "at most 0.002 points" in leakage(straddling=1, images=50000).words()


def test_a_gap_within_what_copies_can_add_is_leakage_and_the_bound_is_in_the_sentence() -> None:
    words = leakage(straddling=200).words()
    assert "Leakage +1.4 points (95 % interval +0.2 to +2.6). 200 of 2040 images have a duplicate" in words
    assert "at most 9.8 points" in words
    assert "noise" not in words
    unsure = leakage(straddling=200, gap_low=-0.3).words()
    assert "No leakage can be shown: the difference is +1.4 points (95 % interval -0.3 to +2.6)." in unsure
    assert "Leakage +1.4" not in unsure


@pytest.mark.parametrize(("chance", "plain", "tells"), [(0.5, 0.52, False), (0.5, 0.6, True), (0.002, 0.015, False)])
def test_a_reader_that_is_hardly_better_than_chance_says_that_it_cannot_tell(chance, plain, tells) -> None:
    report = leakage(chance=chance, plain=plain, grouped=plain - 0.014, straddling=200)
    assert report.reader_tells == tells
    assert ("could not be measured: this classifier is hardly better" in report.words()) != tells
    assert ("Leakage +1.4" in report.words()) == tells
    assert "at most 9.8 points" in report.words()


def test_features_that_say_nothing_cannot_tell_how_much_copies_leak() -> None:
    table, _, groups = planted(copies=3)
    report = measure_leakage(table, np.zeros((360, 4)), groups, folds=5, seed=0, reader="a test")
    assert report.chance == pytest.approx(1 / 3)
    assert not report.reader_tells
    assert "hardly better" in report.words()


def test_equal_bytes_are_dealt_out_by_chance_in_the_plain_split() -> None:
    """Of pairs of equal bytes, four in five straddle five folds by chance."""
    listed = [(label, number) for number in range(500) for label in ("ab"[number % 2],) * 2]
    table = table_of(listed)
    found = measure_leakage(table, np.zeros((1000, 2)), copy_groups(table), folds=5, seed=0, reader="a test")
    assert 0.74 < found.straddling / 1000 < 0.86


def test_classes_of_a_single_image_have_no_leakage_to_measure_and_no_nan() -> None:
    table = ImageTable(
        pl.DataFrame({"id": list("abc"), "label": list("xyz"), "content": [f"{n:032x}" for n in range(3)]}),
        ("x", "y", "z"),
    )
    features, groups = np.eye(3, dtype=np.float32), np.arange(3, dtype=np.int64)
    assert measure_leakage(table, features, groups, folds=2, seed=0, reader="x") is None
