from __future__ import annotations

import shutil
import unicodedata
from pathlib import Path

import pytest

from eyeshot.core.errors import InputError
from eyeshot.data import ImageTable, read_images
from eyeshot.data.listing import count_reasons


@pytest.fixture
def photos(tmp_path: Path, save) -> Path:
    """Four images without class folders."""
    for number, name in enumerate(("a1", "a2", "b1", "b2")):
        save(tmp_path / "photos" / f"{name}.png", number)
    return tmp_path / "photos"


def write(photos: Path, text: str, *, encoding: str = "utf-8", name: str = "train.csv") -> Path:
    file = photos.parent / name
    file.write_bytes(text.encode(encoding))
    return file


def pairs(table: ImageTable) -> dict[str, str]:
    return dict(zip(table.ids, table.frame["label"], strict=True))


EXPECTED = {"a1.png": "ant", "a2.png": "ant", "b1.png": "bee", "b2.png": "bee"}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_any_usual_csv_is_read(photos: Path, delimiter: str, encoding: str, end: str) -> None:
    lines = [("image_path", "species"), *((name, label) for name, label in EXPECTED.items())]
    text = end.join(delimiter.join(line) for line in lines)
    file = write(photos, text, encoding=encoding)
    assert pairs(read_images(photos, labels=file)) == EXPECTED
    assert pairs(read_images(photos, labels=file, path_column="image_path")) == EXPECTED


def test_the_notes_say_what_was_guessed(photos: Path) -> None:
    file = write(photos, "index,file,y\n0,a1.png,0\n1,b1.png,1\n")
    notes = read_images(photos, labels=file).notes
    assert any("paths in column 'file', labels in column 'y', image root" in note for note in notes)
    assert "Images below 'photos' that are not in train.csv and are left out: 2." in notes


def test_ids_without_an_ending_find_their_files(photos: Path) -> None:
    table = read_images(photos, labels=write(photos, "id,label\na1,x\nb2,y\n"))
    assert pairs(table) == {"a1.png": "x", "b2.png": "y"}


def test_ids_are_found_in_subfolders_by_name(photos: Path, save) -> None:
    save(photos / "more" / "deep" / "c1.png", 9)
    table = read_images(photos, labels=write(photos, "id,label\na1,x\nb2,y\nc1,y\n"))
    assert pairs(table) == {"a1.png": "x", "b2.png": "y", "more/deep/c1.png": "y"}


def test_rows_that_take_turns_among_folders_are_all_found(tmp_path: Path, save) -> None:
    for number in range(120):
        save(tmp_path / "set" / f"part{number % 3}" / f"{number:03}.png", number, size=(6, 6))
    file = write(tmp_path / "set", "id,label\n" + "\n".join(f"{n:03},{n % 3}" for n in range(120)))
    assert len(read_images(tmp_path / "set", labels=file)) == 120


def test_numbers_as_ids_are_not_mistaken_for_numbers_as_labels(tmp_path: Path, save) -> None:
    for number in range(6):
        save(tmp_path / "set" / f"{number}.png", number)
    file = write(tmp_path / "set", "target,image\n" + "\n".join(f"{n % 3},{n}" for n in range(6)))
    assert pairs(read_images(tmp_path / "set", labels=file)) == {f"{n}.png": str(n % 3) for n in range(6)}


def test_paths_may_be_relative_to_the_folder_above(photos: Path) -> None:
    table = read_images(photos, labels=write(photos, "p,c\nphotos/a1.png,x\nphotos/b1.png,y\n"))
    assert pairs(table) == {"photos/a1.png": "x", "photos/b1.png": "y"}


def test_paths_may_be_relative_to_a_folder_below(photos: Path) -> None:
    file = write(photos, "p,c\na1.png,x\nb1.png,y\n")
    assert pairs(read_images(photos.parent, labels=file)) == {"a1.png": "x", "b1.png": "y"}


def test_absolute_paths_of_this_and_of_another_machine_are_found(photos: Path) -> None:
    here = write(photos, f"path,c\n{photos / 'a1.png'},x\n{photos / 'b1.png'},y\n")
    assert pairs(read_images(photos, labels=here)) == {"a1.png": "x", "b1.png": "y"}
    there = write(photos, "path,c\n/home/kim/set/a1.png,x\n/home/kim/set/b1.png,y\n")
    table = read_images(photos, labels=there)
    assert pairs(table) == {"a1.png": "x", "b1.png": "y"}
    assert any("the first 4 folders of each path cut off" in note for note in table.notes)


