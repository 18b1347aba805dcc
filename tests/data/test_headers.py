from __future__ import annotations

import os
from pathlib import Path

import pytest
import xxhash
from PIL import Image

from eyeshot.core import CallbackProgress
from eyeshot.core.errors import StorageError
from eyeshot.data import decode_upright, headers, read_images


@pytest.fixture
def reads(monkeypatch) -> list[str]:
    """Names of the files whose headers were read from disk."""
    seen: list[str] = []
    real = headers.read_header

    def record(path: str, look: headers.Look | None = None) -> tuple[headers.Header, object]:
        seen.append(Path(path).name)
        return real(path, look)

    monkeypatch.setattr(headers, "read_header", record)
    return seen


def test_a_second_run_reads_no_file_and_gives_the_same(pets: Path, tmp_path: Path, reads: list[str]) -> None:
    (pets / "cat" / "bad.png").write_bytes(b"")
    first = read_images(pets, cache=tmp_path / "cache")
    assert len(reads) == 6
    reads.clear()
    again = read_images(pets, cache=tmp_path / "cache")
    assert reads == []
    assert again.frame.equals(first.frame)
    assert again.skipped == first.skipped


def test_only_what_changed_is_read_again(pets: Path, tmp_path: Path, save, reads: list[str]) -> None:
    first = read_images(pets, cache=tmp_path / "cache")
    reads.clear()
    save(pets / "cat" / "new.png", 50)
    save(pets / "cat" / "1.png", 51, size=(30, 30))
    os.utime(pets / "cat" / "2.png", ns=(1, 1))
    table = read_images(pets, cache=tmp_path / "cache")
    assert sorted(reads) == ["1.png", "2.png", "new.png"]
    assert table.contents[1] != first.contents[1]
    assert table.contents[2] == first.contents[2]


def test_without_a_cache_nothing_is_written(pets: Path) -> None:
    before = sorted(pets.parent.rglob("*"))
    read_images(pets)
    assert sorted(pets.parent.rglob("*")) == before


def test_a_damaged_cache_is_read_over(pets: Path, tmp_path: Path, reads: list[str]) -> None:
    first = read_images(pets, cache=tmp_path / "cache")
    (file,) = (tmp_path / "cache" / "headers").iterdir()
    file.write_bytes(file.read_bytes()[:40])
    reads.clear()
    assert read_images(pets, cache=tmp_path / "cache").frame.equals(first.frame)
    assert len(reads) == 5


def test_two_roots_with_equal_names_do_not_mix(pets: Path, tmp_path: Path, save) -> None:
    save(tmp_path / "other" / "cat" / "0.png", 99, size=(20, 20))
    save(tmp_path / "other" / "dog" / "0.png", 98, size=(20, 20))
    read_images(pets, cache=tmp_path / "cache")
    other = read_images(tmp_path / "other", cache=tmp_path / "cache")
    assert other.frame["width"].to_list() == [20, 20]


def test_progress_begins_with_what_is_known_and_ends_with_all(pets: Path, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    read_images(pets, cache=tmp_path / "cache", progress=CallbackProgress(lambda *said: calls.append(said[:2])))
    assert (calls[0], calls[-1]) == ((0, 5), (5, 5))
    calls.clear()
    read_images(pets, cache=tmp_path / "cache", progress=CallbackProgress(lambda *said: calls.append(said[:2])))
    assert calls == [(5, 5)]


def test_a_cache_that_cannot_be_written_is_a_storage_error(pets: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be", encoding="utf-8")
    with pytest.raises(StorageError, match="EYESHOT_CACHE"):
        read_images(pets, cache=tmp_path / "cache")


def test_the_number_of_workers_changes_nothing(pets: Path, save) -> None:
    for number in range(150):
        save(pets / "cat" / f"more{number}.png", 100 + number, size=(8, 8))
    assert read_images(pets, workers=1).frame.equals(read_images(pets, workers=7).frame)


def test_looking_changes_no_header(pets: Path, paint) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    for name in ("a.jpg", "a.png", "a.tif", "a.gif", "a.webp"):
        paint(7, (40, 30)).save(pets / "cat" / name, exif=turned)
    plain = read_images(pets)
    seen: list[tuple[str, bytes]] = []

    def look(content: str, data: bytes, image: Image.Image) -> bytes:
        decode_upright(data, image)
        return data

    looked = read_images(pets, look=look, keep=lambda content, data: seen.append((content, data)))
    assert looked.frame.equals(plain.frame)
    assert [content for content, _ in seen] == plain.contents
    assert all(xxhash.xxh3_128_hexdigest(data) == content for content, data in seen)


def test_what_is_too_small_or_broken_is_not_looked_at(pets: Path, paint) -> None:
    paint(7, (3, 30)).save(pets / "cat" / "small.png")
    (pets / "cat" / "none.png").write_bytes(b"none")
    seen: list[str] = []
    table = read_images(pets, look=lambda content, data, image: seen.append(content))
    assert sorted(seen) == sorted(table.contents)
    assert len(table.skipped) == 2
