from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eyeshot.core import CallbackProgress
from eyeshot.data import Geometry, ImageTable, PixelStore, decode, read_images
from eyeshot.data import pixel_store as pixels
from eyeshot.data.listing import count_reasons

GEOMETRY = Geometry(16)


@pytest.fixture
def decoded(monkeypatch) -> list[int]:
    """Sizes of the files that were decoded."""
    seen: list[int] = []

    def record(data: bytes, geometry: Geometry, **options):
        seen.append(len(data))
        return decode(data, geometry, **options)

    monkeypatch.setattr(pixels, "decode", record)
    return seen


def every(table: ImageTable) -> np.ndarray:
    return np.arange(len(table))


def test_pixels_are_those_of_decode_in_the_order_asked_for(pets_table: ImageTable, tmp_path: Path) -> None:
    loaded = PixelStore(tmp_path / "cache", GEOMETRY).load(pets_table, [4, 0, 2])
    assert loaded.rows.tolist() == [4, 0, 2]
    assert loaded.keys == tuple(pets_table.contents[row] for row in (4, 0, 2))
    for image, row in zip(loaded.images, loaded.rows, strict=True):
        np.testing.assert_array_equal(image, decode(Path(pets_table.paths[row]), GEOMETRY))


def test_a_second_run_decodes_nothing_and_needs_no_files(
    pets: Path, pets_table: ImageTable, tmp_path: Path, monkeypatch
) -> None:
    (first := PixelStore(tmp_path / "cache", GEOMETRY)).load(pets_table, every(pets_table))
    before = np.array(first.load(pets_table, every(pets_table)).images)

    def fail(*_args: object) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr(pixels, "decode", fail)
    shutil.rmtree(pets)
    again = PixelStore(tmp_path / "cache", GEOMETRY)
    assert again.missing(pets_table, every(pets_table)) == 0
    np.testing.assert_array_equal(again.load(pets_table, every(pets_table)).images, before)


def test_only_what_is_asked_for_is_decoded(pets_table: ImageTable, tmp_path: Path, decoded: list[int]) -> None:
    store = PixelStore(tmp_path / "cache", GEOMETRY)
    store.load(pets_table, [1, 3])
    assert len(decoded) == 2
    assert store.missing(pets_table, every(pets_table)) == 3


def test_equal_files_share_a_row(pets: Path, tmp_path: Path, decoded: list[int]) -> None:
    for number in range(4):
        shutil.copy(pets / "cat" / "0.png", pets / "dog" / f"copy{number}.png")
    table = read_images(pets)
    loaded = PixelStore(tmp_path / "cache", GEOMETRY).load(table, every(table))
    assert len(loaded) == 9
    assert len(decoded) == 5
    np.testing.assert_array_equal(loaded.images[0], loaded.images[table.ids.index("dog/copy3.png")])


def test_another_geometry_has_its_own_rows(pets_table: ImageTable, tmp_path: Path, decoded: list[int]) -> None:
    PixelStore(tmp_path / "cache", GEOMETRY).load(pets_table, [0])
    loaded = PixelStore(tmp_path / "cache", Geometry(16, fit="pad")).load(pets_table, [0])
    assert len(decoded) == 2
    np.testing.assert_array_equal(loaded.images[0], decode(Path(pets_table.paths[0]), Geometry(16, fit="pad")))


