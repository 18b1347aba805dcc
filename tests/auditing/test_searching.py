from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.fft import dctn

from eyeshot.auditing.grouping import combined, inverse
from eyeshot.auditing.searching import (
    fit_whitening,
    oriented,
    search_exact,
    standardised,
    turned_waves,
)
from eyeshot.auditing.verifying import agreement, detail_of, score_pairs


def pictures(count: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.cumsum(np.cumsum(random.normal(size=(count, 16, 16)), axis=1), axis=2).astype(np.float32)


@pytest.mark.parametrize("orientation", range(8))
def test_the_transform_of_a_turned_picture_is_the_turned_transform(orientation: int) -> None:
    images = pictures(5)
    turned = np.ascontiguousarray(oriented(images, orientation))
    assert np.allclose(standardised(turned), turned_waves(standardised(images), orientation), atol=1e-5)


def test_the_transform_is_that_of_scipy() -> None:
    image = pictures(1)
    plain = (image - image.mean()) / image.std()
    assert np.allclose(standardised(image)[0], dctn(plain[0], norm="ortho") / 16, atol=1e-5)


@pytest.mark.parametrize("first", range(8))
@pytest.mark.parametrize("then", range(8))
def test_orientations_combine_and_invert_as_pictures_do(first: int, then: int) -> None:
    image = np.arange(25).reshape(1, 5, 5)
    assert np.array_equal(oriented(oriented(image, first), inverse(first)), image)
    assert np.array_equal(oriented(oriented(image, first), then), oriented(image, combined(first, then)))


@given(count=st.integers(2, 30), seed=st.integers(0, 10**6), least=st.floats(0.05, 0.9))
@settings(max_examples=25, deadline=None)
def test_the_search_finds_what_comparing_every_pair_in_every_orientation_finds(
    count: int, seed: int, least: float
) -> None:
    images = pictures(count, seed)
    images[count // 2] = oriented(images[:1], seed % 8)[0]
    waves = standardised(images)
    whiten = fit_whitening(waves)
    queries = [whiten(turned_waves(waves, orientation)) for orientation in range(8)]
    found = search_exact(queries[0], queries, least=least)
    got = {(int(a), int(b)): float(c) for a, b, c in zip(found.first, found.second, found.cosine, strict=True)}
    expected = {}
    for a in range(count):
        for b in range(a + 1, count):
            # Turned as pixels, described one by one: another way than that of the search.
            best = max(
                float((whiten(standardised(images[a : a + 1])) @ whiten(standardised(view)).T)[0, 0])
                for view in (np.ascontiguousarray(oriented(images[b : b + 1], o)) for o in range(8))
            )
            expected[a, b] = best
    # With at most 24 pairs of each picture kept, all are, in sets this small but for the fullest.
    sure = {pair for pair, best in expected.items() if best > least + 1e-4}
    if count <= 24:
        assert sure <= got.keys()
    assert all(expected[pair] == pytest.approx(cosine, abs=1e-4) for pair, cosine in got.items())
    assert (0, count // 2) in got


@pytest.mark.parametrize("orientation", range(8))
def test_an_equal_picture_has_the_score_one_in_its_orientation(orientation: int) -> None:
    grey = np.random.default_rng(0).integers(0, 256, (2, 64, 64), dtype=np.uint8)
    grey[1] = oriented(grey[:1], inverse(orientation))[0]
    pair = np.array([0]), np.array([1])
    assert score_pairs(grey, *pair, np.array([orientation]))[0] == pytest.approx(1.0)
    other = (orientation + 1) % 8
    assert score_pairs(grey, *pair, np.array([other]))[0] < 0.1


def test_the_score_is_the_share_of_the_detail_that_agrees() -> None:
    random = np.random.default_rng(1)
    one = random.integers(0, 256, (1, 64, 64), dtype=np.uint8)
    half = one.copy()
    half[:, :, 32:] = random.integers(0, 256, (1, 64, 32))
    assert agreement(detail_of(one), detail_of(half))[0] == pytest.approx(0.5, abs=0.07)


def test_pairs_that_thumbnails_leave_open_are_decided_by_finer_ones() -> None:
    random = np.random.default_rng(2)
    grey = random.integers(0, 256, (2, 64, 64), dtype=np.uint8)
    grey[1, :, :28] = grey[0, :, :28]
    asked = []

    def fine(positions: np.ndarray) -> np.ndarray:
        asked.append(positions.tolist())
        return random.integers(0, 256, (len(positions), 96, 96), dtype=np.uint8)

    pair = np.array([0]), np.array([1]), np.array([0])
    assert score_pairs(grey, *pair)[0] > 0.3
    assert score_pairs(grey, *pair, read_fine=fine)[0] < 0.1
    assert asked == [[0, 1]]
