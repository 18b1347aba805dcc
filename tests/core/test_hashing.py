from __future__ import annotations

import subprocess
import sys
from pathlib import PurePosixPath

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from eyeshot.core import key_of


class Settings(BaseModel):
    epochs: int = 3
    seed: int = 0


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES, VALUES)
def test_different_values_have_different_keys_and_equal_ones_the_same(first, second):
    assert (key_of(first) == key_of(second)) == (repr(first) == repr(second) or same(first, second))


def same(first: object, second: object) -> bool:
    """Equal with kinds: 1, 1.0 and True differ, and so do 0.0 and -0.0."""
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(same(first[name], second[name]) for name in first)
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(same, first, second))
    return type(first) is type(second) and repr(first) == repr(second)


def test_borders_and_kinds_count():
    keys = [
        key_of("ab", "c"), key_of("a", "bc"), key_of("abc"), key_of(["ab", "c"]), key_of(b"abc"),
        key_of(1), key_of("1"), key_of(1.0), key_of(True), key_of(None), key_of(), key_of([]), key_of({}),
    ]  # fmt: skip
    assert len(set(keys)) == len(keys)


def test_arrays_count_by_their_values_kind_and_shape():
    numbers = np.arange(6)
    keys = [key_of(numbers), key_of(numbers.astype(np.int32)), key_of(numbers.reshape(2, 3)), key_of(numbers[::-1])]
    assert len(set(keys)) == 4
    assert key_of(np.arange(12)[::2]) == key_of(np.arange(12)[::2].copy())
    assert key_of(np.float64(0.5)) == key_of(0.5)


def test_settings_paths_and_tuples_are_taken_by_what_they_hold():
    assert key_of(Settings()) == key_of(Settings(epochs=3)) != key_of(Settings(epochs=4))
    assert key_of((1, 2)) == key_of([1, 2])
    assert key_of({"a": 1, "b": 2}) == key_of({"b": 2, "a": 1})
    assert key_of(PurePosixPath("a/b")) != key_of("a/b")
    assert key_of("caf\udce9.jpg") != key_of("cafe.jpg")  # a file name that is no UTF-8


@pytest.mark.parametrize("value", [object(), {1, 2}, lambda: 0, np.array([None])])
def test_what_has_no_lasting_text_is_refused(value):
    with pytest.raises(TypeError, match="key_of"):
        key_of(value)


def test_a_key_is_the_same_in_another_process():
    code = "from eyeshot.core import key_of; print(key_of('a', 1.5, {'b': [None, b'c']}))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == key_of("a", 1.5, {"b": [None, b"c"]})