def test_backslashes_and_decomposed_korean_names_are_found(photos: Path, save) -> None:
    save(photos / "sub" / (unicodedata.normalize("NFD", "고양이") + ".png"), 20)
    name = unicodedata.normalize("NFC", "고양이")
    table = read_images(photos, labels=write(photos, f"path,c\nsub\\{name}.png,x\n.\\a1.png,y\n"))
    assert len(table) == 2


def test_a_csv_without_a_header_is_recognised(photos: Path) -> None:
    table = read_images(photos, labels=write(photos, "a1.png,x\nb1.png,y\nb2.png,y\n"))
    assert pairs(table) == {"a1.png": "x", "b1.png": "y", "b2.png": "y"}
    assert any("no header" in note for note in table.notes)


def test_named_columns_and_root_win_over_guesses(photos: Path) -> None:
    file = write(photos, "path,file,label,kind\nb1.png,a1.png,1,x\na1.png,b1.png,2,y\n")
    table = read_images(photos, labels=file, path_column="file", label_column="kind", image_root=photos)
    assert pairs(table) == {"a1.png": "x", "b1.png": "y"}
    assert any("(as given)" in note for note in table.notes)


def test_an_image_root_elsewhere_is_the_folder_that_is_searched(photos: Path, save) -> None:
    save(photos.parent / "csv" / "other.png", 40)
    file = photos.parent / "csv" / "train.csv"
    file.write_text("id,label\na1,x\nb1,y\n", encoding="utf-8")
    table = read_images(photos.parent / "csv", labels=file, image_root=photos)
    assert pairs(table) == {"a1.png": "x", "b1.png": "y"}


def test_missing_files_and_empty_cells_are_counted(photos: Path) -> None:
    file = write(photos, "path,label\na1.png,x\nb1.png,y\ngone.png,x\n,x\nb2.png,\na2.png\n")
    table = read_images(photos, labels=file)
    assert len(table) == 2
    assert count_reasons(table.skipped) == {
        "row with no label in train.csv": 2,
        "not found, though named in train.csv": 1,
        "row with no path in train.csv": 1,
    }
    assert "gone.png" in [one.path for one in table.skipped]


def test_repeated_rows_count_once(photos: Path) -> None:
    table = read_images(photos, labels=write(photos, "path,label\na1.png,x\na1.png,x\n./a1.png,x\nb1.png,y\n"))
    assert pairs(table) == {"a1.png": "x", "b1.png": "y"}
    assert "Rows of train.csv that repeat an earlier row and count once: 2." in table.notes


def test_an_image_under_two_labels_is_left_out(photos: Path) -> None:
    file = write(photos, "path,label\na1.png,x\na1.png,y\nb1.png,y\na2.png,x\n")
    table = read_images(photos, labels=file)
    assert pairs(table) == {"a2.png": "x", "b1.png": "y"}
    assert count_reasons(table.skipped) == {"two labels in train.csv": 1}


def test_an_id_that_fits_two_files_is_left_out(photos: Path) -> None:
    shutil.copy(photos / "a1.png", photos / "a1.jpg")
    table = read_images(photos, labels=write(photos, "id,label\na1,x\na2,x\nb1,y\n"))
    assert count_reasons(table.skipped) == {"name fits several files, though named in train.csv": 1}


def test_a_missing_file_is_never_replaced_by_another_of_its_name(photos: Path, save) -> None:
    save(photos / "x" / "only_x.png", 30)
    save(photos / "x" / "both.png", 31)
    save(photos / "y" / "both.png", 32)
    (photos / "y" / "both.png").unlink()
    file = write(photos, "path,label\nx/only_x.png,x\nx/both.png,x\ny/both.png,y\na1.png,y\n")
    assert pairs(read_images(photos, labels=file)) == {"a1.png": "y", "x/both.png": "x", "x/only_x.png": "x"}


