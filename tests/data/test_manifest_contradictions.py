from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decisions_made import LABELS, START, decision_lists, key, table_of
from eyeshot.data import (
    Contradiction,
    Decision,
    Winner,
    compute_manifest,
    decide,
    find_contradictions,
    ordered,
    settle,
    undo_of,
)


def said(kind: str, *pictures: int, by: str = "ann", day: int = 0, **fields) -> Decision:
    if "keep" in fields:
        fields["keep"] = key(fields["keep"])
    names = [f"{picture}.png" for picture in pictures]
    one = decide(kind, [key(picture) for picture in pictures], author=by, names=names, **fields)
    return one.model_copy(update={"time": START + timedelta(days=day)})


CONTRADICT = {
    "left out and kept": (said("drop", 1), said("keep", 1, by="ben")),
    "left out and labelled": (said("drop-both", 1, 2), said("relabel", 1, by="ben", label="dog")),
    "two labels": (said("relabel", 1, label="dog"), said("relabel", 1, by="ben", label="cat")),
    "two labels of files under one": (
        said("relabel", 1, label="dog", given="ant"),
        said("relabel", 1, by="ben", label="cat"),
    ),
    "label kept and changed": (said("keep", 1), said("relabel", 1, by="ben", label="cat")),
    "another copy is kept": (said("keep-one", 1, 2, keep=1), said("keep-one", 1, 2, by="ben", keep=2)),
    "the copy kept is left out": (said("keep-one", 1, 2, keep=1), said("drop", 1, by="ben")),
    "copies and none": (said("group", 1, 2, 3), said("not-copy", 1, 2, by="ben")),
    "one of copies and no copies": (said("keep-one", 1, 2, keep=1), said("not-copy", 1, 2, by="ben")),
    "a class into two": (
        said("merge-classes", classes=["ant", "bee"], label="ant"),
        said("merge-classes", by="ben", classes=["ant"], label="bug"),
    ),
}
AGREE = {
    "the same": (said("drop", 1), said("drop-both", 1, 2, by="ben")),
    "other images": (said("drop", 1), said("keep", 2, by="ben")),
    "files under other labels": (said("drop", 1, given="ant"), said("keep", 1, by="ben", given="bee")),
    "the label and which copy": (said("relabel", 1, label="dog"), said("keep-one", 1, 2, by="ben", keep=1)),
    "together and one is left out": (said("group", 1, 2), said("drop", 1, by="ben")),
    "one image of a pair": (said("group", 1, 2), said("not-copy", 2, 3, by="ben")),
    "the same class": (
        said("merge-classes", classes=["ant"], label="bug"),
        said("merge-classes", by="ben", classes=["bee"], label="bug"),
    ),
}


@pytest.mark.parametrize("name", CONTRADICT)
def test_what_cannot_both_count_is_named_whoever_merges(name: str) -> None:
    mine, theirs = CONTRADICT[name]
    for first, second in ((mine, theirs), (theirs, mine)):
        (found,) = find_contradictions(ordered([first]), ordered([second]))
        assert (found.mine, found.theirs) == (first, second)


@pytest.mark.parametrize("name", AGREE)
def test_what_can_both_count_is_not(name: str) -> None:
    mine, theirs = AGREE[name]
    assert find_contradictions(ordered([mine]), ordered([theirs])) == []


def test_the_words_name_file_sides_people_and_times() -> None:
    mine = said("drop", 1, 2)
    theirs = said("relabel", 2, by="ben", day=3, label="dog")
    (found,) = find_contradictions(ordered([mine]), ordered([theirs]))
    assert found.words() == ("2.png: mine drop (ann, 2026-11-01 00:00); theirs relabel -> dog (ben, 2026-11-04 00:00)")


