"""Calibration: closed forms, and what chance does to it."""

import numpy as np
import pytest
from scipy import special
from sklearn import metrics

from eyeshot.core import InputError, draw_half_samples
from eyeshot.predictions import (
    Predictions,
    calibration_error,
    calibration_error_interval,
    fit_temperature,
    labelled_part,
    log_loss,
    measure_calibration,
    reliability,
    temperature_by_image,
    with_temperature,
)


def two_classes(confidence, right):
    """Predictions of class 0 with these confidences; the label is class 0 where right."""
    confidence = np.asarray(confidence, float)
    return np.stack([confidence, 1 - confidence], 1), np.where(right, 0, 1)


def table(probabilities, labels):
    names = tuple(map(str, range(len(probabilities))))
    return Predictions(names, probabilities, tuple("abcdefg"[: probabilities.shape[1]]), labels, run="r")


def test_the_error_is_the_gap_where_all_images_are_equally_sure():
    confidence, right = np.full(100, 0.9), np.arange(100) < 70
    assert calibration_error(confidence, right) == pytest.approx(0.2)
    assert calibration_error(confidence, right, binning="equal-mass", bins=1) == pytest.approx(0.2)


def test_gaps_of_several_bins_are_weighted_by_their_images():
    confidence = np.array([0.95] * 60 + [0.55] * 40)
    right = np.concatenate([np.arange(60) < 45, np.arange(40) < 30])
    expected = 0.6 * abs(0.95 - 0.75) + 0.4 * abs(0.55 - 0.75)
    assert calibration_error(confidence, right) == pytest.approx(expected)
    bins = reliability(confidence, right)
    assert [(each.accuracy.n, each.accuracy.value) for each in bins] == [(40, 0.75), (60, 0.75)]
    assert [each.confidence for each in bins] == pytest.approx([0.55, 0.95])


def test_a_confidence_on_an_edge_belongs_to_the_bin_below_as_in_the_paper():
    confidence = np.array([0.5, 0.500001, 1.0, 0.0])
    assert [each.accuracy.n for each in reliability(confidence, np.ones(4, bool), bins=2)] == [2, 2]


def test_bins_of_equal_mass_hold_as_many_images():
    confidence = np.linspace(0.99, 1, 60)
    sizes = [each.accuracy.n for each in reliability(confidence, np.ones(60, bool), binning="equal-mass")]
    assert sizes == [4] * 15
    assert len(reliability(confidence, np.ones(60, bool))) == 1


@pytest.mark.parametrize("share", [0.6, 0.75, 0.97])
def test_the_temperature_of_equally_sure_answers_has_a_closed_form(share):
    probabilities, labels = two_classes(np.full(1000, 0.9), np.arange(1000) < 1000 * share)
    expected = np.log(0.9 / 0.1) / np.log(share / (1 - share))
    assert fit_temperature(probabilities, labels) == pytest.approx(expected, rel=1e-3)
    assert with_temperature(probabilities, expected)[0] == pytest.approx([share, 1 - share])


def test_a_known_temperature_is_found_again():
    random = np.random.default_rng(0)
    logits = random.normal(0, 2, (20_000, 5))
    true = with_temperature(np.exp(logits) / np.exp(logits).sum(1, keepdims=True), 1.0)
    labels = (true.cumsum(1) > random.random((20_000, 1))).argmax(1)
    sharpened = with_temperature(true, 0.4)
    assert fit_temperature(sharpened, labels) == pytest.approx(2.5, rel=0.03)
    assert log_loss(with_temperature(sharpened, 2.5), labels) < log_loss(sharpened, labels)


def test_the_temperature_is_that_of_a_search_on_a_grid_with_the_loss_of_sklearn():
    random = np.random.default_rng(2)
    labels = random.integers(0, 4, 200)
    scores = 4 * (random.standard_normal((200, 4)) + 1.5 * np.eye(4)[labels])
    grid = np.exp(np.linspace(np.log(0.5), np.log(20), 500))
    losses = [metrics.log_loss(labels, special.softmax(scores / one, axis=1), labels=range(4)) for one in grid]
    fitted = fit_temperature(special.softmax(scores, axis=1), labels)
    assert fitted == pytest.approx(grid[int(np.argmin(losses))], rel=0.01)


