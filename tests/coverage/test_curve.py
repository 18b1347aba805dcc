from __future__ import annotations

import numpy as np
import pytest

from eyeshot.coverage.clouds import cover_by_cloud, make_target
from eyeshot.coverage.curve import clean_curve, worth_in_images
from eyeshot.coverage.report import CurvePoint


def curve_of(*points: tuple[int, float]) -> list[CurvePoint]:
    return [CurvePoint(images=count, coverage=1.0, label_consistent_coverage=cover) for count, cover in points]


STEADY = curve_of((10, 0.1), (20, 0.2), (40, 0.4))


def test_the_curve_is_cover_by_the_first_so_many_clean_images():
    random = np.random.default_rng(0)
    target = make_target(random.normal(size=(50, 4)).astype(np.float32))
    clean, labels = random.normal(size=(160, 4)).astype(np.float32), random.integers(0, 2, 160)
    curve = clean_curve(target, clean, labels, sources=40)
    counts = [point.images for point in curve]
    assert counts == sorted(set(counts))
    assert counts[0] == 8
    assert 40 in counts
    assert counts[-1] == 160
    for point in curve:
        found = cover_by_cloud(target, clean[: point.images, None], labels[: point.images])
        assert point.coverage == found.coverage
        assert point.label_consistent_coverage == found.label_consistent_coverage


def test_a_curve_without_further_images_ends_at_the_sources():
    random = np.random.default_rng(1)
    target = make_target(random.normal(size=(20, 2)).astype(np.float32))
    curve = clean_curve(target, random.normal(size=(12, 2)).astype(np.float32), np.zeros(12, np.int64), sources=12)
    assert [point.images for point in curve] == sorted({point.images for point in curve})
    assert curve[-1].images == 12


@pytest.mark.parametrize(("gain", "worth"), [(0.0, 0), (-0.1, 0), (0.05, 5), (0.1, 10), (0.15, 15), (0.2, 20)])
def test_a_gain_is_worth_the_images_that_bring_as_much(gain, worth):
    assert worth_in_images(STEADY, gain, sources=20) == (worth, False)


def test_a_gain_beyond_the_curve_is_more_than_the_data_can_say():
    assert worth_in_images(STEADY, 0.21, sources=20) == (20, True)
    assert worth_in_images(curve_of((10, 0.1), (20, 0.2)), 0.01, sources=20) == (0, True)


def test_sources_between_two_points_start_from_between_them():
    assert worth_in_images(STEADY, 0.1, sources=30) == (10, False)


def test_a_dip_of_the_curve_is_noise_and_not_read():
    dipped = curve_of((10, 0.1), (20, 0.3), (40, 0.2), (80, 0.5))
    assert worth_in_images(dipped, 0.1, sources=20) == (20 + 20, False)


def test_a_flat_stretch_counts_to_where_the_curve_rises_again():
    """Cover at 20 and 40 images is the same, so a gain above it lies beyond 40."""
    flat = curve_of((10, 0.1), (20, 0.2), (40, 0.2), (80, 0.4))
    worth, beyond = worth_in_images(flat, 0.1, sources=20)
    assert (worth, beyond) == (40, False)
