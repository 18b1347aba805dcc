from __future__ import annotations

import os
import shutil
import unicodedata
from pathlib import Path

import pytest
import xxhash
from PIL import Image

from eyeshot.core.errors import InputError
from eyeshot.data import ImageTable, read_images
from eyeshot.data.listing import count_reasons


def test_class_folders_become_labels_and_ids_are_paths_below_the_root(pets: Path) -> None:
    table = read_images(pets)
    assert table.ids == ["cat/0.png", "cat/1.png", "cat/2.png", "dog/0.png", "dog/1.png"]
    assert table.classes == ("cat", "dog")
    assert table.labels.tolist() == [0, 0, 0, 1, 1]
    assert not table.skipped
    assert not table.notes


def test_the_content_is_the_hash_of_the_bytes(pets_table: ImageTable) -> None:
    for path, content in zip(pets_table.paths, pets_table.contents, strict=True):
        assert content == xxhash.xxh3_128_hexdigest(Path(path).read_bytes())


def test_folders_below_a_class_belong_to_it(pets: Path, save) -> None:
    save(pets / "cat" / "2024" / "spring" / "a.png", 5)
    table = read_images(pets)
    assert dict(zip(table.ids, table.frame["label"], strict=True))["cat/2024/spring/a.png"] == "cat"


def test_a_folder_without_labels_may_be_flat_or_nested(tmp_path: Path, save) -> None:
    save(tmp_path / "a.png", 1)
    save(tmp_path / "deep" / "er" / "b.png", 2)
    table = read_images(tmp_path, labelled=False)
    assert table.ids == ["a.png", "deep/er/b.png"]
    assert table.classes == ()
    assert table.labels.tolist() == [-1, -1]


def test_width_and_height_are_those_of_the_turned_image(tmp_path: Path, paint) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for ending in ("jpg", "png", "tif", "webp"):
        paint(size=(60, 20)).save(tmp_path / f"x.{ending}", exif=exif)
    table = read_images(tmp_path, labelled=False)
    assert table.frame.select("width", "height").rows() == [(20, 60)] * 4


@pytest.mark.parametrize(
    "name",
    ["with space.png", "고양이.png", "🐈.png", "two\nlines.png", "a;b,c'\"d.png", "UPPER.PNG", "no_ending"],
)
def test_unusual_names_are_read(tmp_path: Path, save, name: str) -> None:
    if os.name == "nt" and set(name) & set('\n"'):
        pytest.skip("not a name on this system")
    save(tmp_path / "class" / "x.png").rename(tmp_path / "class" / name)
    table = read_images(tmp_path / "class", labelled=False, cache=tmp_path / "cache")
    assert table.ids == [name]
    assert read_images(tmp_path / "class", labelled=False, cache=tmp_path / "cache").frame.equals(table.frame)


def test_headers_are_read_without_decoding(pets: Path, paint, monkeypatch) -> None:
    for ending in ("jpg", "webp", "tif", "bmp", "gif"):
        paint(30).save(pets / "cat" / f"x.{ending}")

    def fail(*_args: object) -> None:
        pytest.fail("decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", fail)
    assert len(read_images(pets)) == 10


def test_drawings_for_a_renderer_are_not_opened(pets: Path) -> None:
    text = "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 50 50\n%%EndComments\n"
    (pets / "cat" / "disguised.jpg").write_text(text, encoding="ascii")
    (pets / "cat" / "drawing.eps").write_text(text, encoding="ascii")
    table = read_images(pets)
    assert count_reasons(table.skipped) == {"not an image that Pillow knows": 1}
    assert any(".eps (1)" in note for note in table.notes)


def test_class_names_in_two_spellings_of_unicode_are_one_class(tmp_path: Path, save) -> None:
    save(tmp_path / unicodedata.normalize("NFC", "고양이") / "a.png", 1)
    save(tmp_path / unicodedata.normalize("NFD", "고양이") / "b.png", 2)
    save(tmp_path / "dog" / "c.png", 3)
    assert read_images(tmp_path).classes == ("dog", unicodedata.normalize("NFC", "고양이"))


