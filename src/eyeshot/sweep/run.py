"""One sweep: trials go from rung to rung under a budget, always beside a reference trial."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol

from eyeshot.core import SILENT, ModelError, Progress
from eyeshot.sweep.budget import Budget
from eyeshot.sweep.executor import Executor
from eyeshot.sweep.local import InProcess
from eyeshot.sweep.rungs import FEWEST_LEFT, LEAST_STEPS, SweepPlan, plan_rungs, promote, promoted_count, steps_within
from eyeshot.sweep.store import History, SweepStore
from eyeshot.sweep.trial import Trial

LAST_RUNG_RESERVE = 0.1
"""Of the time that is left: no later rung makes up for slow steps of the last one."""
ONLY_RUNG_RESERVE = 0.25
"""The same where the first is the last: steps were only estimated, and everyone should get a turn."""
LEAST_REUSED = 0.25
"""A rung takes over steps that were done before where they are at least this share of what would fit."""
KEPT_STATES_BYTES = 2**30
"""States of the last rung are kept for a sweep with a larger budget where they take no more than this."""
NO_TURN = "the budget was over before its turn"

Order = Callable[[str, Sequence[str], Mapping[str, Trial]], list[str]]


class Train(Protocol):
    """Trains one trial further."""

    def __call__(
        self, trial: Trial, seed: int, state: Any | None, *, first: int, steps: int, stop: Callable[[], bool]
    ) -> Any | None:
        """The state after `steps` more steps, the first of which has the number `first`.

        Args:
            trial: what to train.
            seed: 0, 1, …
            state: to go on from; None before the first step of all.
            first: steps that `state` has behind it.
            steps: to do.
            stop: asked before each step; where it says True, training is given up and None returned.

        Raises:
            ModelError: training diverged, as it would again.
        """
        ...


@dataclass
class Rung:
    """What was done in one rung: trials that entered, steps of each from each seed, and seconds."""

    trials: int
    steps: int
    seconds: float


@dataclass(eq=False)
class SweepResult:
    """All trials as they ended.

    Attributes:
        trials: by name.
        before: evaluations of the shared starts, one for each seed.
        rungs: what was done.
        steps: in all, those of the reference and of all seeds counted.
        seeds: how many.
        used_s: seconds, those of earlier sittings included.
        ended: why the whole sweep ended, where the reference failed.
    """

    trials: dict[str, Trial]
    before: tuple[Any, ...] = ()
    rungs: list[Rung] = field(default_factory=list)
    steps: int = 0
    seeds: int = 0
    used_s: float = 0.0
    ended: str | None = None


def run_sweep(
    trials: Sequence[Trial],
    *,
    reference: Trial,
    train: Train,
    evaluate: Callable[[Trial, Any], Any],
    order: Order,
    budget: Budget,
    store: SweepStore,
    executor: Executor | None = None,
    passing_failure: Callable[[Exception], str | None] = lambda error: None,
    progress: Progress = SILENT,
) -> SweepResult:
    """Spend a budget on trials, the better half of each group further and further.

    The reference is trained first, for a while, and all trials begin from its states, one for each seed; then it goes
    through every rung too, so that each trial can be compared with it after as many steps. Where the store holds
    trainings of these trials by an earlier sweep, they are taken over. The same sweep again gives the same result.

    Args:
        trials: first to last as known so far.
        reference: what all of them are compared with; in no group.
        train: trains a trial; where `executor` has other processes, it and `evaluate` must be picklable.
        evaluate: called with a trial and its state.
        order: called with (group, names, trials by name), gives these names from first to last.
        budget: of this sweep; `budget.pace()` decides the steps of later rungs.
        store: of this sweep; no other process may do the same sweep meanwhile.
        executor: who computes; None: this process.
        passing_failure: called with errors of training and evaluating other than ModelError; says why the trial failed
            where this need not come again in another sweep, or None where the error is no matter of a trial.
        progress: told the seconds used, and the budget.

    Raises:
        StorageError: the disk is full.
    """
    for trial in (*trials, reference):
        trial.rung, trial.steps, trial.status, trial.ended = 0, 0, "waiting", None
        trial.evaluations = trial.reference = ()
    work = _Work(train, evaluate, reference, store, budget, closed=bool(store.decisions.get("finished")))
    return _Sweep(trials, order, work, executor or InProcess(), passing_failure, progress).spend()


class _ReferenceFailed(Exception):
    """The reference cannot be trained: nothing can be compared."""


class _Item(NamedTuple):
    """One rung of a trial from one seed; its history includes the steps of the rung."""

    trial: Trial
    seed: int
    history: History


class _Outcome(NamedTuple):
    """What came of an item: an evaluation, or None where the budget was over; seconds where it was computed now."""

    evaluation: Any | None
    step_s: float | None = None
    evaluate_s: float | None = None


@dataclass(eq=False)
class _Work:
    """The task of a sweep: it trains and evaluates one item, and stores what it has at once.

    `say` is called with the name of a trial before each step, and `count` where a state was stored, so that its seconds
    are counted even if this process is killed while it evaluates. They cannot be sent to other processes.
    """

    train: Train
    evaluate: Callable[[Trial, Any], Any]
    reference: Trial
    store: SweepStore
    budget: Budget
    closed: bool
    say: Callable[[str], None] | None = None
    count: Callable[[], None] | None = None

    def __call__(self, item: _Item) -> _Outcome:
        trial, seed, history = item
        stored = self.store.evaluation(trial, seed, history)
        if stored is not None:
            return _Outcome(stored)
        failure = self.store.failure(trial, history)
        if failure is not None:
            raise ModelError(failure)
        try:
            return self._compute(trial, seed, history)
        except ModelError as error:
            self.store.keep_failure(trial, history, str(error))
            raise

    def _compute(self, trial: Trial, seed: int, history: History) -> _Outcome:
        state, step_s = self._state(trial, seed, history)
        if state is None or self.closed or not self.budget.may_evaluate():
            return _Outcome(None, step_s)
        begin = self.budget.clock()
        evaluation = self.evaluate(trial, state)
        evaluate_s = self.budget.clock() - begin
        self.store.keep_evaluation(trial, seed, history, evaluation)
        return _Outcome(evaluation, step_s, evaluate_s)

    def _state(self, trial: Trial, seed: int, history: History) -> tuple[Any | None, float | None]:
        """The state after these rungs, and seconds of a step where it was trained now; None where time is over.

        Where the states before it are gone too, all is trained again from the latest that is there.
        """
        if len(history) == 1:
            trial = self.reference
        state = self.store.state(trial, seed, history)
        if state is not None:
            return state, None
        if self.closed or self.budget.is_over():
            return None, None
        before = None
        if len(history) > 1:
            before, _ = self._state(trial, seed, history[:-1])
            if before is None:
                return None, None

        def stop() -> bool:
            if self.say is not None:
                self.say(trial.name)
            return self.budget.is_over()

        begin = self.budget.clock()
        state = self.train(trial, seed, before, first=sum(history[:-1]), steps=history[-1], stop=stop)
        if state is None:
            return None, None
        step_s = (self.budget.clock() - begin) / history[-1]
        self.store.keep_state(trial, seed, history, state)
        if self.count is not None:
            self.count()
        return state, step_s


class _Sweep:
    """One pass over the budget."""

    def __init__(
        self,
        trials: Sequence[Trial],
        order: Order,
        work: _Work,
        executor: Executor,
        passing_failure: Callable[[Exception], str | None],
        progress: Progress,
    ) -> None:
        self.order, self.work, self.executor = order, work, executor
        self.passing_failure, self.progress = passing_failure, progress
        self.decisions, self.budget, self.reference = work.store.decisions, work.budget, work.reference
        self.result = SweepResult({trial.name: trial for trial in trials})
        groups = dict.fromkeys(trial.group for trial in trials)
        self.alive = {group: [trial.name for trial in trials if trial.group == group] for group in groups}
        self.history: History = ()
        self.place = ""
        if executor.workers == 1:
            work.say, work.count = self._say, self._count

    def spend(self) -> SweepResult:
        result, trials = self.result, self.result.trials.values()
        plan = self._plan()
        result.seeds = plan.seeds
        if plan.rungs:
            try:
                self._climb_all(plan)
            except _ReferenceFailed as error:
                result.ended = str(error)
        last = max((trial.rung for trial in trials), default=0)
        for trial in trials:
            if not trial.evaluations and trial.ended is None:
                trial.ended = f"training of {self.reference.name} failed" if result.ended else NO_TURN
            if trial.status != "failed":
                trial.status = "finished" if trial.rung == last and trial.evaluations else "stopped"
        if not self.decisions.get("finished"):
            self._count()
            self.decisions.keep("finished", True)
        left = [self.reference, *(result.trials[name] for names in self.alive.values() for name in names)]
        if self.work.store.state_bytes(left, plan.seeds, self.history) > KEPT_STATES_BYTES:
            self.work.store.drop_states(left, plan.seeds, self.history)
        result.used_s = self.work.store.seconds
        return result

    def _climb_all(self, plan: SweepPlan) -> None:
        """The shared start, then rung after rung until the time is over."""
        self.history = (plan.start_steps,)
        self.place = "shared start"
        before, _, is_over = self._evaluate_all([self.reference], plan.seeds)
        if is_over:
            return
        self.result.before = before[self.reference.name]
        number = 0
        while (steps := self._decide_steps(plan, number)) and self._climb(plan, number, steps):
            number += 1
            self._halve(plan)

    def _plan(self) -> SweepPlan:
        stored = self.decisions.get("plan")
        if stored is None:
            groups, costs = [len(names) for names in self.alive.values()], self.budget.pace()
            plan = plan_rungs(groups, self.budget.seconds * self.executor.workers, costs)
            start = self._known_start(plan) if plan.rungs else 0
            stored = {"seeds": plan.seeds, "start_steps": start, "rungs": plan.rungs}
            self.decisions.keep("plan", stored)
        rungs = tuple((trials, steps) for trials, steps in stored["rungs"])
        return SweepPlan(stored["seeds"], stored["start_steps"], rungs)

    def _known_start(self, plan: SweepPlan) -> int:
        """Steps of the shared start: those that the most trainings in the store began with, where they are enough."""
        store = self.work.store
        begun = store.steps_done([self.reference], plan.seeds, ())
        trained = store.steps_done([self.reference, *self.result.trials.values()], plan.seeds, ())
        known = [
            steps for steps, seeds in begun.items() if seeds == plan.seeds and steps >= LEAST_REUSED * plan.start_steps
        ]
        return max(known, key=lambda steps: (trained[steps], steps), default=plan.start_steps)

    def _decide_steps(self, plan: SweepPlan, number: int) -> int:
        """Steps of a rung, from what the rungs before it took; after the planned ones, what time is left for.

        Where that is too little for all that are left, it goes to the better half of them. Steps that the most of
        them have done already are taken over where what is missing of them fits.
        """
        name = f"steps and halvings of rung {number}"
        stored = self.decisions.get(name)
        if stored is None:
            is_planned = number < len(plan.rungs)
            share = (self.budget.usable_s - self.budget.used_s) / max(1, len(plan.rungs) - number)
            if number + 1 >= len(plan.rungs):
                share *= 1 - (LAST_RUNG_RESERVE if number else ONLY_RUNG_RESERVE)
            alive = [len(names) for names in self._ordered().values()]
            steps, halvings = self._steps_for(share, alive, plan.seeds), 0
            while not is_planned and steps < LEAST_STEPS and max(alive, default=0) > FEWEST_LEFT:
                alive = [promoted_count(count) for count in alive]
                steps, halvings = self._steps_for(share, alive, plan.seeds), halvings + 1
            if number == 0:
                steps = max(1, steps)
            elif not is_planned and steps < LEAST_STEPS:
                steps, halvings = 0, 0
            if steps and not halvings:
                steps = self._known_steps(steps, share, plan.seeds)
            stored = [steps, halvings]
            self.decisions.keep(name, stored)
        for _ in range(stored[1]):
            self._halve(plan)
        return int(stored[0])

    def _steps_for(self, share_s: float, alive: Sequence[int], seeds: int) -> int:
        count, work_s = sum(alive), share_s * self.executor.workers
        return max(0, steps_within(work_s, count, seeds, self.budget.pace())) if count else 0

    def _known_steps(self, steps: int, share_s: float, seeds: int) -> int:
        names = [name for names in self._ordered().values() for name in names]
        trials = [self.reference, *(self.result.trials[name] for name in names)]
        known = self.work.store.steps_done(trials, seeds, self.history)
        pace = self.budget.pace()
        fitting = [
            done
            for done, count in known.items()
            if done >= LEAST_REUSED * steps
            and (len(trials) * seeds - count) * (done * (pace.step_s + pace.extra_s) + pace.evaluate_s)
            <= share_s * self.executor.workers
        ]
        return max(fitting, key=lambda done: (known[done], done), default=steps)

    def _climb(self, plan: SweepPlan, number: int, steps: int) -> bool:
        """One rung of the reference and of all trials that are alive; False where the time was over in it."""
        name = f"rung {number}"
        entering = sum(map(len, self.alive.values()))
        ordered = [name for names in self._ordered().values() for name in names]
        begin = self._moment(f"begin of {name}")
        self.history = (*self.history, steps)
        self.place = f"rung {number + 1} of {len(ordered)} trials"
        # Once it is over, a rung holds who had a turn in it, whatever other sweeps have trained since.
        record = self.decisions.get(name)
        turns = ordered if record is None else record["done"]
        trials = [self.reference, *(self.result.trials[turn] for turn in turns)]
        steps_before = self.result.steps
        evaluations, failures, is_over = self._evaluate_all(trials, plan.seeds)
        reference = evaluations.get(self.reference.name)
        if record is None:
            done = [turn for turn in turns if turn in evaluations] if reference else []
            record = {
                "done": done,
                "failures": failures,
                "trained": self.result.steps - steps_before,
                "end": self.budget.used_s,
                "is_whole": not is_over,
            }
            self.decisions.keep(name, record)
        self.result.steps = steps_before + int(record["trained"])
        for turn in record["done"]:
            trial = self.result.trials[turn]
            if reference and turn in evaluations:
                trial.evaluations, trial.reference = evaluations[turn], reference
                trial.rung, trial.steps, trial.status = number + 1, sum(self.history[1:]), "running"
        for turn, why in record["failures"].items():
            trial = self.result.trials[turn]
            trial.status, trial.ended = "failed", why
        self.result.rungs.append(Rung(entering, steps, record["end"] - begin))
        return bool(record["is_whole"])

    def _evaluate_all(
        self, trials: Sequence[Trial], seeds: int
    ) -> tuple[dict[str, tuple[Any, ...]], dict[str, str], bool]:
        """Evaluations of those that have them from all seeds, why others failed, and whether the time was over."""
        if self.decisions.get("failure of the reference at") == list(self.history):
            raise _ReferenceFailed(self.decisions.get("failure of the reference"))
        items = [
            _Item(replace(trial, evaluations=(), reference=()), seed, self.history)
            for trial in trials
            for seed in range(seeds)
        ]
        self._say("")
        evaluations: dict[str, dict[int, Any]] = {trial.name: {} for trial in trials}
        failures: dict[str, str] = {}
        is_over = False
        for item, outcome in self.executor.map(self.work, items):
            name = item.trial.name
            if isinstance(outcome, BaseException):
                failures[name] = self._why(outcome)
                if name == self.reference.name:
                    self.decisions.keep("failure of the reference", failures[name])
                    self.decisions.keep("failure of the reference at", self.history)
                    raise _ReferenceFailed(failures[name]) from outcome
                continue
            if outcome.step_s is not None:
                self.budget.count_steps(outcome.step_s, of_reference=name == self.reference.name)
            if outcome.evaluate_s is not None:
                self.budget.count_evaluation(outcome.evaluate_s)
                self._count()
            if outcome.evaluation is None:
                is_over = True
                if self.executor.workers == 1:
                    break
                continue
            self.result.steps += self.history[-1]
            evaluations[name][item.seed] = outcome.evaluation
            self._say(name)
        whole = {
            name: tuple(by_seed[seed] for seed in range(seeds))
            for name, by_seed in evaluations.items()
            if len(by_seed) == seeds and name not in failures
        }
        return whole, failures, is_over

    def _why(self, error: BaseException) -> str:
        """Why a trial failed; errors that are no matter of it are raised."""
        if isinstance(error, ModelError):
            return str(error)
        why = self.passing_failure(error) if isinstance(error, Exception) else None
        if why is None:
            raise error
        return why

    def _halve(self, plan: SweepPlan) -> None:
        for group, names in self._ordered().items():
            left = promote(names)
            gone = [self.result.trials[name] for name in self.alive[group] if name not in left]
            self.work.store.drop_states(gone, plan.seeds, self.history)
            self.alive[group] = left

    def _ordered(self) -> dict[str, list[str]]:
        """Trials that go on, first to last, by group."""
        trials = self.result.trials
        going = {
            group: [name for name in names if trials[name].status != "failed"] for group, names in self.alive.items()
        }
        if not any(trial.status != "waiting" for trial in trials.values()):
            return going
        return {group: self.order(group, names, trials) for group, names in going.items()}

    def _moment(self, name: str) -> float:
        """Seconds used at a moment that is kept, so that the same sweep again says the same."""
        kept = self.decisions.get(name)
        if kept is None:
            kept = self.budget.used_s
            self.decisions.keep(name, kept)
        return float(kept)

    def _count(self) -> None:
        self.work.store.add_seconds(self.budget.since_last())

    def _say(self, name: str) -> None:
        text = f"{self.place}: {name}" if name else self.place
        self.progress(int(self.budget.used_s), int(self.budget.seconds), text)
