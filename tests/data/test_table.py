from __future__ import annotations

import numpy as np
import pytest

from eyeshot.core.errors import InputError
from eyeshot.data import ImageTable


def test_take_keeps_the_order_asked_for_and_the_classes(pets_table: ImageTable) -> None:
    some = pets_table.take(np.array([3, 0]))
    assert some.ids == ["dog/0.png", "cat/0.png"]
    assert some.labels.tolist() == [1, 0]
    assert pets_table.take([0]).classes == ("cat", "dog")
    assert len(pets_table.take([])) == 0


def test_classes_of_another_table_number_the_labels(pets_table: ImageTable) -> None:
    table = pets_table.with_classes(("bird", "cat", "cow", "dog"))
    assert table.labels.tolist() == [1, 1, 1, 3, 3]


def test_a_label_unknown_to_the_training_images_is_an_error(pets_table: ImageTable) -> None:
    with pytest.raises(InputError, match=r"one of the 2 classes.*got 'dog'"):
        pets_table.with_classes(("cat", "cow"))


def test_columns_have_the_types_that_the_table_promises(pets_table: ImageTable) -> None:
    names = ["id", "path", "label", "bytes", "width", "height", "mode", "content"]
    assert pets_table.frame.columns == names
    assert pets_table.labels.dtype == np.int64
    assert pets_table.frame["width"].to_list() == [48] * 5
    assert pets_table.frame["mode"].to_list() == ["RGB"] * 5
