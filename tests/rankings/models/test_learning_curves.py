"""Learning curves: nested parts, the fit, and what its interval says."""

from itertools import pairwise

import numpy as np
import pytest

from eyeshot.core import SILENT, InputError
from eyeshot.rankings.models.learning_curves import (
    fit_power_law,
    learning_curve,
    nested_subsets,
    probe_answer,
)

SHARES = (1 / 8, 1 / 4, 1 / 2, 1.0)
COUNTS = np.array([100.0, 200.0, 400.0, 800.0])


def many_classes(classes=500, each=30):
    return np.repeat(np.arange(classes), each)


@pytest.mark.parametrize(("classes", "each"), [(500, 30), (2, 500), (7, 8)])
def test_parts_are_nested_and_hold_each_class_in_proportion(classes, each):
    labels = many_classes(classes, each)
    rows = np.random.default_rng(0).permutation(len(labels))[: int(0.8 * len(labels))]
    parts = nested_subsets(labels, np.sort(rows), SHARES, seed=3)
    for smaller, larger in pairwise(parts):
        assert set(smaller) < set(larger)
    for share, part in zip(SHARES, parts, strict=True):
        assert len(part) == round(share * len(rows))
        of_part = np.bincount(labels[part], minlength=classes)
        of_all = np.bincount(labels[rows], minlength=classes)
        assert np.abs(of_part - share * of_all).max() <= 1
    assert set(parts[-1]) == set(rows)


def test_a_class_of_one_image_is_in_the_smallest_part():
    labels = np.array([0] * 60 + [1] * 60 + [2])
    assert 120 in nested_subsets(labels, np.arange(121), SHARES, seed=0)[0]


def test_parts_depend_on_the_seed_alone():
    labels = many_classes(5, 20)
    first, again, other = (nested_subsets(labels, np.arange(100), SHARES, seed=seed)[0] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(("level", "factor", "exponent"), [(0.05, 1.0, 0.5), (0.0, 0.6, 0.2), (0.1, 5.0, 1.0)])
def test_the_fit_finds_a_power_law_and_what_comes_after_it(level, factor, exponent):
    fit = fit_power_law(COUNTS, (level + factor * COUNTS**-exponent)[:, None])
    truth = level + factor * 1600.0**-exponent
    assert float(fit[0][0] + fit[1][0] * 1600 ** -fit[2][0]) == pytest.approx(truth, abs=1e-3)


def test_the_fit_agrees_with_a_search_by_scipy():
    from scipy.optimize import least_squares

    errors = np.array([0.31, 0.24, 0.22, 0.17])
    found = fit_power_law(COUNTS, errors[:, None])
    ours = float(np.square(found[0] + found[1] * COUNTS ** -found[2] - errors).sum())

    def residuals(values):
        return values[0] + values[1] * COUNTS ** -values[2] - errors

    best = min(
        2 * least_squares(residuals, [0.1, 1.0, start], bounds=([0, -np.inf, 0.05], [1, np.inf, 1.5])).cost
        for start in (0.1, 0.5, 1.0)
    )
    assert ours <= 1.02 * best + 1e-9


def made_answers(errors, judged=4000, seed=0):
    """An `answer` whose error rate is that of the number of rows."""
    random = np.random.default_rng(seed)

    def answer(rows):
        return random.random(judged) >= errors(len(rows))

    return answer


def test_a_steep_curve_says_what_twice_the_images_bring():
    labels = many_classes(10, 80)
    curve = learning_curve(
        made_answers(lambda n: 0.04 + 4 * n**-0.5), labels, np.arange(800), np.arange(4000),
        how="made up", seed=0, progress=SILENT,
    )  # fmt: skip
    truth = 4 * (800**-0.5 - 1600**-0.5)
    low, high = curve.record.gain_interval
    assert 0 < low < truth < high
    assert "would bring about" in curve.record.words
    assert [point.images for point in curve.record.points] == [100, 200, 400, 800]
    assert [point.draws for point in curve.record.points] == [3, 3, 3, 1]
    assert [round(point.error, 1) for point in curve.record.points] == [0.4, 0.3, 0.2, 0.2]


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    labels = many_classes(10, 80)
    truth = 2 * (800**-0.5 - 1600**-0.5)
    held = 0
    for seed in range(40):
        curve = learning_curve(
            made_answers(lambda n: 0.02 + 2 * n**-0.5, 1000, seed), labels, np.arange(800), np.arange(1000),
            how="made up", seed=seed, progress=SILENT,
        )  # fmt: skip
        low, high = curve.record.gain_interval
        held += low <= truth <= high
    assert held >= 35


def test_a_flat_curve_on_many_images_changes_little_and_on_few_it_cannot_be_told():
    labels = many_classes(10, 80)
    words = [
        learning_curve(
            made_answers(lambda n: 0.1, judged), labels, np.arange(800), np.arange(judged),
            how="made up", seed=1, progress=SILENT,
        ).record.words
        for judged in (40_000, 60)
    ]  # fmt: skip
    assert "change little" in words[0]
    assert "cannot be told" in words[1]


def test_duplicates_widen_the_interval():
    labels = many_classes(10, 80)
    widths = []
    for clusters in (np.arange(400), np.arange(400) // 8):
        base = np.random.default_rng(5).random(50).repeat(8)  # the eight of a cluster are answered alike

        def answer(rows, base=base):
            return base >= 4 * len(rows) ** -0.5

        curve = learning_curve(answer, labels, np.arange(800), clusters, how="made up", seed=0, progress=SILENT)
        widths.append(np.subtract(*curve.record.gain_interval[::-1]))
    assert widths[1] > 1.5 * widths[0]


def test_probes_on_more_features_of_two_clouds_make_fewer_errors():
    random = np.random.default_rng(0)
    labels = np.arange(600) % 3
    features = random.normal(size=(600, 40)).astype(np.float32)
    features[:, :3] += 1.2 * np.eye(3)[labels]
    judged = np.arange(400, 600)
    curve = learning_curve(
        probe_answer(features, labels, judged, class_count=3, penalty=30.0), labels, np.arange(400), judged,
        how="probe", seed=0, progress=SILENT,
    )  # fmt: skip
    errors = [point.error for point in curve.record.points]
    assert errors[0] > errors[-1]
    assert curve.record.judged == 200


def test_too_few_images_for_an_eighth_are_refused():
    with pytest.raises(InputError, match="smallest part"):
        learning_curve(
            made_answers(lambda n: 0.1), np.arange(8) % 2, np.arange(8), np.arange(4000),
            how="made up", seed=0, progress=SILENT,
        )  # fmt: skip
