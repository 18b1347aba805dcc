"""Made shifts share nothing with the catalogue, and do what they say."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest
from benchmarks.augmentation_truth import made_shifts
from benchmarks.augmentation_truth.made_shifts import FAMILY_OF, MADE_SHIFTS, make_shift
from PIL import Image


def picture() -> Image.Image:
    pixels = np.full((48, 48, 3), 30, np.uint8)
    pixels[12:36, 20:28] = (220, 180, 90)
    return Image.fromarray(pixels)


def test_nothing_of_the_product_is_imported() -> None:
    tree = ast.parse(Path(made_shifts.__file__).read_text(encoding="utf-8"))
    found = {
        (node.module if isinstance(node, ast.ImportFrom) else alias.name) or ""
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    }
    assert {name.split(".")[0] for name in found} <= {"__future__", "zlib", "collections", "numpy", "PIL"}


def test_every_shift_names_the_family_of_its_cure() -> None:
    assert set(FAMILY_OF) == set(MADE_SHIFTS)


@pytest.mark.parametrize("name", MADE_SHIFTS)
def test_a_shift_repeats_for_an_image_and_differs_between_images(name: str) -> None:
    first, again, other = (np.asarray(make_shift(name, picture(), key)) for key in ("a", "a", "b"))
    assert first.shape == (48, 48, 3)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    assert (first != np.asarray(picture())).any()
    assert name == "inverted" or (first != other).any()


def test_inverted_is_the_negative() -> None:
    np.testing.assert_array_equal(np.asarray(make_shift("inverted", picture(), "a")), 255 - np.asarray(picture()))


def test_off_centre_moves_the_middle_by_15_to_30_percent_on_both_axes() -> None:
    for key in "abcdefgh":
        moved = np.asarray(make_shift("off-centre", picture(), key))[..., 0] > 100
        before = np.asarray(picture())[..., 0] > 100
        ahead = np.argwhere(moved).mean(0) - np.argwhere(before).mean(0)
        # What leaves the picture is lost, so that the middle of what is left moves less.
        assert (np.abs(ahead) > 3).all()
        assert (np.abs(ahead) < 0.31 * 48).all()


def test_haze_lowers_contrast_most_at_the_top() -> None:
    hazy = np.asarray(make_shift("hazed", picture(), "a"), np.float64)
    # Contrast of the bar against its ground, at its upper and lower end.
    upper, lower = (hazy[row, 24, 0] - hazy[row, 5, 0] for row in (12, 35))
    assert 0 < upper < lower < 190


def test_turned_turns_by_10_to_35_degrees() -> None:
    for key in "abcdef":
        bright = np.argwhere(np.asarray(make_shift("turned", picture(), key))[..., 0] > 120).astype(float)
        along = np.linalg.svd(bright - bright.mean(0))[2][0]
        angle = np.degrees(np.arctan2(abs(along[1]), abs(along[0])))
        assert 8 < angle < 37
