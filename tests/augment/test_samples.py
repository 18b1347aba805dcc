from dataclasses import replace

import numpy as np
import pytest
import torch

from eyeshot.augment import Pool, augmentation, make_samples, sample_keys, sample_labels

from .helpers import largest_difference, pool_of, textured

ROWS = range(12)


@pytest.fixture
def pool():
    return pool_of(textured(12, 20, 20))


def test_rows_may_repeat_and_stand_in_any_order(pool):
    samples = make_samples(augmentation("rotate-30"), pool, [5, 2, 5], seed=0, draw=0)
    assert torch.equal(samples.images[0], samples.images[2])
    assert samples.sources.tolist() == [[5], [2], [5]]


def test_long_batches_are_made_in_parts_without_changing_anything():
    images = textured(6, 200, 200)
    pool = pool_of(images)
    together = make_samples(augmentation("cutmix"), pool, range(6), seed=0, draw=0)
    parts = [make_samples(augmentation("cutmix"), pool, [row], seed=0, draw=0) for row in range(6)]
    assert torch.equal(together.images, torch.cat([part.images for part in parts]))
    assert torch.equal(together.sources, torch.cat([part.sources for part in parts]))


def test_equal_images_under_equal_keys_get_equal_samples(pool):
    doubled = Pool(np.concatenate([pool.images, pool.images[:1]]), [*pool.keys, pool.keys[0]])
    samples = make_samples(augmentation("perspective"), doubled, [0, 12], seed=0, draw=0)
    assert torch.equal(samples.images[0], samples.images[1])


def test_a_memory_map_will_do_as_images(tmp_path, pool):
    np.save(tmp_path / "pixels.npy", pool.images)
    mapped = Pool(np.load(tmp_path / "pixels.npy", mmap_mode="r"), pool.keys)
    one, other = (make_samples(augmentation("affine"), some, ROWS, seed=0, draw=0) for some in (pool, mapped))
    assert torch.equal(one.images, other.images)


def test_the_coin_falls_as_often_as_the_probability_says():
    pool = pool_of(textured(400, 4, 4))
    samples = make_samples(augmentation("invert"), pool, range(400), seed=0, draw=0, always=False)
    changed = (samples.images != pool.take(np.arange(400))).flatten(1).any(1)
    assert 160 < int(changed.sum()) < 240


def test_the_coin_falls_anew_in_every_draw(pool):
    draws = [make_samples(augmentation("invert"), pool, ROWS, seed=0, draw=draw, always=False) for draw in (0, 1)]
    assert not torch.equal(draws[0].images, draws[1].images)


def surely(name):
    return replace(augmentation(name), probability=1.0)


def test_of_several_only_the_last_is_always_applied(pool):
    invert, mirror = augmentation("invert"), augmentation("mirror")
    both = make_samples([invert, mirror], pool, ROWS, seed=0, draw=0)
    coins = make_samples(invert, pool, ROWS, seed=0, draw=0, always=False)
    assert torch.equal(both.images, coins.images.flip(3))
    changed = [not torch.equal(coins.images[row], pool.take(np.array([row]))[0]) for row in range(12)]
    assert 0 < sum(changed) < 12


def test_keys_of_a_step_that_is_tossed_for_follow_the_draw_and_its_probability(pool):
    invert, mirror = augmentation("invert"), augmentation("mirror")
    keys = [sample_keys([invert, mirror], pool, ROWS, seed=0, draw=draw) for draw in (0, 1)]
    assert not set(keys[0]) & set(keys[1])
    rarely = replace(invert, probability=0.1)
    assert sample_keys([rarely, mirror], pool, ROWS, seed=0, draw=0) != keys[0]
    mixed = sample_keys([augmentation("cutmix"), mirror], pool, ROWS, seed=0, draw=0)
    assert len(set(mixed)) == 12


def test_several_augmentations_are_applied_in_order(pool):
    mirror, rotate = surely("mirror"), surely("rotate-180")
    both = make_samples([mirror, rotate], pool, ROWS, seed=0, draw=0)
    mirrored = pool_of(make_samples(mirror, pool, ROWS, seed=0, draw=0).images)
    by_hand = make_samples(rotate, mirrored, ROWS, seed=0, draw=0)
    assert torch.equal(both.images, by_hand.images)
    reverse = make_samples([rotate, mirror], pool, ROWS, seed=0, draw=0)
    assert not torch.equal(both.images, reverse.images)


def test_no_augmentation_gives_the_clean_images(pool):
    samples = make_samples([], pool, ROWS, seed=0, draw=0)
    assert torch.equal(samples.images, pool.take(np.arange(12)))
    assert samples.weights.tolist() == [[1.0]] * 12


def test_mixing_partners_have_gone_through_the_earlier_augmentations(pool):
    invert, cutmix = surely("invert"), surely("cutmix")
    both = make_samples([invert, cutmix], pool, ROWS, seed=0, draw=0)
    inverted = make_samples(cutmix, pool_of(255 - pool.take(np.arange(12))), ROWS, seed=0, draw=0)
    assert torch.equal(both.images, inverted.images)


