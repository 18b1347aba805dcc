from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from eyeshot.data import Geometry, ImageTable, PixelStore, copy_groups, read_images


def groups_of(folder: Path, *, size: int = 64, crop_share: float = 0.875) -> list[set[str]]:
    """Ids of the images of each group that has more than one."""
    table = read_images(folder, labelled=False)
    store = PixelStore(folder.parent / "cache", Geometry(size, crop_share))
    groups = copy_groups(table, store.load(table, np.arange(len(table))))
    found: dict[int, set[str]] = {}
    for name, group in zip(table.ids, groups.tolist(), strict=True):
        found.setdefault(group, set()).add(name)
    return [names for names in found.values() if len(names) > 1]


def test_equal_bytes_are_one_group_without_any_pixels(pets: Path) -> None:
    shutil.copy(pets / "cat" / "0.png", pets / "dog" / "9.png")
    table = read_images(pets)
    assert copy_groups(table).tolist() == [0, 1, 2, 3, 4, 0]


def test_different_pictures_are_their_own_groups(pets_table: ImageTable) -> None:
    assert copy_groups(pets_table).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("method", list(Image.Transpose))
@pytest.mark.parametrize("size", [63, 64])
def test_a_flipped_or_turned_picture_is_a_copy(tmp_path: Path, paint, size: int, method) -> None:
    (folder := tmp_path / "set").mkdir()
    picture = paint(1, (71, 54))
    picture.save(folder / "one.png")
    picture.transpose(method).save(folder / "two.png")
    for other in range(2, 12):
        paint(other, (71, 54)).save(folder / f"other{other}.png")
    assert groups_of(folder, size=size) == [{"one.png", "two.png"}]


def test_encoding_again_and_halving_are_seen(tmp_path: Path, paint) -> None:
    (folder := tmp_path / "set").mkdir()
    picture = paint(1, (160, 120))
    picture.save(folder / "a.png")
    picture.save(folder / "b.jpg", quality=75)
    ImageOps.mirror(picture).resize((80, 60)).save(folder / "c.webp", quality=80)
    paint(2, (160, 120)).save(folder / "d.png")
    assert groups_of(folder) == [{"a.png", "b.jpg", "c.webp"}]


def test_one_colour_pictures_are_no_copies_unless_their_pixels_are_equal(tmp_path: Path) -> None:
    (folder := tmp_path / "set").mkdir()
    for level in range(0, 250, 2):
        Image.new("RGB", (40, 40), (level, level, level)).save(folder / f"grey{level}.png")
    Image.new("RGB", (80, 60), (100, 100, 100)).save(folder / "same.bmp")
    assert groups_of(folder) == [{"grey100.png", "same.bmp"}]


def test_paper_with_a_little_noise_is_no_copy_of_other_paper(tmp_path: Path) -> None:
    (folder := tmp_path / "set").mkdir()
    random = np.random.default_rng(0)
    for number in range(20):
        noise = random.integers(250, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"{number}.png")
    assert groups_of(folder) == []


def test_paper_with_the_same_faint_shadow_is_no_copy(tmp_path: Path) -> None:
    (folder := tmp_path / "set").mkdir()
    shadow = np.add.outer(np.arange(64), np.arange(64)) // 32 + 249
    for number in range(10):
        paper = shadow.astype(np.uint8)
        paper[5 * number, 30] += 3
        Image.fromarray(paper).save(folder / f"{number}.png")
    assert groups_of(folder) == []


def test_drawings_that_share_their_white_paper_are_no_copies(tmp_path: Path) -> None:
    (folder := tmp_path / "set").mkdir()
    random = np.random.default_rng(1)
    for number in range(60):
        paper = np.full((64, 64), 255, dtype=np.uint8)
        for row, column in random.integers(8, 52, (3, 2)):
            paper[row : row + 3, column : column + 8] = 0
        Image.fromarray(paper).save(folder / f"{number}.png")
    assert groups_of(folder) == []


def test_a_thousand_equal_pictures_are_one_group_quickly(tmp_path: Path, paint) -> None:
    (folder := tmp_path / "set").mkdir()
    picture = paint(1, (32, 32))
    for number in range(300):
        picture.save(folder / f"{number}.png", compress_level=number % 10)
    picture.save(folder / "x.bmp")
    (group,) = groups_of(folder)
    assert len(group) == 301


def test_rows_without_pixels_keep_their_groups(pets: Path, tmp_path: Path) -> None:
    ImageOps.mirror(Image.open(pets / "cat" / "0.png")).save(pets / "dog" / "7.png")
    shutil.copy(pets / "dog" / "7.png", pets / "dog" / "8.png")
    table = read_images(pets)
    some = PixelStore(tmp_path / "cache", Geometry(32)).load(table, [0, 1, 3, table.ids.index("dog/7.png")])
    assert copy_groups(table, some).tolist() == [0, 1, 2, 3, 4, 0, 0]


@pytest.mark.shared
def test_photographs_have_the_two_known_copies_and_drawings_none(shared: Path, tmp_path: Path) -> None:
    expected = {
        "photo": [{"house/pic_010.jpg", "house/pic_034.jpg"}, {"house/pic_015.jpg", "house/pic_043.jpg"}],
        "sketch": [],
    }
    for kind, copies in expected.items():
        (tmp_path / kind).mkdir()
        table = read_images(shared / "data" / "pacs" / kind)
        rows = np.arange(len(table)) if kind == "photo" else np.arange(0, len(table), 4)
        loaded = PixelStore(tmp_path, Geometry(64, 0.875)).load(table, rows)
        groups = copy_groups(table, loaded)
        found = [
            {table.ids[row] for row in np.flatnonzero(groups == group)}
            for group in np.unique(groups)
            if (groups == group).sum() > 1
        ]
        assert found == copies