def make_bad_files(folder: Path, good: Path) -> dict[str, str]:
    """Broken files of every kind below `folder`; returns each name with a word of its reason."""
    data = good.read_bytes()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "zero.jpg").write_bytes(b"")
    (folder / "page.jpg").write_text("<!DOCTYPE html><html>404</html>", encoding="utf-8")
    (folder / "vector.png").write_text("<?xml version='1.0'?><svg/>", encoding="utf-8")
    (folder / "text.png").write_text("hello", encoding="utf-8")
    (folder / "head.png").write_bytes(data[:20])
    Image.new("RGB", (1, 1)).save(folder / "dot.png")
    Image.new("RGB", (200, 2)).save(folder / "line.png")
    return {
        "zero.jpg": "empty",
        "page.jpg": "web page",
        "vector.png": "web page",
        "text.png": "not an image",
        "head.png": "truncated",
        "dot.png": "smaller than",
        "line.png": "smaller than",
    }


def test_each_bad_file_is_skipped_with_its_reason_and_the_rest_is_read(pets: Path) -> None:
    expected = make_bad_files(pets / "cat", pets / "cat" / "0.png")
    table = read_images(pets)
    assert len(table) == 5
    reasons = {Path(one.path).name: one.reason for one in table.skipped}
    assert reasons.keys() == expected.keys()
    for name, word in expected.items():
        assert word in reasons[name], name


def test_system_and_hidden_files_are_ignored_and_counted_in_a_note(pets: Path, save) -> None:
    for name in ("._0.png", ".DS_Store", "Thumbs.db", ".hidden/a.png", "__MACOSX/a.png"):
        save(pets / "cat" / "x.png").rename(_parent(pets / "cat" / name))
    (pets / "readme.txt").write_text("hello", encoding="utf-8")
    table = read_images(pets)
    assert len(table) == 5
    assert not table.skipped
    assert any(note.startswith("Hidden or system") and note.endswith(": 5.") for note in table.notes)
    assert any(note.startswith("Files ignored") and ".txt (1)" in note for note in table.notes)


def test_a_decompression_bomb_is_skipped_although_pillow_only_warns(pets: Path, monkeypatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50 * 50)
    Image.new("RGB", (60, 60)).save(pets / "cat" / "between.png")
    Image.new("RGB", (600, 600)).save(pets / "cat" / "over.png")
    table = read_images(pets)
    assert [Path(one.path).name for one in table.skipped] == ["between.png", "over.png"]
    assert len(count_reasons(table.skipped)) == 1
    assert "bomb" in table.skipped[0].reason


def test_an_unreadable_file_is_skipped_and_tried_again_next_time(pets: Path, tmp_path: Path, monkeypatch) -> None:
    import builtins

    real = builtins.open

    def refuse(path, *args, **kwargs):
        if str(path).endswith("1.png"):
            raise PermissionError(13, "Permission denied")
        return real(path, *args, **kwargs)

    monkeypatch.setattr(builtins, "open", refuse)
    table = read_images(pets, cache=tmp_path / "cache")
    assert count_reasons(table.skipped) == {"unreadable (no permission)": 2}
    monkeypatch.undo()
    assert len(read_images(pets, cache=tmp_path / "cache")) == 5


def test_no_folder_a_file_and_an_empty_folder_are_errors(tmp_path: Path, save) -> None:
    with pytest.raises(InputError, match="which does not exist"):
        read_images(tmp_path / "missing")
    with pytest.raises(InputError, match="got the file"):
        read_images(save(tmp_path / "a.png"))
    (tmp_path / "empty" / ".git").mkdir(parents=True)
    with pytest.raises(InputError, match="it holds no file that is not hidden"):
        read_images(tmp_path / "empty", labelled=False)


