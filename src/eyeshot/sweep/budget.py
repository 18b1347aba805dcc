"""The seconds of a sweep: what is left of them, and at which pace they go."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

RESERVE = 0.04
"""Share of the budget that no step may begin in: for the last evaluation and for what comes after the sweep."""


@dataclass(frozen=True)
class Costs:
    """Seconds on this machine.

    Attributes:
        step_s: of one step of the reference trial.
        evaluate_s: of evaluating one trained state.
        extra_s: what a step of another trial takes more, mean over trials.
    """

    step_s: float
    evaluate_s: float
    extra_s: float = 0.0


class Budget:
    """A number of seconds, the clock that they are counted by, and what steps and evaluations have taken so far.

    It can be sent to other processes, where the clock goes on: `time.monotonic` is the same for all of a machine.
    """

    def __init__(
        self,
        seconds: float,
        costs: Costs,
        *,
        spent_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`spent_s`: seconds that earlier sittings of the same sweep took."""
        self.seconds, self.clock = seconds, clock
        self._planned, self._spent_s = costs, spent_s
        self._begin = self._counted = clock()
        self._reference_s: list[float] = []
        self._trial_s: list[float] = []
        self._evaluate_s: list[float] = []

    @property
    def used_s(self) -> float:
        """Seconds so far, those of earlier sittings included."""
        return self._spent_s + self.clock() - self._begin

    def leave_out(self, seconds: float) -> None:
        """Seconds that just went by do not count: the sweep was paused."""
        self._begin += seconds
        self._counted += seconds

    @property
    def usable_s(self) -> float:
        """Seconds in which a step may begin."""
        return self.seconds * (1 - RESERVE)

    def is_over(self) -> bool:
        """Whether no further step may begin."""
        return self.used_s >= self.usable_s

    def may_evaluate(self) -> bool:
        """Whether an evaluation still ends in time; a half of the reserve is for it."""
        cost = self._evaluate_s[-1] if self._evaluate_s else self._planned.evaluate_s
        return self.used_s + cost <= self.seconds * (1 - RESERVE / 2)

    def count_steps(self, step_s: float, *, of_reference: bool) -> None:
        """Note what a step took, in seconds."""
        (self._reference_s if of_reference else self._trial_s).append(step_s)

    def count_evaluation(self, seconds: float) -> None:
        """Note what an evaluation took."""
        self._evaluate_s.append(seconds)

    def since_last(self) -> float:
        """Seconds since this was last asked, or since the begin of this sitting."""
        before, self._counted = self._counted, self.clock()
        return self._counted - before

    def pace(self) -> Costs:
        """What was measured; before the first rung only the reference was, so the others are scaled as it is."""
        planned = self._planned
        evaluate_s = _mean(self._evaluate_s) if self._evaluate_s else planned.evaluate_s
        if self._trial_s:
            return Costs(_mean(self._trial_s), evaluate_s)
        slower = _mean(self._reference_s) / planned.step_s if self._reference_s else 1.0
        return Costs(planned.step_s * slower, evaluate_s, planned.extra_s * slower)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
