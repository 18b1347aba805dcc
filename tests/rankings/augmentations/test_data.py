from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from eyeshot.core.errors import InputError
from eyeshot.data import Geometry, check_data, load_dataset
from eyeshot.rankings.augmentations.data import Data, Tables, decode_tables, sample_tables
from eyeshot.rankings.augmentations.settings import RankingSettings

SIDE = 12


def picture(seed: int, side: int = SIDE) -> np.ndarray:
    """A grid of coarse grey squares: no two seeds are copies, flipped or turned or not."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4), dtype=np.uint8)
    return coarse.repeat(side // 4, axis=0).repeat(side // 4, axis=1)


def write(pixels: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def write_many(folder: Path, count: int, *, first: int = 0, classes: tuple[str, ...] = ()) -> Path:
    for number in range(first, first + count):
        place = classes[number % len(classes)] if classes else "."
        write(picture(number), folder / place / f"{number}.png")
    return folder


def read(train: Path, cache: Path, **settings: Any) -> Tables:
    chosen = RankingSettings(**settings)
    return sample_tables(load_dataset(chosen.data(train), cache=cache), chosen, cache=cache)


def read_and_decode(train: Path, cache: Path, **settings: Any) -> tuple[Tables, Data]:
    tables = read(train, cache, **settings)
    return tables, decode_tables(tables, Geometry(size=SIDE), RankingSettings(**settings), cache=cache)


@pytest.fixture
def train(tmp_path: Path) -> Path:
    return write_many(tmp_path / "train", 120, classes=("a", "b", "c"))


@pytest.fixture
def test(tmp_path: Path) -> Path:
    return write_many(tmp_path / "test", 40, first=1000)


def test_there_are_never_more_sources_than_target_images(train: Path, test: Path, tmp_path: Path):
    tables = read(train, tmp_path, test=test)
    assert len(tables.target) == 40
    assert len(tables.sources) == 40
    assert (tables.n_train, tables.n_val, tables.n_target) == (96, 24, 40)


def test_there_are_never_more_of_a_kind_than_the_sample(train: Path, test: Path, tmp_path: Path):
    tables = read(train, tmp_path, test=test, max_images=20)
    assert (len(tables.sources), len(tables.val), len(tables.target)) == (20, 20, 20)
    assert len(tables.more) == 60  # short runs train on four times as many in all
    assert (tables.n_train, tables.n_val, tables.n_target) == (96, 24, 40)


def test_sources_hold_the_classes_in_equal_shares(train: Path, test: Path, tmp_path: Path):
    tables = read(train, tmp_path, test=test, max_images=30)
    assert np.bincount(tables.train.labels[tables.sources]).tolist() == [10, 10, 10]


def test_images_are_used_for_one_thing_alone(train: Path, test: Path, tmp_path: Path):
    tables = read(train, tmp_path, test=test, max_images=20, from_scratch=True)
    contents = np.array(tables.train.contents)
    parts = [set(contents[rows]) for rows in (tables.sources, tables.more, tables.baseline)]
    parts.append(set(tables.val.contents))
    assert sum(len(part) for part in parts) == len(set().union(*parts))
    assert all(parts)


def test_the_baseline_trains_on_one_half_and_samples_come_from_the_other(train: Path, test: Path, tmp_path: Path):
    tables = read(train, tmp_path, test=test, from_scratch=True)
    assert len(tables.baseline) == 48
    assert np.bincount(tables.train.labels[tables.baseline]).tolist() == [16, 16, 16]
    assert len(tables.sources) + len(tables.more) == 48


def test_a_pretrained_model_leaves_all_training_images_to_samples(train: Path, test: Path, tmp_path: Path):
    tables = read(train, tmp_path, test=test)
    assert len(tables.baseline) == 0
    assert len(tables.sources) + len(tables.more) == 96


def test_a_large_training_set_does_not_make_the_baseline_long(train: Path, test: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("eyeshot.rankings.augmentations.data.BASELINE_IMAGES", 15)
    tables = read(train, tmp_path, test=test, from_scratch=True)
    assert len(tables.baseline) == 15
    assert any("trains on 15 of its 48 images" in note for note in tables.notes)


def test_the_same_seed_chooses_the_same_images_and_another_seed_others(train: Path, test: Path, tmp_path: Path):
    first, again, other = (read(train, tmp_path, test=test, max_images=20, seed=seed) for seed in (0, 0, 1))
    assert first.sources.tolist() == again.sources.tolist()
    assert first.val.ids == again.val.ids
    assert set(first.sources) != set(other.sources)
    assert set(first.val.ids) != set(other.val.ids)


def test_new_names_choose_the_same_images_in_the_same_order(train: Path, test: Path, tmp_path: Path):
    for folder in (train, test):
        for path in folder.rglob("*.png"):
            renamed = tmp_path / f"new {folder.name}" / path.parent.relative_to(folder) / f"{path.stem[::-1]}_x.png"
            renamed.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, renamed)
    options: dict[str, Any] = {"max_images": 20, "from_scratch": True}
    _, old = read_and_decode(train, tmp_path / "cache", test=test, **options)
    _, new = read_and_decode(tmp_path / "new train", tmp_path / "cache", test=tmp_path / "new test", **options)
    for part in ("sources", "more", "baseline", "val", "target"):
        assert getattr(old, part).pool.keys == getattr(new, part).pool.keys, part
        assert getattr(old, part).labels.tolist() == getattr(new, part).labels.tolist()


def test_sources_of_different_classes_lie_mixed(train: Path, test: Path, tmp_path: Path):
    """Folds take every third: no class may come first."""
    _, data = read_and_decode(train, tmp_path, test=test)
    assert len(set(data.sources.labels[:12])) == 3
    assert 5 < (np.diff(data.sources.labels) != 0).sum() < 39


def test_decoded_images_are_the_files(train: Path, test: Path, tmp_path: Path):
    tables, data = read_and_decode(train, tmp_path, test=test)
    for part, folder in ((data.sources, train), (data.val, train), (data.target, test)):
        for place in range(0, len(part), 7):
            pixels = np.asarray(Image.open(folder / part.ids[place]).convert("RGB"))
            np.testing.assert_array_equal(part.pool.images[place], pixels)
    assert data.classes == ["a", "b", "c"]
    assert [data.classes[label] for label in data.sources.labels] == [name[0] for name in data.sources.ids]
    assert set(data.target.labels) == {-1}
    assert tables.target_is_validation is False


def test_copies_of_training_images_also_flipped_and_turned_are_never_held_out(test: Path, tmp_path: Path):
    for number in range(60):
        pixels = picture(number)
        write(pixels, tmp_path / "train" / "ab"[number % 2] / f"{number}.png")
        turned = [pixels[::-1], pixels[:, ::-1], np.rot90(pixels), np.rot90(pixels, 3), pixels.T][number % 5]
        if number < 30:
            write(np.ascontiguousarray(turned), tmp_path / "train" / "ab"[number % 2] / f"{number} copy.png")
    _, data = read_and_decode(tmp_path / "train", tmp_path / "cache", test=test, val_share=0.4, from_scratch=True)
    assert data.baseline is not None
    numbers = [{Path(name).stem.split(" ")[0] for name in part.ids} for part in (data.val, data.baseline, data.sources)]
    assert sum(len(part) for part in numbers) == len(set().union(*numbers))
    assert any("copy" in name for name in data.val.ids)


def test_without_a_test_folder_the_target_is_the_validation_set_without_copies(train: Path, tmp_path: Path):
    tables, data = read_and_decode(train, tmp_path)
    assert tables.target_is_validation
    assert data.target.pool.keys == data.val.pool.keys
    assert tables.n_target == tables.n_val == 24


def test_validation_images_of_ones_own_that_are_training_images_are_left_out(train: Path, test: Path, tmp_path: Path):
    val = write_many(tmp_path / "val", 30, first=500, classes=("a", "b", "c"))
    for path in sorted(train.glob("a/*.png"))[:7]:
        shutil.copy(path, val / "a" / f"again {path.name}")
    tables = read(train, tmp_path, test=test, val=val)
    assert (tables.n_val, tables.n_train) == (30, 120)
    assert not set(tables.val.contents) & set(tables.train.take(tables.dataset.train_rows).contents)
    assert any(note.startswith("7 validation images are also training images") for note in tables.notes)


def test_a_validation_class_that_training_does_not_know_is_refused(train: Path, test: Path, tmp_path: Path):
    val = write_many(tmp_path / "val", 30, first=500, classes=("a", "z"))
    with pytest.raises(InputError, match="'z'"):
        read(train, tmp_path, test=test, val=val)


@pytest.mark.parametrize("option", ["test", "val"])
def test_a_folder_inside_the_training_folder_is_refused(train: Path, tmp_path: Path, option: str):
    inside = write_many(train / "inside", 30, first=500, classes=("a",) if option == "val" else ())
    with pytest.raises(InputError, match="inside"):
        check_data(RankingSettings(**{option: inside}).data(train))
    with pytest.raises(InputError, match="inside"):
        check_data(RankingSettings(**{option: train}).data(inside))


@pytest.mark.parametrize("count", [0, 5, 11])
def test_too_few_target_images_are_refused_with_how_many_are_needed(train: Path, tmp_path: Path, count: int):
    (tmp_path / "few").mkdir()
    few = write_many(tmp_path / "few", count, first=500)
    with pytest.raises(InputError) as caught:
        read_and_decode(train, tmp_path / "cache", test=few)
    if count:
        assert "at least 12 different target images" in str(caught.value)
        assert f"got {count}" in str(caught.value)


def test_twelve_images_of_each_kind_are_enough(tmp_path: Path):
    train = write_many(tmp_path / "train", 24, classes=("a", "b"))
    few = write_many(tmp_path / "few", 12, first=500)
    _, data = read_and_decode(train, tmp_path / "cache", test=few, val_share=0.5)
    assert (len(data.sources), len(data.val), len(data.target)) == (12, 12, 12)


def test_too_few_held_out_images_are_refused(train: Path, test: Path, tmp_path: Path):
    with pytest.raises(InputError, match="at least 12 different held-out images"):
        read_and_decode(train, tmp_path, test=test, val_share=0.05)


def test_target_images_that_cannot_be_decoded_do_not_count(train: Path, tmp_path: Path):
    test = write_many(tmp_path / "test", 12, first=500)
    cut = test / "500.png"
    cut.write_bytes(cut.read_bytes()[:60])
    with pytest.raises(InputError, match="at least 12 different target images"):
        read_and_decode(train, tmp_path / "cache", test=test)
    write(picture(900), test / "900.png")
    _, data = read_and_decode(train, tmp_path / "cache", test=test)
    assert len(data.target) == 12
    assert [Path(path).name for path, _ in data.skipped] == ["500.png"]


def test_one_class_alone_is_refused(test: Path, tmp_path: Path):
    train = write_many(tmp_path / "train", 40, classes=("a",))
    with pytest.raises(InputError, match="class"):
        read_and_decode(train, tmp_path / "cache", test=test)


def test_folders_that_do_not_exist_are_refused_and_named(train: Path, test: Path, tmp_path: Path):
    nowhere = tmp_path / "nowhere"
    for name, folder, settings in (
        ("TRAIN", nowhere, RankingSettings(test=test)),
        ("--test", train, RankingSettings(test=nowhere)),
        ("--val", train, RankingSettings(test=test, val=nowhere)),
    ):
        with pytest.raises(InputError, match=f"{name} must be a folder .*nowhere"):
            check_data(settings.data(folder))
    check_data(RankingSettings(test=test).data(train))


def test_labels_can_come_from_a_csv(train: Path, test: Path, tmp_path: Path):
    flat = tmp_path / "flat"
    flat.mkdir()
    rows = ["id,label"]
    for path in sorted(train.rglob("*.png")):
        shutil.copy(path, flat / path.name)
        rows.append(f"{path.stem},{path.parent.name}")
    (tmp_path / "labels.csv").write_text("\n".join(rows), encoding="utf-8")
    by_csv = read(flat, tmp_path, test=test, labels=tmp_path / "labels.csv", max_images=20)
    by_folder = read(train, tmp_path, test=test, max_images=20)
    assert by_csv.train.classes == by_folder.train.classes
    assert [by_csv.train.contents[row] for row in by_csv.sources] == [
        by_folder.train.contents[row] for row in by_folder.sources
    ]
    assert by_csv.notes


def test_generated_images_are_at_most_as_many_as_samples(train: Path, test: Path, tmp_path: Path):
    made = write_many(tmp_path / "made", 100, first=2000, classes=("a", "b"))
    tables = read(train, tmp_path, test=test, generated=made, max_images=20, samples_per_image=3)
    assert len(tables.generated) == 60
    assert tables.generated.classes == ("a", "b", "c")
    assert set(tables.generated.labels) == {0, 1}


def test_only_what_the_run_needs_is_decoded(train: Path, test: Path, tmp_path: Path, monkeypatch):
    from eyeshot.data import PixelStore

    asked: list[int] = []
    usual = PixelStore.load

    def counting(self, table, rows, **options):
        if self.geometry.size == SIDE:  # not the small pictures that duplicates are looked for in
            asked.append(len(rows))
        return usual(self, table, rows, **options)

    monkeypatch.setattr(PixelStore, "load", counting)
    read_and_decode(train, tmp_path, test=test, max_images=20)
    assert sum(asked) == 20 + 60 + 20 + 20  # sources, more, held-out, target; not all 160
