"""What a sweep moves from rung to rung."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Status = Literal["waiting", "running", "stopped", "finished", "failed"]


@dataclass(eq=False)
class Trial:
    """One training that competes with others, from all seeds.

    Attributes:
        id: key of all that decides its numbers, given its seed and the steps of its rungs: neither the budget nor the
            other trials.
        name: what people and `order` call it; no two trials of a sweep share one.
        group: the list that it competes in; each is halved on its own.
        payload: what the caller needs to train it.
        measures: what its evaluations hold, where that differs between trials; the training does not depend on it.
        rung: rungs that it has finished.
        steps: from each seed, without those of the shared start.
        status: "waiting" until its first evaluation, then "running"; in the end "finished" where it took part in the
            last rung, "stopped" where others went on or the budget was over, or "failed".
        ended: why it ended early, or None.
        evaluations: its latest, one for each seed; empty where it never came to one.
        reference: those of the reference trial after as many steps from the same seeds.
    """

    id: str
    name: str
    group: str = ""
    payload: Any = None
    measures: str = ""
    rung: int = 0
    steps: int = 0
    status: Status = "waiting"
    ended: str | None = None
    evaluations: tuple[Any, ...] = ()
    reference: tuple[Any, ...] = ()
