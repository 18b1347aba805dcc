from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_split_holdout import images, plain, seeds, table_of

from eyeshot.core.errors import InputError
from eyeshot.data import copy_groups, make_folds

fold_counts = st.integers(2, 6)


@given(images, fold_counts, seeds)
@settings(max_examples=200, deadline=None)
def test_no_group_straddles_and_no_class_is_missing_in_training(listed, folds: int, seed: int) -> None:
    table = table_of(listed)
    groups = copy_groups(table)
    of_class = defaultdict(set)
    for label, picture in listed:
        of_class[label].add(picture)
    try:
        found = make_folds(table, groups, folds=folds, seed=seed)
    except InputError as error:
        refused = str(error)
        few = min(map(len, of_class.values())) < folds
    else:
        refused, few = "", False
    if refused:
        assert few or "tie all" in refused
        return
    assert min(map(len, of_class.values())) >= folds
    assert set(found) <= set(range(folds))
    for group in np.unique(groups):
        assert len(set(found[groups == group])) == 1
    for fold in range(folds):
        assert set(table.labels[found != fold]) == set(table.labels)


@given(st.dictionaries(st.sampled_from("abcde"), st.integers(6, 40), min_size=1), fold_counts, seeds)
@settings(max_examples=100, deadline=None)
def test_without_copies_folds_differ_by_at_most_one_image_in_every_class(counts, folds: int, seed: int) -> None:
    table = plain(counts)
    found = make_folds(table, folds=folds, seed=seed)
    for label in range(len(table.classes)):
        sizes = [int(((found == fold) & (table.labels == label)).sum()) for fold in range(folds)]
        assert max(sizes) - min(sizes) <= 1
    sizes = np.bincount(found, minlength=folds)
    assert sizes.max() - sizes.min() <= 1


@given(images, st.integers(2, 3), seeds, st.randoms())
@settings(max_examples=100, deadline=None)
def test_folds_follow_from_seed_and_content_whatever_the_files_are_called(listed, folds, seed, chance) -> None:
    listed = [*listed, *((label, 100 + 10 * place + n) for place, label in enumerate("abcd") for n in range(3))]
    shuffled = list(listed)
    chance.shuffle(shuffled)  # the ids of `table_of` are numbers of rows: other names, another order

    def by_content(rows):
        table = table_of(rows)
        return dict(zip(table.contents, make_folds(table, folds=folds, seed=seed).tolist(), strict=True))

    try:
        one = by_content(listed)
    except InputError:
        with pytest.raises(InputError):
            by_content(shuffled)
        return
    assert by_content(shuffled) == one


def test_another_seed_gives_other_folds() -> None:
    table = plain({"a": 30, "b": 20})
    assert make_folds(table, folds=5, seed=0).tolist() != make_folds(table, folds=5, seed=1).tolist()


def test_groups_of_very_different_sizes_still_give_folds_of_like_sizes() -> None:
    """A class of one group of 10, two of 5 and many of 1: every fold gets a fifth."""
    pictures = [0] * 10 + [1] * 5 + [2] * 5 + list(range(3, 33))
    table = table_of([("a", picture) for picture in pictures])
    assert np.bincount(make_folds(table, folds=5, seed=0)).tolist() == [10] * 5


def test_a_class_with_one_group_and_five_folds_is_refused_with_numbers() -> None:
    table = table_of([("rare", 1)] * 4 + [("poor", 50), ("poor", 51)] + [("usual", 100 + n) for n in range(20)])
    with pytest.raises(InputError, match=r"5 folds need at least 5.*2 of 3 classes have fewer.*'rare' has 1 \(4 im"):
        make_folds(table, folds=5, seed=0)
    found = make_folds(table, folds=5, seed=0, small=True)
    assert Counter(found[:6].tolist()) == {-1: 6}
    assert set(found[6:].tolist()) == set(range(5))


def test_a_smaller_number_of_folds_is_named_where_it_would_do() -> None:
    table = table_of([("a", n) for n in range(3)] + [("b", 10 + n) for n in range(9)])
    with pytest.raises(InputError, match="--folds 3 or"):
        make_folds(table, folds=4, seed=0)
    assert set(make_folds(table, folds=3, seed=0)) == {0, 1, 2}


def test_copies_under_several_labels_that_tie_a_class_into_one_fold_are_refused() -> None:
    listed = [("rare", 1), *[("a", 1)] * 9]  # the largest group, fold 0
    listed += [("c", 2), ("d", 2), *[("b", 2)] * 7]  # then fold 1
    listed += [("rare", 3), ("c", 3), ("d", 3)]  # fold 1 has half of c and half of d, fold 0 half of rare
    listed += [("a", 4), ("b", 5)]
    with pytest.raises(InputError, match="force all 2 images of 'rare' into fold 0"):
        make_folds(table_of(listed), folds=2, seed=0)


def test_one_fold_is_refused() -> None:
    with pytest.raises(InputError, match="at least 2, got 1"):
        make_folds(plain({"a": 5}), folds=1, seed=0)
