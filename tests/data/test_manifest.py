from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from decisions_made import decision_lists, key, table_of, tables
from eyeshot.data import ImageTable, read_images
from eyeshot.data.decisions import Decision, DecisionLog, decide, ordered, undo_of
from eyeshot.data.manifest import DecisionState, Manifest, compute_manifest, similar_classes

TABLE = table_of([("ant", 1), ("ant", 2), ("bee", 1), ("bee", 3), ("cat", 4)])


def after(*decisions: Decision, table: ImageTable = TABLE) -> list[tuple[int, str | None]]:
    """Rows that stay, with their labels; the decisions in the order given."""
    start = decisions[0].time if decisions else None
    times = [start.replace(year=2030, microsecond=number) for number in range(len(decisions))]
    in_order = [one.model_copy(update={"time": time}) for one, time in zip(decisions, times, strict=True)]
    manifest = compute_manifest(table, ordered(in_order))
    rows = [table.ids.index(name) for name in manifest.table.ids]
    return list(zip(rows, manifest.table.frame["label"], strict=True))


def decision(kind, *pictures: int, **fields) -> Decision:
    if "keep" in fields:
        fields["keep"] = key(fields["keep"])
    return decide(kind, [key(picture) for picture in pictures], author="ann", **fields)


def state(manifest: Manifest) -> tuple[object, ...]:
    return (
        manifest.table.frame.rows(), manifest.table.classes, manifest.given, manifest.left_out.rows(),
        manifest.decided, [one.id for one in manifest.gone],
    )  # fmt: skip


def test_without_decisions_the_manifest_is_the_table() -> None:
    manifest = compute_manifest(TABLE, ordered([]))
    assert manifest.table.frame.equals(TABLE.frame)
    assert manifest.table.classes == TABLE.classes
    assert manifest.left_out.height == manifest.relabelled == 0


@pytest.mark.parametrize(
    ("decisions", "left"),
    [
        ([decision("drop", 2)], [(0, "ant"), (2, "bee"), (3, "bee"), (4, "cat")]),
        ([decision("drop", 1)], [(1, "ant"), (3, "bee"), (4, "cat")]),
        ([decision("drop", 1, given="bee")], [(0, "ant"), (1, "ant"), (3, "bee"), (4, "cat")]),
        ([decision("drop-both", 1)], [(1, "ant"), (3, "bee"), (4, "cat")]),
        ([decision("drop", 1), decision("keep", 1, given="ant")], [(0, "ant"), (1, "ant"), (3, "bee"), (4, "cat")]),
        ([decision("keep-one", 2, 3, keep=3)], [(0, "ant"), (2, "bee"), (3, "bee"), (4, "cat")]),
        ([decision("keep-one", 1, keep=1, label="bee")], [(1, "ant"), (2, "bee"), (3, "bee"), (4, "cat")]),
        ([decision("keep-one", 1, keep=1)], [(0, "ant"), (1, "ant"), (3, "bee"), (4, "cat")]),
        (
            [decision("drop", 3), decision("keep-one", 2, 3, keep=3)],
            [(0, "ant"), (2, "bee"), (3, "bee"), (4, "cat")],
        ),
        # The image to keep is gone: another stays in its place.
        ([decision("keep-one", 9, 2, 3, keep=9)], [(0, "ant"), (1, "ant"), (2, "bee"), (4, "cat")]),
        ([decision("relabel", 4, label="dog")], [(0, "ant"), (1, "ant"), (2, "bee"), (3, "bee"), (4, "dog")]),
        (
            [decision("merge-classes", classes=["ant", "cat"], label="bug"), decision("relabel", 3, label="cat")],
            [(0, "bug"), (1, "bug"), (2, "bee"), (3, "bug"), (4, "bug")],
        ),
        ([decision("group", 1, 2), decision("not-copy", 3, 4)], [(n, TABLE.frame["label"][n]) for n in range(5)]),
    ],
)
def test_each_kind_does_what_it_says(decisions: list[Decision], left: list[tuple[int, str]]) -> None:
    assert after(*decisions) == left


@settings(max_examples=150, deadline=None)
@given(tables, decision_lists(), st.data())
def test_undoing_a_decision_gives_the_manifest_as_if_it_had_never_been(table, made: list[Decision], data) -> None:
    if not made:
        return
    one = data.draw(st.sampled_from(made))
    without = [other for other in made if other.id != one.id and other.undoes != one.id]
    if one.kind == "undo":
        return
    # Undos of it and what undoes these are left as they are: in the end it must not count.
    undo = decide("undo", undoes=one.id, author="ben")
    undone = compute_manifest(table, ordered([*made, undo]))
    assert state(undone) == state(compute_manifest(table, ordered(without)))


@settings(max_examples=100, deadline=None)
@given(tables, decision_lists())
def test_undoing_everything_restores_the_table_exactly_whatever_is_said_about_undos(table, made) -> None:
    undos = [undo_of(one, author="ben") for one in ordered(made).active]
    of_undos = [decide("undo", undoes=undo.id, author="ann") for undo in undos]  # by an edit by hand
    for bare in (
        compute_manifest(table, ordered([*made, *undos])),
        compute_manifest(table, ordered([*made, *undos, *of_undos])),
    ):
        assert bare.table.frame.equals(table.frame)
        assert bare.left_out.height == 0


