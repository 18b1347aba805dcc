"""The rule by which every experiment is judged: a paired difference, an allowance for comparisons, an expectation.

All functions here are pure. `docs/experiments.md` states the rule in words.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from eyeshot.core import InputError, percent, points
from eyeshot.ledger.judging.expectations import SAME_WITHIN
from eyeshot.ledger.store.records import Expected, Gain, Got, Verdict
from eyeshot.predictions import Difference, mcnemar_p

LEVEL = 0.05
GUESS_FREEDOM = 8
"""What the guess about the noise between seeds is worth, in degrees of freedom."""
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


def paired_gain(child: Answers, parent: Answers, *, noise: tuple[float, float] | None = None) -> Difference:
    """Accuracy of the child less that of the parent on the same images, with interval and p over images and seeds.

    Two runs of one recipe differ by luck, image by image, and because a seed may be better or worse on all images. The
    luck is part of the variance over images. Its variance in one accuracy is known from the images on which child and
    parent disagree, for two runs of one recipe half of their share over n. The rest of the variance between seeds is
    added. It is shrunk towards a guess, that a seed shifts all images as much as luck does, worth 8 degrees of freedom,
    as variances of few replicates are (Smyth, Statistical Applications in Genetics and Molecular Biology 3 (2004),
    article 3, section 4). The guess is on the safe side: on CIFAR-10 and ImageNet nearly all is luck (Jordan, "On the
    variance of neural network training with respect to test sets and distributions", 2023, arXiv 2304.01910).
    Degrees of freedom are those of a sum of variances (Satterthwaite, Biometrics Bulletin 2 (1946), p. 110). For one
    seed of each, p is at least that of McNemar's exact test: t is too sure of itself where few images differ.

    Args:
        child, parent: bool (seeds, n) each.
        noise: variance of accuracy between seeds of one recipe on as many images, measured in the project, and its
            degrees of freedom; None: not measured.

    Raises:
        InputError: fewer than two images.
    """
    count = child.shape[1]
    if count < 2:
        raise InputError(f"Experiments are compared on at least two images with labels, got {count}.")
    each = child.mean(0) - parent.mean(0)
    value, from_images = float(each.mean()), float(each.var(ddof=1)) / count
    luck = luck_variance(child, parent)
    measured, freedom = noise or (0.0, 0.0)
    between = (GUESS_FREEDOM * 2 * luck + freedom * measured) / (GUESS_FREEDOM + freedom)
    weight = 1 / len(child) + 1 / len(parent)
    variance = from_images + weight * max(0.0, between - luck)
    p, half = float(value == 0), 0.0
    if variance:
        unsure = from_images**2 / (count - 1) + (weight * between) ** 2 / (GUESS_FREEDOM + freedom)
        of_sum = variance**2 / unsure
        p = float(2 * stats.t.sf(abs(value) / math.sqrt(variance), of_sum))
        half = float(stats.t.ppf(1 - LEVEL / 2, of_sum) * math.sqrt(variance))
    single = len(child) == len(parent) == 1
    if single:
        p = max(p, mcnemar_p(child[0], parent[0]))
    return Difference(
        value=value, low=value - half, high=value + half,
        only_here=int((child[0] & ~parent[0]).sum()) if single else None,
        only_reference=int((parent[0] & ~child[0]).sum()) if single else None,
        p=p, p_adjusted=p, verdict=gain_of(value, p, LEVEL),
    )  # fmt: skip


def luck_variance(child: Answers, parent: Answers) -> float:
    """Variance of one accuracy by luck on single images, from the images on which runs of both disagree.

    A real difference adds to it, so that it is rather too large.

    Args:
        child, parent: bool (seeds, n) each.
    """
    first, second = child.mean(0), parent.mean(0)
    return float((first * (1 - second) + second * (1 - first)).mean()) / (2 * int(child.shape[1]))


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
