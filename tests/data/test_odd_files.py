"""Names and files that are odd, or change while they are read: every reader goes on, and says what it left out."""

from __future__ import annotations

import shutil
import unicodedata
from pathlib import Path

import pytest

import eyeshot
from eyeshot.data import Geometry, PixelStore, read_images
from eyeshot.data.listing import count_reasons

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "고양이") for form in ("NFC", "NFD"))


def long_name(start: str, ending: str = ".png", *, size: int = 255) -> str:
    """A name of `size` bytes in UTF-8, most of it Korean letters of three bytes."""
    rest = size - len((start + ending).encode())
    return start + "가" * (rest // 3) + "x" * (rest % 3) + ending


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def test_names_of_255_bytes_are_read_divided_and_exported(here: Path, tmp_path: Path, save) -> None:
    root, labels = tmp_path / "set", (long_name("a", "", size=255), long_name("b", "", size=254))
    for number in range(8):
        # The same names in a folder below, so that the export must tell them apart.
        save(root / labels[number % 2] / ("deep" if number > 3 else "") / long_name(str(number % 4)), number)
    table = eyeshot.init(root, progress=False)
    assert len(table) == 8
    assert table.classes == tuple(sorted(labels))
    eyeshot.split(folds=2, progress=False)
    eyeshot.export_manifest(csv="clean.csv", links="clean", progress=False)
    assert len(read_images(here / "clean")) == 8
    assert len(read_images(root, labels=here / "clean.csv")) == 8
    eyeshot.export_manifest(links="copies", copies=True, progress=False)
    assert len(read_images(here / "copies")) == 8


def test_names_that_differ_by_unicode_form_alone_are_two_images_and_one_class(here: Path, tmp_path: Path, save) -> None:
    root = tmp_path / "set"
    save(root / COMPOSED / f"{COMPOSED}.png", 1)
    save(root / COMPOSED / f"{DECOMPOSED}.png", 2)
    if len(list((root / COMPOSED).iterdir())) == 1:
        pytest.skip("this file system takes both for one name")
    save(root / DECOMPOSED / f"{COMPOSED}.png", 3)
    save(root / "dog" / "1.png", 4)
    table = eyeshot.init(root, progress=False)
    assert table.classes == ("dog", COMPOSED)
    assert len(set(table.paths)) == len(set(table.contents)) == 4
    eyeshot.export_manifest(links="clean", progress=False)
    assert len(read_images(here / "clean")) == 4


def test_a_csv_finds_the_name_as_it_is_written_before_its_other_unicode_form(tmp_path: Path, save) -> None:
    root = tmp_path / "set"
    for number, name in enumerate((COMPOSED, DECOMPOSED, "dog")):
        save(root / f"{name}.png", number)
    if len(list(root.iterdir())) == 2:
        pytest.skip("this file system takes both for one name")
    labels = tmp_path / "labels.csv"
    labels.write_text(f"path,label\n{DECOMPOSED}.png,x\n{COMPOSED}.png,y\ndog.png,x\n", "utf-8")
    table = read_images(root, labels=labels)
    found = {Path(path).stem: label for path, label in zip(table.paths, table.frame["label"], strict=True)}
    assert found == {DECOMPOSED: "x", COMPOSED: "y", "dog": "x"}
    # An id without an ending fits both files, so neither is taken.
    labels.write_text(f"id,label\n{COMPOSED},y\ndog,x\n", "utf-8")
    table = read_images(root, labels=labels, path_column="id", label_column="label", minimum_classes=1)
    assert count_reasons(table.skipped) == {"name fits several files, though named in labels.csv": 1}


def test_links_that_go_round_end_and_are_named(here: Path, tmp_path: Path, pets: Path) -> None:
    try:
        (pets / "cat" / "up").symlink_to("..", target_is_directory=True)
    except OSError:
        pytest.skip("this system does not allow links")
    (pets / "self").symlink_to("self")
    (pets / "first").symlink_to("second")
    (pets / "second").symlink_to("first")
    (pets / "dog" / "round.png").symlink_to("round.png")
    table = eyeshot.init(pets, progress=False)
    assert len(table) == 5
    assert count_reasons(table.skipped) == {"link to a folder that is read anyway": 1, "broken link": 4}


def test_files_that_vanish_or_change_after_the_listing_are_left_out_with_a_reason(tmp_path: Path, pets: Path) -> None:
    table = read_images(pets)
    (pets / "cat" / "0.png").unlink()
    shutil.copy(pets / "cat" / "1.png", pets / "dog" / "0.png")
    pixels = PixelStore(tmp_path / "cache", Geometry(size=16)).load(table, range(len(table)))
    assert len(pixels) == 3
    assert {Path(file.path).parent.name: file.reason for file in pixels.skipped} == {
        "cat": "not found",
        "dog": "changed while it was being read",
    }


def test_a_file_that_vanishes_between_listing_and_reading_is_skipped(
    tmp_path: Path, pets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from eyeshot.data import table as module

    listed = module.list_images

    def listed_then_lost(root: Path):
        listing = listed(root)
        (pets / "cat" / "0.png").unlink(missing_ok=True)
        (pets / "cat" / "1.png").write_bytes(b"")
        return listing

    monkeypatch.setattr(module, "list_images", listed_then_lost)
    reasons = []
    for _ in range(2):  # the second time with what the first left in the cache
        table = read_images(pets, cache=tmp_path / "cache")
        assert len(table) == 3
        reasons.append(count_reasons(table.skipped))
    assert reasons == [{"not found": 1, "empty file (0 bytes)": 1}, {"empty file (0 bytes)": 1}]
