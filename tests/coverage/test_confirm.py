from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eyeshot.augment import augmentation
from eyeshot.coverage.confirm import chosen_names, paired_gain

counts = st.integers(0, 60)


def outcomes(both: int, first: int, second: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    """Right and wrong on the same images: by both, by the first alone, by the second alone, by none."""
    one = np.repeat([True, True, False, False], (both, first, second, neither))
    other = np.repeat([True, False, True, False], (both, first, second, neither))
    return one, other


@given(counts, counts, counts, counts)
def test_the_gain_and_its_interval_follow_from_the_images_that_differ(both, first, second, neither):
    """McNemar: of n images b are right by one alone and c by the other alone."""
    n = both + first + second + neither
    if n < 2:
        return
    gain, (low, high) = paired_gain(*outcomes(both, first, second, neither))
    assert gain == pytest.approx((first - second) / n)
    variance = (first + second - (first - second) ** 2 / n) / (n * (n - 1))
    assert high - gain == pytest.approx(1.959964 * math.sqrt(max(0.0, variance)), abs=1e-9)
    assert gain - low == pytest.approx(high - gain)


def test_pairing_matters_and_the_order_of_images_does_not():
    one, other = outcomes(80, 6, 2, 12)
    shuffled = np.random.default_rng(0).permutation(len(one))
    paired, again = paired_gain(one, other), paired_gain(one[shuffled], other[shuffled])
    assert paired[0] == pytest.approx(again[0])
    assert paired[1] == pytest.approx(again[1])
    apart = paired_gain(one, other[shuffled])
    assert apart[0] == pytest.approx(paired[0])
    assert apart[1][1] - apart[1][0] > 1.5 * (paired[1][1] - paired[1][0])


def test_the_interval_holds_the_truth_nineteen_times_of_twenty():
    random = np.random.default_rng(0)
    shares = np.array([0.7, 0.12, 0.06, 0.12])
    held = 0
    for _ in range(2000):
        low, high = paired_gain(*outcomes(*random.multinomial(300, shares)))[1]
        held += low <= shares[1] - shares[2] <= high
    assert held / 2000 == pytest.approx(0.95, abs=0.015)


def judged(*names: str, role: str = "ranked"):
    return SimpleNamespace(candidates=[SimpleNamespace(name=name, role=role) for name in names])


def known(*names: str):
    return {name: augmentation(name) for name in names}


@pytest.mark.parametrize(
    ("ranked", "count", "chosen"),
    [
        (["invert", "mirror", "grey"], 1, ["clean", "invert"]),
        (["invert", "mirror", "grey"], 2, ["clean", "invert", "mirror"]),
        (["invert", "mirror"], 5, ["clean", "invert", "mirror"]),
        (["invert", "trivial-augment", "mirror"], 1, ["clean", "invert", "trivial-augment"]),
        (["invert", "mirror", "trivial-augment"], 3, ["clean", "invert", "mirror", "trivial-augment"]),
        (["trivial-augment", "invert"], 1, ["clean", "trivial-augment"]),
    ],
)
def test_clean_the_first_and_the_control_are_trained_each_once(ranked, count, chosen):
    assert chosen_names(judged(*ranked), known(*ranked), count) == chosen


def test_generated_images_and_those_that_are_not_ranked_are_left_out():
    assert chosen_names(judged("generated", "invert"), known("invert"), 1) == ["clean", "invert"]
    assert chosen_names(judged("half-turns", role="destroyer"), known("half-turns"), 1) == ["clean"]
