from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decisions_made import key, table_of
from eyeshot.core.errors import InputError
from eyeshot.data import Split, copy_groups, read_split
from eyeshot.data.split import divide

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
    with pytest.raises(InputError, match=r"is not a split: .*eyeshot split"):
        read_split(tmp_path / "split.json")


def test_keys_of_pictures_are_contents() -> None:
    assert key(1) != key(2)
