from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eyeshot.core.errors import InputError
from eyeshot.predictions import Predictions, align, check_probabilities, join_folds, match_ids


def predictions(ids=("a/1.png", "b/2.png", "b/3.png"), *, labels=(0, 1, 2), classes=("cat", "dog", "fox"), **more):
    random = np.random.default_rng(len(ids))
    return Predictions(
        ids=tuple(ids),
        probabilities=random.dirichlet(np.ones(len(classes)), len(ids)),
        classes=classes,
        labels=None if labels is None else np.array(labels),
        **more,
    )


@given(st.permutations(range(3)), st.permutations(range(3)))
def test_rows_and_columns_in_any_order_are_brought_to_those_of_the_first(rows, columns):
    first = predictions()
    shuffled = replace(
        first,
        ids=tuple(first.ids[row] for row in rows),
        classes=tuple(first.classes[column] for column in columns),
        probabilities=first.probabilities[np.ix_(rows, columns)],
        labels=np.argsort(columns)[first.labels[rows]],
    )
    _, other = align([first, shuffled])
    assert (other.ids, other.classes) == (first.ids, first.classes)
    assert (other.probabilities == first.probabilities).all()
    assert (other.labels == first.labels).all()


def test_labels_that_a_file_lacks_come_from_another_run():
    aligned = align([predictions(labels=None), predictions()])
    assert [each.labels.tolist() for each in aligned] == [[0, 1, 2]] * 2


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (predictions(classes=("cat", "dog", "owl")), "same classes, but 'the other' and .* differ in 2: fox and owl"),
        (predictions(("a/1.png", "b/2.png"), labels=(0, 1)), "3 images and .* of 2; 2 are in both"),
        (predictions(("a/1.png", "b/2.png", "b/4.png")), "but those of 'the other' and .* differ"),
        (predictions(labels=(0, 1, 1)), "different labels for 1 of 3 images"),
    ],
)
def test_what_cannot_be_compared_is_refused(other, message):
    with pytest.raises(InputError, match=message):
        align([predictions(run="the other"), other])


def test_runs_of_different_folds_become_one_table():
    parts = [predictions(("a", "b"), labels=(0, 1), fold=0), predictions(("c",), labels=(2,), fold=1)]
    joined = join_folds(parts, run="both")
    assert joined.ids == ("a", "b", "c")
    assert joined.labels.tolist() == [0, 1, 2]
    assert (joined.probabilities[2] == parts[1].probabilities[0]).all()
    with pytest.raises(InputError, match="1 image of 'twice' is in several folds"):
        join_folds([parts[0], predictions(("b",), labels=(1,))], run="twice")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[0.5, np.nan]], "1 rows of 'mine' hold NaN"),
        ([[3.0, -2.0]], "between 0 and 1, got -2 to 3 .* --logits"),
        ([[0.9, 0.9]], "must sum to 1, got 1.8 to 1.8"),
    ],
)
def test_what_are_no_probabilities_is_refused(values, message):
    with pytest.raises(InputError, match=message):
        check_probabilities(np.array(values), name="mine")


@pytest.mark.parametrize(
    ("ids", "known", "positions", "rule"),
    [
        (["b/1.jpg", "a/1.jpg"], ["a/1.jpg", "b/1.jpg"], [1, 0], "as written"),
        ([r"b\1.jpg"], ["b/1.jpg"], [0], "as written"),
        (["b/1"], ["a/1.jpg", "b/1.jpg"], [1], "without their endings"),
        (["2.jpg"], ["x/1.jpg", "x/2.jpg"], [1], "by file name"),
        (["2"], ["x/1.jpg", "x/2.jpg"], [1], "by file name without ending"),
        (["7"], ["x/0007.jpg", "x/0008.jpg"], [0], "as numbers"),
        (["test.v2"], ["test.v1.png", "test.v2.png"], [1], "without their endings"),
    ],
)
def test_ids_are_found_by_the_strictest_rule_that_finds_all(ids, known, positions, rule):
    found, words = match_ids(ids, known)
    assert (found.tolist(), words) == (positions, rule)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (["1.jpg", "1.jpg"], "occur once, but 1 occur several times: 1.jpg"),
        (["9.jpg", "2.jpg"], "1 of 2 do not: 9.jpg"),
        (["1.jpg"], "several images have the same name in different folders"),
    ],
)
def test_ids_that_mean_no_image_or_several_are_refused(ids, message):
    with pytest.raises(InputError, match=message):
        match_ids(ids, ["a/1.jpg", "b/1.jpg", "b/2.jpg"])