def test_what_cannot_be_decoded_is_skipped_once_and_remembered(pets: Path, tmp_path: Path, decoded: list[int]) -> None:
    data = (pets / "cat" / "1.png").read_bytes()
    (pets / "cat" / "1.png").write_bytes(data[: len(data) // 2])
    table = read_images(pets)
    for _ in range(2):
        loaded = PixelStore(tmp_path / "cache", GEOMETRY).load(table, every(table))
        assert loaded.rows.tolist() == [0, 2, 3, 4]
        assert len(loaded.images) == len(loaded.keys) == 4
        assert count_reasons(loaded.skipped) == {"truncated": 1}
        assert loaded.skipped[0].path == table.paths[1]
        assert PixelStore(tmp_path / "cache", GEOMETRY).missing(table, every(table)) == 0
    assert len(decoded) == 5


def test_a_file_that_changed_meanwhile_is_not_stored_under_the_old_key(
    pets: Path, pets_table: ImageTable, tmp_path: Path, save
) -> None:
    old = (pets / "cat" / "0.png").read_bytes()
    save(pets / "cat" / "0.png", 77)
    loaded = PixelStore(tmp_path / "cache", GEOMETRY).load(pets_table, [0, 1])
    assert count_reasons(loaded.skipped) == {"changed while it was being read": 1}
    (pets / "cat" / "0.png").write_bytes(old)
    assert len(PixelStore(tmp_path / "cache", GEOMETRY).load(pets_table, [0, 1])) == 2


def test_a_file_that_vanished_is_skipped_and_tried_again(pets: Path, pets_table: ImageTable, tmp_path: Path) -> None:
    (pets / "cat" / "0.png").rename(pets / "cat" / "moved")
    store = PixelStore(tmp_path / "cache", GEOMETRY)
    assert count_reasons(store.load(pets_table, [0, 1]).skipped) == {"not found": 1}
    (pets / "cat" / "moved").rename(pets / "cat" / "0.png")
    assert len(store.load(pets_table, [0, 1])) == 2


@pytest.fixture
def many(tmp_path: Path, save) -> ImageTable:
    for number in range(24):
        save(tmp_path / "many" / f"{number:02}.png", number, size=(20, 20))
    return read_images(tmp_path / "many", labelled=False)


@pytest.mark.parametrize("seed", range(8))
def test_a_store_cut_off_anywhere_continues_to_the_same_pixels(
    many: ImageTable, tmp_path: Path, monkeypatch, seed: int
) -> None:
    random = np.random.default_rng(seed)
    expected = np.stack([decode(Path(path), GEOMETRY) for path in many.paths])
    monkeypatch.setattr("eyeshot.core.array_cache.CHUNK_BYTES", 5 * 16 * 16 * 3)
    store = PixelStore(tmp_path / "cache", GEOMETRY)
    store.load(many, random.permutation(24)[:17])
    for name in ("rows.bin", "keys.txt"):
        if random.random() < 0.7:
            file = store.folder / name
            with open(file, "r+b") as stored:
                stored.truncate(int(random.integers(0, file.stat().st_size + 1)))
    loaded = PixelStore(tmp_path / "cache", GEOMETRY).load(many, every(many))
    assert len(loaded) == 24
    np.testing.assert_array_equal(loaded.images, expected)


def test_a_run_killed_while_decoding_keeps_its_finished_chunks(many: ImageTable, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("eyeshot.core.array_cache.CHUNK_BYTES", 5 * 16 * 16 * 3)
    calls = 0

    def die_at_the_13th(data: bytes, geometry: Geometry, **options):
        nonlocal calls
        calls += 1
        if calls == 13:
            raise KeyboardInterrupt
        return decode(data, geometry, **options)

    monkeypatch.setattr(pixels, "decode", die_at_the_13th)
    with pytest.raises(KeyboardInterrupt):
        PixelStore(tmp_path / "cache", GEOMETRY).load(many, every(many), workers=1)
    assert PixelStore(tmp_path / "cache", GEOMETRY).missing(many, every(many)) == 24 - 10


def test_neighbours_in_the_store_are_read_as_a_view(many: ImageTable, tmp_path: Path) -> None:
    store = PixelStore(tmp_path / "cache", GEOMETRY)
    images = store.load(many, every(many)).images
    assert not images.flags.owndata
    assert not images.flags.writeable
    np.testing.assert_array_equal(store.load(many, [3, 4, 5]).images, images[3:6])


def test_more_than_memory_should_hold_is_read_when_asked_for(many: ImageTable, tmp_path: Path, monkeypatch) -> None:
    store = PixelStore(tmp_path / "cache", GEOMETRY)
    rows = np.array([5, 3, 5, 0, 20])
    expected = np.array(store.load(many, every(many)).images)[rows]
    monkeypatch.setattr(pixels, "COPY_BYTES", 0)
    lazy = store.load(many, rows).images
    assert isinstance(lazy, pixels.StoredRows)
    assert (lazy.shape, lazy.dtype, len(lazy)) == ((5, 16, 16, 3), np.uint8, 5)
    for index in (0, -1, slice(1, 4), [4, 0], np.array([True, False, True, False, False]),
                  (2, 3), (slice(None), 0), ([1, 2], slice(2, 5), ..., 0)):  # fmt: skip
        np.testing.assert_array_equal(lazy[index], expected[index])
    np.testing.assert_array_equal(np.asarray(lazy), expected)
    np.testing.assert_array_equal(np.stack(list(lazy)), expected)


def test_no_rows_give_no_pixels(pets_table: ImageTable, tmp_path: Path) -> None:
    loaded = PixelStore(tmp_path / "cache", GEOMETRY).load(pets_table, [])
    assert loaded.images.shape == (0, 16, 16, 3)


def test_progress_counts_to_all_and_workers_change_nothing(many: ImageTable, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    one = PixelStore(tmp_path / "one", GEOMETRY).load(many, every(many), workers=1)
    more = PixelStore(tmp_path / "more", GEOMETRY).load(
        many, every(many), workers=5, progress=CallbackProgress(lambda *said: calls.append(said[:2]))
    )
    np.testing.assert_array_equal(one.images, more.images)
    assert calls == [(done, 24) for done in range(25)]


RUN = """
import sys
from pathlib import Path
import numpy as np
from eyeshot.core import array_cache
from eyeshot.data import Geometry, PixelStore, decode, read_images
folder, cache, seed = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
array_cache.CHUNK_BYTES = 3 * 16 * 16 * 3
table = read_images(folder, labelled=False, cache=cache)
order = np.random.default_rng(seed).permutation(len(table))
images = PixelStore(cache, Geometry(16)).load(table, order).images
expected = np.stack([decode(Path(table.paths[row]), Geometry(16)) for row in order])
sys.exit(not np.array_equal(images, expected))
"""


def test_two_runs_on_one_cache_at_once_give_both_all_pixels(many: ImageTable, tmp_path: Path) -> None:
    folder, cache = str(tmp_path / "many"), str(tmp_path / "cache")
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", RUN, folder, cache]
    runs = [subprocess.Popen([*command, str(seed)], env=paths) for seed in range(2)]
    assert [run.wait(timeout=120) for run in runs] == [0, 0]
    rows = PixelStore(tmp_path / "cache", GEOMETRY).folder / "rows.bin"
    assert rows.stat().st_size == 24 * 16 * 16 * 3


def test_a_folder_reads_and_decodes_alike_in_processes(
    pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (pets / "cat" / "torn.png").write_bytes((pets / "cat" / "1.png").read_bytes()[:300])
    (pets / "cat" / "none.png").write_bytes(b"none")
    Image.new("RGB", (3, 3)).save(pets / "cat" / "small.png")
    geometry = Geometry(size=16)
    monkeypatch.setattr("eyeshot.core.parallel.MANY", 1)
    there = read_images(pets, workers=2)
    decoded = PixelStore(tmp_path / "there", geometry).load(there, range(len(there)), workers=2)
    monkeypatch.setattr("eyeshot.core.parallel.MANY", 10**6)
    here = read_images(pets, workers=2)
    expected = PixelStore(tmp_path / "here", geometry).load(here, range(len(here)), workers=2)
    assert there.frame.equals(here.frame)
    assert there.skipped == here.skipped
    assert decoded.keys == expected.keys
    assert (decoded.images[:] == expected.images[:]).all()
    assert decoded.skipped == expected.skipped
    assert len(decoded.skipped) == 1
