"""What holds for every augmentation, at sizes, contents, seeds and draws that hypothesis thinks of."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from eyeshot.augment import Pool, augmentation, augmentations, make_samples, sample_labels

NAMES = [entry.name for entry in augmentations()]
MILD = settings(max_examples=6, deadline=None)

# Few different values: constant images, single bright pixels and checkerboards come up often.
images = st.tuples(st.integers(1, 5), st.integers(1, 20), st.integers(1, 20)).flatmap(
    lambda size: arrays(np.uint8, (*size, 3), elements=st.sampled_from([0, 1, 127, 128, 254, 255]))
)
seeds = st.integers(0, 2**31 - 1)


def pool_of_arrays(pixels):
    return Pool(pixels, [f"{number:032x}" for number in range(len(pixels))])


@pytest.mark.parametrize("name", NAMES)
@MILD
@given(pixels=images, seed=seeds, draw=st.integers(0, 50))
def test_any_image_gives_samples_of_its_size_with_labels_that_sum_to_one(name, pixels, seed, draw):
    pool = pool_of_arrays(pixels.copy())
    samples = make_samples(augmentation(name), pool, range(len(pool)), seed=seed, draw=draw)
    assert samples.images.dtype == torch.uint8
    assert samples.images.shape == (len(pool), 3, *pool.shape)
    assert torch.allclose(samples.weights.sum(1), torch.ones(len(pool)), atol=1e-5)
    assert np.array_equal(pool.images, pixels)
    labels = sample_labels(augmentation(name), pool, range(len(pool)), seed=seed, draw=draw)
    assert torch.equal(labels[0], samples.sources)
    assert torch.equal(labels[1], samples.weights)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("mixup", "cutmix", "mosaic")])
@MILD
@given(pixels=images, seed=seeds, order=st.randoms(use_true_random=False))
def test_an_images_sample_does_not_depend_on_the_others(name, pixels, seed, order):
    pool = pool_of_arrays(pixels)
    rows = list(range(len(pool)))
    together = make_samples(augmentation(name), pool, rows, seed=seed, draw=0)
    order.shuffle(rows)
    for row in rows:
        alone = make_samples(augmentation(name), pool, [row], seed=seed, draw=0)
        assert (alone.images[0].int() - together.images[row].int()).abs().max() <= 1


COLOURS = {entry.name for entry in augmentations("colour")} - {"autocontrast", "sharpness"}
NOISE = {"no-op", "gaussian-noise", "gaussian-noise-mild", "jpeg", "random-convolution"}
CHANGES_CONSTANT = (
    COLOURS | NOISE | {"erasing", "grid-mask", "coarse-dropout"} | {entry.name for entry in augmentations("policy")}
)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in CHANGES_CONSTANT])
@MILD
@given(level=st.integers(0, 255), size=st.tuples(st.integers(1, 30), st.integers(1, 30)), seed=seeds)
def test_an_image_of_one_grey_level_stays_so(name, level, size, seed):
    pool = pool_of_arrays(np.full((2, *size, 3), level, dtype=np.uint8))
    samples = make_samples(augmentation(name), pool, [0, 1], seed=seed, draw=0)
    assert (samples.images.int() - level).abs().max() <= 1
