"""A sweep on simulated learning curves and a clock of its own: training and evaluating are made up."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from simulated import EVALUATE_S, NAMES, STEP_S, Kill, World, curves, outcome

from eyeshot.sweep import NO_TURN, RESERVE

seeds = st.integers(0, 10**6)
few = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
Folders = pytest.TempPathFactory


@few
@given(seeds, st.floats(30, 2000))
def test_the_best_curve_gets_the_most_steps_and_losers_the_fewest(
    tmp_path_factory: Folders, seed: int, budget_s: float
) -> None:
    final = curves(seed)
    result = World(final).sweep(tmp_path_factory.mktemp("runs"), budget_s)
    order = sorted(NAMES, key=lambda name: final[name])
    steps = [result.trials[name].steps for name in order]
    assert steps == sorted(steps, reverse=True)
    assert all(trial.rung >= 1 and trial.ended is None for trial in result.trials.values())
    for before, after in pairwise(result.rungs):
        assert after.trials in (max(4, -(-before.trials // 2)), max(4, -(-before.trials // 4)), 4)
    last = max(trial.rung for trial in result.trials.values())
    assert all((trial.status == "finished") is (trial.rung == last) for trial in result.trials.values())


@few
@given(seeds, st.floats(30, 2000))
def test_reference_and_trial_are_evaluated_after_as_many_steps_from_as_many_seeds(
    tmp_path_factory: Folders, seed: int, budget_s: float
) -> None:
    result = World(dict.fromkeys(NAMES, 1.0)).sweep(tmp_path_factory.mktemp("runs"), budget_s)
    for trial in result.trials.values():
        assert len(trial.evaluations) == len(trial.reference) == result.seeds
        # A trial that learns as the reference does shows no gain at all.
        assert trial.evaluations == trial.reference


@few
@given(seeds, st.floats(60, 1000), st.floats(1, 4), st.floats(0, 1))
def test_the_budget_is_kept_within_five_percent_under_load(
    tmp_path_factory: Folders, seed: int, budget_s: float, factor: float, since: float
) -> None:
    """Other work makes everything slower from some moment on; no step begins within the reserve."""
    world = World(curves(seed), slower=lambda now: factor if now > since * budget_s else 1.0)
    result = world.sweep(tmp_path_factory.mktemp("runs"), budget_s)
    assert result.used_s == pytest.approx(world.now)
    assert world.now <= budget_s * 1.05
    assert max(world.steps_begun) <= budget_s * (1 - RESERVE)
    assert set(result.trials) == set(NAMES)


@few
@given(seeds, st.floats(60, 1000))
def test_most_of_the_budget_is_used(tmp_path_factory: Folders, seed: int, budget_s: float) -> None:
    world = World(curves(seed))
    world.sweep(tmp_path_factory.mktemp("runs"), budget_s)
    assert world.now >= 0.7 * budget_s


@few
@given(seeds, st.lists(st.integers(1, 60), min_size=1, max_size=3))
def test_a_sweep_that_is_killed_and_continued_ends_as_one_that_was_not(
    tmp_path_factory: Folders, seed: int, kills: list[int]
) -> None:
    whole = World(curves(seed)).sweep(tmp_path_factory.mktemp("whole"), 120)
    folder = tmp_path_factory.mktemp("killed")
    trained: list[Any] = []
    for kill_at in kills:
        killed = World(curves(seed), kill_at=kill_at)
        try:
            killed.sweep(folder, 120)
        except Kill:
            trained += killed.trained
            continue
        trained += killed.trained
    world = World(curves(seed))
    result = world.sweep(folder, 120)
    # No state that was stored is trained again.
    assert max(Counter([*trained, *world.trained]).values()) == 1
    assert [(rung.trials, rung.steps) for rung in result.rungs][:1] == [
        (rung.trials, rung.steps) for rung in whole.rungs
    ][:1]
    first = min(trial.rung for trial in whole.trials.values())
    for name in NAMES:
        if whole.trials[name].rung == first == result.trials[name].rung:
            assert result.trials[name].steps == whole.trials[name].steps
            assert result.trials[name].evaluations == whole.trials[name].evaluations
    # Once more: nothing is left to do.
    again = World(curves(seed))
    last = again.sweep(folder, 120)
    assert not again.calls
    assert outcome(last) == outcome(result)
    assert (last.rungs, last.steps, last.used_s, last.before) == (
        result.rungs, result.steps, result.used_s, result.before,
    )  # fmt: skip


def test_only_trials_that_went_to_the_last_rung_keep_a_state(tmp_path: Path) -> None:
    result = World(curves(0)).sweep(tmp_path, 200)
    kept = {
        file.parent.name for file in tmp_path.glob("trials/*/*.state") if file.name.count("-") > 1
    }  # fmt: skip
    last = {trial.id for trial in result.trials.values() if trial.status == "finished"}
    assert last
    assert kept - last == {trial for trial in kept if trial not in {each.id for each in result.trials.values()}}
    assert len(kept - last) == 1  # the reference


def test_large_states_are_not_kept_after_the_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eyeshot.sweep.run.KEPT_STATES_BYTES", 100)
    World(curves(0)).sweep(tmp_path, 200)
    # Those of the shared start stay: all trials begin there.
    assert {file.name.count("-") for file in tmp_path.glob("trials/*/*.state")} == {1}


def test_one_more_trial_voids_nothing(tmp_path: Path) -> None:
    final = curves(0)
    first = World(final)
    first.sweep(tmp_path, 120, NAMES[:-1])
    second = World(final)
    result = second.sweep(tmp_path, 120)
    # In the first rung the new one alone is trained; all others were there.
    begun = first.trained[0][3]
    assert {name for name, _, at, _ in second.trained if at == begun} == {NAMES[-1]}
    assert {name for name, _, at, _ in second.trained if at == 0} == set()
    assert not set(first.trained) & set(second.trained)
    assert all(trial.evaluations for trial in result.trials.values())


def test_a_larger_budget_goes_on_from_what_was_trained(tmp_path: Path) -> None:
    final = curves(0)
    first = World(final)
    less = first.sweep(tmp_path, 120)
    second = World(final)
    more = second.sweep(tmp_path, 180)
    assert not set(first.trained) & set(second.trained)
    assert more.rungs[0].steps == less.rungs[0].steps
    assert sum(trial.steps for trial in more.trials.values()) > sum(trial.steps for trial in less.trials.values())
    # What was there already left its time to later rungs.
    alone = World(final).sweep(tmp_path / "alone", 180)
    assert max(trial.steps for trial in more.trials.values()) >= max(trial.steps for trial in alone.trials.values())


def test_a_much_larger_budget_begins_with_longer_rungs(tmp_path: Path) -> None:
    less = World(curves(0)).sweep(tmp_path, 60)
    more = World(curves(0)).sweep(tmp_path, 2000)
    assert more.rungs[0].steps > 2 * less.rungs[0].steps


def test_the_sweep_before_stays_as_it_was_after_another_on_the_same_trials(tmp_path: Path) -> None:
    slow = World(curves(0), slower=lambda now: 1.0 if now < 40 else 30.0)
    before = slow.sweep(tmp_path, 120)
    assert NO_TURN in {trial.ended for trial in before.trials.values()}
    World(curves(0)).sweep(tmp_path, 600)
    again = World(curves(0))
    assert outcome(again.sweep(tmp_path, 120)) == outcome(before)
    assert not again.calls


@pytest.mark.parametrize("what", ["*.state", "*.evaluation"])
def test_damaged_files_are_made_again(tmp_path: Path, what: str) -> None:
    budget_s = 120
    whole = World(curves(0)).sweep(tmp_path / "whole", budget_s)
    with pytest.raises(Kill):
        World(curves(0), kill_at=60).sweep(tmp_path / "damaged", budget_s)
    for number, file in enumerate(sorted(tmp_path.glob(f"damaged/trials/*/{what}"))):
        content = file.read_bytes()
        file.write_bytes((b"", content[: len(content) // 2], bytes(len(content)))[number % 3])
    result = World(curves(0)).sweep(tmp_path / "damaged", budget_s)
    for name, trial in result.trials.items():
        assert trial.evaluations
        if trial.rung == whole.trials[name].rung == 1:
            assert trial.evaluations == whole.trials[name].evaluations


def test_a_trial_that_diverges_is_reported_and_the_others_go_on(tmp_path: Path) -> None:
    world = World(curves(0))
    world.fails = {NAMES[3]}
    result = world.sweep(tmp_path, 200)
    assert result.trials[NAMES[3]].ended == f"{NAMES[3]} diverged"
    assert result.trials[NAMES[3]].status == "failed"
    assert not result.trials[NAMES[3]].evaluations
    # It is not trained from the other seeds too.
    assert sum(name == NAMES[3] for name, *_ in world.trained) == 1
    others = [result.trials[name] for name in NAMES if name != NAMES[3]]
    assert all(trial.ended is None and trial.evaluations for trial in others)
    assert result.ended is None
    again = World(curves(0))
    repeated = again.sweep(tmp_path, 200)
    assert not again.calls
    assert outcome(repeated) == outcome(result)
    assert (repeated.rungs, repeated.steps, repeated.used_s) == (result.rungs, result.steps, result.used_s)


def test_a_failure_that_need_not_come_again_is_tried_again_by_another_sweep(tmp_path: Path) -> None:
    def full(error: Exception) -> str | None:
        return "no room" if isinstance(error, MemoryError) else None

    world = World(curves(0))
    world.fails, world.error = {NAMES[3]}, MemoryError()
    result = world.sweep(tmp_path, 200, passing_failure=full)
    assert result.trials[NAMES[3]].ended == "no room"
    same = World(curves(0)).sweep(tmp_path, 200, passing_failure=full)
    assert outcome(same) == outcome(result)
    assert World(curves(0)).sweep(tmp_path, 210).trials[NAMES[3]].ended is None


def test_an_error_that_is_no_matter_of_a_trial_ends_the_sweep(tmp_path: Path) -> None:
    world = World(curves(0))
    world.fails, world.error = {NAMES[3]}, RuntimeError("lost")
    with pytest.raises(RuntimeError, match="lost"):
        world.sweep(tmp_path, 200)
    assert World(curves(0)).sweep(tmp_path, 200).trials[NAMES[3]].ended is None


def test_a_trial_that_diverges_in_a_later_rung_keeps_what_it_had(tmp_path: Path) -> None:
    final = curves(0)
    best = min(final, key=lambda name: final[name])

    class Later(World):
        def train(self, trial: Any, *given: Any, **more: Any) -> Any:
            self.fails = {best} if trial.name == best and self.now > 80 else set()
            return super().train(trial, *given, **more)

    result = Later(final).sweep(tmp_path, 200)
    assert result.trials[best].ended == f"{best} diverged"
    assert 1 <= result.trials[best].rung < max(trial.rung for trial in result.trials.values())
    assert len(result.trials[best].evaluations) == len(result.trials[best].reference) == result.seeds
    again = World(final)
    assert outcome(again.sweep(tmp_path, 200)) == outcome(result)
    assert not again.calls


def test_where_the_reference_diverges_all_trials_end_with_the_reason(tmp_path: Path) -> None:
    world = World(curves(0))
    world.fails = {"clean"}
    result = world.sweep(tmp_path, 200)
    assert result.ended == "clean diverged"
    assert {trial.ended for trial in result.trials.values()} == {"training of clean failed"}
    again = World(curves(0))
    assert again.sweep(tmp_path, 200).ended == result.ended
    assert not again.calls


def test_where_the_machine_stalls_in_the_first_rung_those_without_a_turn_say_so(tmp_path: Path) -> None:
    world = World(curves(0), slower=lambda now: 1.0 if now < 40 else 30.0)
    result = world.sweep(tmp_path, 120)
    ended = Counter(trial.ended for trial in result.trials.values())
    assert ended[NO_TURN] > 0
    assert ended[None] > 0
    assert world.now <= 120 * 1.05 + 30 * EVALUATE_S


def test_where_not_one_step_of_each_fits_nothing_is_trained(tmp_path: Path) -> None:
    world = World(curves(0))
    result = world.sweep(tmp_path, 17 * (STEP_S + EVALUATE_S))
    assert world.calls == 0
    assert (result.rungs, result.steps, result.ended) == ([], 0, None)
    assert {trial.ended for trial in result.trials.values()} == {NO_TURN}


def test_each_group_is_halved_on_its_own_and_only_the_one_that_asks_measures_more(tmp_path: Path) -> None:
    others = [f"other {number}" for number in range(6)]
    # All of the other ones are worse than all first, and four of them go on all the same.
    world = World(curves(0) | {name: 3.0 + number for number, name in enumerate(others)})
    result = world.sweep(tmp_path, 600, others=others)
    left = max(trial.rung for trial in result.trials.values())
    assert sum(result.trials[name].rung == left for name in others) == 4
    assert sum(result.trials[name].rung == left for name in NAMES) == 4
    measured = {name for name, measures in world.evaluated if measures == "more"}
    assert measured == {"clean", *others}
    # An evaluation that measures less is not taken for one that measures more.
    second = World(world.final)
    moved = second.sweep(tmp_path, 600, names=NAMES[:8], others=NAMES[8:])
    assert {name for name, measures in second.evaluated if measures == "more"} >= set(NAMES[8:])
    assert all(moved.trials[name].evaluations for name in NAMES)


def test_losses_are_those_of_the_steps(tmp_path: Path) -> None:
    """A check of the simulation: what is evaluated follows from the steps alone."""
    final = curves(3)
    for name, trial in World(final).sweep(tmp_path, 100).trials.items():
        assert trial.evaluations == pytest.approx(
            np.full(len(trial.evaluations), 10 - trial.steps * (1 - final[name]) / 100)
        )
