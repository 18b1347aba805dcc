from __future__ import annotations

import io
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from decisions_made import LABELS, key, table_of
from eyeshot.core.errors import InputError
from eyeshot.data import (
    POLICIES,
    ImageTable,
    compute_manifest,
    copy_groups,
    decide,
    decide_by_policy,
    find_policy,
    merge_copy_groups,
    read_images,
)
from eyeshot.data.decisions import Decision, ordered

tables = st.lists(st.tuples(st.sampled_from(LABELS), st.integers(0, 6)), min_size=1, max_size=40).map(table_of)


LEAKS = {key(picture): f"test/{picture}.png" for picture in (0, 3)}  # the pictures that are test images too


def applied(
    table: ImageTable, name: str, least: int = 1, groups: np.ndarray | None = None, known: list[Decision] | None = None
):
    decided = ordered(known or [])
    manifest = compute_manifest(table, decided)
    groups = copy_groups(table) if groups is None else groups
    made, stopped = decide_by_policy(
        find_policy(name), manifest, groups, min_per_class=least, author="ann", known=decided, leaks=LEAKS
    )
    return compute_manifest(table, ordered([*decided.stored, *made])), made, stopped


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
        "drop-leaks": LEAKS.keys() & by_content.keys(),
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
    again, still = decide_by_policy(find_policy(name), manifest, groups, min_per_class=least, leaks=LEAKS)
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
    for name in ("keep-one", "drop-both", "drop-leaks"):
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
    with pytest.raises(InputError, match="keep-one, drop-leaks, drop-both, group"):
        find_policy("keep-two")
    with pytest.raises(InputError, match="at least 1, got 0"):
        applied(table_of([("ant", 1)]), "keep-one", 0)


def same_picture(paint, ending: str, **options: object) -> bytes:
    """One picture in a format, 48 × 40 pixels unless a `size` is given."""
    image = paint(7, options.pop("size", (48, 40)))
    if mode := options.pop("mode", None):
        image = image.convert(mode)
    if options.pop("turned", False):
        image = image.transpose(Image.Transpose.ROTATE_90)
        exif = Image.Exif()
        exif[0x0112] = 6
        options["exif"] = exif
    if options.pop("animated", False):
        options |= {"save_all": True, "append_images": [paint(8)]}
    buffer = io.BytesIO()
    image.save(buffer, ending, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("best", "other", "reason"),
    [
        (("b.jpg", "JPEG", {}), ("a.HEIC", "JPEG", {"quality": 99}), "a.HEIC is named .HEIC"),
        (("b.jpg", "JPEG", {}), ("a.gif", "GIF", {}), "a.gif is named .gif and has a palette and is GIF"),
        (("b.jpg", "JPEG", {"size": (24, 20)}), ("a.png", "GIF", {}), "has a palette and is GIF"),
        (("b.jpg", "JPEG", {}), ("a.webp", "WEBP", {"animated": True, "lossless": True}), "holds several pictures"),
        (("b.png", "PNG", {}), ("a.png", "PNG", {"animated": True}), "holds several pictures"),
        (("b.jpg", "JPEG", {"quality": 40}), ("a.png", "PNG", {"mode": "P"}), "has a palette"),
        (("b.jpg", "JPEG", {"quality": 40}), ("a.jpg", "JPEG", {"mode": "CMYK"}), "is CMYK"),
        (("b.jpg", "JPEG", {"quality": 40}), ("a.png", "PNG", {"mode": "RGBA"}), "is transparent"),
        (("b.jpg", "JPEG", {"size": (96, 80)}), ("a.png", "PNG", {}), "96 × 80 pixels against 48 × 40 of"),
        (("b.jpg", "JPEG", {"quality": 40}), ("a.jpg", "JPEG", {"quality": 95, "turned": True}), "turned by EXIF"),
        (("b.jpg", "JPEG", {"quality": 95, "turned": True, "size": (96, 80)}), ("a.jpg", "JPEG", {}), "96 × 80 pixels"),
        (("b.jpg", "JPEG", {"quality": 95}), ("a.jpg", "JPEG", {"quality": 40}), "as many pixels, and "),
        (("a.jpg", "JPEG", {}), ("b.jpg", "JPEG", {}), "identical to x/b.jpg; the first by name stays"),
        (("b.jpg", "JPEG", {}), ("a.heic", "JPEG", {}), "a.heic is named .heic"),  # identical bytes
    ],
)
def test_keep_one_keeps_what_common_readers_open_then_the_better_and_says_why(
    tmp_path: Path, paint, best, other, reason: str
) -> None:
    for name, ending, options in (best, other):
        (tmp_path / "x").mkdir(exist_ok=True)
        (tmp_path / "x" / name).write_bytes(same_picture(paint, ending, **options))
    table = read_images(tmp_path, minimum_classes=1)
    manifest, made, _ = applied(table, "keep-one", groups=np.zeros(2, dtype=np.int64))
    assert manifest.table.ids == [f"x/{best[0]}"]
    assert made[0].names == (f"x/{best[0]}", f"x/{other[0]}")
    assert reason in made[0].reason


def test_images_that_a_person_kept_stay_and_the_rest_of_their_group_goes() -> None:
    table = table_of([("ant", 1), ("ant", 2), ("bee", 3), ("bee", 4)])
    kept = decide("keep", [key(2)], author="ben")
    groups = np.array([0, 0, 2, 3])
    manifest, made, _ = applied(table, "keep-one", groups=groups, known=[kept])
    assert manifest.table.contents == [key(2), key(3), key(4)]
    assert made[0].reason == "kept in the review"
    manifest, made, _ = applied(table, "drop-both", groups=np.array([0, 1, 1, 3]), known=[kept])
    assert manifest.table.contents == [key(1), key(2), key(4)]
    both = decide("keep", [key(1), key(2)], author="ben")
    assert applied(table, "keep-one", groups=groups, known=[both])[1] == []
    assert applied(table, "drop-leaks", groups=groups, known=[decide("keep", [key(3)], author="ben")])[1] == []


def test_a_leak_is_dropped_in_training_alone_and_says_which_test_image_it_duplicates() -> None:
    table = table_of([("ant", 3), ("bee", 3), ("bee", 1), ("ant", 2)])
    manifest, made, _ = applied(table, "drop-leaks")
    assert sorted(manifest.table.contents) == sorted([key(1), key(2)])
    assert [(one.kind, one.given, one.names) for one in made] == [
        ("drop", "ant", ("ant/0000.png",)),
        ("drop", "bee", ("bee/0001.png",)),
    ]
    assert {one.reason for one in made} == {"duplicate of test image test/3.png, which stays"}
    # The same bytes without a label, as test images are, stay.
    assert len(compute_manifest(table_of([(None, 3)]), ordered(made)).table) == 1
