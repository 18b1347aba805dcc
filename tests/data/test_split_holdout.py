from __future__ import annotations

from collections import Counter

import numpy as np
import polars as pl
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from eyeshot.core.errors import InputError
from eyeshot.data import ImageTable, hold_out, sample_rows
from eyeshot.data.table import COLUMNS


def table_of(images: list[tuple[str | None, int]]) -> ImageTable:
    """A table of (label, number of the picture); equal numbers are equal bytes."""
    rows = [
        (
            f"{position:04}.png",
            f"/{position}",
            label,
            1,
            8,
            8,
            "RGB",
            xxhash.xxh3_128_hexdigest(b"%d" % picture),
        )
        for position, (label, picture) in enumerate(images)
    ]
    frame = pl.DataFrame(rows, schema=COLUMNS, orient="row")
    return ImageTable(frame, tuple(sorted({label for label, _ in images if label is not None})))


def plain(counts: dict[str, int]) -> ImageTable:
    labels = [label for label, count in counts.items() for _ in range(count)]
    return table_of([(label, number) for number, label in enumerate(labels)])


images = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 40)), min_size=2, max_size=60)
shares = st.floats(0.01, 0.9)
seeds = st.integers(0, 5)


@given(images, shares, seeds)
@settings(max_examples=150, deadline=None)
def test_a_split_divides_all_images_and_no_group_straddles(listed, share: float, seed: int) -> None:
    table = table_of(listed)
    try:
        training, validation = hold_out(table, share=share, seed=seed)
    except InputError:
        pictures = Counter()
        for label, _ in {(label, picture) for label, picture in listed}:
            pictures[label] += 1
        torn = len({picture for _, picture in listed}) < len(set(listed))
        assert torn or max(pictures.values()) == 1
        return
    assert sorted([*training, *validation]) == list(range(len(table)))
    assert not set(table.take(training).contents) & set(table.take(validation).contents)
    assert set(table.labels[training]) == set(table.labels)


@given(images, st.lists(st.integers(0, 12), min_size=60, max_size=60), shares, seeds)
@settings(max_examples=150, deadline=None)
def test_groups_given_from_outside_stay_whole(listed, numbers: list[int], share: float, seed: int) -> None:
    table = table_of([(label, position) for position, (label, _) in enumerate(listed)])
    groups = np.array(numbers[: len(table)])
    try:
        training, validation = hold_out(table, groups, share=share, seed=seed)
    except InputError:
        return
    assert not set(groups[training]) & set(groups[validation])
    assert set(table.labels[training]) == set(table.labels)


@given(st.dictionaries(st.sampled_from("abcde"), st.integers(1, 40), min_size=1), shares, seeds)
@settings(max_examples=100, deadline=None)
def test_every_class_gives_its_share(counts: dict[str, int], share: float, seed: int) -> None:
    table = plain(counts)
    if max(counts.values()) == 1:
        with pytest.raises(InputError, match="at least two images that are not duplicates"):
            hold_out(table, share=share, seed=seed)
        return
    _, validation = hold_out(table, share=share, seed=seed)
    held = Counter(table.frame["label"][row] for row in validation.tolist())
    for label, count in counts.items():
        wanted = min(count - 1, max(1, int(share * count + 0.5)))
        assert held[label] == wanted


def test_the_split_follows_from_seed_and_content_alone() -> None:
    table = plain({"a": 30, "b": 20})
    _, validation = hold_out(table, share=0.3, seed=1)
    shuffled = table.take(np.random.default_rng(0).permutation(50))
    _, other = hold_out(shuffled, share=0.3, seed=1)
    assert set(shuffled.take(other).contents) == set(table.take(validation).contents)
    assert set(hold_out(table, share=0.3, seed=2)[1]) != set(validation)


def test_a_class_of_one_copy_group_stays_in_training() -> None:
    table = table_of([("a", 1), ("a", 1), ("a", 1), ("b", 2), ("b", 3)])
    training, validation = hold_out(table, share=0.5, seed=0)
    assert len(validation) == 1
    assert {0, 1, 2} <= set(training.tolist())


def test_a_class_of_two_large_groups_still_gives_one_of_them() -> None:
    table = table_of([("a", 1)] * 5 + [("a", 2)] * 4)
    _, validation = hold_out(table, share=0.1, seed=0)
    assert validation.tolist() == [5, 6, 7, 8]


def test_images_without_labels_can_be_held_out() -> None:
    assert len(hold_out(table_of([(None, n) for n in range(20)]), share=0.25, seed=0)[1]) == 5


@pytest.mark.parametrize("share", [0.0, -0.1, 0.91, 1.0, float("nan")])
def test_a_share_out_of_range_is_an_error(share: float) -> None:
    with pytest.raises(InputError, match="share to hold out"):
        hold_out(plain({"a": 5}), share=share, seed=0)


counted = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 25), min_size=1)


@given(counted, st.integers(1, 60), seeds, st.sampled_from("abcdefg"))
@settings(max_examples=200, deadline=None)
def test_one_more_image_changes_at_most_one_of_the_sample(
    counts: dict[str, int], count: int, seed: int, label: str
) -> None:
    table = plain(counts)
    listed = [(name, number) for number, name in enumerate(table.frame["label"])]
    larger = table_of([*listed, (label, 9999)])
    before = set(table.take(sample_rows(table, count, seed=seed)).contents)
    after = set(larger.take(sample_rows(larger, count, seed=seed)).contents)
    assert len(before - after) <= 1
    assert len(after - before) <= 1


@given(counted, st.integers(1, 60), seeds)
@settings(max_examples=100, deadline=None)
def test_a_sample_has_its_size_and_every_class_its_share(counts: dict[str, int], count: int, seed: int) -> None:
    table = plain(counts)
    rows = sample_rows(table, count, seed=seed)
    assert rows.tolist() == sorted(set(rows.tolist()))
    assert len(rows) == min(count, len(table))
    taken = Counter(table.frame["label"][row] for row in rows.tolist())
    for label, total in counts.items():
        assert abs(taken[label] - total * len(rows) / len(table)) <= 1 + len(counts) / 2


def test_two_equal_classes_give_the_same_number() -> None:
    table = plain({"a": 300, "b": 300, "c": 100})
    rows = sample_rows(table, 70, seed=0)
    assert Counter(table.labels[rows].tolist()) == {0: 30, 1: 30, 2: 10}


def test_a_small_class_gets_its_rounded_share() -> None:
    table = plain({"a": 90, "b": 10})
    assert Counter(table.labels[sample_rows(table, 6, seed=0)].tolist()) == {0: 5, 1: 1}


def test_a_larger_sample_holds_the_smaller() -> None:
    table = plain({"a": 40, "b": 17})
    assert set(sample_rows(table, 20, seed=3)) < set(sample_rows(table, 33, seed=3))


def test_another_seed_takes_others_and_the_order_of_the_table_does_not_matter() -> None:
    table = plain({"a": 40, "b": 40})
    rows = sample_rows(table, 20, seed=0)
    assert set(rows) != set(sample_rows(table, 20, seed=1))
    shuffled = table.take(np.random.default_rng(0).permutation(80))
    assert set(shuffled.take(sample_rows(shuffled, 20, seed=0)).contents) == set(table.take(rows).contents)


def test_an_empty_sample_is_an_error() -> None:
    with pytest.raises(InputError, match="at least 1 image, got 0"):
        sample_rows(plain({"a": 5}), 0, seed=0)
