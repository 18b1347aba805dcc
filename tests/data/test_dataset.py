"""One place says which images train and which validate; every part of the house sees these."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from eyeshot.auditing import SplitRequest, audit, make_split
from eyeshot.core.errors import InputError
from eyeshot.data import (
    DataConfig,
    Dataset,
    Decision,
    DecisionLog,
    Split,
    check_data,
    compute_manifest,
    decide,
    load_dataset,
    read_images,
)
from eyeshot.rankings.augmentations.data import sample_tables
from eyeshot.rankings.augmentations.settings import RankingSettings
from eyeshot.training import plan_training, train_folder

DIFFERENT = 18  # pictures that are always there, six of each class
SIDE = 32


def picture(number: int) -> Image.Image:
    """A smooth random picture; no two numbers are alike, flipped or turned or not."""
    blobs = np.random.default_rng(number).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(blobs).resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def encoded_again(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=92)
    return Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")


VARIANTS = {
    "same": lambda image: image,
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "turned": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "larger": lambda image: image.resize((2 * SIDE, 2 * SIDE), Image.Resampling.BICUBIC),
    "encoded": encoded_again,
}


@dataclass(frozen=True)
class World:
    """A random project: what lies in its folders, what people decided, and how images are held out."""

    copies: list[tuple[int, str, str]]  # number of the picture, variant, class
    broken: int
    decided: list[tuple[str, list[int]]]  # kind, numbers of pictures
    role: str
    val: list[tuple[int, str, str]] = field(default_factory=list)
    seed: int = 0


copies = st.tuples(st.integers(0, DIFFERENT - 1), st.sampled_from(sorted(VARIANTS)), st.sampled_from("abc"))
worlds = st.builds(
    World,
    copies=st.lists(copies, max_size=10),
    broken=st.integers(0, 2),
    decided=st.lists(
        st.tuples(
            st.sampled_from(["drop", "keep-one", "relabel", "group", "not-copy"]),
            st.lists(st.integers(0, DIFFERENT + 2), min_size=2, max_size=3, unique=True),
        ),
        max_size=5,
    ),
    role=st.sampled_from(["share", "folder", "split", "fold"]),
    val=st.lists(
        st.tuples(st.integers(10, 10 + DIFFERENT), st.sampled_from(sorted(VARIANTS)), st.sampled_from("abc")),
        min_size=3,
        max_size=8,
    ),
    seed=st.integers(0, 3),
)


def write(folder: Path, images: list[tuple[int, str, str]], *, backwards: bool = False) -> Path:
    for number, (which, variant, label) in enumerate(images):
        place = folder / label / f"{99 - number if backwards else number:02}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        VARIANTS[variant](picture(which)).save(place)
    return folder


def write_train(world: World, folder: Path, *, backwards: bool = False) -> Path:
    images = [(number, "same", "abc"[number % 3]) for number in range(DIFFERENT)] + world.copies
    write(folder, images, backwards=backwards)
    for number in range(world.broken):
        whole = io.BytesIO()
        picture(1000 + number).resize((200, 200)).save(whole, "PNG")
        (folder / "a" / f"broken{number}.png").write_bytes(whole.getvalue()[:-2000])
    return folder


def decisions_of(world: World, train: Path) -> list[Decision]:
    table = read_images(train)
    stems = [Path(name).stem for name in table.ids]
    content = {int(stem): key for stem, key in zip(stems, table.contents, strict=True) if stem.isdigit()}
    made = []
    for kind, numbers in world.decided:
        images = list(dict.fromkeys(content[number] for number in numbers if number in content))
        if kind in ("keep-one", "group", "not-copy") and len(images) < 2:
            continue
        if images:
            more: dict[str, Any] = {"keep": images[0]} if kind == "keep-one" else {}
            more |= {"label": "abc"[numbers[0] % 3]} if kind == "relabel" else {}
            made.append(decide(kind, images, author="ann", **more))
    return made


def write_project(world: World, here: Path) -> tuple[DataConfig, DecisionLog]:
    train = write_train(world, here / "train")
    log = DecisionLog(here / "decisions.jsonl")
    log.append(decisions_of(world, train))
    config = DataConfig(train=train, decisions=log.file, seed=world.seed, val_share=0.25)
    if world.role == "folder":
        config = config.model_copy(update={"val": write(here / "val", world.val)})
    if world.role in ("split", "fold"):
        # Some images come later, and nobody asked whether copies straddle.
        contents = read_images(train).contents
        random = np.random.default_rng(world.seed)
        parts: dict[str, Any] = {}
        for key in sorted(set(contents)):
            part = int(random.integers(0, 7))
            if part < 6:
                parts[key] = "val" if part < 2 else part % 2
        Split(seed=0, folds=2, val=0.25, parts=parts).write(here / "split.json")
        config = config.model_copy(
            update={"split": here / "split.json", "fold": world.seed % 2 if world.role == "fold" else None}
        )
    return config, log


@contextmanager
def trained_on() -> Iterator[list[tuple[set[str], set[str], int]]]:
    """Content keys of the images that a training would train on and validate on, for each training started."""
    trained: list[tuple[set[str], set[str], int]] = []

    def train(backbone, pool, labels, train_rows, val_rows, **options):
        keys = np.array(pool.keys)
        trained.append((set(keys[train_rows]), set(keys[val_rows]), len(pool)))

    with patch("eyeshot.training.folders.train", train):
        yield trained


def keys(dataset: Dataset, rows: np.ndarray) -> set[str]:
    return {dataset.images.contents[row] for row in rows}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(world=worlds)
@example(  # the copy that a keep-one leaves out of training lies in the validation folder
    World(
        copies=[],
        broken=0,
        decided=[("drop", [0, 1]), ("keep-one", [0, 14])],
        role="folder",
        val=[(20, "same", "a"), (14, "same", "a"), (21, "same", "b")],
    )
)
def test_audit_split_ranking_and_trainings_see_the_same_images(cache: Path, world: World) -> None:
    with TemporaryDirectory() as folder:
        config, log = write_project(world, Path(folder))
        ranking = RankingSettings(val=config.val, from_scratch=True, seed=config.seed)
        try:
            dataset = load_dataset(config, cache=cache)
            tables = sample_tables(dataset, ranking, cache=cache)
        except InputError:  # too few are left to hold anything out
            assume(False)
            return
        train, val = keys(dataset, dataset.train_rows), keys(dataset, dataset.val_rows)
        # Parts are apart, and so are duplicate groups.
        assert not train & val
        assert not set(dataset.groups[dataset.train_rows]) & set(dataset.groups[dataset.val_rows])
        assert [dataset.groups[row] for row in np.unique(dataset.groups)] == np.unique(dataset.groups).tolist()
        # What was dropped or cannot be decoded is nowhere.
        decisions = log.read()
        looked = audit(config.train, cache=cache, thorough=False)
        broken = {ref.content for one in looked.report.findings if one.kind == "unreadable" for ref in one.images}
        assert len(broken) == world.broken
        manifest = compute_manifest(looked.images.train, decisions)
        kept = manifest.table
        dropped = {*manifest.left_out["content"]} - {*kept.contents}
        assert not (dropped | broken) & {*dataset.images.contents}
        own = [key for key in kept.contents if key not in broken]
        assert sorted(dataset.images.contents[: len(own)]) == sorted(own)
        if config.val is None:
            assert len(dataset.images) == len(own)
        labels = dict(zip(kept.contents, kept.frame["label"], strict=True))
        for key, label in zip(dataset.images.contents[: len(own)], dataset.images.frame["label"], strict=False):
            assert labels[key] == label or kept.contents.count(key) > 1
        # The ranking chooses among these.
        used = np.concatenate([tables.sources, tables.more, tables.baseline])
        assert keys(dataset, used) <= train
        # Of held-out images the ranking counts each picture once.
        assert set(tables.val.contents) <= val
        held_out = dataset.groups[dataset.val_rows]
        assert len(tables.val) == len(np.unique(held_out))
        assert not set(dataset.groups[tables.baseline]) & set(dataset.groups[[*tables.sources, *tables.more]])
        # A training, and a full training of the ranking, which is given the dataset of the plan.
        options: dict[str, Any] = {
            "model": "test_resnet",
            "from_scratch": True,
            "size": 32,
            "out": Path(folder) / "run",
        }
        with trained_on() as trained:
            train_folder(plan_training(config, **options))
            train_folder(plan_training(tables.dataset, **options))
        assert trained[0] == trained[1] == (train, val, len(dataset.train_rows) + len(dataset.val_rows))
        # The split holds out the same share of the same images.
        if world.role == "share":
            everything = load_dataset(config.model_copy(update={"val_share": None}), cache=cache)
            assert len(everything.train_rows) == len(everything.images)
            assert not len(everything.val_rows)
            request = SplitRequest(folds=0, val=0.25, seed=config.seed, leakage=False)
            split = make_split(everything, request, cache=cache)
            assert {key for key, part in split.parts.items() if part == "val"} == val
            split.write(Path(folder) / "own.json")
            again = load_dataset(config.model_copy(update={"split": Path(folder) / "own.json"}), cache=cache)
            assert (again.train_rows.tolist(), again.val_rows.tolist()) == (
                dataset.train_rows.tolist(),
                dataset.val_rows.tolist(),
            )


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(world=worlds.filter(lambda world: world.role in ("share", "split", "fold")))
def test_names_and_order_of_the_files_decide_nothing(cache: Path, world: World) -> None:
    with TemporaryDirectory() as folder:
        config, _ = write_project(world, Path(folder))
        renamed = write_train(world, Path(folder) / "renamed", backwards=True)
        seen = []
        for train in (config.train, renamed):
            try:
                dataset = load_dataset(config.model_copy(update={"train": train}), cache=cache)
            except InputError:
                assume(False)
                return
            groups: dict[int, set[str]] = {}
            for key, group in zip(dataset.images.contents, dataset.groups.tolist(), strict=True):
                groups.setdefault(group, set()).add(key)
            seen.append((
                sorted(dataset.images.contents[row] for row in dataset.train_rows),
                sorted(dataset.images.contents[row] for row in dataset.val_rows),
                sorted(sorted(group) for group in groups.values()),
            ))  # fmt: skip
        assert seen[0] == seen[1]


def plain(folder: Path, count: int = DIFFERENT) -> Path:
    return write(folder, [(number, "same", "abc"[number % 3]) for number in range(count)])


def test_a_decision_that_two_pictures_are_copies_keeps_them_on_one_side(tmp_path: Path, cache: Path) -> None:
    train = plain(tmp_path / "train")
    alone = load_dataset(DataConfig(train=train), cache=cache)
    held = alone.images.contents[alone.val_rows[0]]
    other = alone.images.contents[alone.train_rows[0]]
    log = DecisionLog(tmp_path / "decisions.jsonl")
    log.append([decide("group", [held, other], author="ann")])
    together = load_dataset(DataConfig(train=train, decisions=log.file), cache=cache)
    assert len({held, other} & keys(together, together.val_rows)) in (0, 2)
    assert len(np.unique(together.groups)) == len(np.unique(alone.groups)) - 1


def test_copies_that_somebody_said_are_none_may_be_held_out_apart(tmp_path: Path, cache: Path) -> None:
    train = write(plain(tmp_path / "train"), [])
    VARIANTS["mirrored"](picture(0)).save(train / "a" / "99.png")
    table = read_images(train)
    pair = [key for name, key in zip(table.ids, table.contents, strict=True) if name in ("a/00.png", "a/99.png")]
    log = DecisionLog(tmp_path / "decisions.jsonl")
    assert len(np.unique(load_dataset(DataConfig(train=train), cache=cache).groups)) == DIFFERENT
    log.append([decide("not-copy", pair, author="ann")])
    dataset = load_dataset(DataConfig(train=train, decisions=log.file), cache=cache)
    assert len(np.unique(dataset.groups)) == DIFFERENT + 1


def test_a_picture_under_two_labels_is_noted_with_the_remedy_until_decisions_leave_it_out(
    tmp_path: Path, cache: Path
) -> None:
    train = tmp_path / "train"
    for number in range(6):
        for label in ("cat", "dog"):
            file = train / label / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            picture(number if not number else 2 * number + (label == "dog")).save(file)

    def remedies(dataset: Dataset) -> list[str]:
        return [note for note in dataset.notes if "decisions apply --policy drop-both" in note]

    log = DecisionLog(tmp_path / "decisions.jsonl")
    (remedy,) = remedies(load_dataset(DataConfig(train=train), cache=cache))
    assert remedy.startswith("1 picture stands under more than one label")
    log.append([decide("drop-both", [read_images(train).contents[0]])])
    assert remedies(load_dataset(DataConfig(train=train, decisions=log.file), cache=cache)) == []


def test_further_duplicates_that_an_audit_found_stay_together(tmp_path: Path, cache: Path) -> None:
    train = plain(tmp_path / "train")
    first = read_images(train).contents[:3]
    dataset = load_dataset(DataConfig(train=train), cache=cache, near_duplicates=[first])
    assert len({int(dataset.groups[dataset.images.contents.index(key)]) for key in first}) == 1


def test_validation_images_that_also_train_are_left_out_flipped_and_turned_too(tmp_path: Path, cache: Path) -> None:
    train = plain(tmp_path / "train")
    val = write(
        tmp_path / "val",
        [(0, "same", "a"), (1, "mirrored", "b"), (2, "turned", "c"), (50, "same", "a"), (51, "same", "b")],
    )
    dataset = load_dataset(DataConfig(train=train, val=val), cache=cache)
    assert (len(dataset.train_rows), len(dataset.val_rows)) == (DIFFERENT, 2)
    assert any(note.startswith("3 validation images are also training images") for note in dataset.notes)
    for number in (3, 4):
        (val / "ab"[number - 3] / f"{number:02}.png").unlink()
    with pytest.raises(InputError, match="all of --val are"):
        load_dataset(DataConfig(train=train, val=val), cache=cache)


def test_decisions_count_for_validation_images_too(tmp_path: Path, cache: Path) -> None:
    train = plain(tmp_path / "train")
    val = write(tmp_path / "val", [(50, "same", "a"), (51, "same", "b"), (52, "same", "c")])
    content = dict(zip((table := read_images(val)).ids, table.contents, strict=True))
    log = DecisionLog(tmp_path / "decisions.jsonl")
    log.append([
        decide("drop", [content["a/00.png"]], author="ann"),
        decide("relabel", [content["b/01.png"]], label="c", author="ann"),
    ])  # fmt: skip
    dataset = load_dataset(DataConfig(train=train, val=val, decisions=log.file), cache=cache)
    chosen = dataset.images.take(dataset.val_rows)
    assert dict(zip(chosen.contents, chosen.frame["label"], strict=True)) == {
        content["b/01.png"]: "c",
        content["c/02.png"]: "c",
    }
    assert any("1 of 3 left out, 1 under another label" in note for note in dataset.notes)


def test_new_images_and_broken_files_are_counted_apart(tmp_path: Path, cache: Path) -> None:
    train = write_train(World([], 2, [], "share"), tmp_path / "train")
    everything = load_dataset(DataConfig(train=train, val_share=None), cache=cache)
    assert len(everything.images) == DIFFERENT
    split = make_split(everything, SplitRequest(folds=3, val=0.2, leakage=False), cache=cache)
    split.write(tmp_path / "split.json")
    config = DataConfig(train=train, split=tmp_path / "split.json")
    before = load_dataset(config, cache=cache)
    assert not any("came after the split" in note for note in before.notes)
    (broken,) = [note for note in before.notes if "cannot be decoded" in note]
    assert broken.startswith("2 images cannot be decoded and are not used, for example ")
    assert sorted(Path(file.path).name for file in before.skipped) == ["broken0.png", "broken1.png"]
    picture(700).save(train / "a" / "700.png")
    after = load_dataset(config, cache=cache)
    assert "1 image came after the split and is not used. Make it again: eyeshot split." in after.notes
    assert broken in after.notes
    assert (after.train_rows.tolist(), after.val_rows.tolist()) != ([], [])
    assert keys(after, after.train_rows) == keys(before, before.train_rows)


def test_a_split_under_which_copies_straddle_validates_on_the_others(tmp_path: Path, cache: Path) -> None:
    train = plain(tmp_path / "train")
    VARIANTS["mirrored"](picture(0)).save(train / "a" / "99.png")
    table = read_images(train)
    parts: dict[str, Any] = dict.fromkeys(table.contents, "train")
    parts |= dict.fromkeys([table.contents[table.ids.index(name)] for name in ("a/99.png", "b/01.png")], "val")
    Split(seed=0, folds=0, val=0.1, parts=parts).write(tmp_path / "split.json")
    dataset = load_dataset(DataConfig(train=train, split=tmp_path / "split.json"), cache=cache)
    assert dataset.images.take(dataset.val_rows).ids == ["b/01.png"]
    assert len(dataset.train_rows) == DIFFERENT - 1
    assert any(note.startswith("1 image that would validate is a duplicate") for note in dataset.notes)


def test_a_class_of_broken_files_alone_is_no_class(tmp_path: Path, cache: Path) -> None:
    train = plain(tmp_path / "train")
    whole = (train / "a" / "00.png").read_bytes()
    (train / "d").mkdir()
    (train / "d" / "0.png").write_bytes(whole[:-500])
    assert load_dataset(DataConfig(train=train), cache=cache).classes == ("a", "b", "c")


def wrong_configs(here: Path) -> dict[str, tuple[DataConfig, str]]:
    train = here / "train"
    (here / "labels.csv").write_text("image,kind\n00,a\n", "utf-8")
    Split(seed=0, folds=2, val=0.0, parts={"x": 0}).write(here / "split.json")
    (here / "broken.json").write_text("{", "utf-8")
    write(train / "val", [(60, "same", "a")])
    labels, split, val = here / "labels.csv", here / "split.json", write(here / "val", [(61, "same", "a")])
    return {
        "no folder": (DataConfig(train=here / "nowhere"), "TRAIN must be a folder"),
        "no test": (DataConfig(train=train, test=here / "nowhere"), "--test must be a folder"),
        "val inside": (DataConfig(train=train, val=train / "val"), "must lie apart"),
        "test is train": (DataConfig(train=train, test=train), "must be different folders"),
        "no column": (DataConfig(train=train, labels=labels, label_column="breed"), "--label-column must be a column"),
        "no csv": (DataConfig(train=train, labels=here / "none.csv"), "CSV file that can be read"),
        "no split": (DataConfig(train=train, fold=1), "--fold 1 needs a split"),
        "no such fold": (DataConfig(train=train, split=split, fold=2), "--fold must lie in 0 to 1, got 2"),
        "val and fold": (DataConfig(train=train, val=val, split=split, fold=0), "--val replaces the split"),
        "broken split": (DataConfig(train=train, split=here / "broken.json"), "is not a split"),
        "share": (DataConfig(train=train, val_share=1.5), "must be above 0 and at most 0.9, got 1.5"),
    }


@pytest.mark.parametrize("case", [
    "no folder", "no test", "val inside", "test is train", "no column", "no csv", "no split", "no such fold",
    "val and fold", "broken split", "share",
])  # fmt: skip
def test_wrong_arguments_are_refused_before_any_image_is_read(tmp_path: Path, case: str) -> None:
    plain(tmp_path / "train")
    config, words = wrong_configs(tmp_path)[case]

    def unread(*arguments: object, **options: object) -> None:
        raise AssertionError("an image was read")

    with patch("eyeshot.data.dataset.read_images", unread):
        for check in (check_data, lambda config: load_dataset(config, cache=tmp_path / "cache")):
            with pytest.raises(InputError, match=words):
                check(config)
    assert not (tmp_path / "cache").exists()
