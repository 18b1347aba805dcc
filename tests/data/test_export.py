from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from decisions_made import decision_lists, key, table_of
from eyeshot.core.errors import InputError, StorageError
from eyeshot.data import (
    DecisionLog,
    Manifest,
    compute_manifest,
    decide,
    read_images,
    write_csv,
    write_decisions,
    write_links,
)
from eyeshot.data.decisions import ordered
from eyeshot.data.export import export_manifest, places, safe_name


@pytest.fixture
def train(tmp_path: Path) -> Path:
    for number in range(6):
        path = tmp_path / "train" / ("Ant", "bee")[number % 2] / f"{number // 2}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    return tmp_path / "train"


def cleaned(train: Path, *kinds: str) -> Manifest:
    table = read_images(train)
    made = []
    if "drop" in kinds:
        made.append(decide("drop", [table.contents[0]], author="ann"))
    if "relabel" in kinds:
        made.append(decide("relabel", [table.contents[1]], author="ann", label='a, "b" é'))
    if "merge" in kinds:
        made.append(decide("merge-classes", classes=["Ant", "bee"], label="all", author="ann"))
    return compute_manifest(table, ordered(made))


def test_the_csv_is_read_back_as_labels(train: Path, tmp_path: Path) -> None:
    manifest = cleaned(train, "drop", "relabel")
    write_csv(manifest, tmp_path / "new" / "clean.csv")
    again = read_images(train, labels=tmp_path / "new" / "clean.csv")
    assert dict(zip(again.contents, again.frame["label"], strict=True)) == dict(
        zip(manifest.table.contents, manifest.table.frame["label"], strict=True)
    )
    assert 'a, "b" é' in again.classes


def test_the_csv_has_the_split_where_there_is_one(train: Path, tmp_path: Path) -> None:
    write_csv(cleaned(train, "drop"), tmp_path / "clean.csv", parts=["0", "1", None, "val", "0"])
    lines = (tmp_path / "clean.csv").read_text("utf-8").splitlines()
    assert lines[0].endswith("content,split")
    assert [line.rsplit(",", 1)[1] for line in lines[1:]] == ["0", "1", "", "val", "0"]


@pytest.mark.parametrize("copies", [False, True])
def test_a_folder_of_links_or_copies_is_the_cleaned_set_and_originals_stay(train, tmp_path, copies: bool) -> None:
    before = {path: path.read_bytes() for path in train.rglob("*.png")}
    manifest = cleaned(train, "drop", "relabel")
    assert write_links(manifest, tmp_path / "clean", sources=(train,), copies=copies) == (
        "copies" if copies else "links"
    )
    again = read_images(tmp_path / "clean")
    assert sorted(again.contents) == sorted(manifest.table.contents)
    assert len(again.classes) == len(manifest.table.classes)
    assert all(Path(path).is_symlink() != copies for path in again.paths)
    assert {path: path.read_bytes() for path in train.rglob("*.png")} == before
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_files_of_one_name_in_merged_classes_all_stay(train: Path, tmp_path: Path) -> None:
    manifest = cleaned(train, "merge")
    write_links(manifest, tmp_path / "clean")
    assert len(list((tmp_path / "clean" / "all").iterdir())) == 6


