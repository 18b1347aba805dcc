from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_digits

from eyeshot.auditing.confident import confident
from eyeshot.auditing.head_features import thumbnail_features
from eyeshot.auditing.label_issues import find_label_issues
from eyeshot.auditing.out_of_fold import FOLDS, fold_probabilities, read_probabilities
from eyeshot.auditing.outliers import find_outliers
from eyeshot.auditing.sources import Sources, read_sources
from eyeshot.errors import InputError
from eyeshot.images import ALWAYS_TRAIN, make_folds

PER_CLASS = 24


def soft(seed: int, count: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    chances = random.dirichlet(np.full(classes, 0.4), count)
    labels = np.where(random.random(count) < 0.7, chances.argmax(1), random.integers(0, classes, count))
    return labels.astype(np.int64), chances


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(30, 120), st.integers(2, 6))
def test_thresholds_and_the_confident_joint_are_those_of_cleanlab(seed: int, count: int, classes: int) -> None:
    from cleanlab.count import compute_confident_joint, get_confident_thresholds

    labels, chances = soft(seed, count, classes)
    if len(np.unique(labels)) < classes:
        labels[:classes] = np.arange(classes)
    said = confident(labels, chances)
    np.testing.assert_allclose(said.thresholds, get_confident_thresholds(labels, chances), atol=1e-9)
    # cleanlab's joint has at least 1 on the diagonal, so that no row is empty.
    theirs = compute_confident_joint(labels, chances, calibrate=False)
    ours = said.joint.copy()
    np.fill_diagonal(ours, np.maximum(ours.diagonal(), 1))
    np.testing.assert_array_equal(ours, theirs)


@given(st.integers(0, 1000))
def test_the_order_of_images_and_of_classes_does_not_matter(seed: int) -> None:
    labels, chances = soft(seed, 60, 4)
    random = np.random.default_rng(seed)
    rows, names = random.permutation(60), random.permutation(4)
    place = np.argsort(names)
    first, second = confident(labels, chances), confident(place[labels][rows], chances[:, names][rows])
    np.testing.assert_allclose(second.quality, first.quality[rows])
    assert (second.proposed != place[labels][rows]).sum() == (first.proposed != labels).sum()


def test_sure_and_right_probabilities_speak_against_no_label() -> None:
    labels = np.repeat(np.arange(3), 10)
    said = confident(labels, np.eye(3)[labels])
    assert len(said.order(labels)) == 0
    assert said.noise == 0
    wrong = labels.copy()
    wrong[[0, 15]] = [2, 0]
    found = confident(wrong, np.eye(3)[labels])
    assert set(found.order(wrong)) == {0, 15}
    assert found.proposed[[0, 15]].tolist() == [0, 1]
    assert found.noise == pytest.approx(2 / 30)


def test_a_class_that_no_image_carries_is_never_proposed() -> None:
    labels = np.array([0, 0, 1, 1])
    chances = np.array([[0.5, 0.1, 0.4], [0.6, 0.3, 0.1], [0.1, 0.3, 0.6], [0.2, 0.7, 0.1]])
    assert 2 not in confident(labels, chances).proposed


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Sources, list[str]]:
    """Ten classes of 24 digits, six of them under a wrong label."""
    folder = tmp_path_factory.mktemp("digits") / "train"
    images, labels = load_digits(return_X_y=True)
    random = np.random.default_rng(3)
    wrong = []
    for digit in range(10):
        for number, row in enumerate(random.permutation(np.flatnonzero(labels == digit))[:PER_CLASS]):
            planted = number == 0 and digit < 6
            label = (digit + 1) % 10 if planted else digit
            (folder / str(label)).mkdir(parents=True, exist_ok=True)
            name = f"{digit}-{number}.png"
            if planted:
                wrong.append(f"{label}/{name}")
            pixels = (images[row].reshape(8, 8) * 15.9).astype(np.uint8)
            Image.fromarray(pixels).resize((32, 32), Image.Resampling.NEAREST).save(folder / str(label) / name)
    sources = read_sources(
        folder, None, labels=None, path_column=None, label_column=None, image_root=None,
        cache=folder.parent / "cache", workers=1, progress=lambda what, done, total: None,
    )  # fmt: skip
    return sources, wrong


def read(sources: Sources) -> np.ndarray:
    return thumbnail_features(np.stack([np.asarray(Image.open(path).convert("RGB")) for path in sources.paths]))


