"""Who takes part in which rung of a sweep, and who goes on from it.

What a rung decides depends on its results alone, and on what was kept of decisions that need the clock: a sweep that
was killed and continued decides the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from eyeshot.sweep.budget import Budget
from eyeshot.sweep.search import planning
from eyeshot.sweep.search.planning import Costs
from eyeshot.sweep.search.prices import Prices, model_key
from eyeshot.sweep.search.promotion import promoted, promoted_count, random_trials
from eyeshot.sweep.search.trials import BASE, SearchTrial
from eyeshot.sweep.store import DecisionFile


class Standings:
    """How the trials of a sweep stand, rung by rung; `changed` must be called after each change of a trial."""

    def __init__(
        self, trials: Sequence[SearchTrial], prices: Prices, decisions: DecisionFile, budget: Budget, *, workers: int,
        seed: int, simple: bool,
    ) -> None:  # fmt: skip
        """`trials` is the sweep's own list, to which it adds; the rest as of `Campaign`."""
        self.trials, self.prices, self.decisions, self.budget = trials, prices, decisions, budget
        self.workers, self.seed, self.simple = workers, seed, simple
        self._known: dict[Any, Any] = {}

    def changed(self) -> None:
        """Forget what was found of the trials as they were."""
        self._known.clear()

    @property
    def costs(self) -> Costs:
        """As measured first, corrected by what trials took since."""
        costs: Costs = self._once("costs", lambda: self.prices.costs(self.trials))
        return costs

    @property
    def round(self) -> int:
        """Number of the latest round."""
        return max(0, len(self.decisions.get("trials") or [0]) - 1)

    @property
    def probed(self) -> set[str]:
        """Models with results: their features are there."""
        keys: set[str] = self._once(
            "probed", lambda: {model_key(trial.config) for trial in self.trials if trial.results}
        )
        return keys

    def through(self, index: int) -> set[int]:
        """Numbers of the trials that have finished a level and go on from it."""
        level = self.prices.plan.levels[index]
        numbers = {
            number
            for round_ in range(self.round + 1)
            for number in (*self.carried(round_), *self.promoted(round_, index))
        }
        return {number for number in numbers if level.name in self.trials[number].results}

    def members(self, round_: int, index: int) -> list[SearchTrial] | None:
        """Trials that take part in a level; None as long as that is not settled."""
        members: list[SearchTrial] | None = self._once(
            ("members", round_, index), lambda: self._find_members(round_, index)
        )
        return members

    def _find_members(self, round_: int, index: int) -> list[SearchTrial] | None:
        own = [trial for trial in self.trials if trial.round == round_]
        if index == 0:
            wanted: list[int] = self.decisions.get("trials") or []
            return own if wanted and len(own) >= wanted[round_] else None
        before = self.members(round_, index - 1)
        if before is None:
            return None
        level = self.prices.plan.levels[index - 1]
        if any(trial.value_at(level) is None for trial in before):
            return None
        numbers = {*self.promoted(round_, index - 1), *self.carried(round_)}
        return [trial for trial in before if trial.number in numbers]

    def promoted(self, round_: int, index: int) -> list[int]:
        """Numbers of the trials of which it is sure that they go on from a level by what they came to."""
        numbers: list[int] = self._once(("promoted", round_, index), lambda: self._find_promoted(round_, index))
        return numbers

    def _find_promoted(self, round_: int, index: int) -> list[int]:
        members = self.members(round_, index)
        if members is None:
            return []
        level = self.prices.plan.levels[index]
        values = {trial.number: value for trial in members if (value := trial.value_at(level)) is not None}
        groups = {trial.number: "" if self.simple else trial.group for trial in members}
        return promoted(groups, values, most=self._most(round_, index, groups))

    def _most(self, round_: int, index: int, groups: Mapping[int, str]) -> int | None:
        """How many of each group go on from a level: None for a third; fewer where the budget does not hold them.

        It is decided once, when the first result of the level is there, from what was measured until then.
        """
        name = f"round {round_}, level {index}: how many go on"
        kept = self.decisions.get(name)
        if kept is None:
            counts = Counter(groups.values())
            levels, costs = self.prices.plan.levels[index + 1 :], self.costs._replace(once_s=0.0)
            share = max(counts.values(), default=1)
            share = min(share, self.prices.plan.counts[index + 1]) if self.simple else promoted_count(share)
            left_s = planning.usable(self.budget.seconds) - self.budget.used_s - self._rest_s(round_, index)

            def total(each: int) -> int:
                return sum(min(each, promoted_count(count, each if self.simple else None)) for count in counts.values())

            def fits(each: int) -> bool:
                ahead = planning.counts_of(levels, total(each), groups=len(counts), carried=0, simple=self.simple)
                return planning.seconds_of_plan(levels, ahead, costs, self.workers) <= left_s

            while share > 1 and levels and not fits(share):
                share -= 1
            full_share = max(map(promoted_count, counts.values()), default=1)
            kept = None if share >= full_share and not self.simple else share
            self.decisions.keep(name, {"most": kept})
            return kept
        value = kept["most"]
        return None if value is None else int(value)

    def _rest_s(self, round_: int, index: int) -> float:
        """Seconds that are still to be spent in a level and on trials that go through all rungs anyway."""
        levels = self.prices.plan.levels
        members = self.members(round_, index) or []
        rest = sum(self.costs.of(levels[index]) for trial in members if trial.value_at(levels[index]) is None)
        for number in self.carried(round_):
            trial = self.trials[number]
            rest += sum(self.costs.of(level) for level in levels[index + 1 :] if trial.value_at(level) is None)
        return planning.SLOWER * rest / self.workers

    def carried(self, round_: int) -> list[int]:
        """Trials of a round that go through all rungs: the base, and random ones that show how well rungs agree."""
        name = f"round {round_}: random"
        kept = self.decisions.get(name)
        if kept is None:
            own = [trial.number for trial in self.trials if trial.round == round_ and not trial.queued]
            wanted: list[int] = self.decisions.get("trials") or []
            if not wanted or len(own) < wanted[round_]:
                return [BASE] if round_ == 0 else []
            kept = random_trials(own, seed=self.seed + round_, left_out=[BASE])
            self.decisions.keep(name, kept)
        return [*([BASE] if round_ == 0 else []), *map(int, kept)]

    def _once(self, name: Any, find: Callable[[], Any]) -> Any:
        """What was found before, unless something has changed since."""
        if name not in self._known:
            self._known[name] = find()
        return self._known[name]