def test_a_folder_that_holds_something_or_lies_among_the_images_is_refused(train: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").touch()
    with pytest.raises(InputError, match="new or empty"):
        write_links(cleaned(train), tmp_path / "full", sources=(train,))
    with pytest.raises(InputError, match="outside the images"):
        write_links(cleaned(train), train / "clean", sources=(train,))
    assert not (train / "clean").exists()


def test_a_full_disk_leaves_nothing_behind(train: Path, tmp_path: Path, monkeypatch) -> None:
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("eyeshot.data.export.shutil.copyfile", full)
    with pytest.raises(StorageError, match="No space left"):
        write_links(cleaned(train), tmp_path / "clean", copies=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["train"]


def test_where_links_are_not_allowed_files_are_copied(train: Path, tmp_path: Path, monkeypatch) -> None:
    def refused(*_):
        raise OSError(1314, "A required privilege is not held by the client")

    monkeypatch.setattr("eyeshot.data.export.os.symlink", refused)
    assert write_links(cleaned(train), tmp_path / "clean") == "copies"
    assert len(read_images(tmp_path / "clean")) == 6


names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12) | st.sampled_from(
    ["..", ".", "a/b", "a\\b", "CON", "nul.txt", "x ", "x.", "a%2Fb", "é", "/", "Cat", "cat", "unlabelled"]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(names, min_size=1, max_size=12))
def test_places_are_plain_folders_and_no_two_the_same_in_any_case(labels: list[str]) -> None:
    table = table_of([(label, number) for number, label in enumerate(labels)])
    found = [place for _, place in places(compute_manifest(table, ordered([])))]
    assert len({place.casefold() for place in found}) == len(labels)
    folders: dict[str, set[str]] = {}
    for place, label in zip(found, labels, strict=True):
        assert place.count("/") == 1
        folder = place.split("/")[0]
        assert folder not in ("", ".", "..")
        assert os.path.basename(folder) == folder
        folders.setdefault(folder.casefold(), set()).add(label)
    assert all(len(one) == 1 for one in folders.values())


def test_usual_names_stay_as_they_are() -> None:
    for name in ("dog", "n01440764", "golden retriever", "café", "犬"):
        assert safe_name(name) == name
    assert safe_name("../x") == "%2E.%2Fx"


@settings(max_examples=40, deadline=None)
@given(decision_lists())
def test_exported_decisions_are_the_same_decisions(tmp_path_factory, made) -> None:
    folder = tmp_path_factory.mktemp("export")
    decisions = ordered(made)
    write_decisions(decisions, folder / "all.jsonl")
    assert DecisionLog(folder / "all.jsonl").read().stored == decisions.stored
    write_decisions(decisions, folder / "all.csv")
    lines = (folder / "all.csv").read_text("utf-8").splitlines()
    assert len(lines) == 1 + len(decisions)
    assert sum(",yes," in line for line in lines) == len(decisions) - len(decisions.undone)


def test_the_key_of_a_picture_is_the_one_in_the_table() -> None:
    assert table_of([("ant", 3)]).contents == [key(3)]


def test_files_that_cannot_be_decoded_are_left_out_of_the_cleaned_set(train: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Image.effect_noise((64, 64), 60).save(train / "bee" / "cut.jpg")
    data = (train / "bee" / "cut.jpg").read_bytes()
    (train / "bee" / "cut.jpg").write_bytes(data[: len(data) // 2])
    (train / "Ant" / "empty.png").write_bytes(b"")
    done = export_manifest(train, csv="clean.csv", links="clean", progress=False)
    assert (done.n_images, len(done.manifest.table)) == (7, 6)
    assert "cut.jpg" not in Path("clean.csv").read_text(encoding="utf-8")
    assert sorted(path.name for path in Path("clean/bee").iterdir()) == ["0.png", "1.png", "2.png"]
    assert {Path(file.path).name: file.reason for file in done.unusable} == {
        "cut.jpg": "truncated",
        "empty.png": "empty file (0 bytes)",
    }
    assert "2 files cannot be used and are left out: 1 × empty file (0 bytes), 1 × truncated." in done.notes
    for file in Path("clean").rglob("*.*"):
        Image.open(file).load()


def test_a_folder_of_which_no_file_can_be_decoded_has_no_cleaned_set(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        (tmp_path / "train" / name).mkdir(parents=True)
        Image.effect_noise((64, 64), 60).save(tmp_path / "train" / name / "cut.jpg")
        data = (tmp_path / "train" / name / "cut.jpg").read_bytes()
        (tmp_path / "train" / name / "cut.jpg").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="none can: 2 × truncated"):
        export_manifest("train", csv="clean.csv", progress=False)
    assert not Path("clean.csv").exists()
