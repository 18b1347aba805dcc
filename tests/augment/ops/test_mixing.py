import numpy as np
import pytest
import torch

from eyeshot.augment import augmentation, make_samples, sample_labels, stack
from eyeshot.augment.ops.mixing import CutMix, MixUp, Mosaic

from ..helpers import largest_difference, pool_of, textured

SHADES = 8


def shades(height=30, width=24):
    """Images of one grey level each, so that pixels tell which image they come from."""
    levels = torch.arange(SHADES, dtype=torch.uint8) * 30 + 10
    return levels.view(-1, 1, 1, 1).expand(-1, 3, height, width).contiguous()


def test_mixup_is_the_weighted_mean():
    images = textured()
    partners = textured(seed=1).unsqueeze(1)
    own = torch.tensor([0.0, 0.1, 0.5, 0.77, 1.0, 0.3])
    mixed = MixUp(0.2).mix(images, partners, {"own": own})
    share = own.view(-1, 1, 1, 1).double()
    expected = (share * images + (1 - share) * partners[:, 0]).round().to(torch.uint8)
    assert largest_difference(mixed, expected) <= 1
    assert torch.equal(MixUp(0.2).weights({"own": own}, (32, 32))[:, 0], own)


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_weights_have_the_moments_of_the_beta_distribution(alpha):
    own = np.array([MixUp(alpha).draw(np.random.default_rng(n), (8, 8))["own"] for n in range(3000)])
    assert own.mean() == pytest.approx(0.5, abs=0.03)
    assert own.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.06)


@pytest.mark.parametrize("name", ["cutmix", "mosaic"])
def test_label_weights_are_the_shares_of_pixels(name):
    pool = pool_of(shades())
    for draw in range(12):
        samples = make_samples(augmentation(name), pool, range(SHADES), seed=0, draw=draw)
        for row in range(SHADES):
            counted = torch.zeros(SHADES)
            levels, counts = samples.images[row, 0].unique(return_counts=True)
            counted[(levels.long() - 10) // 30] = counts / (30 * 24)
            stated = torch.zeros(SHADES)
            stated.index_add_(0, samples.sources[row], samples.weights[row])
            assert torch.allclose(counted, stated, atol=1e-6)


def test_cutmix_keeps_every_pixel_at_its_place():
    pool = pool_of(textured())
    samples = make_samples(augmentation("cutmix"), pool, range(6), seed=0, draw=1)
    own, other = (pool.take(samples.sources[:, column].numpy()) for column in (0, 1))
    assert ((samples.images == own) | (samples.images == other)).all()


def test_cutmix_weights_have_the_share_that_the_paper_draws():
    shares = []
    for number in range(2000):
        draw = CutMix(1.0).draw(np.random.default_rng(number), (64, 64))
        shares.append(float(CutMix(1.0).weights(stack([draw]), (64, 64))[0, 1]))
    # Uniform shares with a mean of a half, less what is cut off at the edges.
    assert 0.28 < np.mean(shares) < 0.36
    assert min(shares) == 0


def test_a_mosaic_shows_each_image_in_its_quarter_with_its_ratio_kept():
    images = torch.zeros(1, 3, 80, 80, dtype=torch.uint8)
    images[..., 30:50, 30:50] = 200  # a square in the middle of each image
    partners = images.unsqueeze(1).expand(-1, 3, -1, -1, -1)
    mosaic = Mosaic((0.25, 0.75))
    mixed = mosaic.mix(images, partners, stack([{"row": 40, "column": 32, "quarters": np.arange(4)}]))[0, 0]
    for rows, columns in ((slice(0, 40), slice(0, 32)), (slice(40, 80), slice(32, 80))):
        seen = mixed[rows, columns] > 100
        height, width = int(seen.any(1).sum()), int(seen.any(0).sum())
        assert abs(height - width) <= 1
        assert abs(height - 20 * max(40, columns.stop - columns.start) / 80) <= 1


def test_a_mosaic_puts_the_image_itself_in_any_quarter():
    operation = Mosaic((0.25, 0.75))
    quarters = [int(operation.draw(np.random.default_rng(n), (8, 8))["quarters"][0]) for n in range(400)]
    assert all(abs(quarters.count(quarter) - 100) < 45 for quarter in range(4))


def test_partners_are_other_images_drawn_evenly_from_the_pool():
    pool = pool_of(shades())
    entry = augmentation("mixup")
    partners = torch.cat([sample_labels(entry, pool, range(SHADES), seed=0, draw=draw)[0] for draw in range(300)])
    assert (partners[:, 0] != partners[:, 1]).all()
    counts = torch.bincount(partners[:, 1], minlength=SHADES)
    assert counts.min() > 230
    assert counts.max() < 370


def test_an_image_alone_in_the_pool_is_mixed_with_itself():
    pool = pool_of(textured(1))
    samples = make_samples(augmentation("mixup"), pool, [0], seed=0, draw=0)
    assert largest_difference(samples.images, pool.take(np.array([0]))) <= 1
    assert samples.sources.tolist() == [[0, 0]]


def test_images_that_the_coin_leaves_out_keep_their_label():
    pool = pool_of(shades())
    samples = make_samples(augmentation("mosaic"), pool, range(SHADES), seed=0, draw=0, always=False)
    clean = (samples.images == shades()).flatten(1).all(1)
    assert 0 < int(clean.sum()) < SHADES
    assert torch.equal(samples.weights[clean], torch.tensor([[1.0, 0, 0, 0]]).expand(int(clean.sum()), 4))