def test_who_decides_knowing_the_others_decision_does_not_contradict_it() -> None:
    mine, theirs = said("drop", 1), said("keep", 1, by="ben", day=1)
    assert find_contradictions(ordered([mine]), ordered([mine, theirs])) == []
    assert find_contradictions(ordered([mine, theirs]), ordered([mine])) == []
    assert find_contradictions(ordered([mine]), ordered([theirs, undo_of(theirs)])) == []


@pytest.mark.parametrize(("rule", "left"), [("mine", [2]), ("theirs", [1, 2]), ("newer", [1, 2])])
def test_the_side_that_was_chosen_counts_and_the_rest_of_the_other_stays(rule, left: list[int]) -> None:
    table = table_of([("ant", 1), ("ant", 2), ("ant", 3)])
    mine, theirs = ordered([said("drop", 1, 3)]), ordered([said("relabel", 1, 2, by="ben", day=1, label="dog")])
    settled, counts = settle(mine, theirs, lambda one: rule, author="ann")
    merged = ordered([*mine.stored, *theirs.stored, *settled])
    manifest = compute_manifest(table, merged)
    assert manifest.table.contents == [key(picture) for picture in left]
    assert set(manifest.table.frame["label"]) == {"dog"}
    assert sum(counts.values()) == 1
    (again,) = [one for one in settled if one.kind != "undo"]
    assert again.author == ("ben" if rule == "mine" else "ann")
    assert again.names == (("2.png",) if rule == "mine" else ("3.png",))
    (undo,) = [one for one in settled if one.kind == "undo"]
    assert "counts instead" in undo.reason


def test_an_image_with_several_decisions_of_one_side_is_settled_to_the_end() -> None:
    mine = ordered([said("relabel", 1, label="dog"), said("keep-one", 1, 2, keep=1, day=5)])
    theirs = ordered([said("drop", 1, by="ben", day=1)])
    settled, _ = settle(mine, theirs, lambda one: "theirs")
    merged = ordered([*mine.stored, *theirs.stored, *settled])
    manifest = compute_manifest(table_of([("ant", 1), ("ant", 3)]), merged)
    assert manifest.table.contents == [key(3)]


@settings(max_examples=100, deadline=None)
@given(decision_lists(), decision_lists(), st.sampled_from(["mine", "theirs"]))
def test_only_the_other_side_is_undone_and_nothing_contradicts_any_more(ann, ben, rule) -> None:
    mine, theirs = ordered(ann), ordered([one.model_copy(update={"id": f"ben-{one.id}"}) for one in ben])
    settled, counts = settle(mine, theirs, lambda one: rule)
    undone = {one.undoes for one in settled if one.kind == "undo"}
    assert undone <= (theirs if rule == "mine" else mine).by_id.keys()
    assert bool(undone) == bool(counts) == bool(find_contradictions(mine, theirs))
    assert find_contradictions(ordered([*mine.stored, *settled]), ordered([*theirs.stored, *settled])) == []


@settings(max_examples=100, deadline=None)
@given(decision_lists(), decision_lists(), st.sampled_from(["mine", "theirs", "newer"]))
def test_images_that_nobody_disagrees_about_stand_as_if_nothing_had_been_settled(ann, ben, rule) -> None:
    kinds = ("drop", "drop-both", "keep", "relabel")
    mine = ordered(one for one in ann if one.kind in kinds)
    theirs = ordered(one.model_copy(update={"id": f"ben-{one.id}"}) for one in ben if one.kind in kinds)
    disputed: set[str] = set()

    def choose(contradiction: Contradiction) -> Winner:
        disputed.update(contradiction.images)
        return rule

    settled, _ = settle(mine, theirs, choose)
    table = table_of([(label, picture) for label in LABELS for picture in range(21)])
    plain, after = (
        compute_manifest(table, ordered([*mine.stored, *theirs.stored, *more])).table.frame for more in ([], settled)
    )
    undisputed = ~pl.col("content").is_in(list(disputed))
    assert plain.filter(undisputed).equals(after.filter(undisputed))
