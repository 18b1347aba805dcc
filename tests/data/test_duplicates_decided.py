from __future__ import annotations

from datetime import timedelta
from itertools import combinations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from decisions_made import START, decision_lists, key, table_of
from eyeshot.data import ImageTable, copy_groups, decide, merge_copy_groups
from eyeshot.data.decisions import Decision, Decisions, ordered


def by_brute_force(table: ImageTable, groups: np.ndarray, decisions: Decisions, more: list[tuple[str, ...]]) -> list:
    """Reachability over the full matrix of contents that are copies."""
    contents = sorted(set(table.contents))
    place = {content: number for number, content in enumerate(contents)}
    linked = np.eye(len(contents), dtype=bool)
    cliques = [
        {content for content, own in zip(table.contents, groups, strict=True) if own == group} for group in groups
    ]
    cliques += [set(one) for one in more]
    cliques += [set(one.images) for one in decisions.active if one.kind == "group"]
    for clique in cliques:
        for one, other in combinations(clique & set(contents), 2):
            verdicts = [
                d.kind for d in decisions.active if d.kind in ("group", "not-copy") and {one, other} <= set(d.images)
            ]
            if not verdicts or verdicts[-1] == "group":
                linked[place[one], place[other]] = linked[place[other], place[one]] = True
    for _ in contents:
        linked = (linked.astype(int) @ linked.astype(int)) > 0
    rows = [place[content] for content in table.contents]
    return [next(row for row, other in enumerate(rows) if linked[own, other]) for own in rows]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.integers(0, 12), min_size=1, max_size=16),
    st.lists(st.integers(0, 4), min_size=16, max_size=16),
    decision_lists(),
    st.lists(st.lists(st.integers(0, 14), min_size=2, max_size=4, unique=True), max_size=3),
)
def test_groups_after_decisions_are_what_brute_force_says(pictures, numbers, made: list[Decision], near) -> None:
    table = table_of([("ant", picture) for picture in pictures])
    number_of = {content: number for content, number in zip(sorted(set(table.contents)), numbers, strict=False)}
    groups = np.array([number_of[content] for content in table.contents])
    more = [tuple(map(key, one)) for one in near]
    found = merge_copy_groups(table, groups, ordered(made), more=more)
    assert found.tolist() == by_brute_force(table, groups, ordered(made), more)


def test_a_pair_that_is_no_copy_comes_apart_and_together_again_when_undone() -> None:
    table = table_of([("ant", 1), ("ant", 2), ("bee", 3)])
    groups = np.array([0, 0, 2])
    no_copy = decide("not-copy", [key(1), key(2)], author="ann")
    assert merge_copy_groups(table, groups, ordered([no_copy])).tolist() == [0, 1, 2]
    undo = decide("undo", undoes=no_copy.id, author="ann")
    assert merge_copy_groups(table, groups, ordered([no_copy, undo])).tolist() == [0, 0, 2]


def test_of_two_decisions_about_a_pair_the_later_counts() -> None:
    table = table_of([("ant", 1), ("ant", 2)])
    for kinds, together in ((("not-copy", "group"), True), (("group", "not-copy"), False)):
        made = [decide(kind, [key(1), key(2)], author="ann") for kind in kinds]
        in_order = [one.model_copy(update={"time": START + timedelta(n)}) for n, one in enumerate(made)]
        found = merge_copy_groups(table, np.array([0, 0]), ordered(in_order))
        assert (found[0] == found[1]) == together


def test_equal_bytes_stay_together_whatever_is_said() -> None:
    table = table_of([("ant", 1), ("bee", 1), ("bee", 2)])
    no_copy = decide("not-copy", [key(1), key(2)], author="ann")
    assert merge_copy_groups(table, copy_groups(table), ordered([no_copy])).tolist() == [0, 0, 2]


def test_a_group_of_thousands_is_quick() -> None:
    table = table_of([("ant", picture) for picture in range(5000)])
    groups = np.zeros(5000, dtype=np.int64)
    one = decide("group", [key(picture) for picture in range(5000)], author="ann")
    assert set(merge_copy_groups(table, groups, ordered([one]))) == {0}