def test_a_folder_of_only_bad_files_says_what_is_bad(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(InputError, match="none of its files can be used: 1 × empty file"):
        read_images(tmp_path, labelled=False)


def test_a_flat_training_folder_is_an_error_that_names_the_csv_beside(tmp_path: Path, save) -> None:
    save(tmp_path / "a.png")
    (tmp_path / "train.csv").write_text("x", encoding="utf-8")
    with pytest.raises(InputError, match=r"got images \(1\) that lie directly.*--labels .*train\.csv"):
        read_images(tmp_path)


def test_images_beside_class_folders_are_skipped(pets: Path, save) -> None:
    save(pets / "stray.png")
    table = read_images(pets)
    assert len(table) == 5
    assert count_reasons(table.skipped) == {"lies in no class folder": 1}


def test_one_class_is_an_error_unless_it_is_allowed(pets: Path) -> None:
    shutil.rmtree(pets / "dog")
    with pytest.raises(InputError, match="at least 2 classes, got 'cat'"):
        read_images(pets)
    assert read_images(pets, minimum_classes=1).classes == ("cat",)


def test_the_folder_above_the_training_folder_is_recognised(pets: Path) -> None:
    with pytest.raises(InputError, match=r"'pets' holds 2 folders of its own: give .*pets'"):
        read_images(pets.parent)


def test_an_empty_class_and_a_single_image_are_notes(pets: Path, save) -> None:
    (pets / "bird").mkdir()
    save(pets / "ant" / "a.png", 7)
    table = read_images(pets)
    assert table.classes == ("ant", "cat", "dog")
    assert "Class folder 'bird' has no usable image." in table.notes
    assert "1 of 3 classes has a single image: 'ant'." in table.notes


def test_one_picture_under_two_labels_is_noted(pets: Path) -> None:
    shutil.copy(pets / "cat" / "0.png", pets / "dog" / "copy.png")
    (note,) = [note for note in read_images(pets).notes if "more than one label" in note]
    assert note == (
        "1 picture stands under more than one label, byte for byte: 2 files. Leave them out: "
        "eyeshot decisions apply --policy drop-both."
    )


def _parent(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@pytest.mark.parametrize("names", [("train", "val", "test"), ("seg_train", "seg_test"), ("Training", "validation_set")])
def test_parts_of_a_split_are_no_classes(tmp_path: Path, save, names: tuple[str, ...]) -> None:
    for number, name in enumerate(names):
        for label in ("cat", "dog")[: 2 - (number == 2)]:
            save(tmp_path / "data" / name / label / "0.png", number)
    with pytest.raises(InputError, match=rf"{names[1]}.*parts of a split. Give .*{names[0]}'"):
        read_images(tmp_path / "data", minimum_classes=1)
    assert len(read_images(tmp_path / "data" / names[0])) == 2


def test_folders_that_hold_the_same_folders_are_no_classes(tmp_path: Path, save) -> None:
    for site in ("north", "south"):
        for label in ("cat", "dog"):
            save(tmp_path / "data" / site / label / "0.png", len(site + label))
    with pytest.raises(InputError, match=r"'north', 'south'.*'cat', 'dog'.*Give one of them, .*north.*--labels"):
        read_images(tmp_path / "data", minimum_classes=1)


def test_a_class_may_be_called_train_and_hold_folders(tmp_path: Path, save) -> None:
    for name in ("train/0.png", "train/old/1.png", "bus/0.png", "bus/new/1.png"):
        save(tmp_path / "data" / name, len(name))
    assert read_images(tmp_path / "data").classes == ("bus", "train")


def test_one_folder_too_high_is_told_also_where_one_class_is_enough(pets: Path) -> None:
    with pytest.raises(InputError, match=r"'pets' holds 2 folders of its own: give .*pets'"):
        read_images(pets.parent, minimum_classes=1)
    shutil.move(pets, pets.parent / "a" / "b" / "pets")
    with pytest.raises(InputError, match=r"'a/b/pets' holds 2 folders of its own: give .*pets'"):
        read_images(pets.parent, minimum_classes=1)