@settings(max_examples=100, deadline=None)
@given(tables, decision_lists(), st.randoms())
def test_a_state_that_takes_decisions_one_at_a_time_is_that_of_the_manifest(table, made, chance) -> None:
    chance.shuffle(made)
    state = DecisionState(table.contents, table.frame["label"].to_list())
    for one in made:
        state.take([one])
    manifest = compute_manifest(table, ordered(made))
    standings = [state.standing(row) for row in range(len(table))]
    left = {name: standing for name, standing in zip(table.ids, standings, strict=True) if standing.left_out is None}
    assert list(left) == list(manifest.table.ids)
    assert [standing.label for standing in left.values()] == manifest.table.frame["label"].to_list()
    assert [standing.left_out for standing in standings if standing.left_out] == list(manifest.decided)


def test_of_a_keep_one_test_images_are_neither_kept_nor_left_out() -> None:
    state = DecisionState([key(1), key(1), key(2)], [None, "ant", "ant"], [True, False, False])
    state.take([decision("keep-one", 1, 2, keep=1)])
    assert [state.standing(row).left_out is None for row in range(3)] == [True, True, False]
    assert [state.standing(row).kept for row in range(3)] == [False, True, False]


@settings(max_examples=100, deadline=None)
@given(tables, decision_lists(), st.randoms())
def test_the_order_of_lines_in_the_file_does_not_matter(table, made: list[Decision], chance) -> None:
    shuffled = list(made)
    chance.shuffle(shuffled)
    assert state(compute_manifest(table, ordered(shuffled))) == state(compute_manifest(table, ordered(made)))


@settings(max_examples=100, deadline=None)
@given(tables, decision_lists(), st.randoms())
def test_images_are_parted_into_those_that_stay_and_those_left_out(table, made, chance) -> None:
    manifest = compute_manifest(table, ordered(made))
    assert sorted([*manifest.table.ids, *manifest.left_out["id"]]) == sorted(table.ids)
    known = {one.id for one in ordered(made).active}
    assert set(manifest.decided) <= known


def save(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def test_moved_and_renamed_files_keep_their_decisions_and_gone_ones_are_told(tmp_path: Path) -> None:
    for number in range(4):
        save(tmp_path / "set" / "ab"[number % 2] / f"{number}.png", number)
    table = read_images(tmp_path / "set")
    contents = dict(zip(table.ids, table.contents, strict=True))
    log = DecisionLog(tmp_path / "decisions.jsonl")
    log.append([
        decide("drop", [contents["a/0.png"]], author="ann"),
        decide("relabel", [contents["b/1.png"]], author="ann", label="c"),
        decide("drop", [contents["a/2.png"]], author="ann"),
    ])  # fmt: skip
    shutil.move(tmp_path / "set", tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "a" / "0.png").rename(tmp_path / "elsewhere" / "b" / "new name.png")
    (tmp_path / "elsewhere" / "b" / "1.png").rename(tmp_path / "elsewhere" / "b" / "x.png")
    (tmp_path / "elsewhere" / "a" / "2.png").unlink()
    save(tmp_path / "elsewhere" / "a" / "7.png", 7)
    manifest = compute_manifest(read_images(tmp_path / "elsewhere"), log.read())
    assert dict(zip(manifest.table.ids, manifest.table.frame["label"], strict=True)) == {
        "a/7.png": "a", "b/3.png": "b", "b/x.png": "c",
    }  # fmt: skip
    assert manifest.left_out["id"].to_list() == ["b/new name.png"]
    assert [one.images for one in manifest.gone] == [(contents["a/2.png"],)]
    assert "1 of 3 decisions is about images that are missing" in manifest.notes[0]


def test_an_image_under_two_labels_in_the_csv_stays_out_and_decisions_do_not_mind(tmp_path: Path) -> None:
    for number in range(4):
        save(tmp_path / "set" / f"{number}.png", number)
    rows = ["path,label", "0.png,a", "1.png,a", "2.png,b", "3.png,b", "0.png,b"]
    (tmp_path / "labels.csv").write_text("\n".join(rows), "utf-8")
    table = read_images(tmp_path / "set", labels=tmp_path / "labels.csv")
    assert [one.reason for one in table.skipped] == ["two labels in labels.csv"]
    assert len(compute_manifest(table, ordered([decide("drop", [table.contents[0]], author="a")])).table) == 2


def test_classes_that_differ_only_by_case_or_unicode_form_are_named() -> None:
    assert similar_classes(["Cat", "cat", "dog"]) == [("Cat", "cat")]
    assert similar_classes(["caf\u00e9", "cafe\u0301", "Straße", "STRASSE"]) == [
        ("cafe\u0301", "caf\u00e9"), ("STRASSE", "Straße"),
    ]  # fmt: skip
    table = table_of([("Cat", 1), ("cat", 2), ("dog", 3)])
    (note,) = compute_manifest(table, ordered([])).notes
    assert "--class Cat --class cat --label Cat" in note
    merged = decide("merge-classes", classes=["Cat", "cat"], label="cat", author="ann")
    assert compute_manifest(table, ordered([merged])).table.classes == ("cat", "dog")


def test_images_without_labels_get_them_by_hand() -> None:
    table = table_of([(None, 1), (None, 2)])
    assert after(decision("relabel", 1, label="ant"), table=table) == [(0, "ant"), (1, None)]
