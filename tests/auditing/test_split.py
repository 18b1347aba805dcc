from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from decisions_made import key, table_of
from hypothesis import given, settings
from hypothesis import strategies as st

from eyeshot.auditing import Split, read_split
from eyeshot.auditing.leakage import measure_leakage
from eyeshot.auditing.like_test import auc_between, check_effective, judge, order_like_test, weigh
from eyeshot.auditing.split import divide
from eyeshot.errors import InputError
from eyeshot.images import copy_groups, hold_out

listings = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 30)), min_size=6, max_size=60)
seeds = st.integers(0, 4)


@settings(max_examples=150, deadline=None)
@given(listings, st.sampled_from([0, 2, 3]), st.sampled_from([0.0, 0.2, 0.4]), seeds)
def test_no_group_straddles_and_every_image_has_a_part(listed, folds: int, val: float, seed: int) -> None:
    table = table_of(listed)
    groups = copy_groups(table)
    try:
        parts = divide(table, groups, folds=folds, val=val, seed=seed)
    except InputError:
        return
    assert len(parts) == len(table)
    for group in np.unique(groups):
        assert len({str(parts[row]) for row in np.flatnonzero(groups == group)}) == 1
    assert set(map(str, parts)) <= {"val", "train", *map(str, range(folds))}
    assert ("val" in parts) == (val > 0)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(20, 40), min_size=2, max_size=4), seeds)
def test_every_class_gives_its_share_to_validation_and_to_every_fold(sizes: list[int], seed: int) -> None:
    listed = [(f"class {number}", 100 * number + n) for number, size in enumerate(sizes) for n in range(size)]
    table = table_of(listed)
    parts = divide(table, copy_groups(table), folds=5, val=0.2, seed=seed)
    for number, size in enumerate(sizes):
        counts = Counter(part for part, (label, _) in zip(parts, listed, strict=True) if label == f"class {number}")
        assert counts["val"] == int(0.2 * size + 0.5)
        own = [counts[fold] for fold in range(5)]
        assert max(own) - min(own) <= 1


@settings(max_examples=60, deadline=None)
@given(listings, seeds, st.randoms())
def test_a_split_follows_from_content_whatever_the_files_are_called(listed, seed: int, chance) -> None:
    shuffled = list(listed)
    chance.shuffle(shuffled)
    found = []
    for rows, prefix in ((listed, ""), (shuffled, "moved/")):
        table = table_of(rows, prefix=prefix)
        try:
            parts = divide(table, copy_groups(table), folds=2, val=0.2, seed=seed)
            found.append(dict(zip(table.contents, parts, strict=True)))
        except InputError:
            found.append(None)
    assert found[0] == found[1]


def test_demands_that_cannot_be_met_are_refused_with_numbers() -> None:
    table = table_of([("rare", 1)] * 3 + [("usual", 10 + n) for n in range(10)])
    groups = copy_groups(table)
    with pytest.raises(InputError, match=r"'rare' has 1 \(3 images\)"):
        divide(table, groups, folds=5, val=0.0, seed=0)
    parts = divide(table, groups, folds=5, val=0.0, seed=0, small=True)
    assert parts[:3] == ["train"] * 3
    assert Counter(parts[3:]) == dict.fromkeys(range(5), 2)
    for folds, val in ((0, 0.0), (1, 0.0), (0, 0.95), (-1, 0.0)):
        with pytest.raises(InputError, match="got"):
            divide(table, groups, folds=folds, val=val, seed=0)


def small_split() -> Split:
    table = table_of([("a", n) for n in range(10)])
    parts = divide(table, copy_groups(table), folds=2, val=0.2, seed=0)
    return Split(seed=0, folds=2, val=0.2, parts=dict(zip(table.contents, parts, strict=True)))


def test_a_split_is_written_read_and_used(tmp_path: Path) -> None:
    split = small_split()
    split.write(tmp_path / "team" / "split.json")
    again = read_split(tmp_path / "team" / "split.json")
    assert again == split
    before = (tmp_path / "team" / "split.json").read_bytes()
    again.write(tmp_path / "team" / "split.json")
    assert (tmp_path / "team" / "split.json").read_bytes() == before
    table = table_of([("a", n) for n in (*range(10), 99)], prefix="elsewhere/")
    training, validation = again.rows(table)
    assert (len(training), len(validation)) == (8, 2)
    first, second = again.rows(table, fold=0), again.rows(table, fold=1)
    assert sorted([*first[1], *second[1], *validation]) == list(range(10))  # the new image is in no part
    assert sorted(first[0]) == sorted(second[1])
    assert again.of(table)[10] is None
    with pytest.raises(InputError, match="0 to 1, got 2"):
        again.rows(table, fold=2)


def test_a_split_without_validation_says_so() -> None:
    split = small_split().model_copy(update={"val": 0.0})
    with pytest.raises(InputError, match="--fold 0"):
        split.rows(table_of([("a", 1)]))


@pytest.mark.parametrize(
    "text", ["", "{}", '{"version": 2}', '{"version":1,"seed":0,"folds":2,"val":0,"parts":{"a":-1}}']
)
def test_another_file_is_no_split(tmp_path: Path, text: str) -> None:
    (tmp_path / "split.json").write_text(text, "utf-8")
    with pytest.raises(InputError, match=r"is no split: .*eyeshot split"):
        read_split(tmp_path / "split.json")


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
    assert "cannot be told" not in found.words()


