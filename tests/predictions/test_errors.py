"""Worst classes, confused pairs, shared errors: counted by hand."""

import numpy as np
import pytest

from eyeshot.core import InputError
from eyeshot.predictions import (
    Predictions,
    confused_pairs,
    confusion,
    label_suspects,
    labelled_only,
    shared_errors,
)

CLASSES = ("a", "b", "c")


def made(labels, chosen, *, sure=0.8, run="r"):
    probabilities = np.full((len(labels), len(CLASSES)), (1 - sure) / 2)
    probabilities[np.arange(len(labels)), chosen] = sure
    ids = tuple(f"{number}.png" for number in range(len(labels)))
    return Predictions(ids, probabilities, CLASSES, None if labels is None else np.array(labels), run=run)


def test_the_confusion_has_labels_in_rows():
    table = made([0, 0, 1, 2, 2], [0, 1, 1, 0, 0])
    assert confusion(table).tolist() == [[1, 1, 0], [0, 1, 0], [2, 0, 0]]


def test_pairs_come_by_errors_either_way_and_name_the_more_frequent_direction_first():
    counts = np.array([[5, 1, 0], [2, 5, 0], [4, 0, 5]])
    assert confused_pairs(counts) == [(2, 0), (1, 0)]


def test_errors_are_shared_by_all_or_made_by_one():
    labels = [0, 0, 1, 1, 2]
    runs = [made(labels, [1, 0, 1, 0, 2]), made(labels, [1, 1, 1, 2, 2]), made(labels, [1, 0, 1, 0, 0])]
    shared = shared_errors(runs)
    assert shared.by_all.tolist() == [0, 3]
    assert [alone.tolist() for alone in shared.alone] == [[], [1], [4]]
    assert shared.agreed.tolist() == [1, -1, 1, -1, -1]
    assert shared.expected == pytest.approx(5 * (2 / 5) * (3 / 5) * (3 / 5))


def test_a_label_is_suspect_where_all_runs_name_the_same_other_class_and_the_surest_come_first():
    labels = [0, 0, 0, 1]
    unsure, sure = made(labels, [1, 1, 2, 1], sure=0.5), made(labels, [1, 1, 1, 1], sure=0.9)
    unsure.probabilities[1] = [0.0, 1.0, 0.0]
    runs = [unsure, sure]
    assert label_suspects(runs, shared_errors(runs)).tolist() == [1, 0]  # of image 2 they name different classes


def test_one_run_makes_no_label_suspect():
    runs = [made([0, 0], [1, 1])]
    assert label_suspects(runs, shared_errors(runs)).tolist() == []


def test_images_without_a_label_are_left_out_and_files_without_any_are_refused():
    table = made([0, -1, 2], [0, 1, 2])
    assert labelled_only(table).ids == ("0.png", "2.png")
    with pytest.raises(InputError, match=r"'r' has none for its 2 images.*Add a column of labels"):
        labelled_only(made([-1, -1], [0, 1]))
