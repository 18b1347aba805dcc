"""Short paired runs under a budget: every candidate from the same starts, then the better half goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from eyeshot.augment import Augmentation, Pool
from eyeshot.core import SILENT, ModelError, Progress
from eyeshot.models import out_of_memory
from eyeshot.rankings.augmentations.halving import (
    FEWEST_LEFT,
    LEAST_STEPS,
    RESERVE,
    Costs,
    HalvingPlan,
    RoundPlan,
    plan_halving,
    steps_within,
    survivors,
)
from eyeshot.rankings.augmentations.reading import Desk, Reading, read_state
from eyeshot.rankings.augmentations.report import Round
from eyeshot.rankings.augmentations.short_run_store import ShortRunStore
from eyeshot.training import State, TrainConfig, train_steps

CLEAN = "clean"
LAST_ROUND_RESERVE = 0.1
"""Of the time that is left: no later round makes up for slow steps of the last one."""
ONLY_ROUND_RESERVE = 0.25
"""The same where the first is the last: steps were only estimated, and everyone should get a turn."""
BEFORE = -1
"""The round before the first."""
NO_TURN = "the budget was over before its turn"
CLEAN_FAILED = "training on clean images failed"
END_OF_CLEAN = "end of clean training"


@dataclass(frozen=True, eq=False)
class CandidateRun:
    """What a candidate's short runs brought.

    Attributes:
        readings: its latest, one a start; empty where it never came to one.
        clean: those of clean after as many steps from the same starts.
        steps: from each start, without those of the start itself.
        rounds: that it took part in.
        ended: why it ended early, or None.
    """

    readings: tuple[Reading, ...] = ()
    clean: tuple[Reading, ...] = ()
    steps: int = 0
    rounds: int = 0
    ended: str | None = None


@dataclass(eq=False)
class ShortRuns:
    """All short runs.

    Attributes:
        runs: by candidate.
        before: readings of the starts, with hidden images.
        rounds: what was done.
        steps: of the network in all, clean and all starts counted.
        starts: how many.
        used_s: seconds.
        ended: why all of them ended, where training on clean images failed.
    """

    runs: dict[str, CandidateRun] = field(default_factory=dict)
    before: tuple[Reading, ...] = ()
    rounds: list[Round] = field(default_factory=list)
    steps: int = 0
    starts: int = 0
    used_s: float = 0.0
    ended: str | None = None


@dataclass(frozen=True, eq=False)
class Training:
    """What short runs train with.

    Attributes:
        pool, labels: N training images and int64 (N,) their classes.
        state: of a classifier, where the starts begin.
        settings: batch size, learning rate, weight decay, seed.
        base: what goes before every candidate.
    """

    pool: Pool
    labels: NDArray[np.int64]
    state: State
    settings: TrainConfig
    base: tuple[Augmentation, ...] = ()


Order = Callable[[str, Sequence[str], Mapping[str, CandidateRun]], list[str]]


def run_short(
    desk: Desk,
    training: Training,
    lists: Mapping[str, Sequence[Augmentation]],
    *,
    order: Order,
    budget_s: float,
    costs: Costs,
    store: ShortRunStore,
    progress: Progress = SILENT,
    clock: Callable[[], float] = time.monotonic,
) -> ShortRuns:
    """Spend the budget.

    Args:
        desk: what every state is read with.
        training: what all runs train with.
        lists: candidates by list, first to last as known so far; each list is halved on its own. Those of "harder"
            are read on partly hidden images too.
        order: called with (list, names, runs so far), gives these names from first to last.
        budget_s: seconds, those of earlier sittings in `store` included; no step begins in the last 4 %.
        costs: of a step and a reading; later rounds go by what earlier ones took.
        store: where everything is kept, so that the same call continues; no other process may use it meanwhile.
        progress: told the seconds used, and the budget.
        clock: seconds.

    Raises:
        InputError: not one step of every candidate fits into the budget.
        StorageError: the disk is full.
    """
    return _Halving(desk, training, lists, order, budget_s, costs, store, progress, clock).spend()


class _Over(Exception):
    """The budget is spent."""


class _Halving:
    """One pass over the budget: its clock, and what is alive."""

    def __init__(
        self,
        desk: Desk,
        training: Training,
        lists: Mapping[str, Sequence[Augmentation]],
        order: Order,
        budget_s: float,
        costs: Costs,
        store: ShortRunStore,
        progress: Progress,
        clock: Callable[[], float],
    ) -> None:
        self.desk, self.training, self.order, self.store = desk, training, order, store
        self.progress = progress.sub("seconds of short runs")
        self.budget_s, self.costs = budget_s, costs
        self.clock, self.before_s, self.begin = clock, store.seconds(), clock()
        self.counted = self.begin
        self.alive = {name: [one.name for one in some] for name, some in lists.items()}
        self.augmentations = {one.name: one for some in lists.values() for one in some}
        self.found = ShortRuns()
        self.starts: list[State] = []
        self.clean_s: list[float] = []
        self.step_s: list[float] = []
        self.read_s: list[float] = []

    @property
    def used_s(self) -> float:
        return self.before_s + self.clock() - self.begin

    def over(self) -> bool:
        return self.used_s >= self.budget_s * (1 - RESERVE)

    def spend(self) -> ShortRuns:
        plan = self._plan()
        self.found.starts = plan.starts
        self.found.ended = self.store.decision(END_OF_CLEAN)
        try:
            self._make_starts(plan)
            done, number = plan.start_steps, 0
            while steps := self._steps_of(plan, number):
                going = sum(map(len, self.alive.values()))
                begin = self._moment(f"begin of round {number}")
                try:
                    self._run_round(plan, number, first=done, steps=steps)
                finally:
                    took = self._moment(f"end of round {number}") - begin
                    self.found.rounds.append(Round(stage="network", candidates=going, steps=steps, seconds=took))
                done += steps
                number += 1
                self._halve(plan)
        except _Over:
            pass
        except (ModelError, RuntimeError) as error:
            self.found.ended = f"Short runs ended, since clean training failed: {_failure(error)}"
            self.store.decide(END_OF_CLEAN, self.found.ended)
        for name in self.augmentations:
            self.found.runs.setdefault(name, CandidateRun(ended=CLEAN_FAILED if self.found.ended else NO_TURN))
        if not self.store.decision("finished"):
            self._count()
            self.store.decide("finished", True)
        self.store.drop_states([CLEAN, *self.augmentations], plan.starts)
        self.found.used_s = self.store.seconds()
        return self.found

    def _moment(self, name: str) -> float:
        """Seconds used at a moment that is kept, so that the same call again says the same."""
        kept = self.store.decision(name)
        if kept is None:
            kept = self.used_s
            self.store.decide(name, kept)
        return float(kept)

    def _plan(self) -> HalvingPlan:
        stored = self.store.decision("plan")
        if stored is None:
            plan = plan_halving([len(names) for names in self.alive.values()], self.budget_s, self.costs)
            stored = {
                "starts": plan.starts,
                "start_steps": plan.start_steps,
                "rounds": [[one.candidates, one.steps] for one in plan.rounds],
            }
            self.store.decide("plan", stored)
        rounds = tuple(RoundPlan(*one) for one in stored["rounds"])
        return HalvingPlan(stored["starts"], stored["start_steps"], rounds)

    def _steps_of(self, plan: HalvingPlan, number: int) -> int:
        """Steps of a round, from what the rounds before it took; after the planned ones, what time is left for.

        Where that is too little for all that are left, it goes to the better half of them.
        """
        name = f"steps and halvings of round {number}"
        stored = self.store.decision(name)
        if stored is None:
            left = self.budget_s * (1 - RESERVE) - self.used_s
            share = left / max(1, len(plan.rounds) - number)
            if number + 1 >= len(plan.rounds):
                share *= 1 - (LAST_ROUND_RESERVE if number else ONLY_ROUND_RESERVE)
            alive = [len(names) for names in self._ordered().values()]
            steps, halvings = self._steps_for(share, alive, plan.starts), 0
            while number >= len(plan.rounds) and steps < LEAST_STEPS and max(alive, default=0) > FEWEST_LEFT:
                alive = [len(survivors([""] * count)) for count in alive]
                steps, halvings = self._steps_for(share, alive, plan.starts), halvings + 1
            if number == 0:
                steps = max(1, steps)
            elif number >= len(plan.rounds) and steps < LEAST_STEPS:
                steps, halvings = 0, 0
            stored = [steps, halvings]
            self.store.decide(name, stored)
        for _ in range(stored[1]):
            self._halve(plan)
        return int(stored[0])

    def _steps_for(self, share_s: float, alive: Sequence[int], starts: int) -> int:
        count = sum(alive)
        return max(0, steps_within(share_s, count, starts, self._costs_so_far())) if count else 0

    def _costs_so_far(self) -> Costs:
        """What was measured; before the first round only clean steps were, so views are scaled as these."""
        costs = self.costs
        read_s = float(np.mean(self.read_s)) if self.read_s else costs.read_s
        if self.step_s:
            return Costs(float(np.mean(self.step_s)), read_s)
        slower = float(np.mean(self.clean_s)) / costs.step_s if self.clean_s else 1.0
        return Costs(costs.step_s * slower, read_s, costs.views_s * slower)

    def _make_starts(self, plan: HalvingPlan) -> None:
        """States that all runs begin at, the same images in another order for each; read as they are."""
        before = []
        for start in range(plan.starts):
            self._say(f"start {start + 1} of {plan.starts}")
            kept = self.store.state("start", start)
            if kept is None:
                state = self._train(self.training.state, (), start, first=0, steps=plan.start_steps)
                self.store.keep_state("start", start, BEFORE, state)
                self._count()
            else:
                state = kept[0]
            self.starts.append(state)
            self.found.steps += plan.start_steps
            before.append(self._read("start", start, BEFORE, state, hidden=self._hidden(CLEAN)))
        self.found.before = tuple(before)

    def _run_round(self, plan: HalvingPlan, number: int, *, first: int, steps: int) -> None:
        clean = self._run(CLEAN, plan, number, first=first, steps=steps)
        ordered = [name for names in self._ordered().values() for name in names]
        for place, name in enumerate(ordered):
            self._say(f"round {number + 1}, {place + 1} of {len(ordered)}: {name}")
            before = self.found.runs.get(name, CandidateRun())
            end = f"end of {name} in round {number}"
            ended = self.store.decision(end)
            try:
                readings = () if ended else self._run(name, plan, number, first=first, steps=steps)
            except (ModelError, RuntimeError) as error:
                ended = _failure(error)
                self.store.decide(end, ended)
            if ended:
                self.found.runs[name] = replace(before, ended=ended)
                continue
            trained = first + steps - plan.start_steps
            self.found.runs[name] = CandidateRun(readings, clean, trained, number + 1)

    def _run(self, name: str, plan: HalvingPlan, number: int, *, first: int, steps: int) -> tuple[Reading, ...]:
        """One candidate through one round, from every start."""
        readings = []
        for start in range(plan.starts):
            stored = self.store.reading(name, start, number)
            if stored is None:
                latest = self.store.state(name, start) or (self.starts[start], BEFORE)
                state = latest[0]
                if latest[1] != number:  # else it was killed between training and reading
                    augmentations = () if name == CLEAN else (self.augmentations[name],)
                    state = self._train(state, augmentations, start, first=first, steps=steps)
                    self.store.keep_state(name, start, number, state)
                stored = self._read(name, start, number, state, hidden=self._hidden(name))
            self.found.steps += steps
            readings.append(stored)
        return tuple(readings)

    def _hidden(self, name: str) -> bool:
        harder = self.alive.get("harder", [])
        return name in harder or (name == CLEAN and bool(harder))

    def _train(
        self, state: State, augmentations: tuple[Augmentation, ...], start: int, *, first: int, steps: int
    ) -> State:
        if self.store.decision("finished"):
            raise _Over
        training = self.training
        begin = self.clock()
        found = train_steps(
            self.desk.backbone, training.pool, training.labels, state,
            class_count=self.desk.class_count,
            augmentations=(*training.base, *augmentations),
            settings=training.settings.model_copy(update={"seed": training.settings.seed + start}),
            first=first, count=steps, device=self.desk.device, stop=self.over,
        )  # fmt: skip
        if found is None:
            raise _Over
        (self.step_s if augmentations else self.clean_s).append((self.clock() - begin) / steps)
        return found

    def _read(self, name: str, start: int, number: int, state: State, *, hidden: bool) -> Reading:
        stored = self.store.reading(name, start, number)
        if stored is not None:
            return stored
        cost = max(self.read_s[-1:], default=self.costs.read_s)
        if self.store.decision("finished") or self.used_s + cost > self.budget_s * (1 - RESERVE / 2):
            raise _Over
        begin = self.clock()
        reading = read_state(self.desk, state, hidden=hidden)
        self.read_s.append(self.clock() - begin)
        self.store.keep_reading(name, start, number, reading)
        self._count()
        return reading

    def _halve(self, plan: HalvingPlan) -> None:
        for name, names in self._ordered().items():
            left = survivors(names)
            self.store.drop_states([one for one in names if one not in left], plan.starts)
            self.alive[name] = left

    def _ordered(self) -> dict[str, list[str]]:
        """Candidates that go on, first to last."""
        found = {}
        for name, names in self.alive.items():
            going = [one for one in names if self.found.runs.get(one, CandidateRun()).ended is None]
            found[name] = self.order(name, going, self.found.runs) if self.found.runs else going
        return found

    def _count(self) -> None:
        now = self.clock()
        self.store.add_seconds(now - self.counted)
        self.counted = now

    def _say(self, what: str) -> None:
        self.progress(int(self.used_s), int(self.budget_s), what)


def _failure(error: Exception) -> str:
    """What made a training fail; errors that say nothing about it are raised again."""
    if isinstance(error, ModelError):
        return str(error)
    if out_of_memory(error):
        return "the device ran out of memory"
    raise error
