"""Executors give each item its result or its error; a sweep is the same in this process and in others."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from simulated import by_loss, make_trial

from eyeshot.core import InputError, StorageError, key_of
from eyeshot.sweep import (
    Budget,
    Costs,
    Executor,
    InProcess,
    Processes,
    SweepResult,
    SweepStore,
    Trial,
    WorkerLost,
    run_sweep,
)


@pytest.fixture(autouse=True)
def tests_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(Path(__file__).parent), *sys.path])


def square(add: int, number: int) -> tuple[int, int]:
    if number == 3:
        raise InputError("never 3")
    return os.getpid(), number**2 + add


def die(parent: int, number: int) -> int:
    if number == 1 and os.getpid() != parent:
        os.kill(os.getpid(), signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
    return number


def sleep(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def thread_count(_: int) -> int:
    import torch

    return torch.get_num_threads()


@pytest.mark.parametrize("executor", [InProcess(), Processes(2)])
def test_each_item_comes_back_with_its_result_or_its_error(executor: Executor) -> None:
    outcomes = dict(executor.map(partial(square, 1), range(6)))
    assert set(outcomes) == set(range(6))
    error = outcomes.pop(3)
    assert isinstance(error, InputError)
    assert str(error) == "never 3"
    results: list[Any] = [outcomes[number] for number in (0, 1, 2, 4, 5)]
    assert [result for _, result in results] == [1, 2, 5, 17, 26]
    assert (os.getpid() in {place for place, _ in results}) is (executor.workers == 1)


def test_in_this_process_a_task_begins_when_its_result_is_asked_for() -> None:
    begun: list[int] = []
    results = InProcess().map(begun.append, range(5))
    assert next(results) == (0, None)
    assert begun == [0]


def test_processes_give_results_in_the_order_in_which_they_end() -> None:
    assert [item for item, _ in Processes(2).map(sleep, [1.0, 0.0])] == [0.0, 1.0]


def test_processes_have_one_thread_of_torch_each() -> None:
    assert [threads for _, threads in Processes(2).map(thread_count, range(2))] == [1, 1]


def test_a_process_that_is_killed_ends_the_work_with_a_clear_error() -> None:
    with pytest.raises(StorageError, match="A worker process was killed"):
        list(Processes(2).map(partial(die, os.getpid()), range(4)))


def test_a_stream_goes_on_with_new_processes_after_one_was_killed() -> None:
    waiting = [1, 0, 2, 3]
    begin: list[int] = []

    def next_item() -> int | None:
        return waiting.pop(0) if waiting else None

    lost = []
    for item, result in Processes(2).stream(partial(die, os.getpid()), next_item):
        if isinstance(result, WorkerLost):
            lost.append(item)
        else:
            assert result == item
            begin.append(item)
    assert 1 in lost
    assert set(begin) | set(lost) == {0, 1, 2, 3}
    assert {2, 3} <= set(begin)


def test_a_stream_ends_at_once_when_the_time_is_over() -> None:
    begin = time.monotonic()
    waiting: list[float] = [0.0, 600.0, 600.0]
    ended: list[float] = []

    def next_item() -> float | None:
        return waiting.pop(0) if waiting else None

    for item, _ in Processes(2).stream(sleep, next_item, over=lambda: bool(ended)):
        ended.append(item)
    assert ended == [0.0]
    assert time.monotonic() - begin < 60


def test_a_stream_asks_again_while_others_compute() -> None:
    answers = iter([0.8, None, 0.0])
    ended = [item for item, _ in Processes(2).stream(sleep, lambda: next(answers, None))]
    assert ended == [0.0, 0.8]


def train(
    trial: Trial, seed: int, state: Any, *, first: int, steps: int, stop: Callable[[], bool]
) -> dict[str, float] | None:
    if stop():
        return None
    before = state or {"steps": 0, "gap": 0.0}
    assert before["steps"] == first
    return {"steps": first + steps, "gap": before["gap"] + (seed + 1) * steps * float(trial.payload)}


def evaluate(trial: Trial, state: Any) -> float:
    return -float(state["gap"])


def sweep(folder: Path, executor: Executor) -> SweepResult:
    trials = [make_trial(f"trial {number}") for number in range(9)]
    for number, trial in enumerate(trials):
        trial.payload = number
    reference = make_trial("clean")
    reference.payload = 0
    # Steps and evaluations are said to take long, so that there are few of them; they take none.
    costs = Costs(1.0, 1.0)
    store = SweepStore(folder, key_of("sweep"), states=pickle, evaluations=pickle)
    store.decisions.keep("plan", {"seeds": 2, "start_steps": 5, "rungs": [[9, 10]]})
    store.decisions.keep("steps and halvings of rung 0", [10, 0])
    store.decisions.keep("steps and halvings of rung 1", [20, 0])
    store.decisions.keep("steps and halvings of rung 2", [0, 0])
    return run_sweep(
        trials, reference=reference, train=train, evaluate=evaluate, order=by_loss, budget=Budget(600, costs),
        store=store, executor=executor,
    )  # fmt: skip


def test_a_sweep_in_processes_gives_the_numbers_of_one_in_this_process(tmp_path: Path) -> None:
    alone = sweep(tmp_path / "alone", InProcess())
    spread = sweep(tmp_path / "spread", Processes(2))
    assert alone.rungs[0].trials == 9
    assert alone.trials["trial 8"].rung == 2
    assert alone.trials["trial 1"].rung == 1
    for name, trial in alone.trials.items():
        other = spread.trials[name]
        assert (trial.evaluations, trial.reference, trial.rung, trial.steps, trial.status) == (
            other.evaluations, other.reference, other.rung, other.steps, other.status,
        )  # fmt: skip
    assert alone.steps == spread.steps
