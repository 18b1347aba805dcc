"""What people decided is used: decisions, the team's split; copies of the target in training are reported."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from test_data import picture, read, read_and_decode, test, train, write, write_many  # noqa: F401

from eyeshot.core import SILENT
from eyeshot.core.errors import EyeshotError, InputError
from eyeshot.data import DecisionLog, Split, decide, load_dataset, read_images
from eyeshot.rankings import prepare
from eyeshot.rankings.augmentations.full_training import train_fully
from eyeshot.rankings.augmentations.settings import RankingSettings
from eyeshot.sweep import Costs


def split_of(folder: Path, file: Path, *, validate: int = 3, skip: int = 0) -> Path:
    """Every image whose number divides by `validate` is in part "val"."""
    table = read_images(folder)
    parts = {
        content: "val" if int(Path(name).stem) % validate == 0 else 0
        for name, content in zip(table.ids, table.contents, strict=True)
    }
    for content in list(parts)[:skip]:
        del parts[content]
    Split(seed=0, folds=0, val=0.3, parts=parts).write(file)
    return file


def test_images_that_were_left_out_or_relabelled_are_so_in_the_run(train, test, tmp_path: Path):  # noqa: F811
    table = read_images(train)
    contents = dict(zip(table.ids, table.contents, strict=True))
    log = DecisionLog(tmp_path / "decisions.jsonl")
    log.append([
        decide("drop", [contents["a/0.png"], contents["a/3.png"]], author="ann"),
        decide("merge-classes", classes=["b", "c"], label="bc", author="ann"),
    ])  # fmt: skip
    tables = read(train, tmp_path, test=test, decisions=log.file)
    assert tables.n_train + tables.n_val == 118
    assert tables.train.classes == ("a", "bc")
    assert not {contents["a/0.png"], contents["a/3.png"]} & {*tables.train.contents}
    assert any("2 of 120 images left out, 80 under another label (2 decisions)" in note for note in tables.notes)


def test_decisions_that_leave_one_class_are_reported(train, test, tmp_path: Path):  # noqa: F811
    log = DecisionLog(tmp_path / "decisions.jsonl")
    log.append([decide("merge-classes", classes=["a", "b", "c"], label="all", author="ann")])
    with pytest.raises(InputError, match="--no-decisions"):
        read(train, tmp_path, test=test, decisions=log.file)


def test_the_split_of_the_team_validates_and_a_folder_of_ones_own_goes_before_it(train, test, tmp_path: Path):  # noqa: F811
    split = split_of(train, tmp_path / "split.json")
    tables = read(train, tmp_path, test=test, split=split)
    assert (tables.n_train, tables.n_val) == (80, 40)
    assert all(int(Path(name).stem) % 3 == 0 for name in tables.val.ids)
    used = [*tables.sources, *tables.more]
    assert all(int(Path(tables.train.ids[row]).stem) % 3 for row in used)
    for number in range(30):
        write(picture(5000 + number), tmp_path / "own" / "abc"[number % 3] / f"{number}.png")
    own = read(train, tmp_path, test=test, split=split, val=tmp_path / "own")
    assert (own.n_train, own.n_val) == (120, 30)


def test_images_that_came_after_the_split_are_reported_and_not_used(train, test, tmp_path: Path):  # noqa: F811
    tables = read(train, tmp_path, test=test, split=split_of(train, tmp_path / "split.json", skip=10))
    assert tables.n_train + tables.n_val == 110
    assert any(note.startswith("10 images came after the split") for note in tables.notes)


def test_the_split_of_other_images_is_not_used(train, test, tmp_path: Path):  # noqa: F811
    tables = read(train, tmp_path, test=test, split=split_of(train, tmp_path / "split.json", skip=70))
    assert (tables.n_train, tables.n_val) == (96, 24)
    assert any("split.json knows 50 of 120 images and is not used" in note for note in tables.notes)


def test_a_split_without_validation_images_is_refused(train, test, tmp_path: Path):  # noqa: F811
    split = split_of(train, tmp_path / "split.json", validate=10**6)
    Split.model_validate_json(split.read_text("utf-8")).model_copy(update={"val": 0.0, "folds": 2}).write(split)
    with pytest.raises(InputError, match="to train and 0 to validate"):
        read(train, tmp_path, test=test, split=split, fold=1)


def test_target_images_that_are_in_training_are_reported_flipped_ones_too(train, test, tmp_path: Path):  # noqa: F811
    for number in range(120):
        if number % 30 == 0:
            write(np.fliplr(picture(number)), test / f"leak{number}.png")
    _, data = read_and_decode(train, tmp_path, test=test, val_share=0.1)
    used = {Path(name).stem for part in (data.sources, data.more) for name in part.ids}
    leaking = {name for name in data.target.ids if name.startswith("leak") and name[4:-4] in used}
    assert leaking == set()
    assert data.repeated.startswith(f"{44 - len(data.target)} of 44 target images are duplicates")
    assert "every candidate covers them, so they are left out of all scores" in data.repeated
    assert 2 <= 44 - len(data.target) <= 4
    assert data.repeated not in data.notes


def test_without_copies_nothing_is_said(train, test, tmp_path: Path):  # noqa: F811
    _, data = read_and_decode(train, tmp_path, test=test)
    assert data.repeated == ""
    assert len(data.target) == 40


def test_a_target_that_is_all_in_training_stays_and_that_is_said(train, tmp_path: Path):  # noqa: F811
    _, data = read_and_decode(train, tmp_path, test=write_many(tmp_path / "same", 40), val_share=0.1)
    assert len(data.target) == 40
    assert "scores say little, and too few other images are left" in data.repeated


def test_full_trainings_use_the_images_that_the_ranking_was_made_for(train, test, tmp_path: Path, monkeypatch):  # noqa: F811
    """Once 70 of 210 files were dropped, and all 210 were trained on and validated with."""
    table = read_images(train)
    log = DecisionLog(tmp_path / "decisions.jsonl")
    dropped = [key for name, key in zip(table.ids, table.contents, strict=True) if int(Path(name).stem) < 40]
    log.append([decide("drop", [key], author="ann") for key in dropped])
    settings = RankingSettings(
        test=test, decisions=log.file, split=split_of(train, tmp_path / "split.json"), model="test_resnet",
        from_scratch=True, size=32, candidates=("invert",), budget_s=0, full_train=1,
    )  # fmt: skip
    monkeypatch.setattr("eyeshot.rankings.augmentations.plan.probe_costs", lambda *_, **__: (Costs(1.0, 1.0), 8))
    plan = prepare(train, settings, cache=tmp_path / "cache")
    trained: list[tuple[set[str], set[str], int]] = []

    class Trained(Exception):
        pass

    def first_training(backbone, pool, labels, train_rows, val_rows, **options):
        keys = np.array(pool.keys)
        trained.append((set(keys[train_rows]), set(keys[val_rows]), len(pool)))
        raise Trained

    monkeypatch.setattr("eyeshot.training.folders.train", first_training)
    candidates = [SimpleNamespace(name="invert", role="ranked")]
    with pytest.raises(Trained):
        train_fully(plan, candidates, target=None, progress=SILENT, command="")  # type: ignore[arg-type]
    ((trains, validates, count),) = trained
    kept = {Path(name).stem: key for name, key in zip(table.ids, table.contents, strict=True) if key not in dropped}
    assert validates == {key for stem, key in kept.items() if int(stem) % 3 == 0}
    assert trains == {key for stem, key in kept.items() if int(stem) % 3}
    assert count == 80
    assert validates == {*plan.tables.val.contents}
    rows = [*plan.tables.sources, *plan.tables.more, *plan.tables.baseline]
    assert {plan.tables.train.contents[row] for row in rows} <= trains


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"test": Path("nowhere")}, "--test must be a folder"),
        ({"val": Path("nowhere")}, "--val must be a folder"),
        ({"generated": Path("nowhere")}, "--generated must be an existing folder"),
        ({"fold": 1}, "--fold 1 needs a split"),
        ({"val_share": 0.95}, "at most 0.9, got 0.95"),
        ({"candidates": ("no-such",)}, "no-such"),
        ({"baseline_aug": "mixup"}, "--baseline-aug must leave each image with a single label"),
        ({"model": "test_resnet", "weights": Path("nowhere.safetensors")}, "nowhere.safetensors"),
    ],
)
def test_wrong_options_are_refused_before_any_image_is_read(train, tmp_path: Path, monkeypatch, wrong, words):  # noqa: F811
    def unread(*arguments, **options):
        raise AssertionError("an image was read")

    monkeypatch.setattr("eyeshot.rankings.augmentations.plan.load_dataset", unread)
    usual = {"model": "test_resnet", "from_scratch": "weights" not in wrong, "size": 32}
    with pytest.raises(EyeshotError, match=words):
        prepare(train, RankingSettings(**(usual | wrong)), cache=tmp_path / "cache")


def test_a_dataset_can_be_ranked_on_as_it_is(train, test, tmp_path: Path):  # noqa: F811
    settings = RankingSettings(
        test=test, model="test_resnet", from_scratch=True, size=32, candidates=("invert",), budget_s=0
    )
    dataset = load_dataset(settings.data(train), cache=tmp_path / "cache")
    plans = [prepare(given, settings, cache=tmp_path / "cache") for given in (dataset, train)]
    assert plans[0].tables.dataset is dataset
    for name in ("sources", "more", "baseline"):
        assert getattr(plans[0].tables, name).tolist() == getattr(plans[1].tables, name).tolist()
