from __future__ import annotations

from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decisions_made import LABELS, key, table_of
from eyeshot.core.errors import InputError
from eyeshot.data import (
    POLICIES,
    ImageTable,
    compute_manifest,
    copy_groups,
    decide_by_policy,
    find_policy,
    merge_copy_groups,
)
from eyeshot.data.decisions import ordered

tables = st.lists(st.tuples(st.sampled_from(LABELS), st.integers(0, 6)), min_size=1, max_size=40).map(table_of)


def applied(table: ImageTable, name: str, least: int = 1, groups: np.ndarray | None = None):
    manifest = compute_manifest(table, ordered([]))
    groups = copy_groups(table) if groups is None else groups
    made, stopped = decide_by_policy(find_policy(name), manifest, groups, min_per_class=least, author="ann")
    return compute_manifest(table, ordered(made)), made, stopped


@settings(max_examples=150, deadline=None)
@given(tables, st.integers(1, 8), st.sampled_from([one.name for one in POLICIES]))
def test_no_policy_leaves_a_class_under_the_least_and_what_was_stopped_is_listed(table, least: int, name: str) -> None:
    before = Counter(table.frame["label"])
    manifest, made, stopped = applied(table, name, least)
    after = Counter(manifest.table.frame["label"])
    for label, count in before.items():
        assert after[label] == count or after[label] >= least
    # Every group that the policy is for was either decided or stopped.
    by_content: dict[str, list[str]] = {}
    for content, label in zip(table.contents, table.frame["label"], strict=True):
        by_content.setdefault(content, []).append(label)
    several = {content: set(labels) for content, labels in by_content.items() if len(labels) > 1}
    wanted = {
        "keep-one": {content for content, labels in several.items() if len(labels) == 1},
        "drop-both": {content for content, labels in several.items() if len(labels) > 1},
        "group": set(),  # equal bytes stay together by themselves
    }[name]
    decided = {content for one in made for content in one.images}
    held = {table.contents[table.ids.index(one.names[0])] for one in stopped}
    assert decided | held == wanted
    assert not decided & held


@settings(max_examples=60, deadline=None)
@given(tables, st.integers(1, 8), st.sampled_from([one.name for one in POLICIES]))
def test_a_policy_applied_again_decides_nothing_new(table, least: int, name: str) -> None:
    manifest, made, stopped = applied(table, name, least)
    groups = merge_copy_groups(manifest.table, copy_groups(manifest.table), ordered(made))
    again, still = decide_by_policy(find_policy(name), manifest, groups, min_per_class=least)
    assert again == []
    # The same groups, though what was decided since may have made further classes of theirs too small.
    assert {one.names for one in still} == {one.names for one in stopped}


def test_a_group_that_was_stopped_for_one_class_may_be_stopped_for_another_one_later() -> None:
    table = table_of([("ant", 0), ("ant", 1), ("ant", 2), ("bee", 0), ("bee", 0), ("bee", 1), ("cat", 2)])
    manifest, made, stopped = applied(table, "drop-both", 2)
    again, still = decide_by_policy(
        find_policy("drop-both"),
        manifest,
        merge_copy_groups(manifest.table, copy_groups(manifest.table), ordered(made)),
        min_per_class=2,
    )
    assert again == []
    assert {one.names for one in still} == {one.names for one in stopped}
    assert len(still) > len(stopped)


@settings(max_examples=60, deadline=None)
@given(tables, st.integers(1, 4), st.randoms())
def test_what_a_policy_decides_follows_from_content_alone(table, least: int, chance) -> None:
    rows = list(range(len(table)))
    chance.shuffle(rows)
    for name in ("keep-one", "drop-both"):
        one, other = applied(table, name, least)[1], applied(table.take(rows), name, least)[1]
        assert [(each.kind, set(each.images), each.keep) for each in one] == [
            (each.kind, set(each.images), each.keep) for each in other
        ]


def test_keep_one_keeps_the_largest() -> None:
    table = table_of([("ant", 1), ("ant", 2), ("ant", 3)])
    frame = table.frame.with_columns(width=pl.Series([8, 20, 20]), bytes=pl.Series([1, 5, 9]))
    table = ImageTable(frame, table.classes)
    manifest, made, _ = applied(table, "keep-one", groups=np.zeros(3, dtype=np.int64))
    assert manifest.table.contents == [key(3)]
    assert made[0].policy == "keep-one --min-per-class 1"


def test_copies_that_a_group_decision_holds_are_not_decided_twice() -> None:
    table = table_of([("ant", 1), ("bee", 2)])
    _, made, _ = applied(table, "group", groups=np.zeros(2, dtype=np.int64))
    assert [(one.kind, set(one.images)) for one in made] == [("group", {key(1), key(2)})]
    manifest, groups = compute_manifest(table, ordered(made)), np.zeros(2, dtype=np.int64)
    assert decide_by_policy(find_policy("group"), manifest, groups, min_per_class=1, known=ordered(made))[0] == []


def test_the_guard_names_the_class_and_what_it_would_keep() -> None:
    table = table_of([("ant", 1), ("ant", 1), ("ant", 2), *[("bee", 10 + n) for n in range(5)], ("bee", 10)])
    manifest, made, stopped = applied(table, "keep-one", 3)
    assert [(one.label, one.left) for one in stopped] == [("ant", 2)]
    assert len(made) == 1
    assert Counter(manifest.table.frame["label"]) == {"ant": 3, "bee": 5}


def test_an_unknown_policy_and_a_guard_of_nothing_are_refused() -> None:
    with pytest.raises(InputError, match="keep-one, drop-both, group"):
        find_policy("keep-two")
    with pytest.raises(InputError, match="at least 1, got 0"):
        applied(table_of([("ant", 1)]), "keep-one", 0)
