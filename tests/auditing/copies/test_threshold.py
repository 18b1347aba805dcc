from __future__ import annotations

import numpy as np
import pytest

from eyeshot.auditing.copies.threshold import BASE, describe_cut_off, estimate_precision


def crossing(count: int, rate: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(count) < rate


def test_where_no_near_pair_crosses_classes_and_look_alikes_do_precision_is_one() -> None:
    precision, interval, basis = estimate_precision(crossing(100, 0), crossing(2000, 0.5))
    assert precision == 1.0
    assert interval[0] > 0.9
    assert interval[1] == 1.0
    assert "0 of 100 near pairs" in basis


@pytest.mark.parametrize("seed", range(5))
def test_the_estimate_is_near_the_truth_where_the_truth_is_planted(seed: int) -> None:
    near = np.concatenate([np.zeros(240, bool), crossing(60, 0.6, seed)])  # 60 of 300 are look-alikes
    precision, (low, high), _ = estimate_precision(near, crossing(4000, 0.6, seed + 10))
    assert low <= 0.8 <= high
    assert precision == pytest.approx(0.8, abs=0.08)


def test_copies_under_two_labels_are_no_sign_of_look_alikes() -> None:
    near, alike = crossing(400, 0.3), crossing(2000, 0.5)
    plain, _, _ = estimate_precision(near, alike)
    precision, _, basis = estimate_precision(near, alike, identical=(300, 90))
    assert plain < 0.5
    assert precision > 0.9
    assert "90 of 300 pairs with identical pixels" in basis


@pytest.mark.parametrize(
    ("near", "alike", "words"),
    [
        (None, None, "no labels"),
        (crossing(100, 0), crossing(49, 0.5), "49 labelled pairs of look-alikes lie"),
        (crossing(100, 0), crossing(500, 0), "0 of them across classes"),
        (crossing(9, 0), crossing(500, 0.5), "9 near pairs"),
    ],
)
def test_where_there_is_nothing_to_go_by_nothing_is_claimed(
    near: np.ndarray | None, alike: np.ndarray | None, words: str
) -> None:
    precision, interval, basis = estimate_precision(near, alike)
    assert precision is None
    assert interval is None
    assert words in basis


def test_the_cut_off_is_the_same_whatever_the_scores() -> None:
    for scores in ([], [0.9, 0.2], np.random.default_rng(0).random(3000)):
        values = np.array(scores, np.float32)
        cut = describe_cut_off(values, (None, None, "no labels"), thorough=False, exact=True)
        assert cut.score == BASE
        assert (cut.pairs, cut.pairs_below) == ((values >= BASE).sum(), (values < BASE).sum())
