"""What lies on disk: whole or made again, apart for each trial, seed and history."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import time
from pathlib import Path

import pytest
from simulated import make_trial

from eyeshot.core import StorageError
from eyeshot.sweep import DecisionFile, SweepStore, open_store

TRIAL = make_trial("invert")


def open_in(folder: Path, sweep: str = "one") -> SweepStore:
    return SweepStore(folder, sweep, states=pickle, evaluations=pickle)


def filled(folder: Path) -> SweepStore:
    store = open_in(folder)
    store.decisions.keep("plan", {"seeds": 1})
    store.keep_evaluation(TRIAL, 0, (30, 8), [1.5])
    store.keep_state(TRIAL, 0, (30, 8), {"weight": b"x" * 400})
    store.add_seconds(2.5)
    return store


def test_what_is_whole_is_kept(tmp_path: Path) -> None:
    filled(tmp_path)
    again = open_in(tmp_path)
    assert again.decisions.get("plan") == {"seeds": 1}
    assert again.evaluation(TRIAL, 0, (30, 8)) == [1.5]
    assert again.state(TRIAL, 0, (30, 8)) == {"weight": b"x" * 400}
    assert again.seconds == 2.5
    assert again.evaluation(TRIAL, 1, (30, 8)) is None
    assert again.evaluation(TRIAL, 0, (30, 9)) is None
    assert again.evaluation(make_trial("invert", measures="more"), 0, (30, 8)) is None


@pytest.mark.parametrize("damage", [b"", b"\xff" * 100, bytes(500), "half", "changed"])
@pytest.mark.parametrize("kind", ["sweeps/*.json", "trials/*/*.state", "trials/*/*.evaluation", "trials/*/*.json"])
def test_a_damaged_file_has_a_copy_or_counts_as_none(tmp_path: Path, kind: str, damage: bytes | str) -> None:
    filled(tmp_path).keep_failure(TRIAL, (30, 8, 9), "diverged")
    (file,) = tmp_path.glob(kind)
    content = file.read_bytes()
    changed = {"half": content[: len(content) // 2], "changed": b"[" + content[1:-1] + b"["}
    file.write_bytes(changed[damage] if isinstance(damage, str) else damage)
    again = open_in(tmp_path)
    kept = {
        "sweeps/*.json": again.decisions.get("plan"),
        "trials/*/*.state": again.state(TRIAL, 0, (30, 8)),
        "trials/*/*.evaluation": again.evaluation(TRIAL, 0, (30, 8)),
        "trials/*/*.json": again.failure(TRIAL, (30, 8, 9)),
    }
    lost = [] if kind.endswith(".json") else [kind]
    assert [name for name, value in kept.items() if value is None] == lost
    assert again.seconds == 2.5
    assert kept["trials/*/*.json"] == "diverged"


def test_another_sweep_has_its_own_decisions_and_the_same_trials(tmp_path: Path) -> None:
    filled(tmp_path)
    other = open_in(tmp_path, "two")
    assert other.decisions.get("plan") is None
    assert other.seconds == 0
    assert other.evaluation(TRIAL, 0, (30, 8)) == [1.5]


def test_a_state_takes_the_place_of_the_one_before_but_not_of_a_start(tmp_path: Path) -> None:
    store = open_in(tmp_path)
    for history in ((30,), (30, 8), (30, 8, 9)):
        store.keep_state(TRIAL, 0, history, "state")
    assert [store.state(TRIAL, 0, history) for history in ((30,), (30, 8), (30, 8, 9))] == ["state", None, "state"]
    store.keep_state(TRIAL, 0, (30, 7), "of another sweep")
    store.drop_states([TRIAL], 1, (30, 8, 9))
    assert store.state(TRIAL, 0, (30,)) == "state"
    assert store.state(TRIAL, 0, (30, 8, 9)) is None
    assert store.state(TRIAL, 0, (30, 7)) == "of another sweep"


def test_steps_that_rungs_had_before_are_counted_by_trial_and_seed(tmp_path: Path) -> None:
    store, other = open_in(tmp_path), make_trial("mirror")
    for trial, seed, history in [
        (TRIAL, 0, (30, 8)),
        (TRIAL, 0, (30, 8, 20)),
        (other, 0, (30, 8)),
        (other, 1, (30, 9)),
    ]:
        store.keep_evaluation(trial, seed, history, 0)
    assert store.steps_done([TRIAL, other], 2, (30,)) == {8: 2, 9: 1}
    assert store.steps_done([TRIAL, other], 1, (30,)) == {8: 2}
    assert store.steps_done([TRIAL, other], 2, (30, 8)) == {20: 1}
    assert store.steps_done([TRIAL], 2, (31,)) == {}


def test_half_files_of_a_killed_process_are_swept_and_those_of_a_living_one_stay(tmp_path: Path) -> None:
    filled(tmp_path)
    (folder,) = (tmp_path / "trials").iterdir()
    old, new = folder / ".0-30.state.1-1.part", folder / ".0-31.state.2-2.part"
    for file in (old, new):
        file.write_bytes(b"half")
    hours_ago = time.time() - 7200
    os.utime(old, (hours_ago, hours_ago))
    with open_store(tmp_path, "one", states=pickle, evaluations=pickle, wait_s=1) as store:
        assert store.seconds == 2.5
    assert (old.exists(), new.exists()) == (False, True)


def test_one_process_at_a_time_does_a_sweep_and_another_sweep_is_free(tmp_path: Path) -> None:
    with open_store(tmp_path, "one", states=pickle, evaluations=pickle, wait_s=1):
        with (
            pytest.raises(StorageError, match="another --budget or --seed"),
            open_store(tmp_path, "one", states=pickle, evaluations=pickle, wait_s=0.1),
        ):
            pass
        with open_store(tmp_path, "two", states=pickle, evaluations=pickle, wait_s=0.1) as store:
            assert store.seconds == 0


def test_a_claim_holds_for_other_processes_and_ends_with_its_own(tmp_path: Path) -> None:
    ask = (
        "import sys, pickle; from pathlib import Path; from eyeshot.sweep import SweepStore, Trial\n"
        "store = SweepStore(Path(sys.argv[1]), 'one', states=pickle, evaluations=pickle)\n"
        f"with store.claim(Trial(id={TRIAL.id!r}, name='invert')) as mine: print(mine)"
    )

    def another() -> str:
        done = subprocess.run([sys.executable, "-c", ask, str(tmp_path)], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    with open_in(tmp_path).claim(TRIAL) as mine:
        assert mine
        assert another() == "False"
    assert another() == "True"


def test_decisions_can_be_read_by_people(tmp_path: Path) -> None:
    file = DecisionFile(tmp_path / "sub" / "some.json")
    file.keep("costs", [0.5, 2.0])
    file.keep("batch size", 32)
    assert json.loads((tmp_path / "sub" / "some.json").read_text("utf-8")) == {"costs": [0.5, 2.0], "batch size": 32}
    assert DecisionFile(tmp_path / "sub" / "some.json").get("costs") == [0.5, 2.0]


@pytest.mark.parametrize("spoiled", ["", "{", "[1]", "\x00" * 9])
def test_a_damaged_file_of_decisions_is_replaced_by_its_copy(tmp_path: Path, spoiled: str) -> None:
    name = tmp_path / "some.json"
    DecisionFile(name).keep("costs", [0.5, 2.0])
    name.write_text(spoiled, "utf-8")
    file = DecisionFile(name)
    assert file.get("costs") == [0.5, 2.0]
    assert "its copy was used" in file.damage
    file.keep("more", 1)
    assert DecisionFile(name).damage == ""
    file.delete()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = filled(tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(StorageError, match="No space left"):
        store.keep_evaluation(TRIAL, 0, (30, 8), [2.5])
    monkeypatch.undo()
    assert open_in(tmp_path).evaluation(TRIAL, 0, (30, 8)) == [1.5]
