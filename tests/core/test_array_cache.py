from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eyeshot.core.array_cache import KEY_LENGTH, LINE_BYTES, ArrayCache, Failure
from eyeshot.core.errors import StorageError


def key(number: int) -> str:
    return f"{number:0{KEY_LENGTH}x}"


def rows(*numbers: int) -> np.ndarray:
    return np.array([[number, number + 1] for number in numbers], np.float32)


def open_store(folder: Path) -> ArrayCache:
    return ArrayCache(folder, shape=(2,), dtype="float32")


def test_rows_come_back_in_the_order_asked_for(tmp_path: Path) -> None:
    open_store(tmp_path).append([key(1), key(2), key(3)], rows(1, 2, 3))
    again = open_store(tmp_path)
    assert len(again) == 3
    assert again.read([key(3), key(1)]).tolist() == [[3, 4], [1, 2]]


def test_only_missing_keys_are_named_and_equal_keys_once(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.append([key(1)], rows(1))
    assert store.missing([key(2), key(1), key(2), key(3)]) == [0, 3]


def test_a_key_that_is_stored_keeps_its_first_row(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.append([key(1)], rows(1))
    store.append([key(1), key(2)], rows(9, 2))
    assert store.read([key(1), key(2)]).tolist() == [[1, 2], [2, 3]]


@settings(max_examples=40, deadline=None)
@given(data_left=st.integers(0, 40), keys_left=st.integers(0, 250))
def test_whatever_a_kill_leaves_behind_is_cut_off(tmp_path_factory, data_left: int, keys_left: int) -> None:
    folder = tmp_path_factory.mktemp("store")
    store = open_store(folder)
    store.append([key(number) for number in range(5)], rows(*range(5)))
    for file, left in ((store.data_file, data_left), (store.key_file, keys_left)):
        with open(file, "r+b") as opened:
            opened.truncate(min(left, file.stat().st_size))
    again = open_store(folder)
    complete = min(data_left // 8, keys_left // LINE_BYTES, 5)
    assert len(again) == complete
    wanted = [key(number) for number in range(7)]
    lost = again.missing(wanted)
    assert lost == list(range(complete, 7))
    again.append([wanted[position] for position in lost], rows(*lost))
    assert open_store(folder).read(wanted).tolist() == rows(*range(7)).tolist()


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(["rows.bin", "keys.txt", "store.json", "failed.json"]),
    keep=st.floats(0, 1),
    garbage=st.binary(max_size=300),
)
def test_whatever_is_damaged_is_computed_again(tmp_path_factory, name: str, keep: float, garbage: bytes) -> None:
    folder = tmp_path_factory.mktemp("store")
    keys = [key(number) for number in range(6)]

    def load() -> tuple[dict[str, str], list[list[float]]]:
        store = open_store(folder)
        failed = store.get_or_compute(
            keys, lambda todo: [Failure("never", True) if place == 5 else rows(place)[0] for place in todo]
        )
        return failed, store.read(keys[:5]).tolist()

    expected = ({keys[5]: "never"}, rows(*range(5)).tolist())
    assert load() == expected
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: int(keep * len(content))] + garbage)
    assert load() == expected
    assert load() == expected


def test_what_is_stored_or_known_to_fail_is_not_computed_again(tmp_path: Path) -> None:
    computed: list[int] = []

    def compute(todo: list[int]):
        computed.extend(todo)
        return [rows(0)[0], Failure("never", True), Failure("not now", False)][: len(todo)]

    def refuse(todo: list[int]):
        computed.extend(todo)
        return [Failure("not now", False) for _ in todo]

    seen: list[tuple[int, int]] = []
    keys = [key(0), key(1), key(2), key(0)]
    failed = open_store(tmp_path).get_or_compute(keys, compute, progress=lambda *done: seen.append(done))
    assert failed == {key(1): "never", key(2): "not now"}
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert computed == [0, 1, 2]
    assert open_store(tmp_path).get_or_compute(keys, refuse) == failed
    assert computed == [0, 1, 2, 2]


def test_processes_that_write_at_once_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    code = (
        "import sys; import numpy as np; from pathlib import Path; from eyeshot.core.array_cache import ArrayCache\n"
        "store = ArrayCache(Path(sys.argv[1]), shape=(2,), dtype='float32')\n"
        "for start in range(0, 60, 3):\n"
        "    numbers = range(start, start + 6)\n"
        "    store.append([f'{n:032x}' for n in numbers], np.array([[n, n + 1] for n in numbers], np.float32))\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(3)]
    assert [one.wait(timeout=60) for one in running] == [0, 0, 0]
    store = open_store(tmp_path)
    assert len(store) == 63
    assert store.read([key(number) for number in range(63)]).tolist() == rows(*range(63)).tolist()


def test_rows_of_another_shape_are_refused(tmp_path: Path) -> None:
    open_store(tmp_path)
    with pytest.raises(StorageError, match="cache clear"):
        ArrayCache(tmp_path, shape=(3,), dtype="float32")


def test_rows_of_the_wrong_shape_or_keys_of_the_wrong_length_are_refused(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    with pytest.raises(ValueError, match="shape"):
        store.append([key(1)], rows(1, 2))
    with pytest.raises(ValueError, match="characters"):
        store.append(["short"], rows(1))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_is_told_and_keeps_what_was_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(tmp_path)
    store.append([key(1)], rows(1))
    with monkeypatch.context() as patched:
        patched.setattr(ArrayCache, "data_file", property(lambda self: Path("/dev/full")))
        with pytest.raises(StorageError, match="Free some space"):
            store.append([key(2)], rows(2))
    assert open_store(tmp_path).read([key(1)]).tolist() == [[1, 2]]
