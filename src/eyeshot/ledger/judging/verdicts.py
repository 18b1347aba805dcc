"""How a paired difference becomes a verdict: an allowance for comparisons and looks, and the expectation.

All functions here are pure. `docs/experiments.md` states the rule in words.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from scipy import stats

from eyeshot.core import percent, points
from eyeshot.ledger.judging.expectations import SAME_WITHIN
from eyeshot.ledger.store.records import Expected, Gain, Got, Verdict
from eyeshot.predictions import difference_variance

LEVEL = 0.05


def allowed_p(comparisons: int, looks: int = 1) -> float:
    """The largest p at which a difference counts: 0.05, divided among comparisons with one parent and among looks.

    The k-th comparison with a parent has 0.05 / k (Bonferroni at its time), so that chance alone lets
    0.05 (1 + 1/2 + ... + 1/k) of k through in expectation, instead of 0.05 k. `looks` share it evenly, which bounds the
    chance that any of them passes (Pocock, Biometrika 64 (1977), p. 191, takes slightly more for correlated looks).

    Args:
        comparisons: experiments compared with this parent so far, this one included.
        looks: how often the difference may be looked at while seeds and folds are added.
    """
    return LEVEL / comparisons / looks


def planned_rounds(folds: int, most: int, *, freedom: float) -> list[tuple[int, int]]:
    """How a comparison grows: (folds, seeds) after each step, from one of each, every seed in every fold.

    Each step adds the fold or the seed that narrows the expected interval more, for each training that it costs. A fold
    brings new images, so that their noise falls too; a seed also measures the noise between seeds. It is taken that
    images differ in what the change does to them by as much as luck, and that the guess about seeds is right.

    Args:
        folds: of the split; 1 without folds.
        most: trainings of each recipe, all steps together.
        freedom: degrees of freedom of the noise that is measured already.
    """

    def log_width(of_folds: int, seeds: int) -> float:
        # In units of the luck of one training on the images of one fold.
        luck, weight = 1 / of_folds, 2 / seeds
        noise = 2 * luck, freedom + 2 * of_folds * (seeds - 1)
        variance, of_sum = difference_variance((weight + 1) * luck, luck, weight, 1000 * of_folds, noise)
        return math.log(stats.t.ppf(1 - LEVEL / 2, of_sum)) + math.log(variance) / 2

    rounds = [(1, 1)]
    while True:
        reached, seeds = rounds[-1]
        here = log_width(reached, seeds)
        steps = [((reached, seeds + 1), reached), *([((reached + 1, seeds), seeds)] if reached < folds else [])]
        step = max(steps, key=lambda step: (here - log_width(*step[0])) / step[1])[0]
        if step[0] * step[1] > most:
            return rounds
        rounds.append(step)


def planned_looks(rounds: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    """Numbers of trainings of each after which a growing comparison is looked at: 1, 2, 3, 5, 8, ... and all of them.

    They are planned before the first run, and few: each look costs a share of the level. Only a round that is complete
    is looked at.

    Args:
        rounds: of `planned_rounds`.
    """
    counts = [folds * seeds for folds, seeds in rounds]
    looks, wanted, following = [], 1, 2
    for count in counts:
        if count >= wanted or count == counts[-1]:
            looks.append(count)
            while wanted <= count:
                wanted, following = following, wanted + following
    return tuple(looks)


def verdict_of(expected: Expected | None, got: Got, gain: Gain) -> tuple[Verdict, str]:
    """What came against what was expected, with the reason in a sentence.

    An expectation that was stated after the first run counts for nothing: the verdict is then the gain.

    Args:
        expected: None: nothing was.
        got: with the difference to the parent and its interval.
        gain: of `gain_of`.
    """
    measured = _measured(got)
    if got.difference is None or got.difference_low is None or got.difference_high is None:
        return "not distinguishable", "There is no parent to compare with."
    if expected is None or expected.late:
        return gain, f"{measured}: {_told(gain)}. Nothing was expected before the first run."
    low, high = got.difference_low, got.difference_high
    if expected.direction == "same":
        within = SAME_WITHIN if expected.size is None else expected.size
        if gain != "not distinguishable":
            return gain, f"{measured}: {_told(gain)}, and no difference was expected."
        if -within <= low and high <= within:
            return "as expected", f"{measured}: at most {points(within)} either way, as expected."
        return gain, (
            f"{measured}: not distinguishable from the parent, but a difference of {points(within)} is not ruled out."
        )
    if gain == "not distinguishable":
        return gain, f"{measured}: not distinguishable from the parent."
    if gain != ("better" if expected.direction == "up" else "worse"):
        return gain, f"{measured}: {_told(gain)}, and the opposite was expected."
    if expected.size is None:
        return "as expected", f"{measured}: {_told(gain)}, as expected."
    size = expected.size if expected.direction == "up" else -expected.size
    if low <= size <= high:
        return "as expected", f"{measured}: {_told(gain)}, and the expected {_signed(size)} lie in the interval."
    beyond: Verdict = "better" if got.difference > size else "worse"
    return beyond, f"{measured}: {_told(gain)}, but {beyond} than the expected {_signed(size)}."


def chance_words(comparisons: int, allowed: float | None = None) -> str:
    """How many of so many comparisons would differ by chance alone, and which p is allowed for it.

    Args:
        comparisons: with one parent so far.
        allowed: p that counts; None: as of `allowed_p` at a single look.
    """
    limit = f"{allowed_p(comparisons) if allowed is None else allowed:.2g}"
    if comparisons < 2:
        return f"It must be at most {limit}."
    return (
        f"It must be at most {limit}, since of {comparisons} comparisons with this parent chance alone would make "
        f"{LEVEL * comparisons:.2g} look different at 0.05."
    )


def estimate_disagrees(difference: float, estimate_difference: float, half_width: float) -> bool:
    """Whether the estimate on the test images says the opposite of validation, by more than its own uncertainty."""
    return difference * estimate_difference < 0 and abs(estimate_difference) > half_width


def _told(gain: Gain) -> str:
    return "not distinguishable from the parent" if gain == "not distinguishable" else f"{gain} than the parent"


def _signed(share: float) -> str:
    return f"{'+' if share > 0 else ''}{points(share)}"


def _measured(got: Got) -> str:
    if got.difference is None:
        return f"{percent(got.value, 1)} on {got.n} images"
    if got.difference_low is None or got.difference_high is None:
        return _signed(got.difference)
    return f"{_signed(got.difference)} ({100 * got.difference_low:+.1f} to {100 * got.difference_high:+.1f})"
