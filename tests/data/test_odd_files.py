"""Names and files that are odd, or change while they are read: every reader goes on, and says what it left out."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import unicodedata
import zlib
from pathlib import Path

import pytest

import eyeshot
from eyeshot.core import InputError
from eyeshot.data import DataConfig, Geometry, PixelStore, load_dataset, read_images
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


def test_a_folder_of_one_image_is_audited_and_exported_and_no_split_is_made(here: Path, tmp_path: Path, save) -> None:
    save(tmp_path / "set" / "cat" / "only.png", 1)
    report = eyeshot.audit(tmp_path / "set", progress=False).report
    assert (report.n_train, report.groups, report.counts) == (1, [], {"small-class": 1})
    exported = eyeshot.export_manifest(tmp_path / "set", links="clean", csv="clean.csv", progress=False)
    assert len(exported.manifest.table) == 1
    # Without class folders, and as test images.
    flat = save(tmp_path / "flat" / "only.png", 2).parent
    assert eyeshot.audit(flat, progress=False).report.n_train == 1
    both = eyeshot.audit(tmp_path / "set", flat, progress=False).report
    assert (both.n_train, both.n_test) == (1, 1)
    for impossible in (
        lambda: eyeshot.split(tmp_path / "set", folds=2, progress=False),
        lambda: eyeshot.apply_policy("keep-one", tmp_path / "set", progress=False),
    ):
        with pytest.raises(InputError, match="at least 2 classes"):
            impossible()


@pytest.mark.parametrize("changed", [False, True])
def test_a_folder_of_identical_images_only_is_grouped_refused_by_the_split_and_not_emptied(
    here: Path, tmp_path: Path, save, changed: bool
) -> None:
    root = tmp_path / "set"
    for number in range(8):
        save(root / "cat" / f"{number}.png", 1)
        save(root / "dog" / f"{number}.{'bmp' if changed else 'png'}", 1 if number else 2)
    report = eyeshot.audit(root, progress=False).report
    report_file = here / "audit"
    eyeshot.audit(root, progress=False).save(report_file)
    assert max(len(group.images) for group in report.groups) == 15
    assert [finding.kind for finding in report.findings if finding.kind != "small-class"] == ["conflict"]
    with pytest.raises(InputError, match=r"--folds|--small-classes"):
        eyeshot.split(root, folds=2, audit=report_file, progress=False)
    # The policy would empty a class, so nothing is left out, and it says so.
    done = eyeshot.apply_policy("drop-both", root, audit=report_file, min_per_class=1, progress=False)
    assert (done.decisions, {group.label for group in done.stopped}) == ([], {"cat"})
    assert len(eyeshot.export_manifest(root, links="clean", progress=False).manifest.table) == 16


BIG = """
import json, resource, sys
from pathlib import Path
import eyeshot
from eyeshot.data import read_images
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
report = eyeshot.audit(Path(sys.argv[1]), progress=False).report
exported = eyeshot.export_manifest(sys.argv[1], csv="clean.csv", progress=False)
reasons = [finding.evidence["reason"] for finding in report.findings if finding.kind == "unreadable"]
mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
print(json.dumps([report.n_train, len(exported.manifest.table), reasons, mib]))
"""


def png_of_one_colour(file: Path, side: int) -> None:
    """A grey PNG of one bit a pixel, written row by row."""
    packer = zlib.compressobj(1)
    rows = [packer.compress(bytes(1 + side // 8) * 1000) for _ in range(side // 1000)]
    header = side.to_bytes(4, "big") * 2 + bytes([1, 0, 0, 0, 0])
    chunks = ((b"IHDR", header), (b"IDAT", b"".join([*rows, packer.flush()])), (b"IEND", b""))
    file.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")
            for name, data in chunks
        )
    )


@pytest.mark.skipif(sys.platform == "win32", reason="the peak of memory is read by a module of POSIX")
def test_an_image_of_30000_pixels_a_side_is_named_and_not_held_in_memory(here: Path, pets: Path) -> None:
    png_of_one_colour(pets / "cat" / "big.png", 30_000)
    done = subprocess.run([sys.executable, "-c", BIG, pets], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    n_train, exported, reasons, mib = json.loads(done.stdout)
    assert (n_train, exported) == (5, 5)
    (reason,) = reasons
    assert reason.startswith("decompression bomb (over 89,478,485 pixels")
    assert reason.endswith("shrink it or cut it into parts")
    assert mib < 400  # a byte for each of its pixels would be 858


def test_links_from_the_test_folder_to_training_images_are_followed_and_said(
    here: Path, tmp_path: Path, pets: Path, save
) -> None:
    test = tmp_path / "test"
    save(test / "0.png", 50)
    try:
        (test / "link").symlink_to(pets, target_is_directory=True)
    except OSError:
        pytest.skip("this system does not allow links")
    (test / "one.png").symlink_to(pets / "dog" / "1.png")
    words = "6 of 7 test images are links to training images"
    report = eyeshot.audit(pets, test, progress=False).report
    assert (report.n_test, report.counts["leak"]) == (7, 5)
    assert any(note.startswith(words) for note in report.notes)
    dataset = load_dataset(DataConfig(train=pets, test=test), cache=tmp_path / "cache")
    assert any(note.startswith(words) for note in dataset.notes)
    (test / "link").unlink()
    (test / "one.png").unlink()
    assert not any("links" in note for note in eyeshot.audit(pets, test, progress=False).report.notes)
