from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import xxhash
from PIL import Image

from eyeshot.auditing.copies import groups
from eyeshot.auditing.copies.groups import pixel_keys
from eyeshot.auditing.copies.near import make_groups
from eyeshot.auditing.copies.search import Pairs
from eyeshot.auditing.image_stats import ImageStatsCache
from eyeshot.core import SILENT
from eyeshot.data import decode_upright


def encoded(pixels: np.ndarray, ending: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, ending, **options)
    return buffer.getvalue()


def keys_of(folder: Path, files: dict[str, bytes]) -> dict[str, str]:
    (folder / "images").mkdir(exist_ok=True)
    paths = []
    for name, data in files.items():
        paths.append(str(folder / "images" / name))
        Path(paths[-1]).write_bytes(data)
    contents = [xxhash.xxh3_128_hexdigest(data) for data in files.values()]
    cache = folder / "cache"
    seen = ImageStatsCache(cache).get(contents, paths, workers=1, progress=SILENT)
    found = pixel_keys(seen, contents, paths, cache=cache, workers=1, progress=SILENT)
    return dict(zip(files, found, strict=True))


def test_keys_are_equal_where_mode_size_and_pixels_are(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (70, 90, 3), dtype=np.uint8)
    other = pixels.copy()
    other[35, 45, 1] ^= 1  # no thumbnail tells
    rgba = np.dstack([pixels, np.full((70, 90), 255, np.uint8)])
    keys = keys_of(
        tmp_path,
        {
            "one.png": encoded(pixels, "PNG"),
            "same.bmp": encoded(pixels, "BMP"),
            "again.png": encoded(pixels, "PNG", compress_level=1),
            "bytes.png": encoded(pixels, "PNG"),
            "other.png": encoded(other, "PNG"),
            "rgba.png": encoded(rgba, "PNG"),
            "flat.png": encoded(np.zeros((32, 128), np.uint8), "PNG"),
            "high.png": encoded(np.zeros((128, 32), np.uint8), "PNG"),
        },
    )
    assert keys["one.png"] == keys["same.bmp"] == keys["again.png"] == keys["bytes.png"]
    assert len(set(keys.values())) == 5


def test_only_images_with_equal_thumbnails_are_decoded_once_more_and_only_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = []

    def counted(data: bytes) -> object:
        decoded.append(xxhash.xxh3_128_hexdigest(data))
        return decode_upright(data)

    monkeypatch.setattr(groups, "decode_upright", counted)
    random = np.random.default_rng(1)
    pixels = random.integers(0, 256, (12, 40, 40, 3), dtype=np.uint8)
    files = {f"{number}.png": encoded(one, "PNG") for number, one in enumerate(pixels)}
    files |= {"copy.bmp": encoded(pixels[3], "BMP"), "bytes.png": files["5.png"]}
    first = keys_of(tmp_path, files)
    assert sorted(decoded) == sorted(xxhash.xxh3_128_hexdigest(files[name]) for name in ("3.png", "copy.bmp"))
    decoded.clear()
    assert keys_of(tmp_path, files) == first
    assert not decoded
    assert first["copy.bmp"] == first["3.png"]
    assert first["bytes.png"] == first["5.png"]
    assert len(set(first.values())) == 12


def test_a_file_that_changed_meanwhile_is_like_no_other(tmp_path: Path) -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    files = {"one.png": encoded(pixels, "PNG"), "same.bmp": encoded(pixels, "BMP")}
    (tmp_path / "images").mkdir()
    for name, data in files.items():
        (tmp_path / "images" / name).write_bytes(data)
    contents = [xxhash.xxh3_128_hexdigest(data) for data in files.values()]
    paths = [str(tmp_path / "images" / name) for name in files]
    seen = ImageStatsCache(tmp_path / "cache").get(contents, paths, workers=1, progress=SILENT)
    Path(paths[1]).write_bytes(encoded(255 - pixels, "BMP"))
    keys = pixel_keys(seen, contents, paths, cache=tmp_path / "cache", workers=1, progress=SILENT)
    assert keys[0] != keys[1]


def test_chains_of_look_alikes_do_not_fuse() -> None:
    first, second = np.array([0, 1, 2, 3]), np.array([1, 2, 3, 4])
    together = make_groups(Pairs(first, second, np.zeros(4, np.int64), np.full(4, 0.5, np.float32)))
    for group in together:
        medoid = group.members[0]
        assert all((min(medoid, one), max(medoid, one)) in zip(first, second, strict=True) for one in group.members[1:])
    assert max(len(group.members) for group in together) <= 3


def test_the_better_pair_wins_where_a_watermark_draws_others_together() -> None:
    """0 and 1 are originals, 2 and 3 their watermarked copies, which look alike by the watermark."""
    first, second = np.array([2, 0, 1]), np.array([3, 2, 3])
    together = make_groups(Pairs(first, second, np.zeros(3, np.int64), np.array([0.36, 0.5, 0.45], np.float32)))
    assert [set(group.members) for group in together] == [{0, 2}, {1, 3}]