def test_answers_without_skill_lose_all_confidence():
    random = np.random.default_rng(1)
    probabilities = np.full((5000, 4), 1e-6)
    probabilities[np.arange(5000), random.integers(0, 4, 5000)] = 1 - 3e-6
    labels = random.integers(0, 4, 5000)
    scaled = with_temperature(probabilities, fit_temperature(probabilities, labels))
    assert scaled.max() < 0.3


def test_where_every_answer_is_right_one_more_is_taken_to_be_wrong():
    probabilities, labels = two_classes(np.full(10, 0.9), np.ones(10, bool))
    assert fit_temperature(probabilities, labels) == pytest.approx(np.log(9) / np.log(10), rel=1e-3)
    assert fit_temperature(probabilities[:0], labels[:0]) == 1


def test_a_probability_of_zero_costs_no_infinite_loss():
    probabilities = np.array([[1.0, 0.0], [1.0, 0.0]], np.float16)
    assert log_loss(probabilities, np.array([0, 1])) == pytest.approx(25 * np.log(2) / 2)


def test_the_interval_covers_the_true_error_as_often_as_it_says():
    """Three groups that are 10 points too sure, at 20 draws of 400 images each."""
    covered = []
    for seed in range(100):
        random = np.random.default_rng(seed)
        confidence = random.choice([0.62, 0.82, 0.97], 400)
        right = random.random(400) < confidence - 0.1
        low, high = calibration_error_interval(confidence, right, seed=seed)
        covered.append(low <= 0.1 <= high)
    assert np.mean(covered) >= 0.88


def test_the_error_by_chance_is_what_a_calibrated_run_shows():
    random = np.random.default_rng(5)
    confidence = random.uniform(0.5, 1, 300)
    measured = measure_calibration(table(*two_classes(confidence, random.random(300) < confidence)))
    assert measured.low == 0
    assert 0.02 < measured.error_by_chance < 0.08
    assert measured.error < 2 * measured.error_by_chance
    assert sum(each.accuracy.n for each in measured.bins) == measured.n == 300


def test_a_temperature_fitted_on_one_half_helps_the_other():
    random = np.random.default_rng(6)
    confidence = random.uniform(0.5, 0.8, 4000)
    probabilities, labels = two_classes(confidence, random.random(4000) < confidence)
    sharp = measure_calibration(table(with_temperature(probabilities, 0.3), labels))
    assert sharp.error > 0.15
    assert sharp.error_scaled < 0.05
    assert sharp.temperature == pytest.approx(1 / 0.3, rel=0.15)


def test_images_without_a_label_are_left_out():
    probabilities, labels = two_classes(np.full(4, 0.9), np.ones(4, bool))
    labels[:2] = -1
    assert [len(part) for part in labelled_part(table(probabilities, labels))] == [2, 2]
    with pytest.raises(InputError, match="at least two images with labels, got 0"):
        measure_calibration(table(probabilities, None))


def test_half_samples_of_the_parts_of_images_spread_as_refitted_temperatures_do():
    random = np.random.default_rng(0)
    logits = random.normal(0, 2, (400, 5))
    labels = (special.softmax(logits, axis=1).cumsum(1) > random.random((400, 1))).argmax(1)
    probabilities = special.softmax(2 * logits, axis=1)
    fitted = fit_temperature(probabilities, labels)
    parts = temperature_by_image(with_temperature(probabilities, fitted), labels)
    assert parts.mean() == pytest.approx(0, abs=1e-12)
    halves = draw_half_samples(400, 2, seed=0).target
    refitted = np.array([np.log(fit_temperature(probabilities[half], labels[half])) for half in halves])
    expected = np.array([parts[half].mean() for half in halves])
    assert expected.std() == pytest.approx(refitted.std(), rel=0.1)
    assert np.corrcoef(expected, refitted)[0, 1] > 0.95
