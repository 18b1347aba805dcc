import base64
import io

import numpy as np
import pytest
from PIL import Image

from eyeshot.reports.pictures import data_address, make_sprites, resized, strip, tiled


def opened(address: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))


def flat(levels: list[int], side: int = 32) -> np.ndarray:
    return np.stack([np.full((side, side, 3), level, np.uint8) for level in levels])


def test_tiles_lie_in_rows_and_the_rest_is_grey() -> None:
    sheet = tiled(flat([10, 20, 30], 2), 2)
    assert sheet.shape == (4, 4, 3)
    assert sheet[0, 0, 0] == 10
    assert sheet[0, 2, 0] == 20
    assert sheet[2, 0, 0] == 30
    assert sheet[2, 2, 0] == 128


def test_every_sprite_lies_where_the_page_looks_for_it() -> None:
    levels = [(7 * n) % 256 for n in range(4100)]
    sprites = make_sprites(flat(levels, 8), most_bytes=10_000_000)
    assert sprites is not None
    assert len(sprites["sheets"]) == 2
    each = sprites["columns"] * sprites["rows"]
    for n in (0, 63, 64, 4095, 4096, 4099):
        sheet = np.asarray(opened(sprites["sheets"][n // each]).convert("RGB"))
        row, column = divmod(n % each, sprites["columns"])
        middle = sheet[row * 8 + 4, column * 8 + 4, 0]
        assert abs(int(middle) - levels[n]) <= 8


def test_sprites_get_worse_before_they_get_too_large() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 32, 32, 3), dtype=np.uint8)
    best = make_sprites(noise, most_bytes=10_000_000)
    assert best is not None
    third = sum(map(len, best["sheets"])) // 3
    less = make_sprites(noise, most_bytes=third)
    assert less is not None
    assert sum(map(len, less["sheets"])) <= third
    assert make_sprites(noise, most_bytes=100) is None


@pytest.mark.parametrize("images", [np.empty((0, 32, 32, 3), np.uint8), np.zeros((9, 1, 1, 3), np.uint8)])
def test_left_out_thumbnails_give_no_sprites(images: np.ndarray) -> None:
    assert make_sprites(images, most_bytes=10_000) is None


def test_a_strip_is_one_row() -> None:
    assert opened(strip(flat([0, 100, 200]))).size == (96, 32)


def test_only_large_pictures_are_made_smaller() -> None:
    assert resized(flat([5], 64), 32).shape == (1, 32, 32, 3)
    assert resized(flat([5], 16), 32).shape == (1, 16, 16, 3)


def test_kinds_of_addresses() -> None:
    assert data_address(flat([5])[0], kind="jpeg").startswith("data:image/jpeg;base64,")
    assert opened(data_address(flat([5])[0])).format == "WEBP"
