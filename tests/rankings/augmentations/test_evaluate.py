from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.metrics import log_loss

from eyeshot.predictions import fit_temperature
from eyeshot.rankings.augmentations.evaluate import (
    GREY,
    Evaluation,
    EvaluationFormat,
    balance_of,
    hide_half,
    scaled_log_loss,
)


def predictions(count: int, *, scale: float, seed: int = 0):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 4, count)
    scores = random.standard_normal((count, 4))
    scores[np.arange(count), labels] += 1.5
    return scores * scale, labels


def test_scaled_log_loss_is_that_of_sklearn_at_the_other_halfs_temperature():
    scores, labels = predictions(300, scale=2.0)
    losses = scaled_log_loss(softmax(scores, axis=1), labels)
    odd = np.arange(300) % 2 == 1
    for judged in (odd, ~odd):
        temperature = fit_temperature(softmax(scores[~judged], axis=1), labels[~judged])
        share = 1 / 151
        said = (1 - share) * softmax(scores[judged] / temperature, axis=1) + share / 4
        assert losses[judged].mean() == pytest.approx(log_loss(labels[judged], said, labels=range(4)), rel=1e-4)


def test_a_run_that_is_only_less_sure_is_neither_better_nor_worse():
    scores, labels = predictions(500, scale=1.0)
    one, other = (scaled_log_loss(softmax(scores * factor, axis=1), labels).mean() for factor in (1, 4))
    assert one == pytest.approx(other, rel=1e-3)


@given(st.integers(8, 200), st.integers(2, 10), st.integers(0, 10**6))
def test_losses_are_bounded_even_where_all_but_one_are_surely_right(count, classes, seed):
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, count)
    probabilities = np.full((count, classes), 1e-12)
    said = labels.copy()
    said[0] = (labels[0] + 1) % classes
    probabilities[np.arange(count), said] = 1
    losses = scaled_log_loss(probabilities, labels)
    assert np.isfinite(losses).all()
    assert losses.max() <= np.log((count / 2 + 2) * classes)
    assert losses.min() > 0


def test_each_half_is_grey_by_turns_and_the_images_are_left_alone():
    images = np.random.default_rng(0).integers(0, 100, (8, 10, 10, 3), dtype=np.uint8)
    before = images.copy()
    hidden = hide_half(images)
    assert (images == before).all()
    assert ((hidden == GREY).mean(axis=(1, 2, 3)) == 0.5).all()
    assert (hidden[0, :, :5] == GREY).all()
    assert (hidden[1, :, 5:] == GREY).all()
    assert (hidden[2, :5] == GREY).all()
    assert (hidden[3, 5:] == GREY).all()
    assert (hidden[:4, :, :][hidden[:4] != GREY] == images[:4][hidden[:4] != GREY]).all()


def test_balance_is_one_for_even_predictions_and_zero_for_one_class():
    assert balance_of(np.full((5, 4), 0.25)) == pytest.approx(1)
    assert balance_of(np.eye(4)) == pytest.approx(1)
    assert balance_of(np.array([[1.0, 0, 0, 0]] * 3)) == pytest.approx(0)
    half = np.array([[1.0, 0, 0, 0], [0, 1, 0, 0]])
    assert balance_of(half) == pytest.approx(np.log(2) / np.log(4))


def test_an_evaluation_comes_back_from_its_bytes():
    random = np.random.default_rng(0)
    evaluation = Evaluation(
        random.random(5), random.random(5) > 0.5, np.empty(0, bool), 0.25, random.random(7), 0.5, 0.75,
        random.random((4, 3)).astype(np.float16), 1.5, random.random(5),
    )  # fmt: skip
    back = EvaluationFormat().loads(EvaluationFormat().dumps(evaluation))
    for name in ("log_loss", "right", "hidden_right", "half_coverage", "target_probabilities", "temperature_parts"):
        np.testing.assert_array_equal(getattr(back, name), getattr(evaluation, name))
    assert back.target_probabilities.dtype == np.float16
    assert (back.coverage, back.balance, back.confidence, back.temperature) == (0.25, 0.5, 0.75, 1.5)
