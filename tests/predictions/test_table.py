import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eyeshot.core import wilson
from eyeshot.core.errors import InputError, StorageError
from eyeshot.predictions import Accuracy, Predictions, load_predictions

SURE = np.float32([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.6, 0.4]])


def predictions(**options):
    arguments = {
        "ids": ("a.png", "b.png", "c.png", "d.png"),
        "probabilities": SURE,
        "classes": ("cat", "dog"),
        "labels": np.array([0, 1, 1, -1]),
    }
    return Predictions(**(arguments | options))


def test_an_accuracy_carries_the_interval_of_its_share():
    accuracy = Accuracy.of_counts(3, 10)
    assert (accuracy.n, accuracy.value, accuracy.interval) == (10, 0.3, wilson(3, 10))


def test_no_images_have_no_accuracy():
    assert Accuracy.of_counts(0, 0).model_dump() == {"n": 0, "value": None, "low": None, "high": None}
    assert Accuracy.of_counts(0, 0).interval is None


def test_accuracy_counts_labelled_images_only():
    assert predictions().right.tolist() == [True, True, False, False]
    assert predictions().accuracy() == Accuracy.of_counts(2, 3)
    assert predictions().class_accuracies() == {"cat": Accuracy.of_counts(1, 1), "dog": Accuracy.of_counts(1, 2)}


def test_without_labels_nothing_is_right_and_there_is_no_accuracy():
    unlabelled = predictions(labels=None)
    assert not unlabelled.right.any()
    assert unlabelled.accuracy().n == 0
    assert [accuracy.n for accuracy in unlabelled.class_accuracies().values()] == [0, 0]


@given(
    names=st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1), max_size=5),
    labelled=st.booleans(),
    fold=st.none() | st.integers(0, 9),
    run=st.sampled_from(["", "run+seed0", "실행"]),
)
def test_predictions_are_read_back_as_they_were_saved(tmp_path_factory, names, labelled, fold, run):
    file = tmp_path_factory.mktemp("saved") / "validation.npz"
    random = np.random.default_rng(len(names))
    saved = Predictions(
        ids=tuple(names),
        probabilities=random.dirichlet(np.ones(3), len(names)).astype(np.float32),
        classes=("x", "y", "고양이"),
        labels=random.integers(-1, 3, len(names)) if labelled else None,
        run=run,
        fold=fold,
        split="test",
        key="0f",
    )
    saved.save(file)
    loaded = load_predictions(file)
    for name in ("ids", "classes", "run", "fold", "split", "key"):
        assert getattr(loaded, name) == getattr(saved, name)
    assert (loaded.probabilities == saved.probabilities.astype(np.float16)).all()
    assert loaded.probabilities.dtype == np.float16
    assert (loaded.labels is None) == (not labelled)
    assert not labelled or (loaded.labels == saved.labels).all()


def test_probabilities_stay_on_the_disk_and_other_programs_read_them(tmp_path):
    predictions().save(tmp_path / "validation.npz")
    assert isinstance(load_predictions(tmp_path / "validation.npz").probabilities, np.memmap)
    with np.load(tmp_path / "validation.npz") as stored:
        assert (stored["probabilities"] == SURE.astype(np.float16)).all()


@pytest.mark.parametrize("place", [0.2, 0.5, 0.8])
def test_a_changed_byte_is_noticed(tmp_path, place):
    file = tmp_path / "validation.npz"
    Predictions(tuple(map(str, range(999))), np.full((999, 4), 0.25), tuple("abcd")).save(file)
    content = bytearray(file.read_bytes())
    content[int(place * len(content))] ^= 255
    file.write_bytes(content)
    with pytest.raises(StorageError, match="Cannot read predictions"):
        load_predictions(file)


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"ids": ("a", "b")}, r"one row per image and one column per class, \(2, 2\), got \(4, 2\)"),
        ({"classes": ("cat", "dog", "fox")}, r"\(4, 3\), got \(4, 2\)"),
        ({"labels": np.array([0, 1])}, r"must be 4 labels, one per image, got shape \(2,\)"),
        ({"labels": np.array([0, 1, 2, 0])}, r"Labels must be -1 to 1, got 0 to 2"),
        ({"labels": np.array([0, 1, -2, 0])}, r"Labels must be -1 to 1, got -2 to 1"),
    ],
)
def test_parts_that_do_not_fit_together_are_an_input_error(wrong, match):
    with pytest.raises(InputError, match=match):
        predictions(**wrong)


def test_a_save_that_breaks_off_leaves_the_file_before_it(tmp_path, monkeypatch):
    file = tmp_path / "validation.npz"
    predictions().save(file)
    before = file.read_bytes()

    def full(opened, **_):
        opened.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(StorageError, match="No space left"):
        predictions(run="other").save(file)
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_no_file_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="which is not a file"):
        load_predictions(tmp_path / "validation.npz")


def test_a_damaged_file_is_a_storage_error_with_the_next_step(tmp_path):
    file = tmp_path / "validation.npz"
    predictions().save(file)
    whole = file.read_bytes()
    for content in (b"", whole[: len(whole) // 2], b"no npz"):
        file.write_bytes(content)
        with pytest.raises(StorageError, match="Delete it and run the training again"):
            load_predictions(file)


def test_a_file_with_pickled_objects_is_refused(tmp_path):
    file = tmp_path / "validation.npz"
    np.savez(file, ids=np.array([{"code": 1}], dtype=object))
    with pytest.raises(StorageError, match="Cannot read predictions"):
        load_predictions(file)


def test_probabilities_with_reordered_columns_are_written_so_that_they_can_be_read(tmp_path):
    values = np.random.default_rng(0).dirichlet(np.ones(3), 5)[:, [2, 0, 1]]  # numpy keeps such columns apart
    Predictions(tuple("abcde"), values, ("x", "y", "z")).save(tmp_path / "p.npz")
    assert np.allclose(load_predictions(tmp_path / "p.npz").probabilities, values, atol=1e-3)
