"""The halving on simulated learning curves and a clock of its own: training and reading are made up."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eyeshot.augment import augmentations
from eyeshot.core.errors import ModelError
from eyeshot.rankings.augmentations import short_runs
from eyeshot.rankings.augmentations.halving import RESERVE, Costs
from eyeshot.rankings.augmentations.reading import Reading
from eyeshot.rankings.augmentations.short_run_store import ShortRunStore
from eyeshot.rankings.augmentations.short_runs import CLEAN_FAILED, NO_TURN, CandidateRun, ShortRuns, run_short
from eyeshot.training import TrainSettings

NAMES = [one.name for one in augmentations() if one.family in ("geometric", "colour")][:16]
STEP_S, READ_S = 0.1, 0.3


class Kill(Exception):
    """What stands for `kill -9`."""


class World:
    """Training that only counts steps, on a clock that it moves itself.

    `final` is each candidate's loss in the long run; all start at 1 and come nearer by their steps.
    """

    def __init__(self, final: dict[str, float], *, slower=lambda now: 1.0, kill_at: int | None = None) -> None:
        self.now, self.final, self.slower = 0.0, final, slower
        self.calls, self.kill_at = 0, kill_at
        self.steps_begun: list[float] = []
        self.fails: set[str] = set()

    def clock(self) -> float:
        return self.now

    def spend(self, seconds: float) -> None:
        self.now += seconds * self.slower(self.now)

    def maybe_die(self) -> None:
        self.calls += 1
        if self.calls == self.kill_at:
            raise Kill

    def train_steps(self, backbone, pool, labels, state, *, augmentations, settings, first, count, stop, **_):
        self.maybe_die()
        name = augmentations[0].name if augmentations else "clean"
        assert float(state["steps"]) == first
        for _step in range(count):
            if stop():
                return None
            self.steps_begun.append(self.now)
            self.spend(STEP_S)
        if name in self.fails:
            raise ModelError(f"{name} diverged")
        gap = float(state["gap"]) if name != "clean" else 0.0
        gap += count * (1 - self.final.get(name, 1.0))
        return {"steps": torch.tensor(float(first + count)), "gap": torch.tensor(gap)}

    def read_state(self, desk, state, *, hidden):
        self.maybe_die()
        self.spend(READ_S)
        loss = 10.0 - float(state["gap"]) / 100
        return Reading(
            np.full(8, loss), np.ones(8, bool), np.ones(8, bool) if hidden else np.empty(0, bool),
            0.5, np.full(4, 0.5), 1.0, 1.0,
        )  # fmt: skip

    def spend_budget(self, folder, budget_s: float, names=NAMES, harder=()) -> ShortRuns:
        by_name = {one.name: one for one in augmentations()}
        training = SimpleNamespace(
            pool=None, labels=None, state={"steps": torch.tensor(0.0), "gap": torch.tensor(0.0)},
            settings=TrainSettings(), base=(),
        )  # fmt: skip
        desk = SimpleNamespace(backbone=None, class_count=2, device="cpu")
        lists = {"ranked": [by_name[name] for name in names]}
        if harder:
            lists["regulariser"] = [by_name[name] for name in harder]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(short_runs, "train_steps", self.train_steps)
            patch.setattr(short_runs, "read_state", self.read_state)
            return run_short(
                desk, training, lists,
                order=by_loss, budget_s=budget_s, costs=Costs(STEP_S, READ_S), store=ShortRunStore(folder),
                clock=self.clock,
            )  # fmt: skip


def told(found: ShortRuns) -> dict[str, tuple]:
    return {name: (run.steps, run.rounds, run.ended, len(run.readings)) for name, run in found.runs.items()}


def by_loss(kind: str, names, runs) -> list[str]:
    def loss(name: str) -> float:
        readings = runs.get(name, CandidateRun()).readings
        return float(np.mean([one.log_loss.mean() for one in readings])) if readings else 99.0

    return sorted(names, key=loss)


def curves(seed: int) -> dict[str, float]:
    random = np.random.default_rng(seed)
    return dict(zip(NAMES, random.permutation(np.linspace(0.2, 1.2, len(NAMES))), strict=True))


seeds = st.integers(0, 10**6)
few = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@few
@given(seeds, st.floats(30, 2000))
def test_the_best_curve_gets_the_most_steps_and_losers_the_fewest(tmp_path_factory, seed, budget_s):
    final = curves(seed)
    found = World(final).spend_budget(tmp_path_factory.mktemp("runs"), budget_s)
    order = sorted(NAMES, key=final.get)
    steps = [found.runs[name].steps for name in order]
    assert steps == sorted(steps, reverse=True)
    assert all(run.rounds >= 1 and run.ended is None for run in found.runs.values())
    for before, after in zip(found.rounds, found.rounds[1:], strict=False):
        assert after.candidates in (max(4, -(-before.candidates // 2)), max(4, -(-before.candidates // 4)), 4)


@few
@given(seeds, st.floats(30, 2000))
def test_clean_and_candidate_are_read_after_as_many_steps_from_as_many_starts(tmp_path_factory, seed, budget_s):
    found = World(dict.fromkeys(NAMES, 1.0)).spend_budget(tmp_path_factory.mktemp("runs"), budget_s)
    for run in found.runs.values():
        assert len(run.readings) == len(run.clean) == found.starts
        # A candidate that learns as clean does shows no gain at all.
        for one, clean in zip(run.readings, run.clean, strict=True):
            assert (one.log_loss == clean.log_loss).all()


@few
@given(seeds, st.floats(60, 1000), st.floats(1, 4), st.floats(0, 1))
def test_the_budget_is_kept_within_five_percent_under_load(tmp_path_factory, seed, budget_s, factor, since):
    """Other work makes everything slower from some moment on; no step begins within the reserve."""
    world = World(curves(seed), slower=lambda now: factor if now > since * budget_s else 1.0)
    found = world.spend_budget(tmp_path_factory.mktemp("runs"), budget_s)
    assert found.used_s == pytest.approx(world.now)
    assert world.now <= budget_s * 1.05
    assert max(world.steps_begun) <= budget_s * (1 - RESERVE)
    assert set(found.runs) == set(NAMES)


@few
@given(seeds, st.floats(60, 1000))
def test_most_of_the_budget_is_used(tmp_path_factory, seed, budget_s):
    world = World(curves(seed))
    world.spend_budget(tmp_path_factory.mktemp("runs"), budget_s)
    assert world.now >= 0.7 * budget_s


@few
@given(seeds, st.lists(st.integers(1, 60), min_size=1, max_size=3))
def test_a_run_that_is_killed_and_continued_ends_as_one_that_was_not(tmp_path_factory, seed, kills):
    whole = World(curves(seed)).spend_budget(tmp_path_factory.mktemp("whole"), 120)
    folder = tmp_path_factory.mktemp("killed")
    for kill_at in kills:
        try:
            World(curves(seed), kill_at=kill_at).spend_budget(folder, 120)
        except Kill:
            continue
    found = World(curves(seed)).spend_budget(folder, 120)
    assert [(one.candidates, one.steps) for one in found.rounds][:1] == [
        (one.candidates, one.steps) for one in whole.rounds
    ][:1]
    first = min(run.rounds for run in whole.runs.values())
    for name in NAMES:
        if whole.runs[name].rounds == first == found.runs[name].rounds:
            assert found.runs[name].steps == whole.runs[name].steps
            for one, other in zip(found.runs[name].readings, whole.runs[name].readings, strict=True):
                assert (one.log_loss == other.log_loss).all()
    assert not [path for path in folder.glob("*.safetensors") if not path.name.startswith("start")]
    # Once more: nothing is left to do.
    again = World(curves(seed))
    last = again.spend_budget(folder, 120)
    assert not again.steps_begun
    assert {name: run.steps for name, run in last.runs.items()} == {name: run.steps for name, run in found.runs.items()}


def test_a_candidate_that_diverges_is_reported_and_the_others_go_on(tmp_path):
    world = World(curves(0))
    world.fails = {NAMES[3]}
    found = world.spend_budget(tmp_path, 200)
    assert found.runs[NAMES[3]].ended == f"{NAMES[3]} diverged"
    assert not found.runs[NAMES[3]].readings
    others = [found.runs[name] for name in NAMES if name != NAMES[3]]
    assert all(run.ended is None and run.readings for run in others)
    assert found.ended is None
    again = World(curves(0))
    repeated = again.spend_budget(tmp_path, 200)
    assert not again.calls
    assert told(repeated) == told(found)
    assert (repeated.rounds, repeated.steps, repeated.used_s) == (found.rounds, found.steps, found.used_s)


def test_a_candidate_that_diverges_in_a_later_round_keeps_what_it_had(tmp_path):
    final = curves(0)
    best = min(final, key=final.get)

    class Later(World):
        def train_steps(self, *given, augmentations, **more):
            self.fails = {best} if [one.name for one in augmentations] == [best] and self.now > 80 else set()
            return super().train_steps(*given, augmentations=augmentations, **more)

    found = Later(final).spend_budget(tmp_path, 200)
    assert found.runs[best].ended == f"{best} diverged"
    assert 1 <= found.runs[best].rounds < max(run.rounds for run in found.runs.values())
    assert len(found.runs[best].readings) == len(found.runs[best].clean) == found.starts
    again = World(final)
    assert told(again.spend_budget(tmp_path, 200)) == told(found)
    assert not again.calls


def test_where_clean_diverges_all_runs_end_with_the_reason(tmp_path):
    world = World(curves(0))
    world.fails = {"clean"}
    found = world.spend_budget(tmp_path, 200)
    assert "clean diverged" in found.ended
    assert {run.ended for run in found.runs.values()} == {CLEAN_FAILED}
    again = World(curves(0))
    assert again.spend_budget(tmp_path, 200).ended == found.ended
    assert not again.calls


def test_where_the_machine_stalls_in_the_first_round_those_without_a_turn_say_so(tmp_path):
    world = World(curves(0), slower=lambda now: 1.0 if now < 40 else 30.0)
    found = world.spend_budget(tmp_path, 120)
    ended = Counter(run.ended for run in found.runs.values())
    assert ended[NO_TURN] > 0
    assert ended[None] > 0
    assert world.now <= 120 * 1.05 + 30 * READ_S


def test_each_list_is_halved_on_its_own_and_only_the_harder_one_is_read_half_hidden(tmp_path):
    harder = [one.name for one in augmentations("masking")][:6]
    # All of the harder ones are worse than all others, and four of them go on all the same.
    final = curves(0) | {name: 3.0 + number for number, name in enumerate(harder)}
    found = World(final).spend_budget(tmp_path, 600, harder=harder)
    left = max(run.rounds for run in found.runs.values())
    assert sum(found.runs[name].rounds == left for name in harder) == 4
    assert sum(found.runs[name].rounds == left for name in NAMES) == 4
    assert all(len(found.runs[name].readings[0].hidden_right) for name in harder)
    assert not any(len(found.runs[name].readings[0].hidden_right) for name in NAMES)
    assert all(len(one.hidden_right) for one in found.before)
