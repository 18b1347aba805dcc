"""How many trials a budget holds, and how far each rung trains them: from measured costs, with a reserve."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

from eyeshot.core import InputError, duration, plural
from eyeshot.sweep.search.promotion import FACTOR, MOST_RANDOM, RANDOM_SHARE, promoted_count
from eyeshot.training import Stage

Rung = Literal["probe", "last stage", "full"]

RESERVE = 0.05
"""Of the budget: what is under way is brought to an end in it."""
LEAST_RESERVE_S = 2.0
SLOWER = 1.15
"""What a plan reckons with over what was measured: machines are busy now and then."""
ENOUGH = 27
"""Trials from which on longer trainings are worth more than more trials: three rungs of a third each."""
FEWEST = 3
FIRST_SHARE = 1 / 3
"""Of the budget that the first rung may take where the best of it go right to the end."""


class Level(NamedTuple):
    """A rung with its budget: the probe, or so many more epochs of the last stage or of the whole network.

    Attributes:
        rung: what is trained.
        epochs: how many more.
        total: epochs of this rung in all, these included.
    """

    rung: Rung
    epochs: int = 0
    total: int = 0

    @property
    def name(self) -> str:
        """As the ledger says it; no two levels of a sweep share one."""
        return self.rung if not self.epochs else f"{self.rung}, {self.total} {plural(self.total, 'epoch')}"


class Costs(NamedTuple):
    """Measured seconds on one worker.

    Attributes:
        once_s: what is done once for all trials: decoding, and the features of all models.
        probe_s: of a probe on features that are there.
        last_stage_s, full_s: of an epoch.
        evaluate_s: of predicting the validation images, and of writing what a rung leaves.
    """

    once_s: float
    probe_s: float
    last_stage_s: float
    full_s: float
    evaluate_s: float

    def of(self, level: Level) -> float:
        """Seconds of one trial at a level."""
        if level.rung == "probe":
            return self.probe_s
        return level.epochs * (self.last_stage_s if level.rung == "last stage" else self.full_s) + self.evaluate_s


class SearchPlan(NamedTuple):
    """Levels, the trials of each, and the seconds that they should take.

    Attributes:
        levels, counts: in order, as many counts as levels.
        seconds: of the whole plan, on all workers.
        words: what is not as it was wished, in sentences.
    """

    levels: tuple[Level, ...]
    counts: tuple[int, ...]
    seconds: float
    words: tuple[str, ...] = ()


def stages_of(levels: Sequence[Level]) -> list[Stage]:
    """The stages of a training that levels make up; the probe is none."""
    freezes: dict[Rung, Literal["none", "last-stage"]] = {"last stage": "last-stage", "full": "none"}
    return [Stage(level.epochs, freezes[level.rung]) for level in levels if level.rung != "probe"]


def levels_for(epochs: int, *, simple: bool = False) -> tuple[Level, ...]:
    """Levels up to a full training of so many epochs: each trains three times as long as the one before.

    Args:
        epochs: of the whole network in all.
        simple: from the probe right to the end.
    """
    if simple:
        return Level("probe"), Level("full", epochs, epochs)
    first, last_stage = math.ceil(epochs / FACTOR), max(1, epochs // FACTOR**2)
    full = [Level("full", first, first), *([Level("full", epochs - first, epochs)] if epochs > first else [])]
    return Level("probe"), Level("last stage", last_stage, last_stage), *full


def usable(budget_s: float) -> float:
    """Seconds of a budget in which new work may begin."""
    return budget_s - max(LEAST_RESERVE_S, RESERVE * budget_s)


def seconds_of_plan(levels: Sequence[Level], counts: Sequence[int], costs: Costs, workers: int) -> float:
    """Seconds that so many trials at these levels take at most, where all workers do the same at the same time."""
    work = costs.once_s / workers + sum(
        math.ceil(count / workers) * costs.of(level) for level, count in zip(levels, counts, strict=True)
    )
    return SLOWER * work


def counts_of(levels: Sequence[Level], trials: int, *, groups: int, carried: int, simple: bool = False) -> list[int]:
    """How many trials come to each level, at most.

    Args:
        levels: in order.
        trials: at the first.
        groups: of strength, each of which promotes its own third.
        carried: trials besides the random ones that go through all rungs.
        simple: two levels, of which the second takes `trials` of the plan's own count; see `make_plan`.
    """
    counts, alive = [trials], trials
    extra = carried + (min(MOST_RANDOM, max(1, round(RANDOM_SHARE * trials))) if trials >= FACTOR**2 else 0)
    for _ in levels[1:]:
        share = 0 if simple else promoted_count(alive) + max(0, min(groups, alive) - 1)
        alive = min(alive, share + extra)
        counts.append(alive)
    return counts


def make_plan(
    costs: Costs,
    left_s: float,
    *,
    epochs: int,
    workers: int = 1,
    groups: int = 1,
    carried: int = 1,
    most: int = 500,
    simple: bool = False,
) -> SearchPlan:
    """The plan for a number of seconds: enough trials first, then long trainings, then more trials.

    The epochs are halved until 27 trials fit, and where not even one trial would come to the end with a single epoch,
    the search ends at the last rung that fits.

    Args:
        costs: measured.
        left_s: in which work may begin.
        epochs: of a full training, as wished.
        workers: at a time.
        groups: of strength.
        carried: trials that go through all rungs besides the random ones.
        most: trials at the first rung.
        simple: the best of the probe go right to the end, as many as fit.

    Raises:
        InputError: not a single trial fits into the first rung.
    """

    def fitting(levels: tuple[Level, ...]) -> tuple[int, list[int], float]:
        def counts(trials: int) -> list[int]:
            return counts_of(levels, trials, groups=groups, carried=carried, simple=simple)

        def fits(count: int) -> bool:
            first_s = seconds_of_plan(levels[:1], [count], costs, workers)
            if simple and len(levels) > 1 and first_s > left_s * FIRST_SHARE:
                return False
            return seconds_of_plan(levels, counts(count), costs, workers) <= left_s

        trials = _largest(most, fits)
        own = counts(max(1, trials))
        return trials, own, seconds_of_plan(levels, own, costs, workers)

    wished, best = epochs, None
    while True:
        levels = levels_for(epochs, simple=simple)
        trials, counts, seconds = fitting(levels)
        if trials >= min(FEWEST, most) and (best is None or trials > best[0]):
            best = trials, levels, counts, seconds, epochs
        if trials >= min(ENOUGH, most) or epochs == 1:
            break
        epochs = max(1, epochs // 2)
    words = []
    if best is None:
        for end in (2, 1):
            levels = levels_for(1)[:end]
            trials, counts, seconds = fitting(levels)
            if trials >= (min(FEWEST, most) if end == 2 else 1):
                best = trials, levels, counts, seconds, 0
                words = [f"The budget holds no full training: the sweep ends at the {levels[-1].rung}."]
                break
        else:
            needed = seconds_of_plan(levels_for(1)[:1], [1], costs, workers)
            raise InputError(
                f"The budget must hold at least one trial, which takes {duration(needed)} here with what is done once, "
                f"and {duration(max(0.0, left_s))} of it are left after loading and measuring. Give a larger --budget, "
                "fewer models or smaller images."
            )
    elif best[4] < wished:
        words = [f"Full trainings have {best[4]} of the wished {wished} epochs, so that {best[0]} trials fit."]
    trials, levels, counts, seconds, _ = best
    if simple and len(levels) == 2:
        # What is left goes to the best of the probe.
        each = costs.of(levels[1]) * SLOWER
        more = int((left_s - seconds) / each) * workers if each > 0 else 0
        counts = [trials, min(trials, counts[1] + max(0, more))]
        seconds = seconds_of_plan(levels, counts, costs, workers)
    return SearchPlan(tuple(levels), tuple(counts), seconds, tuple(words))


def plan_words(plan: SearchPlan, budget_s: float) -> list[str]:
    """The plan in sentences, of which the first says what the budget holds."""
    parts = [f"{count} × {level.name}" for level, count in zip(plan.levels, plan.counts, strict=True)]
    return [f"Planned: {'; '.join(parts)}. About {duration(plan.seconds)} of {duration(budget_s)}.", *plan.words]


def scaled(costs: Costs, taken_s: Mapping[Rung, Sequence[float]], planned_s: Mapping[Rung, Sequence[float]]) -> Costs:
    """Costs corrected by what was taken against what was planned, rung by rung."""

    def factor(rung: Rung) -> float:
        planned = sum(planned_s.get(rung, ()))
        return sum(taken_s.get(rung, ())) / planned if planned else 1.0

    return costs._replace(
        probe_s=costs.probe_s * factor("probe"), last_stage_s=costs.last_stage_s * factor("last stage"),
        full_s=costs.full_s * factor("full"),
    )  # fmt: skip


def _largest(most: int, fits: Callable[[int], bool]) -> int:
    """The largest count up to `most` that fits; 0 where not even one does. Larger counts never fit better."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if fits(middle):
            low = middle
        else:
            high = middle - 1
    return low