def test_mixing_twice_multiplies_the_weights():
    levels = (torch.arange(8, dtype=torch.uint8) * 30).view(-1, 1, 1, 1).expand(-1, 3, 16, 16)
    pool = pool_of(levels)
    steps = [augmentation("cutmix"), augmentation("mosaic")]
    for always in (True, False):
        samples = make_samples([steps[0]], pool, range(8), seed=0, draw=3, always=always)
        sources, weights = sample_labels(steps, pool, range(8), seed=0, draw=3, always=always)
        assert sources.shape == weights.shape == (8, 8)
        assert torch.allclose(weights.sum(1), torch.ones(8), atol=1e-5)
        full = make_samples(steps, pool, range(8), seed=0, draw=3, always=always)
        assert torch.equal(full.sources, sources)
        assert torch.equal(full.weights, weights)
        assert samples.sources.shape == (8, 2)


def test_a_failure_of_any_step_is_told(pool):
    blank = pool_of(torch.full((2, 3, 20, 20), 9, dtype=torch.uint8))
    samples = make_samples([surely("edges"), augmentation("invert")], blank, [0, 1], seed=0, draw=0)
    assert samples.success.tolist() == [False, False]
    assert set(samples.images.unique().tolist()) == {246}


def test_keys_follow_content_size_and_strength(pool):
    entry = augmentation("rotate-15")
    keys = sample_keys(entry, pool, [0, 1], seed=0, draw=0)
    smaller = Pool(pool.images[:, :10, :10], pool.keys)
    assert sample_keys(entry, smaller, [0], seed=0, draw=0)[0] not in keys
    assert sample_keys(augmentation("rotate-30"), pool, [0], seed=0, draw=0)[0] not in keys
    assert sample_keys(entry, Pool(pool.images[1:], pool.keys[1:]), [0], seed=0, draw=0) == keys[1:]


def test_keys_of_mixtures_follow_the_partners(pool):
    entry = augmentation("mixup")
    sources, _ = sample_labels(entry, pool, [0], seed=0, draw=0)
    partner = int(sources[0, 1])
    key = sample_keys(entry, pool, [0], seed=0, draw=0)
    changed = list(pool.keys)
    changed[partner] = "f" * 32
    assert sample_keys(entry, Pool(pool.images, changed), [0], seed=0, draw=0) != key
    changed = list(pool.keys)
    changed[(partner + 1) % 12 or 1] = "f" * 32
    if (partner + 1) % 12 not in (0, partner):
        assert sample_keys(entry, Pool(pool.images, changed), [0], seed=0, draw=0) == key


def test_keys_of_several_augmentations_follow_their_order(pool):
    mirror, mixup, rotate = (augmentation(name) for name in ("mirror", "mixup", "rotate-15"))
    orders = [[mirror, rotate], [rotate, mirror], [mirror, mixup], [mixup, mirror], [mirror]]
    assert len({sample_keys(order, pool, [0], seed=0, draw=0)[0] for order in orders}) == 5
    single = sample_keys(mirror, pool, ROWS, seed=0, draw=0)
    assert single == sample_keys([mirror], pool, ROWS, seed=5, draw=9)


@pytest.mark.parametrize("rows", [[12], [-1], [0.5]])
def test_rows_outside_of_the_pool_are_refused(pool, rows):
    with pytest.raises(ValueError, match="positions in the pool"):
        make_samples(augmentation("mirror"), pool, rows, seed=0, draw=0)


def test_a_pool_of_another_shape_is_refused():
    for images in (np.zeros((2, 3, 4, 4), np.uint8), np.zeros((2, 4, 4, 3), np.float32), np.zeros((2, 4, 3))):
        with pytest.raises(ValueError, match="uint8"):
            Pool(images, ["a", "b"])
    with pytest.raises(ValueError, match="as many"):
        Pool(np.zeros((2, 4, 4, 3), np.uint8), ["a"])


def test_samples_are_the_same_with_one_thread_and_with_two(pool):
    threads = torch.get_num_threads()
    results = []
    for count in (1, 2):
        torch.set_num_threads(count)
        results.append(make_samples(augmentation("trivial-augment"), pool, ROWS, seed=0, draw=0).images)
    torch.set_num_threads(threads)
    assert largest_difference(*results) <= 1


def test_a_copy_under_another_name_gives_the_same_samples_under_keys_of_its_own(pool):
    turn = augmentation("rotate-15")
    copy = replace(turn, name="my-turn")
    first, second = (make_samples(entry, pool, ROWS, seed=3, draw=1) for entry in (turn, copy))
    assert torch.equal(first.images, second.images)
    keys, others = (sample_keys(entry, pool, ROWS, seed=3, draw=1) for entry in (turn, copy))
    assert set(keys).isdisjoint(others)