def test_without_copies_both_splits_are_the_same_and_nothing_leaks() -> None:
    table, features, groups = planted(copies=1)
    found = measure_leakage(table, features, groups, folds=5, seed=0, reader="a test")
    assert (found.copies, found.straddling, found.gap_points) == (0, 0, 0.0)
    assert "cannot be told from none" in found.words()


def test_equal_bytes_are_dealt_out_by_chance_in_the_plain_split() -> None:
    """Of pairs of equal bytes, four in five straddle five folds by chance."""
    listed = [(label, number) for number in range(500) for label in ("ab"[number % 2],) * 2]
    table = table_of(listed)
    found = measure_leakage(table, np.zeros((1000, 2)), copy_groups(table), folds=5, seed=0, reader="a test")
    assert 0.74 < found.straddling / 1000 < 0.86


def clouds(shift: float, *, count: int = 600, seed: int = 0):
    """Training images from N(0, 1) and test images from N(shift, 1) along the first of three axes."""
    random = np.random.default_rng(seed)
    train = random.normal(size=(count, 3))
    test = random.normal(size=(count, 3)) + np.array([shift, 0, 0])
    return table_of([("ab"[n % 2], n) for n in range(count)]), train, test, np.arange(count)


def test_weights_are_the_ratio_of_densities() -> None:
    """Of two Gaussians it is exp(shift x - shift^2 / 2), and n times exp(-shift^2) are effective."""
    _, train, test, groups = clouds(0.8, count=4000)
    likeness = weigh(train, test, groups, seed=0)
    wanted = 0.8 * train[:, 0] - 0.32
    assert np.corrcoef(np.log(likeness.weights), wanted)[0, 1] > 0.99
    assert likeness.effective == pytest.approx(4000 * np.exp(-0.64), rel=0.15)


def test_weights_have_mean_one_whatever_the_sizes_of_the_sets() -> None:
    _, train, test, groups = clouds(0.5, count=3000)
    for count in (600, 3000):
        assert weigh(train, test[:count], groups, seed=0).weights.mean() == pytest.approx(1.0, abs=0.1)


def test_of_two_equal_sets_in_many_dimensions_nearly_all_images_are_effective() -> None:
    """A classifier that learns its 300 images by heart is sure of everything, and wrong half the time."""
    random = np.random.default_rng(0)
    train, test = random.normal(size=(2, 300, 200))
    assert weigh(train, test, np.arange(300), seed=0).effective > 200


def test_test_images_far_away_leave_no_effective_sample() -> None:
    """All training images are about as unlike: Kish's number alone would call them all effective."""
    random = np.random.default_rng(0)
    train = np.column_stack([random.normal(scale=0.01, size=400), random.normal(size=400)])
    test = np.column_stack([20 + random.normal(scale=0.01, size=400), random.normal(size=400)])
    assert weigh(train, test, np.arange(400), seed=0).effective < 10


def test_a_validation_set_like_the_test_set_is_nearer_to_it_than_one_by_chance() -> None:
    table, train, test, groups = clouds(1.0, count=2000)
    likeness = weigh(train, test, groups, seed=0)
    check_effective(likeness, 200, 0.1)
    order = order_like_test(table, groups, likeness, seed=0)
    _, held = hold_out(table, groups, share=0.1, seed=0, order=order.tolist())
    assert len(held) == 200
    assert train[held, 0].mean() > 0.6  # of 1.0; by chance 0
    found = judge(table, groups, train, test, held, likeness, share=0.1, seed=0)
    assert found.auc_before > 0.7
    assert found.auc_after < found.auc_before - 0.1


def test_the_order_like_test_follows_from_seed_and_content_and_goes_by_groups() -> None:
    table, train, test, _ = clouds(0.5)
    groups = np.arange(600) // 2
    likeness = weigh(train, test, groups, seed=0)
    order = order_like_test(table, groups, likeness, seed=3)
    assert (order[0::2] == order[1::2]).all()
    assert (order == order_like_test(table, groups, likeness, seed=3)).all()
    assert (order != order_like_test(table, groups, likeness, seed=4)).any()


def test_too_small_an_effective_sample_is_refused_with_the_number() -> None:
    _, train, test, groups = clouds(3.0)
    likeness = weigh(train, test, groups, seed=0)
    with pytest.raises(
        InputError, match=rf"at least 120 for --val 0.2, got an effective number of {int(likeness.effective)} am"
    ):
        check_effective(likeness, 120, 0.2)
    _, train, test, groups = clouds(1.0)
    likeness = weigh(train, test, groups, seed=0)
    with pytest.raises(InputError, match=r"Use --val 0\.\d+, or"):
        check_effective(likeness, 360, 0.6)


def test_the_area_between_two_equal_clouds_is_a_half() -> None:
    _, train, test, groups = clouds(0.0, count=1500)
    assert auc_between(train, test, groups, seed=0) == pytest.approx(0.5, abs=0.04)


def test_keys_of_pictures_are_contents() -> None:
    assert key(1) != key(2)
