"""Which files can be used: the readers for training and for the audit agree, and reasons say what to do."""

from __future__ import annotations

import io
import struct
import sys
import time
import tracemalloc
import types
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from eyeshot.data import Geometry, PixelStore, UnreadableImageError, decode, decode_upright, read_images
from eyeshot.data.decoding import open_image, strict_pillow
from eyeshot.data.listing import count_reasons

WHOLE = Geometry(32)


def several_pictures(paint, ending: str, count: int = 2) -> bytes:
    file = io.BytesIO()
    first, *others = [paint(seed, (40, 40)).quantize(64).convert("RGB") for seed in range(count)]
    first.save(file, ending, save_all=True, append_images=others)
    return file.getvalue()


def damaged_second_page(paint) -> bytes:
    data = bytearray(several_pictures(paint, "TIFF"))
    first = struct.unpack("<I", data[4:8])[0]
    (tags,) = struct.unpack("<H", data[first : first + 2])
    second = struct.unpack("<I", data[first + 2 + 12 * tags : first + 6 + 12 * tags])[0]
    (tags,) = struct.unpack("<H", data[second : second + 2])
    for number in range(tags):
        place = second + 2 + 12 * number
        if struct.unpack("<H", data[place : place + 2])[0] == 256:  # the page's width
            data[place : place + 2] = struct.pack("<H", 65000)
    return bytes(data)


def reason(read, *arguments) -> str:
    try:
        read(*arguments)
    except UnreadableImageError as error:
        return error.reason
    return ""


def test_a_damaged_later_picture_leaves_the_first_readable(paint) -> None:
    pages, film = damaged_second_page(paint), several_pictures(paint, "GIF", 3)
    with strict_pillow():
        for data in (pages, film[:-200]):
            assert decode(data, WHOLE).shape == (32, 32, 3)
            assert decode_upright(data).rgb.size == (40, 40)
        assert decode_upright(pages).frames == 2  # the damaged one is there, too
        assert decode_upright(film).frames == 3


def test_the_readers_of_training_and_audit_agree_on_damaged_files(paint) -> None:
    random = np.random.default_rng(0)
    differing, broken = [], 0
    with strict_pillow():
        for ending in ("JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP"):
            whole = np.frombuffer(encode(paint, ending), np.uint8)
            for number in range(30):
                data = whole.copy()[: len(whole) - (number % 3) * random.integers(0, len(whole) // 2)]
                places = random.integers(0, len(data), 1 + number % 5)
                data[places] = random.integers(0, 256, len(places))
                file = data.tobytes()
                reasons = reason(decode, file, WHOLE), reason(decode_upright, file)
                broken += bool(reasons[0])
                if reasons[0] != reasons[1]:
                    differing.append((ending, number, reasons))
    assert not differing
    assert broken > 20


def encode(paint, ending: str) -> bytes:
    if ending not in ("BMP", "JPEG"):
        return several_pictures(paint, ending)
    file = io.BytesIO()
    paint(3, (40, 40)).save(file, ending)
    return file.getvalue()


@pytest.mark.parametrize("where", ["text before", "text behind", "profile"])
def test_long_texts_and_profiles_do_not_make_a_sound_png_broken(paint, where: str) -> None:
    picture, file, info = paint(1, (40, 40)), io.BytesIO(), PngImagePlugin.PngInfo()
    if where == "profile":
        picture.save(file, "PNG", icc_profile=bytes(1_500_000))
    else:
        info.add_text("parameters", "x" * 2_000_000, zip=True)
        picture.save(file, "PNG", pnginfo=info)
    data = file.getvalue()
    if where == "text behind":
        start = data.index(b"zTXt") - 4
        end = start + 12 + int.from_bytes(data[start : start + 4], "big")
        last = data.index(b"IEND") - 4
        data = data[:start] + data[end:last] + data[start:end] + data[last:]
    with pytest.raises(ValueError, match=r"MAX_TEXT|too large"):
        Image.open(io.BytesIO(data)).load()
    plain = io.BytesIO()
    picture.save(plain, "PNG")
    assert open_image(io.BytesIO(data)).size == (40, 40)
    assert (decode(data, WHOLE) == decode(plain.getvalue(), WHOLE)).all()
    assert decode_upright(data).rgb.tobytes() == picture.tobytes()
    assert decode_upright(data, open_image(io.BytesIO(data))).rgb.tobytes() == picture.tobytes()


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)


def test_a_picture_of_a_phone_names_the_package_that_reads_it(pets: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # not installed
    from eyeshot.data import decoding

    decoding._register_heif.cache_clear()
    (pets / "cat" / "phone.heic").write_bytes(HEIC)
    table = read_images(pets, cache=tmp_path / "cache")
    assert count_reasons(table.skipped) == {"HEIC, which needs another package (pip install pillow-heif)": 1}
    # Once the package is there the file is tried again, and eyeshot registers the reader itself.
    calls: list[str] = []
    package = types.ModuleType("pillow_heif")
    package.register_heif_opener = lambda: calls.append("registered")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pillow_heif", package)
    decoding._register_heif.cache_clear()
    read_images(pets, cache=tmp_path / "cache")
    assert calls == ["registered"]
    decoding._register_heif.cache_clear()


def test_a_reason_says_what_pillow_says(paint, monkeypatch) -> None:
    def fail(self) -> None:
        raise SyntaxError("not a TGA file at 0x7f12 (12345 bytes)")

    data = encode(paint, "BMP")
    monkeypatch.setattr("PIL.BmpImagePlugin.BmpImageFile.load", fail)
    assert reason(decode, data, WHOLE) == "broken (SyntaxError: not a TGA file at … (… bytes))"


def test_of_large_images_a_single_one_is_decoded_at_a_time(paint, tmp_path: Path, monkeypatch) -> None:
    from eyeshot.core import parallel
    from eyeshot.data import decoding

    monkeypatch.setattr(parallel, "LARGE_PIXELS", 1000)
    for number in range(8):
        (tmp_path / "set").mkdir(exist_ok=True)
        paint(number, (40, 40) if number % 2 else (20, 20)).save(tmp_path / "set" / f"{number}.png")
    running: list[int] = []
    most: list[int] = []
    real = decoding.to_rgb

    def watched(image: Image.Image, levels: object = None) -> Image.Image:
        if image.width == 40:
            running.append(1)
            time.sleep(0.02)
            most.append(len(running))
            running.pop()
        return real(image)

    monkeypatch.setattr(decoding, "to_rgb", watched)
    table = read_images(tmp_path / "set", labelled=False)
    PixelStore(tmp_path / "cache", Geometry(16)).load(table, np.arange(8), workers=4)
    assert most == [1] * 4


def test_a_deep_image_takes_a_few_bytes_a_pixel() -> None:
    file = io.BytesIO()
    side = 3000
    Image.new("I;16", (side, side), 300).save(file, "PNG")
    data = file.getvalue()
    tracemalloc.start()
    decode_upright(data)
    peak = tracemalloc.get_traced_memory()[1]  # arrays; Pillow's own memory is 2 + 1 + 3 bytes a pixel beside
    tracemalloc.stop()
    assert peak < 8 * side * side
