from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from eyeshot.reports import difference, turned_like


def drawing(seed: int = 5) -> Image.Image:
    random = np.random.default_rng(seed)
    image = Image.fromarray(random.integers(60, 200, (4, 5, 3), dtype=np.uint8)).resize((240, 180), 2)
    pen = ImageDraw.Draw(image)
    for _ in range(25):
        x, y = int(random.integers(0, 220)), int(random.integers(0, 160))
        pen.rectangle((x, y, x + 30, y + 25), fill=tuple(random.integers(0, 256, 3).tolist()))
    return image


def apart(one: Image.Image, other: Image.Image, border: float = 0.13) -> float:
    """Mean difference within a border that a crop may lack; levels of 255."""
    assert one.size == other.size
    (width, height), edge = one.size, border
    box = (int(edge * width), int(edge * height), int((1 - edge) * width), int((1 - edge) * height))
    first, second = (np.asarray(image.crop(box), np.float64) for image in (one, other))
    return float(np.abs(first - second).mean())


@pytest.mark.parametrize("turn", list(Image.Transpose))
def test_flips_and_quarter_turns_are_laid_back(turn: Image.Transpose) -> None:
    image = drawing()
    assert apart(image, turned_like(image, image.transpose(turn)), 0) < 4


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("box", [(20, 4, 230, 172), (0, 0, 216, 162), (12, 9, 228, 171)])
def test_a_crop_is_laid_on_the_whole_picture_and_the_whole_picture_on_its_crop(
    box: tuple[int, int, int, int], flip: bool
) -> None:
    whole = drawing()
    part = whole.crop(box)
    unlaid = apart(whole, part.resize(whole.size, 2))
    given = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if flip else part
    assert apart(whole, turned_like(whole, given)) < 0.35 * unlaid
    assert apart(part, turned_like(part, whole)) < 0.35 * unlaid


def test_a_small_turn_is_laid_back() -> None:
    image = drawing()
    turned = image.rotate(4, resample=Image.Resampling.BICUBIC)
    assert apart(image, turned_like(image, turned)) < 0.35 * apart(image, turned)


def test_the_difference_is_grey_where_nothing_differs_whatever_the_brightness() -> None:
    image = drawing()
    brighter = image.point(lambda level: round(0.7 * level + 20))
    assert np.abs(np.asarray(difference(image, brighter), np.float64) - 128).max() < 3
    marked = image.copy()
    ImageDraw.Draw(marked).rectangle((100, 80, 130, 100), fill=(255, 255, 255))
    seen = np.abs(np.asarray(difference(image, marked), np.float64) - 128).max(axis=2)
    assert seen[85:95, 105:125].mean() > 5 * seen[:60, :60].mean()


def test_a_faint_difference_is_amplified_and_a_strong_one_is_not() -> None:
    image = drawing()
    faint, strong = image.copy(), image.copy()
    pixels = np.asarray(image, np.int16)
    for target, change in ((faint, 8), (strong, 120)):
        box = (80, 60, 160, 120)
        part = np.where(pixels[60:120, 80:160] > 127, -change, change) + pixels[60:120, 80:160]
        target.paste(Image.fromarray(np.clip(part, 0, 255).astype(np.uint8)), box)
    seen = [np.abs(np.asarray(difference(image, each), np.float64) - 128) for each in (faint, strong)]
    inside = [values[70:110, 90:150].mean() for values in seen]
    assert min(inside) > 15  # 8 levels of 255, not amplified, would be 4
    assert inside[1] < 8 * inside[0]
    assert seen[0][:40].mean() < 0.3 * inside[0]
