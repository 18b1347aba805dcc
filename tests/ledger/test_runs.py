"""Run folders: ids that sort and can be read, records, and finding a run again."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from eyeshot.core import InputError
from eyeshot.ledger import RunRecord, create_run, find_run, find_run_by_key, list_runs, new_run_id

NOON = datetime(2026, 11, 29, 14, 32)


def create(runs: Path, minutes: int = 0, *, key: str = "key", seed: int = 0, kind: str = "train") -> Path:
    return create_run(
        runs, kind=kind, key=key, model="resnet18.a1_in1k", augmentations=("mirror", "my.py:transform"), seed=seed,
        config={"epochs": 3}, command="eyeshot train", now=NOON.astimezone(UTC) + timedelta(minutes=minutes),
    )  # fmt: skip


def test_an_id_says_when_and_what(tmp_path: Path) -> None:
    assert new_run_id("resnet18.a1_in1k", (), 0, runs=tmp_path, now=NOON) == "20261129-1432-resnet18-clean-s0"
    several = new_run_id("my_models:make/net", ("mirror", "my.py:transform"), 3, runs=tmp_path, now=NOON)
    assert several == "20261129-1432-my_models-make-net-mirror+my-py-transform-s3"
    long = new_run_id("resnet18", [f"augmentation-{number}" for number in range(30)], 0, runs=tmp_path, now=NOON)
    assert len(long) <= 100


def test_an_id_that_is_taken_gets_a_number(tmp_path: Path) -> None:
    first, second = create(tmp_path), create(tmp_path)
    assert second.name == f"{first.name}-2"


def test_a_record_comes_back_and_the_latest_is_last(tmp_path: Path) -> None:
    later, earlier = create(tmp_path, 5), create(tmp_path, -5)
    records = list_runs(tmp_path)
    assert [record.id for record in records] == [earlier.name, later.name]
    assert records[0] == RunRecord(
        id=earlier.name, created=NOON.astimezone(UTC) - timedelta(minutes=5), kind="train", key="key",
        model="resnet18.a1_in1k", augmentations=("mirror", "my.py:transform"), config={"epochs": 3},
        command="eyeshot train",
    )  # fmt: skip


def test_folders_that_are_no_runs_are_left_out(tmp_path: Path) -> None:
    run = create(tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "run.json").write_text("{", encoding="utf-8")
    assert [record.id for record in list_runs(tmp_path)] == [run.name]
    assert list_runs(tmp_path / "none") == []


def test_a_run_is_found_by_id_beginning_or_path(tmp_path: Path) -> None:
    first, second = create(tmp_path), create(tmp_path, 60)
    assert find_run(tmp_path, first.name) == first
    assert find_run(tmp_path, second.name[:13]) == second
    assert find_run(tmp_path / "elsewhere", first) == first
    # An id that another one begins with is no beginning of two.
    create(tmp_path)
    assert find_run(tmp_path, first.name) == first


def test_a_run_that_is_not_there_or_not_the_only_one_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There are no runs yet"):
        find_run(tmp_path, "2026")
    first, second = create(tmp_path), create(tmp_path, 60)
    with pytest.raises(InputError, match=re.escape(f"Several runs begin with '2026': {first.name} and {second.name}")):
        find_run(tmp_path, "2026")
    with pytest.raises(InputError, match=re.escape(f"called '2027'. The latest: {second.name} and {first.name}")):
        find_run(tmp_path, "2027")


def test_the_latest_run_with_a_key_is_found(tmp_path: Path) -> None:
    create(tmp_path, key="one")
    latest = create(tmp_path, 5, key="one")
    create(tmp_path, 6, key="two")
    assert find_run_by_key(tmp_path, "one") == latest
    assert find_run_by_key(tmp_path, "three") is None


def test_a_renamed_folder_is_the_same_run(tmp_path: Path) -> None:
    run = create(tmp_path, key="one").rename(tmp_path / "best")
    assert find_run_by_key(tmp_path, "one") == run
    assert find_run(tmp_path, "best") == run


def test_the_latest_run_and_the_one_before_have_names(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There are no runs yet"):
        find_run(tmp_path, "latest")
    first = create(tmp_path)
    assert find_run(tmp_path, "latest") == first
    with pytest.raises(InputError, match="is called 'previous'"):
        find_run(tmp_path, "previous")
    second = create(tmp_path, 1, key="other")
    assert [find_run(tmp_path, name) for name in ("latest", "previous")] == [second, first]
    interrupted = create(tmp_path, 2, kind="ensemble")
    assert find_run(tmp_path, "latest") == second
    (interrupted / "ensemble.json").write_text("{}", encoding="utf-8")
    assert find_run(tmp_path, "latest") == interrupted
