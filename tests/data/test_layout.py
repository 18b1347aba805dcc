"""`eyeshot init ROOT` on the layouts of competitions, and what it must not guess."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import eyeshot
from competition_layouts import LAYOUTS, write_layout
from eyeshot.core import InputError, find_project


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for the project beside that of the competition."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_layout_of_a_competition_is_read_right_or_the_way_on_is_named(
    name: str, work: Path, tmp_path: Path
) -> None:
    layout, root = LAYOUTS[name], tmp_path / "input"
    write_layout(layout, root)
    options = {option.removeprefix("--").replace("-", "_"): True for option in layout.options}
    if layout.error:
        with pytest.raises(InputError) as error:
            eyeshot.init(root, progress=False, **options)  # type: ignore[arg-type]
        assert re.search(layout.error, str(error.value)), str(error.value)
        assert not (work / "eyeshot.toml").exists()
        return
    table = eyeshot.init(root, progress=False, **options)  # type: ignore[arg-type]
    project = find_project()
    stored = {**project.data, **project.submission, "images": len(table), "classes": len(table.classes)}
    for entry, value in layout.found.items():
        got = stored.get(entry, "/")
        if isinstance(got, Path):
            got = got.relative_to(root).as_posix() if got.is_relative_to(root) else str(got)
        assert got == value, (entry, table.notes)
    notes = "\n".join(table.notes)
    for words in layout.says:
        assert words in notes, notes
    wrong = [
        (path, label)
        for path, label in zip(table.paths, table.frame["label"], strict=True)
        if "test" in path.lower().removeprefix(str(root).lower())
    ]
    assert not wrong


@pytest.mark.parametrize("name", [name for name, layout in LAYOUTS.items() if layout.found])
def test_what_init_stored_reads_the_same_images_and_labels(name: str, work: Path, tmp_path: Path) -> None:
    write_layout(LAYOUTS[name], tmp_path / "input")
    options = {option.removeprefix("--").replace("-", "_"): True for option in LAYOUTS[name].options}
    table = eyeshot.init(tmp_path / "input", progress=False, **options)  # type: ignore[arg-type]
    sources = find_project().sources(None)
    again = eyeshot.read_images(
        sources["train"],
        labels=sources["labels"],
        path_column=sources["path_column"],
        label_column=sources["label_column"],
        image_root=sources["image_root"],
    )
    assert again.frame.equals(table.frame)


@pytest.mark.parametrize("name", [name for name, layout in LAYOUTS.items() if layout.found and layout.tables])
def test_the_order_of_rows_and_columns_changes_nothing(name: str, work: Path, tmp_path: Path) -> None:
    write_layout(LAYOUTS[name], tmp_path / "input")
    options = {option.removeprefix("--").replace("-", "_"): True for option in LAYOUTS[name].options}
    table = eyeshot.init(tmp_path / "input", progress=False, **options)  # type: ignore[arg-type]
    before = find_project()
    for file in tmp_path.glob("input/**/*.csv"):
        header, *rows = [line.split(",")[::-1] for line in file.read_text("utf-8").splitlines()]
        file.write_text("\n".join(",".join(cells) for cells in [header, *rows[::-1]]) + "\n", "utf-8")
    again = eyeshot.init(tmp_path / "input", progress=False, force=True, **options)  # type: ignore[arg-type]
    after = find_project()
    assert again.frame.equals(table.frame)
    assert sorted(after.data.pop("label_column", "").split(",")) == sorted(
        before.data.pop("label_column", "").split(",")
    )
    assert after.data == before.data
    labels = [sorted(project.submission.pop("label_columns", [])) for project in (before, after)]
    assert (labels[0], before.submission) == (labels[1], after.submission)


# What must not be guessed --------------------------------------------------------------------------------------------


@pytest.fixture
def contest(work: Path, tmp_path: Path, save) -> Path:
    """Images 000 to 011 in train and others of the same names in test, labels by id; train/003.png got lost."""
    for number in range(12):
        save(tmp_path / "contest" / "train" / f"{number:03}.png", number)
        save(tmp_path / "contest" / "test" / f"{number:03}.png", 100 + number)
    rows = "".join(f"{number:03},{number % 2}\n" for number in range(12))
    (tmp_path / "contest" / "labels.csv").write_text(f"id,label\n{rows}", "utf-8")
    (tmp_path / "contest" / "train" / "003.png").unlink()
    return tmp_path / "contest"


def read(root: Path, *arguments: object, **options: object) -> eyeshot.ImageTable:
    return eyeshot.init(root, *arguments, progress=False, **options)  # type: ignore[arg-type]


def test_what_eyeshot_wrote_is_no_part_of_the_data(contest: Path, save) -> None:
    before = read(contest)
    run = contest / "eyeshot-out" / "runs" / "20261129-1432-test_resnet-clean-s0"
    save(run / "test" / "000.png", 1)
    (run / "lock").touch()  # a file without an ending may be an image
    (contest / "eyeshot-out" / "labels.csv").write_text("id,label\n000,1\n", "utf-8")
    assert read(contest, force=True).ids == before.ids


def test_a_missing_training_image_does_not_turn_test_images_into_training_images(contest: Path) -> None:
    for table in (
        read(contest),
        read(contest / "train", contest / "test", labels=contest / "labels.csv", force=True),
        eyeshot.read_images(contest / "train", labels=contest / "labels.csv"),
    ):
        assert len(table) == 11
        assert all("/train/" in path for path in table.paths)
        assert [file.reason for file in table.skipped] == ["not found, though named in labels.csv"]


def test_an_empty_training_folder_is_told_with_the_folder_that_has_the_files(contest: Path) -> None:
    for file in (contest / "train").iterdir():
        file.unlink()
    (contest / "train" / "readme.png").write_bytes((contest / "test" / "000.png").read_bytes())
    with pytest.raises(InputError, match=r"nearly none in '.*train' \(0\), but 12 of 12 .* in '.*test'.*--image-root"):
        eyeshot.read_images(contest / "train", labels=contest / "labels.csv")


def test_a_root_with_two_folders_that_fit_is_an_error_that_names_both(contest: Path) -> None:
    with pytest.raises(InputError, match=r"test' and '.*train' both hold files .*12 and 11 of 12 rows.*--image-root"):
        eyeshot.read_images(contest, labels=contest / "labels.csv")
    table = eyeshot.read_images(contest, labels=contest / "labels.csv", image_root=contest / "train")
    assert len(table) == 11
    for name in ("train", "test"):
        (contest / name).rename(contest / f"part {name[:2]}")
    with pytest.raises(InputError, match=r"part te.*part tr|part tr.*part te"):
        read(contest)


def test_two_class_folders_with_the_same_file_names_are_an_error_that_names_both(tmp_path: Path, save) -> None:
    for number in range(12):
        save(tmp_path / "set" / "ab"[number % 2] / f"{number // 2:03}.png", number)
    (tmp_path / "labels.csv").write_text("file,label\n" + "".join(f"00{n}.png,{n % 2}\n" for n in range(6)), "utf-8")
    with pytest.raises(InputError, match=r"set/a'.* and .*set/b'"):
        eyeshot.read_images(tmp_path / "set", labels=tmp_path / "labels.csv")


def test_numbers_of_classes_are_never_names_of_test_images(contest: Path, save) -> None:
    """The paths name lost files; the classes 0 to 4 would name test images by their numbers."""
    for number in range(5):
        save(contest / "train" / f"{number}.png", 300 + number)
    rows = "".join(f"gone_{number}.png,{number % 5}\n" for number in range(20))
    (contest / "labels.csv").write_text(f"img_path,target\n{rows}", "utf-8")
    with pytest.raises(InputError, match=r"no row of 'labels\.csv' does.*begins with 'gone_0\.png'"):
        read(contest)
    (contest / "labels.csv").write_text("number,target\n" + "".join(f"9{n},{n % 5}\n" for n in range(20)), "utf-8")
    with pytest.raises(InputError, match=r"no row of 'labels\.csv' does"):
        read(contest)


def test_row_numbers_beside_paths_are_not_taken_for_names(contest: Path) -> None:
    """Row 7 names 011.png: paths count, though the numbers of rows are names of files as well, and all are there."""
    (contest / "train" / "005.png").rename(contest / "train" / "003.png")
    rows = "".join(f"{number},{(number + 4) % 12:03}.png,{'x' if number < 6 else 'y'}\n" for number in range(12))
    (contest / "labels.csv").write_text(f"id,image,label\n{rows}", "utf-8")
    table = read(contest)
    assert dict(zip(table.ids, table.frame["label"], strict=True))["011.png"] == "y"
    assert "as you" not in table.notes[0]
    assert find_project().data["path_column"] == "image"


def test_what_the_user_names_goes_before_every_guess(contest: Path, save) -> None:
    rows = "".join(f"{number:03},{number % 3}\n" for number in range(12))
    (contest / "mine.csv").write_text(f"id,kind\n{rows}", "utf-8")
    for number in range(12):
        save(contest / "elsewhere" / f"{number:03}.png", 200 + number)
    table = read(contest, contest / "elsewhere", labels=contest / "mine.csv", label_column="kind")
    assert len(table.classes) == 3
    project = find_project()
    assert (project.data["test"].name, project.data["labels"].name) == ("elsewhere", "mine.csv")
    table = read(contest, image_root=contest / "test", labels=contest / "mine.csv", force=True, test=contest / "train")
    assert all("/test/" in path for path in table.paths)


def test_a_csv_that_is_not_named_for_labels_and_fits_the_test_images_too_is_an_error(contest: Path) -> None:
    (contest / "labels.csv").rename(contest / "out.csv")
    with pytest.raises(
        InputError, match=r"not clear whether .*out\.csv' labels the training images or the test images"
    ):
        read(contest)
    assert len(read(contest, labels=contest / "out.csv")) == 11


def test_two_files_with_different_labels_are_an_error_that_names_both(contest: Path) -> None:
    rows = "".join(f"{number:03},{number % 3}\n" for number in range(12))
    (contest / "train.csv").write_text(f"id,label\n{rows}", "utf-8")
    with pytest.raises(InputError, match=r"train\.csv' and .*labels\.csv' give different labels.*--labels"):
        read(contest)
    # The same labels and a column of folds are no contradiction.
    rows = "".join(f"{number:03},{number % 2},{number % 5}\n" for number in range(12))
    (contest / "train.csv").write_text(f"id,label,fold\n{rows}", "utf-8")
    assert len(read(contest).classes) == 2


def test_two_columns_named_like_labels_that_differ_are_an_error_that_names_both(contest: Path) -> None:
    rows = "".join(f"{number:03},{number % 2},{number % 3}\n" for number in range(12))
    (contest / "labels.csv").write_text(f"id,category,species\n{rows}", "utf-8")
    with pytest.raises(InputError, match=r"'category' and 'species'.*--label-column"):
        read(contest)
    assert len(read(contest, label_column="species").classes) == 3


def test_class_folders_and_a_csv_that_contradict_each_other_are_an_error_with_both_ways_on(
    work, tmp_path, save
) -> None:
    for number in range(12):
        save(tmp_path / "set" / "train" / f"person{number % 3}" / f"{number:03}.png", number)
    rows = "".join(f"{number:03}.png,{number % 2}\n" for number in range(12))
    (tmp_path / "set" / "list.csv").write_text(f"image,smile\n{rows}", "utf-8")
    with pytest.raises(InputError, match=r"3 folders, and .*list\.csv'.*'smile'.*--labels .*eyeshot init .*train"):
        read(tmp_path / "set")
    assert read(tmp_path / "set", labels=tmp_path / "set" / "list.csv").classes == ("0", "1")
    assert len(read(tmp_path / "set" / "train", force=True).classes) == 3


def test_a_folder_test_among_classes_is_an_error_and_other_names_with_that_word_are_classes(
    work, tmp_path, save
) -> None:
    for number in range(12):
        save(tmp_path / "set" / ("beaker", "flask", "test_tube")[number % 3] / f"{number}.png", number)
        save(tmp_path / "vehicles" / ("bus", "ship", "train")[number % 3] / f"{number}.png", number)
    assert read(tmp_path / "set").classes == ("beaker", "flask", "test_tube")
    assert read(tmp_path / "vehicles", force=True).classes == ("bus", "ship", "train")
    save(tmp_path / "set" / "test" / "0.png", 50)
    with pytest.raises(InputError, match=r"'test' in .* holds test images or is a class beside"):
        read(tmp_path / "set", force=True)


def test_one_folder_too_high_is_read_and_said(work: Path, tmp_path: Path, pets: Path) -> None:
    (tmp_path / "data").mkdir()
    pets.rename(tmp_path / "data" / "images")
    table = read(tmp_path / "data")
    assert table.classes == ("cat", "dog")
    assert table.notes[0].startswith("Training images: 'images'")


def test_several_sample_submissions_are_named_and_none_is_taken(contest: Path) -> None:
    for name in ("sample_submission.csv", "sample_submission_stage2.csv"):
        (contest / name).write_text("id,label\n000,0\n001,0\n", "utf-8")
    assert any("none taken, because 'sample_submission.csv' and" in note for note in read(contest).notes)
    assert find_project().submission == {}
    read(contest, submission=contest / "sample_submission.csv", force=True)
    assert find_project().submission["file"] == contest / "sample_submission.csv"


def test_a_multilabel_column_that_the_user_names_is_read_as_it_is(contest: Path) -> None:
    rows = "".join(f"{number:03},{number % 2} {number % 3}\n" for number in range(12))
    (contest / "labels.csv").write_text(f"id,tags\n{rows}", "utf-8")
    with pytest.raises(InputError, match="one label"):
        read(contest)
    assert len(read(contest, label_column="tags").classes) == 6


def test_rows_that_mark_no_class_or_several_are_left_out(contest: Path) -> None:
    rows = "".join(f"{number:03},{number % 2},{1 - number % 2}\n" for number in range(12))
    (contest / "labels.csv").write_text(f"id,cat,dog\n{rows.replace('000,0,1', '000,1,1')}", "utf-8")
    table = read(contest, label_column="cat,dog")
    assert table.classes == ("cat", "dog")
    assert "row under several classes in labels.csv" in [file.reason for file in table.skipped]
