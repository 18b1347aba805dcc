import numpy as np
import pytest

from eyeshot.core import InputError
from eyeshot.data import DataConfig, Split, load_folds
from eyeshot.data.table import read_images


@pytest.fixture
def many(tmp_path, save):
    """Ten cats, ten dogs, one emu."""
    for number in range(10):
        save(tmp_path / "many" / "cat" / f"{number}.png", number)
        save(tmp_path / "many" / "dog" / f"{number}.png", 100 + number)
    save(tmp_path / "many" / "emu" / "0.png", 200)
    return tmp_path / "many"


def loaded(folder, tmp_path, **options):
    return load_folds(DataConfig(train=folder, val_share=None, **options), cache=tmp_path / "cache")


def written_split(folder, tmp_path, part_of, **more):
    table = read_images(folder)
    parts = {content: part_of(name) for content, name in zip(table.contents, table.ids, strict=True)}
    split = Split(seed=0, folds=2, val=0.0, parts={key: part for key, part in parts.items() if part is not None})
    split = split.model_copy(update=more)
    split.write(tmp_path / "split.json")
    return tmp_path / "split.json"


def test_folds_made_here_judge_each_image_once_and_a_class_of_one_image_never(many, tmp_path):
    dataset, folds, notes = loaded(many, tmp_path)
    judged = np.concatenate([rows for _, rows in folds])
    labels = dataset.images.labels
    assert len(folds) == 5
    assert sorted(judged) == np.flatnonzero(labels != 2).tolist()
    emu = np.flatnonzero(labels == 2)
    assert all(np.isin(emu, train).all() for train, _ in folds)
    assert any("emu" in note and "cannot be judged" in note for note in notes)


def test_duplicates_never_lie_on_both_sides(many, tmp_path, save):
    for number in range(4):
        save(many / "cat" / f"again{number}.png", number)
    dataset, folds, _ = loaded(many, tmp_path)
    for train, judged in folds:
        assert not np.isin(dataset.groups[judged], dataset.groups[train]).any()


def test_the_folds_of_a_split_are_used_and_what_it_holds_out_takes_no_part(many, tmp_path):
    def part_of(name):
        number = int(name.split("/")[1].split(".")[0])
        return "train" if name.startswith("emu") else "val" if number == 9 else number % 2

    file = written_split(many, tmp_path, part_of, val=0.1)
    dataset, folds, notes = loaded(many, tmp_path, split=file)
    assert [len(judged) for _, judged in folds] == [10, 8]
    held_out = [row for row, name in enumerate(dataset.images.ids) if name.endswith("/9.png")]
    assert not np.isin(held_out, np.concatenate([np.concatenate(fold) for fold in folds])).any()
    assert any("2 images that the split holds out" in note for note in notes)


def test_an_image_whose_class_does_not_train_in_its_fold_is_not_judged(many, tmp_path):
    file = written_split(many, tmp_path, lambda name: 0 if name.startswith(("emu", "dog/1")) else 1)
    dataset, folds, notes = loaded(many, tmp_path, split=file)
    judged = np.concatenate([rows for _, rows in folds])
    assert "emu/0.png" not in [dataset.images.ids[row] for row in judged]
    assert any("emu" in note and "no training image in that fold" in note for note in notes)


def test_a_split_of_other_images_is_said_and_not_used(many, tmp_path):
    file = written_split(many, tmp_path, lambda name: 0 if name == "cat/0.png" else None)
    _, folds, notes = loaded(many, tmp_path, split=file)
    assert len(folds) == 5
    assert any("knows 1 of 21 images and is not used" in note for note in notes)


def test_one_fold_can_be_asked_for(many, tmp_path):
    file = written_split(many, tmp_path, lambda name: int(name.split("/")[1].split(".")[0]) % 2)
    dataset, folds, _ = loaded(many, tmp_path, split=file, fold=1)
    assert len(folds) == 1
    assert {dataset.images.ids[row][-5] for row in folds[0][1]} == set("13579")


def test_where_no_image_can_be_judged_it_is_an_error(tmp_path, save):
    for name in ("cat", "dog"):
        save(tmp_path / "few" / name / "0.png", len(name) + ord(name[0]))
    with pytest.raises(InputError, match="No image can be judged"):
        loaded(tmp_path / "few", tmp_path)
