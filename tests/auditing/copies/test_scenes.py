from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scenes import SCENES, product, write_scene

from eyeshot.auditing import audit
from eyeshot.auditing.new_split import split


@pytest.mark.parametrize("counts", [(40, 12), (3, 2)])
@pytest.mark.parametrize("name", SCENES)
def test_of_pictures_of_one_scene_none_is_to_be_dropped(name: str, counts: tuple[int, int], tmp_path: Path) -> None:
    write_scene(tmp_path, name, counts, test=6)
    report = audit(tmp_path / "train", test=tmp_path / "test", cache=tmp_path / "cache", workers=1).report
    about_copies = [found for found in report.findings if found.kind in ("conflict", "leak", "near-copy", "identical")]
    assert not [found.words for found in about_copies if found.suggestion in ("drop-both", "drop", "keep-one")]


@pytest.mark.parametrize("name", ["product", "number_plate", "camera_trap"])
def test_a_class_of_pictures_of_one_scene_can_be_split(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_scene(tmp_path, name, (40, 12), test=1)
    monkeypatch.chdir(tmp_path)
    report = audit("train", workers=1).report
    Path("eyeshot-out/audit").mkdir(parents=True)
    Path("eyeshot-out/audit/audit.json").write_text(report.model_dump_json())
    made = split("train", folds=4, leakage=False, progress=False)
    assert sum(made.counts.values()) == 52


def test_a_copy_within_a_scene_is_found_where_it_shows_something_of_its_own(tmp_path: Path) -> None:
    write_scene(tmp_path, "filled_form", (30, 10), test=1)
    original = Image.open(tmp_path / "train/a/3.png")
    original.save(tmp_path / "train/a/copy.jpg", quality=80)
    report = audit(tmp_path / "train", cache=tmp_path / "cache", workers=1).report
    assert [{image.id for image in group.images} for group in report.groups] == [{"a/3.png", "a/copy.jpg"}]


def test_pictures_of_a_scene_alone_are_said_to_be_indistinguishable(tmp_path: Path) -> None:
    (tmp_path / "train" / "good").mkdir(parents=True)
    for seed in range(30):
        product(seed, 0).save(tmp_path / "train" / "good" / f"{seed}.png")
    other = np.random.default_rng(0).integers(0, 255, (20, 12, 12, 3), dtype=np.uint8)
    (tmp_path / "train" / "other").mkdir()
    for number, pixels in enumerate(other):
        Image.fromarray(pixels).resize((96, 96)).save(tmp_path / "train" / "other" / f"{number}.png")
    report = audit(tmp_path / "train", cache=tmp_path / "cache", workers=1).report
    assert not report.groups
    found = [finding for finding in report.findings if finding.kind == "very-similar"]
    assert any("cannot be told" in finding.words and finding.suggestion == "look" for finding in found)