def test_planted_wrong_labels_come_first_with_their_neighbours(digits: tuple[Sources, list[str]]) -> None:
    sources, wrong = digits
    features, groups = read(sources), np.arange(len(sources))
    rows, chances = fold_probabilities(sources.train, features, groups, seed=0)
    assert len(rows) == len(sources)
    np.testing.assert_allclose(chances.sum(axis=1), 1, atol=1e-5)
    found, about = find_label_issues(sources, rows, chances, groups, features=features, reader="a linear head")
    first = {one.images[0].id for one in found[:10]}
    assert len(first & set(wrong)) >= 5
    assert about.found == len(found)
    assert sum(one.images for one in about.confused) == about.found
    assert about.judged == len(sources)
    one = next(one for one in found if one.images[0].id == wrong[0])
    assert (one.evidence["given"], one.evidence["proposed"]) == ("1", "0")
    for which, label in (("given", "1"), ("proposed", "0")):
        names = one.evidence[f"nearest_{which}"]
        assert len(names) == 3
        assert all(name.startswith(f"{label}/") for name in names)
        assert not set(names) & set(wrong)


def test_copies_are_judged_by_heads_that_saw_neither_and_are_no_neighbours(digits: tuple[Sources, list[str]]) -> None:
    sources, _ = digits
    groups = np.arange(len(sources)) // 3
    fold = make_folds(sources.train, groups, folds=FOLDS, seed=0, small=True)
    assert all(len(set(fold[groups == group])) == 1 for group in np.unique(groups))
    rows, chances = fold_probabilities(sources.train, read(sources), groups, seed=0)
    np.testing.assert_array_equal(rows, np.flatnonzero(fold != ALWAYS_TRAIN))
    found, _ = find_label_issues(sources, rows, chances, groups[rows], features=read(sources)[rows], reader="it")
    place = {name: number for number, name in enumerate(sources.ids)}
    for one in found:
        own = groups[place[one.images[0].id]]
        for which in ("nearest_given", "nearest_proposed"):
            assert all(groups[place[name]] != own for name in one.evidence[which])


def test_the_image_that_is_unlike_its_class_is_an_outlier_and_a_copy_does_not_hide_it(
    digits: tuple[Sources, list[str]],
) -> None:
    sources, _ = digits
    random = np.random.default_rng(0)
    features = random.normal(0, 1, (len(sources), 6)) + 3 * sources.labels[:, None]
    features[[7, 8]] = 40.0
    groups = np.arange(len(sources))
    groups[8] = groups[7]
    found = find_outliers(sources, np.arange(len(sources)), features, groups)
    assert {one.images[0].id for one in found} == {sources.ids[7], sources.ids[8]}
    groups[8] = 8
    assert not {sources.ids[7]} & {
        one.images[0].id for one in find_outliers(sources, np.arange(len(sources)), np.zeros((len(sources), 3)), groups)
    }


def write_probabilities(file: Path, sources: Sources, **changed: str) -> Path:
    classes = list(sources.train.classes)
    lines = ["path," + ",".join(classes)]
    for name in sources.ids:
        row = ["0"] * len(classes)
        row[classes.index(name.split("/")[0])] = "1"
        lines.append(changed.get(name, f"{name},{','.join(row)}"))
    file.write_text("\n".join(line for line in lines if line) + "\n")
    return file


def test_own_probabilities_are_read_in_the_order_of_the_table(digits, tmp_path: Path) -> None:
    sources, _ = digits
    file = write_probabilities(tmp_path / "p.csv", sources)
    lines = file.read_text().splitlines()
    file.write_text("\n".join([lines[0], *lines[:0:-1]]) + "\n")
    np.testing.assert_array_equal(read_probabilities(file, sources.train), np.eye(10)[sources.labels])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("", "1 of 240 training images have no row"),
        ("{name},0.5,0.2,0,0,0,0,0,0,0,0", "sums to 0.700"),
        ("{name},nan,1,0,0,0,0,0,0,0,0", "something else than numbers from 0 to 1"),
        ("{name},-1,2,0,0,0,0,0,0,0,0", "something else than numbers from 0 to 1"),
        ("{name},much,1,0,0,0,0,0,0,0,0", "something else than numbers from 0 to 1"),
        ("{other},1,0,0,0,0,0,0,0,0,0", "stands twice"),
    ],
)
def test_a_bad_row_of_probabilities_is_named(digits, tmp_path: Path, row: str, message: str) -> None:
    sources, _ = digits
    name, other = sources.ids[:2]
    file = write_probabilities(tmp_path / "p.csv", sources, **{name: row.format(name=name, other=other)})
    with pytest.raises(InputError, match=message):
        read_probabilities(file, sources.train)


def test_wrong_columns_and_files_that_are_no_csv_are_refused(digits, tmp_path: Path) -> None:
    sources, _ = digits
    file = write_probabilities(tmp_path / "p.csv", sources)
    file.write_text(file.read_text().replace("path,0,1,", "path,nought,1,"))
    with pytest.raises(InputError, match="lacks the classes '0'"):
        read_probabilities(file, sources.train)
    with pytest.raises(InputError, match="--probabilities must be a CSV"):
        read_probabilities(tmp_path / "none.csv", sources.train)
    (tmp_path / "bytes.csv").write_bytes(bytes(range(256)))
    with pytest.raises(InputError, match="--probabilities must be a CSV"):
        read_probabilities(tmp_path / "bytes.csv", sources.train)
