from __future__ import annotations

import contextlib
import io
import warnings
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps

from eyeshot.data import Geometry, UnreadableImageError, decode
from eyeshot.data.decoding import strict_pillow

WHOLE = Geometry(32)


def encoded(image: Image.Image, ending: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, ending, **options)
    return file.getvalue()


def difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


@pytest.mark.parametrize("ending", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_as_pillow_does(paint, ending: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"exif": exif, **({"lossless": True} if ending == "WEBP" else {})}
    data = encoded(paint(size=(32, 32)), ending, **options)
    with Image.open(io.BytesIO(data)) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    np.testing.assert_array_equal(decode(data, WHOLE), expected)


def test_a_broken_orientation_leaves_the_image_as_it_is(paint) -> None:
    exif = Image.Exif()
    exif[0x0112] = 77
    image = paint(size=(32, 32))
    np.testing.assert_array_equal(decode(encoded(image, exif=exif), WHOLE), np.asarray(image))
    data = encoded(image, "JPEG", exif=b"Exif\x00\x00garbage", quality=100)
    assert decode(data, WHOLE).shape == (32, 32, 3)


def test_grey_palette_and_bits_come_out_as_their_colours(paint) -> None:
    picture = paint(size=(32, 32))
    for image in (picture.convert("L"), picture.convert("P"), picture.convert("1"), picture.quantize(7)):
        expected = np.asarray(image.convert("RGB"))
        np.testing.assert_array_equal(decode(encoded(image), WHOLE), expected)


def test_what_shines_through_is_white(paint) -> None:
    image = paint(size=(32, 32)).convert("RGBA")
    alpha = np.tile(np.linspace(0, 255, 32).astype(np.uint8), (32, 1))
    image.putalpha(Image.fromarray(alpha))
    share = alpha[..., None] / 255
    expected = np.asarray(image)[..., :3] * share + 255 * (1 - share)
    assert np.abs(decode(encoded(image), WHOLE) - expected).max() <= 1
    assert (decode(encoded(image), WHOLE)[:, 0] == 255).all()


def test_grey_with_alpha_and_transparent_colours_become_white_too() -> None:
    black = Image.new("LA", (32, 32), (0, 0))
    assert (decode(encoded(black), WHOLE) == 255).all()
    for mode, colour in (("P", 0), ("L", 3), ("RGB", (3, 3, 3))):
        image = Image.new(mode, (32, 32), colour)
        assert (decode(encoded(image, transparency=colour), WHOLE) == 255).all(), mode


def test_cmyk_comes_out_as_rgb() -> None:
    cyan = Image.new("CMYK", (32, 32), (255, 0, 0, 0))
    for ending in ("JPEG", "TIFF"):
        pixels = decode(encoded(cyan, ending), WHOLE)
        assert difference(pixels, np.broadcast_to(np.uint8([0, 255, 255]), pixels.shape)) < 3, ending


@pytest.mark.parametrize("ending", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_not_clipped(ending: str) -> None:
    ramp = np.tile(np.linspace(0, 65535, 32).astype(np.uint16), (32, 1))
    pixels = decode(encoded(Image.fromarray(ramp), ending), WHOLE)
    expected = np.rint(ramp / 257.0)
    assert np.abs(pixels[..., 0] - expected).max() <= 1
    dark = np.full((32, 32), 2570, dtype=np.uint16)
    assert (decode(encoded(Image.fromarray(dark), ending), WHOLE, levels=(0, 65535)) == 10).all()
    assert (decode(encoded(Image.fromarray(dark), ending), WHOLE) == 160).all()  # of 12 bits, as far as it tells


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.linspace(0, 1, 32, dtype=np.float32), np.linspace(0, 255, 32)),
        (np.linspace(0, 200, 32, dtype=np.float32), np.linspace(0, 200, 32)),
        (np.linspace(-5, 995, 32, dtype=np.float32), np.linspace(0, 255, 32)),
        (np.linspace(0, 200, 32).astype(np.int32), np.linspace(0, 200, 32)),
        (np.linspace(0, 65535, 32).astype(np.int32), np.linspace(0, 255, 32)),
        (np.linspace(-1000, 100000, 32).astype(np.int32), np.linspace(0, 255, 32)),
    ],
)
def test_floats_and_wide_integers_are_shown_in_their_range(values, expected) -> None:
    image = Image.fromarray(np.tile(values, (32, 1)))
    assert np.abs(decode(encoded(image, "TIFF"), WHOLE)[0, :, 0] - expected).max() <= 1


def test_values_that_are_no_numbers_do_not_end_the_run() -> None:
    values = np.full((32, 32), np.nan, dtype=np.float32)
    assert decode(encoded(Image.fromarray(values), "TIFF"), WHOLE).shape == (32, 32, 3)


def test_of_an_animation_the_first_frame_is_taken(paint) -> None:
    frames = [paint(seed, (32, 32)).quantize(64) for seed in range(3)]
    for ending, options in (("GIF", {}), ("PNG", {}), ("WEBP", {"lossless": True})):
        data = encoded(frames[0].convert("RGB"), ending, save_all=True, append_images=frames[1:], **options)
        assert difference(decode(data, WHOLE), np.asarray(frames[0].convert("RGB"))) < 6, ending


def test_the_crop_is_the_middle_and_keeps_the_ratio() -> None:
    wide = np.zeros((40, 120, 3), dtype=np.uint8)
    wide[:, 40:80] = 200
    assert (decode(encoded(Image.fromarray(wide)), Geometry(40)) == 200).all()
    tall = encoded(Image.fromarray(wide.transpose(1, 0, 2)))
    assert (decode(tall, Geometry(40)) == 200).all()


