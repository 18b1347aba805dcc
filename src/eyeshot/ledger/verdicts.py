"""The rule by which every experiment is judged: a paired difference, an allowance for comparisons, an expectation.

All functions here are pure. `docs/experiments.md` states the rule in words.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from eyeshot.core import percent, points
from eyeshot.ledger.expectations import SAME_WITHIN
from eyeshot.ledger.store.records import Expected, Gain, Got, Verdict
from eyeshot.predictions import Difference, compare_members, mcnemar_p

LEVEL = 0.05
Answers = NDArray[np.bool_]
"""bool (seeds, n): which answers of each seed are right, on the same n images."""


def allowed_p(comparisons: int, looks: int = 1) -> float:
    """The largest p at which a difference counts: 0.05, divided among comparisons with one parent and among looks.

    The k-th comparison with a parent has 0.05 / k (Bonferroni at its time), so that chance alone lets
    0.05 (1 + 1/2 + ... + 1/k) of k through in expectation, instead of 0.05 k. `looks` share it evenly, which bounds the
    chance that any of them passes (Pocock, Biometrika 64 (1977), p. 191, takes slightly more for correlated looks).

    Args:
        comparisons: experiments compared with this parent so far, this one included.
        looks: how often the difference may be looked at while seeds are added.
    """
    return LEVEL / comparisons / looks


def planned_looks(most: int) -> tuple[int, ...]:
    """Numbers of seeds after which a growing comparison is looked at: 1, 2, 3, 5, 8, ... and `most` itself.

    They are planned before the first run, and few: each look costs a share of the level.
    """
    looks, following = [1], [2, 3]
    while following[0] <= most:
        looks.append(following[0])
        following = [following[1], sum(following)]
    return tuple(looks) if looks[-1] == most or most < 1 else (*looks, most)


def assumed_noise(child: Answers, parent: Answers) -> tuple[float, float]:
    """Variance of accuracy between seeds where nobody has measured it, as if it were known.

    Two seeds of one recipe disagree on images even where neither is better. Without a common shift, the variance of one
    accuracy is half of the share of images on which they disagree, over n; on CIFAR-10 and ImageNet nearly all of the
    variance between seeds is of this kind (Jordan, "On the variance of neural network training with respect to test
    sets and distributions", 2023, arXiv 2304.01910). It is part of the variance over images already, and is added once
    more for what seeds may shift in common.

    Args:
        child, parent: bool (seeds, n).

    Returns:
        the variance, and infinite degrees of freedom.
    """
    disagreeing = float(np.mean(child[0] != parent[0]))
    return disagreeing / 2 / child.shape[1], math.inf


def paired_gain(child: Answers, parent: Answers, *, noise: tuple[float, float] | None = None) -> Difference:
    """Accuracy of the child less that of the parent on the same images, with interval and p over images and seeds.

    The test is that of `eyeshot compare`: Student's t with the variance over images and the variance between seeds, as
    a sum of two variances (Satterthwaite, Biometrics Bulletin 2 (1946), p. 110). For one seed of each, p is at least
    that of McNemar's exact test, since t is too sure of itself where few images differ.

    Args:
        child, parent: bool (seeds, n) each.
        noise: variance of accuracy between seeds of one recipe and its degrees of freedom, measured in the project;
            None: as `assumed_noise`.

    Raises:
        InputError: fewer than two images.
    """
    known = noise if noise is not None and noise[1] > 0 else assumed_noise(child, parent)
    _, (_, difference) = compare_members([parent, child], reference=0, noise=known)
    assert difference is not None
    p = difference.p
    if len(child) == len(parent) == 1:
        p = max(p, mcnemar_p(child[0], parent[0]))
    return difference.model_copy(update={"p": p, "p_adjusted": p})


def gain_of(difference: float, p: float, allowed: float) -> Gain:
    """Better or worse than the parent where p is at most the allowed one."""
    if p > allowed or difference == 0:
        return "not distinguishable"
    return "better" if difference > 0 else "worse"


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
