from __future__ import annotations

import numpy as np
import pytest
from scipy.fft import dctn

from eyeshot.auditing.copies.descriptors import KEPT, combined, fit_whitening, inverse, oriented, standardised


def pictures(count: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.cumsum(np.cumsum(random.normal(size=(count, 16, 16)), axis=1), axis=2).astype(np.float32)


@pytest.mark.parametrize("count", [1, 3, 400])
@pytest.mark.parametrize("orientation", range(8))
def test_the_descriptor_of_a_turned_picture_is_the_turned_descriptor(orientation: int, count: int) -> None:
    images = pictures(count)
    whiten = fit_whitening(standardised(images))
    turned = np.ascontiguousarray(oriented(images, orientation))
    got = whiten(standardised(images)).turned(orientation).values
    assert np.allclose(whiten(standardised(turned)).values, got, atol=1e-5)


def test_the_transform_is_that_of_scipy() -> None:
    image = pictures(1)
    plain = (image - image.mean()) / image.std()
    assert np.allclose(standardised(image)[0], dctn(plain[0], norm="ortho") / 16, atol=1e-5)


def test_descriptors_have_length_1_and_what_all_pictures_share_is_taken_off() -> None:
    # Enough pictures for the prior, which draws small sets towards no mean at all, to count for little.
    images = pictures(3000) + 10 * np.hypot(*np.mgrid[-8:8, -8:8]).astype(np.float32)
    vectors = fit_whitening(standardised(images))(standardised(images)).values
    assert abs(vectors.shape[1] - KEPT) <= 1
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    pairs = np.triu_indices(500, 1)
    cosines = (vectors[:500] @ vectors[:500].T)[pairs]
    assert np.corrcoef(images[:500].reshape(500, -1))[pairs].mean() > 0.9
    assert abs(cosines.mean()) < 0.1
    # Nearly as of directions drawn at random in so many dimensions: 0.09.
    assert cosines.std() < 0.16


@pytest.mark.parametrize("first", range(8))
@pytest.mark.parametrize("then", range(8))
def test_orientations_combine_and_invert_as_pictures_do(first: int, then: int) -> None:
    image = np.arange(25).reshape(1, 5, 5)
    assert np.array_equal(oriented(oriented(image, first), inverse(first)), image)
    assert np.array_equal(oriented(oriented(image, first), then), oriented(image, combined(first, then)))