def test_the_crop_share_zooms_into_the_middle() -> None:
    framed = np.zeros((80, 80, 3), dtype=np.uint8)
    framed[20:60, 20:60] = 200
    assert (decode(encoded(Image.fromarray(framed)), Geometry(40, 0.5, "nearest")) == 200).all()
    assert Geometry(224, 0.875).short_side == 256


@pytest.mark.parametrize("size", [(61, 47), (300, 200), (20, 90), (33, 33)])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos"])
def test_the_crop_is_that_of_resize_then_crop(paint, size: tuple[int, int], interpolation) -> None:
    geometry = Geometry(32, 0.8, interpolation)  # 40 pixels, so that the margins are whole
    image = paint(3, size)
    scale = 40 / min(size)
    resized = image.resize([round(side * scale) for side in size], getattr(Image, interpolation.upper()))
    left, top = ((side - 32) // 2 for side in resized.size)
    expected = np.asarray(resized.crop((left, top, left + 32, top + 32)))
    assert difference(decode(encoded(image), geometry), expected) < 4


@pytest.mark.parametrize(
    "geometry", [Geometry(32, 0.9), Geometry(31, 0.875), Geometry(30, fit="pad"), Geometry(31, fit="pad")]
)
def test_flipped_and_turned_files_give_flipped_and_turned_pixels(paint, geometry: Geometry) -> None:
    image = paint(5, (67, 50))
    pixels = decode(encoded(image), geometry).astype(int)
    mirrored = decode(encoded(ImageOps.mirror(image)), geometry)
    turned = decode(encoded(image.rotate(90, expand=True)), geometry)
    np.testing.assert_allclose(mirrored, pixels[:, ::-1], atol=2)
    np.testing.assert_allclose(turned, np.rot90(pixels), atol=2)


def test_padding_shows_the_whole_image_on_the_colour_of_its_border() -> None:
    picture = np.full((20, 60, 3), (250, 240, 10), dtype=np.uint8)
    picture[5:15, 10:50] = 0
    pixels = decode(encoded(Image.fromarray(picture)), Geometry(60, fit="pad", interpolation="nearest"))
    np.testing.assert_array_equal(pixels[20:40], picture)
    assert (pixels[:20] == (250, 240, 10)).all()
    assert (pixels[40:] == (250, 240, 10)).all()


def test_extreme_ratios_need_no_extreme_memory() -> None:
    line = encoded(Image.new("RGB", (20000, 4), (9, 9, 9)))
    for geometry in (Geometry(64), Geometry(64, fit="pad")):
        assert (decode(line, geometry) == 9).all()


def test_a_large_jpeg_is_drafted_and_looks_the_same(paint, monkeypatch) -> None:
    data = encoded(paint(6, (900, 700)), "JPEG", quality=95)
    quick = decode(data, Geometry(64))
    monkeypatch.setattr("eyeshot.data.decoding._draft", lambda image, geometry: None)
    assert difference(quick, decode(data, Geometry(64))) < 2


def test_the_draft_stays_at_twice_the_needed_size(paint, monkeypatch) -> None:
    sizes: list[tuple[int, int]] = []
    monkeypatch.setattr("eyeshot.data.decoding.to_rgb", lambda image, levels: sizes.append(image.size) or image)
    for size in ((900, 700), (700, 900), (127, 300), (2000, 140)):
        decode(encoded(paint(7, size), "JPEG"), Geometry(64))
    assert min(min(size) for size in sizes) >= 127  # of a file with 127 pixels, all of them
    assert sizes[0] == (225, 175)
    sizes.clear()
    decode(encoded(paint(7, (1024, 300)), "JPEG"), Geometry(64, fit="pad"))
    assert sizes == [(128, 38)]


@pytest.mark.parametrize("ending", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"])
def test_a_truncated_file_is_an_error_even_when_pillow_is_set_to_tolerate_it(paint, ending: str) -> None:
    data = encoded(paint(8, (64, 64)), ending)
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        with strict_pillow(), pytest.raises(UnreadableImageError) as caught:
            decode(data[: len(data) * 2 // 3], WHOLE)
        assert ImageFile.LOAD_TRUNCATED_IMAGES
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False
    assert caught.value.reason == "truncated" or "broken" in caught.value.reason


def test_errors_name_the_file_and_the_reason(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"")
    with pytest.raises(UnreadableImageError, match=r"a\.jpg' is not: empty file"):
        decode(tmp_path / "a.jpg", WHOLE)
    with pytest.raises(UnreadableImageError, match="not found"):
        decode(tmp_path / "b.jpg", WHOLE)


def test_a_bomb_is_an_error_without_a_warning(monkeypatch) -> None:
    data = encoded(Image.new("RGB", (60, 60)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50 * 50)
    with warnings.catch_warnings(), strict_pillow():
        warnings.simplefilter("error", ResourceWarning)
        with pytest.raises(UnreadableImageError, match="decompression bomb"):
            decode(data, WHOLE)


def test_random_damage_never_raises_anything_else(paint) -> None:
    random = np.random.default_rng(0)
    with strict_pillow():
        for ending in ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"):
            data = np.frombuffer(encoded(paint(9, (40, 40)), ending), np.uint8)
            for _ in range(40):
                damaged = data.copy()
                damaged[random.integers(0, len(data), 8)] = random.integers(0, 256, 8)
                with contextlib.suppress(UnreadableImageError):
                    assert decode(damaged.tobytes(), WHOLE).shape == (32, 32, 3)
