from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from simple_pictures import SIMPLE, doodle, icon

from eyeshot.auditing import audit
from eyeshot.auditing.copies.plain import differences, encoded_size, flat_share, judge_plain
from eyeshot.auditing.copies.search import Pairs

ONE_SCENE = ("sprite", "paper")  # no copy can be told there but by equal pixels
COPIED = (20, 21, 22)


@pytest.mark.parametrize("name", SIMPLE)
def test_of_different_simple_pictures_none_is_to_be_dropped_and_copies_are_found(name: str, tmp_path: Path) -> None:
    for number, count in enumerate((40, 20)):
        (tmp_path / "train" / "ab"[number]).mkdir(parents=True)
        for seed in range(count):
            SIMPLE[name](seed, number).save(tmp_path / "train" / "ab"[number] / f"{seed:03}.png")
    (tmp_path / "test").mkdir()
    for seed in range(100, 108):
        SIMPLE[name](seed, seed % 2).save(tmp_path / "test" / f"{seed:03}.png")
    copies = [{f"a/{seed:03}.png", f"a/copy-{seed}.jpg"} for seed in COPIED]
    for seed in COPIED:
        SIMPLE[name](seed, 0).save(tmp_path / "train" / "a" / f"copy-{seed}.jpg", quality=85)
    SIMPLE[name](30, 0).save(tmp_path / "train" / "a" / "exact.png", compress_level=1)
    copies.append({"a/030.png", "a/exact.png"})
    report = audit(tmp_path / "train", test=tmp_path / "test", cache=tmp_path / "cache", workers=1).report
    sure = [
        {image.id for image in finding.images}
        for finding in report.findings
        if finding.kind in ("conflict", "leak", "near-copy", "identical") and finding.suggestion != "look"
    ]
    assert [names for names in sure if names not in copies] == []
    # A copy may be in a group with pictures that a person has to look at.
    groups = [{image.id for image in group.images} for group in report.groups]
    missed = [names for names in copies if not any(names <= group for group in groups)]
    assert missed == (copies[:3] if name in ONE_SCENE else [])


def thumbnails(*images: object) -> np.ndarray:
    return np.stack([np.asarray(image.convert("L").resize((64, 64))) for image in images])  # type: ignore[attr-defined]


def test_the_answer_about_a_pair_of_plain_pictures_does_not_change_with_its_contrast() -> None:
    grey = thumbnails(icon(0, 0), icon(1, 0))
    dimmed = (40 + 0.5 * grey.astype(float)).round().astype(np.uint8)
    zeros, pair = np.zeros(3, np.int64), np.array([0, 0, 1])
    pairs = Pairs(pair, np.array([1, 2, 3]), zeros, zeros.astype(np.float32))
    no_copies, unsure = judge_plain(np.concatenate([grey, dimmed]), pairs)
    assert no_copies.tolist() == [True, False, False]
    assert not unsure.any()
    assert differences(grey, pairs[np.array([0])])[1] > 0.5


def test_drawings_that_fit_once_they_are_moved_are_unsure() -> None:
    grey = thumbnails(doodle(0, 1), doodle(1, 1))
    one = np.array([0])
    assert [found.tolist() for found in judge_plain(grey, Pairs(one, one + 1, one, one.astype(np.float32)))] == [
        [False],
        [True],
    ]


def test_what_is_flat_and_what_takes_many_bytes() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    flat = np.full((64, 64), 90, np.uint8)
    assert flat_share(flat) == 1
    assert flat_share(noise) < 0.2
    assert encoded_size(flat) == 0
    assert encoded_size(noise) > 1000
