"""Tables survive kills, hands and other versions."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks.augmentation_truth.table import Row, add_training, line_of, read_table, states
from hypothesis import given, settings
from hypothesis import strategies as st

from eyeshot.core.errors import InputError, StorageError

ROW = Row(
    source="digits",
    target="own",
    model="small-cnn",
    candidate="clean",
    seed=0,
    epochs=3,
    n_train=10,
    n_target=5,
    val_accuracy=0.5,
    target_accuracy=0.25,
    worst_class=0.0,
    seconds=1.5,
    hardware="CPU, 2 cores",
    commit="abc",
    recipe="r1",
    catalogue="c1",
)
TARGETS = ("own", "turned")


def training(candidate: str = "clean", seed: int = 0, **more: object) -> list[Row]:
    return [replace(ROW, candidate=candidate, seed=seed, target=target, **more) for target in TARGETS]


def state_of(file: Path, candidate: str = "clean", seed: int = 0, *, recipe: str = "r1", catalogue: str = "c1") -> str:
    key = (candidate, seed)
    return states(read_table(file), [key], targets=TARGETS, recipe=recipe, catalogue={candidate: catalogue})[key]


def test_what_is_added_is_read_back(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    assert add_training(file, training())
    assert read_table(file).rows == tuple(training())
    assert read_table(file).problems == ()
    assert state_of(file) == "done"
    assert state_of(file, seed=1) == "missing"


def test_the_same_training_is_never_doubled(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    assert add_training(file, training())
    assert not add_training(file, training(seconds=9.0))
    assert read_table(file).rows == tuple(training())


def test_many_writers_lose_and_double_nothing(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    with ThreadPoolExecutor(8) as pool:
        wrote = list(pool.map(lambda number: add_training(file, training(seed=number % 6)), range(24)))
    assert sum(wrote) == 6
    rows = read_table(file).rows
    assert len(rows) == len({(row.key, row.target) for row in rows}) == 12


@settings(max_examples=40, deadline=None)
@given(cut=st.integers(min_value=1, max_value=400))
def test_a_table_cut_off_anywhere_ends_the_same_after_training_again(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    file = tmp_path_factory.mktemp("t") / "t.csv"
    add_training(file, training())
    add_training(file, training(seed=1))
    whole = file.read_bytes()
    header = whole.index(b"\n") + 1
    file.write_bytes(whole[: max(header, len(whole) - cut)])
    for seed in (0, 1):
        assert state_of(file, seed=seed) in ("done", "missing")
        if state_of(file, seed=seed) == "missing":
            add_training(file, training(seed=seed))
    assert sorted(map(line_of, read_table(file).rows)) == sorted(whole.decode().splitlines(keepends=True)[1:])
    assert read_table(file).problems == ()


def test_a_half_written_last_line_is_named(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    add_training(file, training())
    file.write_text(file.read_text()[:-20])
    table = read_table(file)
    assert len(table.rows) == 1
    assert "line 3" in table.problems[0]
    assert "cut off" in table.problems[0]
    assert state_of(file) == "missing"


def test_an_edited_row_is_named_left_out_and_kept_until_asked(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    add_training(file, training())
    file.write_text(file.read_text().replace("0.250000", "0.950000", 1))
    table = read_table(file)
    assert "edited by hand" in table.problems[0]
    assert [row.target for row in table.rows] == ["turned"]
    assert state_of(file) == "spoilt"
    add_training(file, training(seed=1))
    assert state_of(file) == "spoilt"
    assert add_training(file, training())
    assert state_of(file) == "done"
    assert read_table(file).problems == ()


def test_rows_of_another_catalogue_or_recipe_are_outdated(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    add_training(file, training())
    assert state_of(file, catalogue="c2") == "stale"
    assert state_of(file, recipe="r2") == "stale"


def test_a_line_pasted_twice_counts_once_and_is_named(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    add_training(file, training())
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join([*lines, lines[-1]]))
    table = read_table(file)
    assert len(table.rows) == 2
    assert "twice" in table.problems[0]


def test_other_columns_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="must begin with the columns"):
        read_table(file)


def test_a_full_disk_leaves_the_table_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "t.csv"
    add_training(file, training())
    before = file.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(StorageError, match="No space left"):
        add_training(file, training(seed=1))
    assert file.read_bytes() == before
