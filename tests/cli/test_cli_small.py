"""The small commands: cache, augmentations, preview."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from command_line import Eyeshot
from PIL import Image

import eyeshot as package


def some_cache(folder: Path) -> Path:
    (folder / "features").mkdir(parents=True)
    (folder / "features" / "rows.bin").write_bytes(bytes(2_500_000))
    return folder


def test_the_cache_is_shown_with_its_place_and_size(eyeshot: Eyeshot):
    place = some_cache(Path("eyeshot-out/cache"))
    done = eyeshot("cache", "show")
    assert done.code == 0
    assert f"{place.resolve()}: 2 MB" in done.out
    assert "eyeshot cache clear" in done.out


def test_a_cache_that_is_not_there_is_empty(eyeshot: Eyeshot):
    assert "0 kB" in eyeshot("cache", "show").out
    done = eyeshot("cache", "clear")
    assert (done.code, done.err) == (0, "")


def test_clearing_the_cache_keeps_the_results(eyeshot: Eyeshot):
    place = some_cache(Path("eyeshot-out/cache"))
    result = Path("eyeshot-out/augmentations/augmentations.json")
    result.parent.mkdir()
    result.touch()
    done = eyeshot("cache", "clear")
    assert "freed 2 MB" in done.out
    assert not place.exists()
    assert result.exists()


def test_the_cache_can_lie_elsewhere(eyeshot: Eyeshot, tmp_path: Path, monkeypatch):
    here, there = some_cache(Path("eyeshot-out/cache")), some_cache(tmp_path / "fast disk")
    monkeypatch.setenv("EYESHOT_CACHE", str(there))
    assert str(there) in eyeshot("cache", "show").out
    assert eyeshot("cache", "clear").code == 0
    assert here.exists()
    assert not there.exists()


def test_a_cache_that_cannot_be_emptied_is_told(eyeshot: Eyeshot, monkeypatch):
    some_cache(Path("eyeshot-out/cache"))

    def refuse(folder):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("eyeshot.core.files.shutil.rmtree", refuse)
    done = eyeshot("cache", "clear")
    assert done.code == 4
    assert "Permission denied" in done.err


def test_the_catalogue_is_listed_with_what_each_may_destroy(eyeshot: Eyeshot):
    done = eyeshot("list", "augmentations")
    assert done.code == 0
    for one in package.augmentations():
        assert f"\n{one.name} " in done.out
    assert f"{len(package.augmentations())} augmentations" in done.out
    assert "may destroy" in done.out
    assert package.augmentation("half-turns").may_destroy.split()[0] in done.out


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        (("mirror",), ["mirror"]),
        (("rotate-*",), ["rotate-15", "rotate-30", "rotate-180"]),
        (("mixing",), ["mixup", "mixup-strong", "cutmix", "mosaic"]),
        (("invert", "mirror", "inv*"), ["invert", "mirror"]),
    ],
)
def test_names_wildcards_and_families_choose(eyeshot: Eyeshot, patterns: tuple[str, ...], names: list[str]):
    listed = json.loads(eyeshot("list", "augmentations", *patterns, "--json").out)
    assert sorted(one["name"] for one in listed) == sorted(names)
    assert set(listed[0]) == {
        "name", "family", "strength", "probability", "description", "may_destroy", "source",
    }  # fmt: skip


def test_an_unknown_pattern_suggests_names(eyeshot: Eyeshot):
    for command in (("list", "augmentations", "miror"), ("preview", "image.png", "miror")):
        done = eyeshot(*command)
        assert done.code == 2
        assert "mirror" in done.err


def write_image(path: Path) -> Path:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)).save(path)
    return path


def test_a_preview_is_a_picture_with_a_row_for_each_candidate(eyeshot: Eyeshot, tmp_path: Path):
    image = write_image(tmp_path / "image.png")
    one = eyeshot("preview", image, "mirror", "--out", tmp_path / "new folder" / "one.png")
    assert one.code == 0
    assert str(tmp_path / "new folder" / "one.png") in one.out
    assert eyeshot("preview", image, "--out", tmp_path / "all.png").code == 0
    small, large = (Image.open(tmp_path / name) for name in ("new folder/one.png", "all.png"))
    assert small.format == "PNG"
    assert large.width * large.height > 10 * small.width * small.height
    assert len(np.unique(np.asarray(large.convert("L").resize((50, 50))))) > 100


def test_a_preview_repeats_with_its_seed(eyeshot: Eyeshot, tmp_path: Path):
    image = write_image(tmp_path / "image.png")
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        eyeshot("preview", image, "rotate-30", "--seed", seed, "--out", tmp_path / f"{name}.png")
    first, again, other = (np.asarray(Image.open(tmp_path / f"{name}.png")) for name in "abc")
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize("name", ["no such image.png", "page.png"])
def test_an_image_that_cannot_be_read_is_told(eyeshot: Eyeshot, tmp_path: Path, name: str):
    (tmp_path / "page.png").write_text("<html>", encoding="utf-8")
    done = eyeshot("preview", tmp_path / name, "mirror", "--out", tmp_path / "out.png")
    assert done.code == 2
    assert name in done.err
    assert not (tmp_path / "out.png").exists()


def test_a_preview_into_a_folder_that_cannot_be_written_is_told(eyeshot: Eyeshot, tmp_path: Path):
    (tmp_path / "file").touch()
    done = eyeshot("preview", write_image(tmp_path / "a.png"), "mirror", "--out", tmp_path / "file" / "out.png")
    assert done.code == 4
    assert str(tmp_path / "file") in done.err
    assert os.path.getsize(tmp_path / "file") == 0
