"""A sweep from its first measurement to its end: what comes next, what came back, and what both mean for the rest.

It is a state machine whose memory is the ledger (trials and what they came to) and one small file of decisions (costs,
plan, how many go on). Killed anywhere, it continues from them: what a rung decides depends on its results alone.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from eyeshot.core import SILENT, InputError, ModelError, Progress, StorageError, duration, percent, plural
from eyeshot.ledger import Ledger
from eyeshot.models import GPU_LOST
from eyeshot.sweep.budget import Budget
from eyeshot.sweep.executor import Executor, WorkerLost
from eyeshot.sweep.search import planning
from eyeshot.sweep.search.prices import Prices, model_key
from eyeshot.sweep.search.proposals import Sampler
from eyeshot.sweep.search.queue import read_queue
from eyeshot.sweep.search.space import MODEL, Choice, check_trial, rate_for, with_size
from eyeshot.sweep.search.standings import Standings
from eyeshot.sweep.search.trials import (
    BASE,
    SearchTrial,
    base_config,
    begin_run,
    end_trial,
    keep_result,
    state_trial,
    stored_trials,
)
from eyeshot.sweep.search.work import Work
from eyeshot.sweep.store import DecisionFile
from eyeshot.training import drop_states

ALIKE = 3
"""So many first trials that fail alike end the sweep: what is wrong is not theirs."""
LOST_OFTEN = 3
"""A trial whose worker was lost so often is taken to be the reason."""
PAUSED_S = 0.5


class Campaign:
    """One sitting of a sweep."""

    def __init__(
        self,
        sweep: str,
        why: str,
        *,
        ledger: Ledger,
        folder: Path,
        task: Callable[[Work], dict[str, Any]],
        executor: Executor,
        budget: Budget,
        space: Sequence[Choice],
        model: str,
        seed: int = 0,
        devices: Sequence[str] = ("cpu",),
        epochs: int | None = None,
        most: int = 500,
        rounds: int | None = None,
        simple: bool = False,
        command: str = "",
        progress: Progress = SILENT,
    ) -> None:
        """Take up a sweep where it stands.

        Args:
            sweep, why: its id, and the reason for it.
            ledger: open for writing; nobody else owns this sweep.
            folder: of the sweep's decisions and queue.
            task: does a `Work`, see `SearchWork`; for another executor it must be picklable.
            executor: who computes.
            budget: seconds, those of earlier sittings counted.
            space: what may be chosen.
            model: of the trial that changes nothing.
            seed: of every training and of the sampler.
            devices: of the executor's workers, in turn.
            epochs: of a full training; None: the recipe's.
            most: trials of a round.
            rounds: at most so many; None: as many as the budget holds.
            simple: the best of the probe go right to the end.
            command: what was typed.
            progress: told the seconds used.
        """
        self.sweep, self.why, self.ledger, self.folder = sweep, why, ledger, folder
        self.task, self.executor, self.budget = task, executor, budget
        self.space, self.model, self.seed, self.simple = tuple(space), model, seed, simple
        self.epochs, self.most, self.rounds, self.command, self.progress = epochs, most, rounds, command, progress
        self.decisions = DecisionFile(folder / "sweep.json")
        self.trials = stored_trials(ledger, sweep)
        self.notes: list[str] = list(self.decisions.get("notes") or ())
        self.sampler = Sampler(self.space, seed=seed)
        self.prices = Prices(self.decisions, self.space, model)
        self.standings = Standings(
            self.trials, self.prices, self.decisions, budget, workers=executor.workers, seed=seed, simple=simple
        )
        self.running: dict[int, str] = {}
        self.measuring: set[str] = set()
        self.free = [devices[slot % len(devices)] for slot in range(executor.workers)]
        self.paused, self.first = bool(self.decisions.get("paused")), list(self.decisions.get("first") or ())
        self.failures: list[str] = []
        self._told = 0.0
        self._runs = ledger.root / "runs"

    def spend(self) -> None:
        """Spend the budget.

        Raises:
            InputError: the budget holds not even one trial, or the images have changed since the sweep began.
            ModelError: the first trials failed alike, or the GPU stopped answering; the same command goes on.
            StorageError: the disk is full.
        """
        if self.trials and not self.prices.own:
            raise StorageError(
                f"What sweep {self.sweep!r} measured and decided is lost: {str(self.folder / 'sweep.json')!r} and its "
                f"copy are gone or damaged. Its {len(self.trials)} trials stay in the ledger; begin another sweep with "
                "another reason."
            )
        if self.trials:
            self.progress.say(
                f"Going on with {self._counts()}; {duration(self.budget.used_s)} of {duration(self.budget.seconds)} "
                "are used."
            )
        self._settle()
        try:
            while True:
                for item, result in self.executor.stream(self.task, self._next, over=self._is_over):
                    self._take(item, result)
                if not self.paused or self._is_over():
                    break
                # Nothing is under way: wait for `eyeshot queue resume`, and let the wait cost nothing.
                begin = self.budget.clock()
                time.sleep(PAUSED_S)
                self._read_queue()
                self.budget.leave_out(self.budget.clock() - begin)
        finally:
            self._count(at_once=True)
        self._end_open_rungs()

    # What comes next -------------------------------------------------------------------------------------------------
    def _next(self) -> Work | None:
        self._read_queue()
        if self.paused or self._is_over() or not self.free:
            return None
        work = self._measurement() or self._trial_work()
        self._say()
        return work

    def _measurement(self) -> Work | None:
        for config in self.prices.models:
            key, is_base = model_key(config), config is self.prices.base_model
            if key in self.prices.measured or key in self.measuring:
                continue
            if not is_base and not self.prices.own:
                return None
            self.measuring.add(key)
            return Work("measure", -1, config, self._left_s(), self.free.pop(0), steps=is_base)
        return None

    def _trial_work(self) -> Work | None:
        if len(self.prices.measured) < len(self.prices.models):
            return None
        if not self.trials:
            self._check_affordable()
            return self._begin(self._state(self._base(), BASE, "changes nothing: what the others are compared with"), 0)
        if not self.prices.is_planned:
            base = self.trials[BASE]
            return self._begin(base, 0) if BASE not in self.running and not base.cut else None
        for index in reversed(range(len(self.prices.plan.levels))):
            for trial in self._entering(index):
                if self._may_begin(trial, index):
                    return self._begin(trial, index)
        return self._proposal()

    def _proposal(self) -> Work | None:
        """A new trial for the first rung, where the plan still holds one; a new round, where one fits."""
        number = self.standings.round
        wanted: list[int] = self.decisions.get("trials") or []
        own = sum(trial.round == number for trial in self.trials)
        if own < wanted[number] and not self._fits_one_more(own):
            # Slower than planned: the next rungs are worth more than further trials.
            wanted = [*wanted[:number], own]
            self.decisions.keep("trials", wanted)
            self.standings.changed()
            self._note(f"Trials take longer than planned: round {number + 1} has {own}.")
            return self._trial_work()
        if own >= wanted[number]:
            if self.running or not self._is_round_over(number) or not self._another_round():
                return None
            number += 1
        for trial in self.trials:
            if trial.proposed:
                # The value at the probe, which all of them have.
                value = trial.results["probe"][0] if "probe" in trial.results else None
                self.sampler.tell(trial.number, trial.proposed, value, failed=trial.is_out)
        proposed, hypothesis = self.sampler.propose(len(self.trials))
        config = with_size(
            rate_for(self._base() | proposed, base_optimizer=str(self.prices.recipe.get("optimizer", "adamw")))
        )
        try:
            check_trial(config, self.prices.recipe)
        except InputError as error:
            trial = self._state(config, number, hypothesis, proposed=proposed)
            self._end(trial, "failed", str(error))
            return self._trial_work()
        return self._begin(self._state(config, number, hypothesis, proposed=proposed), 0)

    def _fits_one_more(self, count: int) -> bool:
        """Whether the budget holds one more trial at the first rung and what then follows at the others."""
        levels = self.prices.plan.levels
        ahead = planning.counts_of(levels, count + 1, groups=1, carried=1, simple=self.simple)[1:]
        begun = sum(
            self.standings.costs.of(level)
            for level in levels[1:]
            for trial in self.trials
            if level.name in trial.results
        )
        rest_s = planning.seconds_of_plan(
            levels[1:], ahead, self.standings.costs._replace(once_s=0.0), self.executor.workers
        )
        one_s = planning.SLOWER * self.standings.costs.probe_s
        return self.budget.used_s + max(0.0, rest_s - begun) + one_s <= planning.usable(self.budget.seconds)

    def _entering(self, index: int) -> list[SearchTrial]:
        """Trials that may begin a level now, those that were asked for first, then the best."""
        level = self.prices.plan.levels[index]
        through = None if index == 0 else self.standings.through(index - 1)
        waiting = [
            trial
            for trial in self.trials
            if (through is None or trial.number in through)
            and trial.number not in self.running
            and not trial.is_out
            and not trial.cut
            and level.name not in trial.results
        ]
        if index:
            before = self.prices.plan.levels[index - 1].name
            waiting.sort(key=lambda trial: tuple(-part for part in trial.results[before]))
        waiting.sort(key=self._place)
        return waiting

    def _begin(self, trial: SearchTrial, index: int) -> Work:
        level = self.prices.plan.levels[index]
        folder = begin_run(self.ledger, trial, self._runs, seed=self.seed, command=self.command)
        if trial.experiment in self.first:
            self.first.remove(trial.experiment)
            self.decisions.keep("first", self.first)
        self.running[trial.number] = level.name
        tail_s = self.prices.tail_s(trial, level, self.standings.costs) if self.prices.is_planned else 0.0
        return Work(
            "probe" if level.rung == "probe" else "train", trial.number, trial.config,
            max(0.0, self._left_s() - tail_s), self.free.pop(0), levels=self.prices.plan.levels[: index + 1],
            folder=folder, complete=index > 0 and index == len(self.prices.plan.levels) - 1,
        )  # fmt: skip

    # What came back --------------------------------------------------------------------------------------------------
    def _take(self, item: Work, result: dict[str, Any] | BaseException) -> None:
        self.free.append(item.device)
        self.standings.changed()
        self._count(at_once=True)
        if isinstance(result, dict) and result.get("data"):
            self._check_data(result["data"])
        if isinstance(result, ModelError) and str(result).startswith(GPU_LOST):
            raise result  # it is no matter of the model or the trial: all others would fail too
        if item.kind == "measure":
            self.measuring.discard(model_key(item.config))
            self._take_measurement(item, result)
            return
        trial = self.trials[item.number]
        self.running.pop(trial.number, None)
        if isinstance(result, WorkerLost):
            trial.lost += 1
            if trial.lost >= LOST_OFTEN:
                self._end(trial, "failed", f"Its worker was lost {trial.lost} times: {result}.")
            return
        if isinstance(result, BaseException):
            if isinstance(result, StorageError) or not isinstance(result, Exception):
                raise result
            self._fail(trial, result)
            return
        if result.get("over"):
            trial.cut = True
            return
        level = item.levels[-1]
        if item.kind == "probe" and trial.number == BASE:
            self.decisions.keep("fit_s", result["fit_s"])
        self.decisions.keep("n", result["n"])
        keep_result(self.ledger, trial, level, result)
        if item.kind == "probe" and trial.number == BASE:
            self._decide_plan(float(result["fit_s"]))
        if trial.number == BASE and level == self.prices.plan.levels[-1]:
            self.progress.say(f"Without changes: {percent(result['value'], 1)} after {level.name}.")
        if level == self.prices.plan.levels[-1]:
            self._end(trial, "done", f"Trained to the end: {level.name}.")
        self._end_rung(trial.round, self.prices.plan.levels.index(level))

    def _check_data(self, key: str) -> None:
        kept = self.decisions.get("data")
        if kept is None:
            self.decisions.keep("data", key)
        elif kept != key:
            raise InputError(
                "The trials of a sweep must be judged on the same images, and images, labels or the split "
                "have changed since it began. Begin another, with another reason."
            )

    def _take_measurement(self, item: Work, result: dict[str, Any] | BaseException) -> None:
        key = model_key(item.config)
        if isinstance(result, WorkerLost):
            self.failures.append(str(result))
            if len(self.failures) >= LOST_OFTEN:
                raise ModelError(f"The worker that measured {key} was lost {LOST_OFTEN} times: {result}.") from result
            return
        if isinstance(result, BaseException):
            if key == model_key(self.prices.base_model) or not isinstance(result, (InputError, ModelError)):
                raise result
            self._note(f"{key} is left out: {result}")
            result = {"left_out": str(result)}
        elif result.get("over"):
            raise InputError(
                f"The budget must hold the measuring of costs, which took {duration(result['seconds'])}, and a trial; "
                f"got {duration(self.budget.seconds)}. Give a larger --budget."
            )
        self.prices.keep_measured(item.config, result)

    def _fail(self, trial: SearchTrial, error: Exception) -> None:
        words = str(error).partition("\n")[0] or type(error).__name__
        self._end(trial, "failed", words)
        self.failures.append(re.sub(r"\d+(\.\d+)?", "#", words))
        begun = [other for other in self.trials if other.results and other.number != BASE]
        if not begun and len(self.failures) >= ALIKE and len(set(self.failures[:ALIKE])) == 1:
            raise ModelError(
                f"The first {ALIKE} trials failed alike, so the sweep ends here: {words} Mend that; the same command "
                "continues with other trials."
            ) from error
        if trial.number == BASE and not trial.results:
            raise ModelError(
                f"The recipe without changes failed, so there is nothing to compare with: {words}"
            ) from error

    def _end_rung(self, round_: int, index: int) -> None:
        """Stop those that cannot go on from a level any more."""
        if index + 1 >= len(self.prices.plan.levels):
            return
        members = self.standings.members(round_, index)
        if members is None or any(trial.value_at(self.prices.plan.levels[index]) is None for trial in members):
            return
        going = {*self.standings.promoted(round_, index), *self.standings.carried(round_)}
        level = self.prices.plan.levels[index]
        for trial in members:
            if trial.number in going or trial.state not in ("running", "waiting"):
                continue
            like = sorted(
                (other for other in members if other.group == trial.group and level.name in other.results),
                key=lambda other: tuple(-part for part in other.results[level.name]),
            )
            self._end(
                trial, "stopped",
                f"Place {like.index(trial) + 1} of {len(like)} {trial.group} ones at {level.name}; "
                f"{sum(other.number in going for other in like)} went on.",
            )  # fmt: skip
            drop_states(self._runs / trial.experiment)

    def _end_open_rungs(self) -> None:
        """Say of what is left that it waits: the same command with a larger budget goes on with it."""
        for trial in self.trials:
            if trial.state == "running":
                self.ledger.append(
                    trial.experiment, "state", state="waiting", words="The budget was over before its turn."
                )
                trial.state = "waiting"

    def _end(self, trial: SearchTrial, state: str, words: str) -> None:
        base = self.trials[BASE] if self.trials else None
        end_trial(self.ledger, trial, state, words, n=self.decisions.get("n"), seed=self.seed, base=base)
        self.standings.changed()

    # Plan and costs --------------------------------------------------------------------------------------------------
    def _decide_plan(self, fit_s: float) -> None:
        """The plan, after the base's probe has shown what a fit takes."""
        self.prices.keep_first_costs(fit_s)
        names = [choice.name for choice in self.space]
        groups = 1 if self.simple or not any(name.startswith(("training.", "augmentation")) for name in names) else 3
        plan = planning.make_plan(
            self.standings.costs, planning.usable(self.budget.seconds) - self.budget.used_s,
            epochs=self.epochs or int(self.prices.own["epochs"]), workers=self.executor.workers, groups=groups,
            most=self._most_trials(), simple=self.simple,
        )  # fmt: skip
        self.prices.keep_plan(plan)
        self.standings.changed()
        for words in planning.plan_words(plan, self.budget.seconds):
            self._note(words)

    def _another_round(self) -> bool:
        """Whether what is left of the budget holds another round; it is decided and kept."""
        wanted: list[int] = self.decisions.get("trials") or []
        if self.rounds is not None and len(wanted) >= self.rounds:
            return False
        left_s = planning.usable(self.budget.seconds) - self.budget.used_s
        levels, costs = self.prices.plan.levels, self.standings.costs._replace(once_s=0.0)
        for trials in range(self._most_trials(), planning.FEWEST - 1, -1):
            counts = planning.counts_of(levels, trials, groups=3, carried=0, simple=self.simple)
            if planning.seconds_of_plan(levels, counts, costs, self.executor.workers) <= left_s:
                self.decisions.keep("trials", [*wanted, trials])
                self._note(f"Round {len(wanted) + 1}: {trials} more trials, proposed from what is known now.")
                return True
        return False

    def _most_trials(self) -> int:
        """Trials of a round: no more than there are different ones."""
        if any(not choice.values for choice in self.space):
            return self.most
        different = math.prod(len(choice.values) for choice in self.space)
        tried = sum(bool(trial.proposed) for trial in self.trials)
        return min(self.most, different - tried + (not tried))

    def _check_affordable(self) -> None:
        needed = planning.SLOWER * self.prices.features_s(self.prices.base_model)
        left_s = planning.usable(self.budget.seconds) - self.budget.used_s
        if needed > left_s:
            raise InputError(
                f"The budget must hold at least one trial. The features of {self.prices.images} images alone take "
                f"{duration(needed)} here, and {duration(max(0.0, left_s))} of {duration(self.budget.seconds)} are "
                "left after measuring. Give a larger --budget or smaller images."
            )

    def _may_begin(self, trial: SearchTrial, index: int) -> bool:
        expected_s = self.prices.expected_s(
            trial,
            self.prices.plan.levels[index],
            self.standings.costs,
            with_features=model_key(trial.config) not in self.standings.probed,
        )
        return self.budget.used_s + expected_s <= planning.usable(self.budget.seconds)

    def _base(self) -> dict[str, Any]:
        return base_config(self.space, model=str(self.prices.base_model[MODEL]), recipe=self.prices.recipe)

    # The rest --------------------------------------------------------------------------------------------------------
    def _state(
        self, config: Mapping[str, Any], round_: int, hypothesis: str, *, proposed: Mapping[str, Any] | None = None,
        queued: str = "",
    ) -> SearchTrial:  # fmt: skip
        trial = state_trial(
            self.ledger, self.sweep, self.why, config, number=len(self.trials), round_=round_,
            base=self.trials[BASE] if self.trials else None, hypothesis=hypothesis, seed=self.seed,
            cost_s=sum(map(self.standings.costs.of, self.prices.plan.levels)) if self.prices.is_planned else None,
            proposed=proposed, queued=queued, author_kind="person" if queued else "sweep",
        )  # fmt: skip
        self.trials.append(trial)
        self.standings.changed()
        return trial

    def _settle(self) -> None:
        """Say what a sitting that was killed had no time to say."""
        if not self.prices.is_planned:
            if not self.trials or not self.trials[BASE].results:
                return
            self._decide_plan(float(self.decisions.get("fit_s") or 0.0))
        last = self.prices.plan.levels[-1]
        for trial in self.trials:
            if last.name in trial.results and trial.state in ("running", "waiting"):
                self._end(trial, "done", f"Trained to the end: {last.name}.")
        for round_ in range(self.standings.round + 1):
            for index in range(len(self.prices.plan.levels)):
                self._end_rung(round_, index)

    def _is_round_over(self, round_: int) -> bool:
        ended = ("done", "failed", "stopped", "dropped")
        return all(trial.state in ended for trial in self.trials if trial.round == round_)

    def _place(self, trial: SearchTrial) -> int:
        return self.first.index(trial.experiment) if trial.experiment in self.first else len(self.first)

    def _left_s(self) -> float:
        """Seconds in which an item must have ended: half of the reserve is for what comes after it."""
        end = (self.budget.seconds + planning.usable(self.budget.seconds)) / 2
        return max(0.0, end - self.budget.used_s)

    def _is_over(self) -> bool:
        self._count()
        return self.budget.used_s >= (self.budget.seconds + planning.usable(self.budget.seconds)) / 2

    def _count(self, *, at_once: bool = False) -> None:
        """Keep the seconds that were used, now and then, so that a kill loses few."""
        if at_once or self.budget.used_s - self._told >= 1.0:
            self._told = self.budget.used_s
            self.decisions.keep("seconds", self._told)

    def _note(self, words: str) -> None:
        if words not in self.notes:
            self.notes.append(words)
            self.decisions.keep("notes", self.notes)
            self.progress.say(words)

    def _say(self) -> None:
        running = "; ".join(sorted({*self.running.values(), *(f"measuring {key}" for key in self.measuring)}))
        text = self._counts() + (f"; {running}" if running else "")
        self.progress.sub("seconds used")(int(self.budget.used_s), int(self.budget.seconds), text)

    def _counts(self) -> str:
        ended = sum(trial.state not in ("stated", "waiting", "running") for trial in self.trials)
        return f"{len(self.trials)} {plural(len(self.trials), 'trial')}, {ended} ended"

    def _read_queue(self) -> None:
        asked, offset = read_queue(self.folder, int(self.decisions.get("queue read") or 0))
        for entry in asked:
            self._do(entry)
        if asked:
            self.decisions.keep("queue read", offset)

    def _do(self, entry: Mapping[str, Any]) -> None:
        action = entry.get("action")
        if action in ("pause", "resume"):
            self.paused = action == "pause"
            self.decisions.keep("paused", self.paused)
            self.progress.say("Paused: eyeshot queue resume goes on." if self.paused else "Resumed.")
            return
        if action == "add":
            if self.trials and not any(trial.queued == entry["id"] for trial in self.trials):
                # A round whose first rung is settled takes no one any more.
                number = (
                    self.standings.round
                    if self.standings.members(self.standings.round, 0) is None
                    else self.standings.round + 1
                )
                self._state(
                    self._base() | dict(entry["config"]), number, entry.get("why") or "asked for", queued=entry["id"]
                )
            return
        trial = next((trial for trial in self.trials if trial.experiment == entry.get("trial")), None)
        if trial is None or trial.state in ("done", "failed", "stopped", "dropped"):
            return
        if action == "drop" and trial.number not in self.running:
            self._end(trial, "dropped", "Dropped from the queue.")
            drop_states(self._runs / trial.experiment)
        elif action == "first":
            self.first = [trial.experiment, *(other for other in self.first if other != trial.experiment)]
            self.decisions.keep("first", self.first)