def test_quotes_and_newlines_in_cells_are_kept(photos: Path) -> None:
    table = read_images(photos, labels=write(photos, 'path,label\n"a1.png","cat, ""big""\nold"\nb1.png,y\n'))
    assert pairs(table)["a1.png"] == 'cat, "big"\nold'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path\na1.png\n", "got one column"),
        ("", "it is empty"),
        ("path,u,v\na1.png,1,2\n", "columns are 'path', 'u' and 'v'"),
        ("path,label\nq.png,1\nr.png,2\n", r"begins with 'q\.png', 'r\.png'"),
    ],
)
def test_a_csv_that_cannot_be_understood_is_an_error(photos: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_images(photos, labels=write(photos, text))


def test_a_column_that_is_not_there_is_an_error(photos: Path) -> None:
    file = write(photos, "path,label\na1.png,x\n")
    with pytest.raises(InputError, match=r"--label-column must be a column.*got 'kind'.*'path' and 'label'"):
        read_images(photos, labels=file, label_column="kind")


def test_what_is_no_text_file_is_an_error(photos: Path) -> None:
    with pytest.raises(InputError, match="not found"):
        read_images(photos, labels=photos / "none.csv")
    with pytest.raises(InputError, match=r"got the folder|no permission"):
        read_images(photos, labels=photos)
    with pytest.raises(InputError, match="UTF-8"):
        read_images(photos, labels=write(photos, "path,label\na1.png,고양이\n", encoding="cp949"))


def test_bad_images_named_by_the_csv_are_skipped(photos: Path) -> None:
    (photos / "a2.png").write_bytes(b"")
    file = write(photos, "path,label\na1.png,x\na2.png,x\nb1.png,y\n")
    assert count_reasons(read_images(photos, labels=file).skipped) == {"empty file (0 bytes)": 1}


def test_a_lost_file_does_not_send_the_search_to_the_test_images_beside_it(tmp_path: Path, save) -> None:
    for number in range(8):
        save(tmp_path / "train" / f"{number:03d}.png", number)
        save(tmp_path / "test" / f"{number:03d}.png", 100 + number)
    (tmp_path / "train" / "003.png").unlink()
    rows = "".join(f"{number:03d},{'cat' if number % 2 else 'dog'}\n" for number in range(8))
    table = read_images(tmp_path / "train", labels=write(tmp_path / "train", "id,label\n" + rows))
    assert len(table) == 7
    assert all("/train/" in Path(path).as_posix() for path in table.paths)
    assert count_reasons(table.skipped) == {"not found, though named in train.csv": 1}


def test_files_that_lie_only_in_another_folder_are_an_error_that_names_both(photos: Path, save) -> None:
    save(photos.parent / "other" / "x.png", 9)
    file = write(photos, "id,label\na1,x\nb2,y\n")
    with pytest.raises(InputError, match=r"(?s)nearly none in .*other.*photos.*--image-root .*photos"):
        read_images(photos.parent / "other", labels=file)
    assert len(read_images(photos.parent / "other", labels=file, image_root=photos)) == 2


def test_two_folders_with_the_same_names_are_an_error_that_names_both(tmp_path: Path, save) -> None:
    for folder in ("a", "b"):
        for number in range(4):
            save(tmp_path / "train" / folder / f"{number}.png", number + 10 * (folder == "b"))
    (tmp_path / "train" / "b" / "3.png").unlink()  # nearly as many are still two folders
    file = write(tmp_path / "train", "file,label\n0.png,x\n1.png,y\n2.png,x\n3.png,y\n")
    with pytest.raises(InputError, match=r"train.a' and .*train.b' both hold files.*--image-root"):
        read_images(tmp_path / "train", labels=file)
    table = read_images(tmp_path / "train", labels=file, image_root=tmp_path / "train" / "a")
    assert [Path(path).parent.name for path in table.paths] == ["a"] * 4


def test_numbers_of_classes_are_no_names_of_test_images(tmp_path: Path, save) -> None:
    for number in range(6):
        save(tmp_path / "train" / "x" / f"image_{number}.png", number)
        save(tmp_path / "test" / f"{number}.png", 100 + number)
    (tmp_path / "train" / "x" / "image_5.png").unlink()
    rows = "".join(f"x/image_{number}.png,{number},{'ab'[number % 2]}\n" for number in range(6))
    file = write(tmp_path / "train", "img_path,target,class_name\n" + rows)
    table = read_images(tmp_path, labels=file, label_column="class_name")
    assert len(table) == 5
    assert all("image_" in path for path in table.paths)


def test_rows_outside_the_named_folder_are_left_out(photos: Path, save) -> None:
    save(photos.parent / "test" / "t.png", 9)
    file = write(photos, "path,label\nphotos/a1.png,x\nphotos/b2.png,y\ntest/t.png,y\n")
    table = read_images(photos, labels=file)
    assert sorted(Path(path).name for path in table.paths) == ["a1.png", "b2.png"]
    assert count_reasons(table.skipped) == {"outside the image folder, though named in train.csv": 1}
