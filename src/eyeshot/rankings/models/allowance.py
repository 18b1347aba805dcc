"""The budget of a command over all its sittings, and what was decided on its way, so that a repeat decides the same."""

from __future__ import annotations

import math
import time

from pydantic import Field

from eyeshot.rankings.models.lengths import Length
from eyeshot.rankings.models.report import Record
from eyeshot.rankings.models.store import RungStore


class Agenda(Record):
    """What a command decided by the clock.

    Attributes:
        used_s: seconds of all sittings.
        probed: whether rung 1 is done.
        left_out: models that the budget did not reach in rung 1, and why.
        scaling_s: seconds that are kept for rung 3; null before rung 2 was planned.
        lengths: of the short trainings, by name.
        beyond: models whose short trainings the budget does not reach.
        skipped: what else of rungs 2 and 3 was not done, and why.
    """

    used_s: float = 0.0
    probed: bool = False
    left_out: dict[str, str] = Field(default_factory=dict)
    scaling_s: float | None = None
    lengths: dict[str, Length] = Field(default_factory=dict)
    beyond: list[str] = Field(default_factory=list)
    skipped: dict[str, str] = Field(default_factory=dict)


class Allowance:
    """The time that a command has left, with its agenda.

    Attributes:
        agenda: to be changed in place, and saved.
    """

    def __init__(self, store: RungStore, budget_s: float, *key: object) -> None:
        """Take up the command with this key; a budget of 0 is no limit."""
        self._store, self._budget_s, self._key = store, budget_s, ("agenda", budget_s, *key)
        self.agenda = store.load(Agenda, *self._key) or Agenda()
        self._begin = time.perf_counter() - self.agenda.used_s

    @property
    def deadline(self) -> float:
        """When the budget is spent, of `time.perf_counter`; infinite without a budget."""
        return self._begin + self._budget_s if self._budget_s else math.inf

    def left_s(self) -> float:
        """Seconds until then; negative after it."""
        return self.deadline - time.perf_counter()

    def save(self) -> None:
        """Store what was decided, and how much time was used.

        Raises:
            StorageError: the cache cannot be written.
        """
        if self._budget_s:
            self.agenda.used_s = time.perf_counter() - self._begin
            self._store.save(self.agenda, *self._key)

    def begin_anew(self) -> None:
        """Forget what was used: nothing came of it."""
        self.agenda, self._begin = Agenda(), time.perf_counter()
        self.save()
