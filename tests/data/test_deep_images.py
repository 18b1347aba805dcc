"""Grey images of more than 8 bits: one scale for a set, taken from its own largest value."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eyeshot.data import DataConfig, Geometry, PixelStore, load_dataset, read_images
from eyeshot.data.decoding import common_levels

GEOMETRY = Geometry(24)


def deep(path: Path, seed: int, largest: int, *, size: int = 24, kind: type = np.uint16) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).uniform(0, largest, (size, size))
    values.flat[0] = largest
    Image.fromarray(values.astype(kind)).save(path)
    return values.astype(kind)


def pixels_of(table, cache: Path) -> np.ndarray:
    return np.asarray(PixelStore(cache, GEOMETRY).load(table, np.arange(len(table))).images)[..., 0]


@pytest.mark.parametrize(("bits", "kind"), [(10, "png"), (12, "png"), (12, "tif"), (16, "png")])
def test_a_set_is_scaled_by_the_next_power_over_its_largest_value(tmp_path: Path, bits: int, kind: str) -> None:
    largest = 2**bits - 20
    bright = deep(tmp_path / "train" / "a" / f"0.{kind}", 0, largest)
    dark = deep(tmp_path / "train" / "b" / f"0.{kind}", 1, largest // 10)
    table = read_images(tmp_path / "train", cache=tmp_path / "cache")
    assert table.levels == (0, 2**bits - 1)
    assert any(f"values up to {largest:,}" in note and f"white {2**bits - 1:,}" in note for note in table.notes)
    shown = pixels_of(table, tmp_path / "cache")
    for seen, values in zip(shown, (bright, dark), strict=True):
        assert np.abs(seen - values * (255 / (2**bits - 1))).max() <= 1  # the dark image stays darker than the bright
    # The second run takes the values from the cache.
    assert read_images(tmp_path / "train", cache=tmp_path / "cache").levels == table.levels


def test_a_new_brightest_image_scales_all_of_them_anew(tmp_path: Path) -> None:
    values = deep(tmp_path / "train" / "a" / "0.png", 0, 1000)
    deep(tmp_path / "train" / "b" / "0.png", 1, 900)
    read = lambda: read_images(tmp_path / "train", cache=tmp_path / "cache")  # noqa: E731
    assert np.abs(pixels_of(read(), tmp_path / "cache")[0] - values * (255 / 1023)).max() <= 1
    deep(tmp_path / "train" / "b" / "1.png", 2, 4000)
    assert np.abs(pixels_of(read(), tmp_path / "cache")[0] - values * (255 / 4095)).max() <= 1


def test_validation_and_test_images_take_the_scale_of_training(tmp_path: Path) -> None:
    for number in range(4):
        deep(tmp_path / "train" / "ab"[number % 2] / f"{number}.png", number, 1000)
        deep(tmp_path / "val" / "ab"[number % 2] / f"{number}.png", 10 + number, 200)
        values = deep(tmp_path / "test" / f"{number}.png", 20 + number, 300)
    config = DataConfig(train=tmp_path / "train", test=tmp_path / "test", val=tmp_path / "val")
    dataset = load_dataset(config, cache=tmp_path / "cache")
    assert dataset.images.levels == dataset.test.levels == (0, 1023)
    shown = pixels_of(dataset.test, tmp_path / "cache")
    assert np.abs(shown[-1] - values * (255 / 1023)).max() <= 1


def test_images_of_eight_bits_are_left_alone(pets: Path, tmp_path: Path) -> None:
    before = read_images(pets)
    assert before.levels is None
    assert before.pixel_keys == before.contents
    deep(pets / "cat" / "deep.png", 0, 1000)
    after = read_images(pets)
    known = dict(zip(after.contents, after.pixel_keys, strict=True))
    assert all(known[content] == content for content in before.contents)
    assert sum(key != content for content, key in known.items()) == 1


@pytest.mark.parametrize(
    ("ranges", "floating", "expected"),
    [
        ([(0, 3)], False, (0, 255)),
        ([(0, 255), (7, 256)], False, (0, 511)),
        ([(0, 1023)], False, (0, 1023)),
        ([(0.1, 0.7), (0, 1)], True, (0, 1)),
        ([(0, 1)], False, (0, 255)),
        ([(-1000, 3000), (-5, 10)], False, (-1000, 3000)),
        ([(0, 100_000)], False, (0, 131_071)),
    ],
)
def test_scales_of_sets(ranges, floating: bool, expected) -> None:
    assert common_levels(ranges, floating=floating) == expected
