import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from eyeshot.augment import Pool, augmentation
from eyeshot.training.batches import epoch_batches, make_batch, part_of, steps_per_epoch

from .helpers import make_pool

CPU = torch.device("cpu")


def batch_of(*names, rows=None, epoch=0, pool=None):
    own, labels = make_pool()
    pool = pool or own
    rows = np.arange(len(pool)) if rows is None else rows
    steps = [augmentation(name) for name in names]
    return make_batch(
        pool,
        torch.from_numpy(labels[: len(pool)]),
        rows,
        steps,
        class_count=3,
        seed=0,
        epoch=epoch,
        device=CPU,
    )


@given(count=st.integers(1, 200), batch_size=st.integers(2, 70), epoch=st.integers(0, 5))
def test_a_batch_holds_each_image_once_and_all_batches_are_full(count, batch_size, epoch):
    batches = epoch_batches(count, batch_size, seed=1, epoch=epoch)
    rows = np.concatenate(batches)
    assert len(batches) == steps_per_epoch(count, batch_size)
    assert {len(batch) for batch in batches} == {min(count, batch_size)}
    assert len(set(rows)) == len(rows)
    assert rows.max() < count


def test_each_epoch_has_an_order_of_its_own_that_repeats():
    first, again = (epoch_batches(50, 8, seed=1, epoch=3) for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, epoch_batches(50, 8, seed=1, epoch=4))
    assert not np.array_equal(first, epoch_batches(50, 8, seed=2, epoch=3))


def test_without_augmentations_a_batch_is_the_clean_images_with_hard_labels():
    pool, labels = make_pool()
    images, targets, failed = batch_of()
    assert torch.equal(images, torch.from_numpy(pool.images).permute(0, 3, 1, 2))
    assert torch.equal(targets, torch.nn.functional.one_hot(torch.from_numpy(labels), 3).float())
    assert failed == 0


def test_an_augmentation_is_applied_to_about_its_share_of_the_images():
    pool, _ = make_pool()
    clean = torch.from_numpy(pool.images).permute(0, 3, 1, 2)
    changed = sum(int((batch_of("invert", epoch=epoch)[0] != clean).flatten(1).any(1).sum()) for epoch in range(10))
    assert augmentation("invert").probability == 0.5
    assert 240 < changed < 360


@pytest.mark.parametrize("names", [("mixup",), ("mirror", "cutmix"), ("mosaic",), ("mixup", "cutmix")])
def test_labels_follow_the_mixing_and_sum_to_one(names):
    _, targets, _ = batch_of(*names)
    assert torch.allclose(targets.sum(1), torch.ones(60), atol=1e-5)
    assert ((targets > 0.01) & (targets < 0.99)).any()


def test_the_label_of_a_mixture_is_the_share_of_each_images_grey_level():
    # Images of one grey level, so that the label can be read from the picture.
    levels = np.array([0, 100, 200])[make_pool()[1]]
    pixels = np.broadcast_to(levels[:, None, None, None], (60, 16, 16, 3)).astype(np.uint8)
    images, targets, _ = batch_of("mixup", pool=Pool(pixels, make_pool()[0].keys))
    levels_after = images.float().mean((1, 2, 3))
    assert torch.allclose(levels_after, targets @ torch.tensor([0.0, 100.0, 200.0]), atol=1.0)


def test_mixing_takes_no_partner_from_outside_the_training_images():
    pool, labels = make_pool()
    rows = np.flatnonzero(labels != 2)
    _, targets, _ = make_batch(
        part_of(pool, rows),
        torch.from_numpy(labels[rows]),
        np.arange(len(rows)),
        [augmentation("mosaic")],
        class_count=3,
        seed=0,
        epoch=0,
        device=CPU,
    )
    assert targets[:, 2].max() == 0


def test_images_where_an_augmentation_failed_are_used_clean_and_counted():
    pool, _ = make_pool()
    flat = Pool(np.full_like(pool.images, 128), pool.keys)  # without any edge
    images, _, failed = batch_of("edges", pool=flat)
    assert failed > 10
    assert (images == 128).all()


def test_a_part_of_a_pool_reads_only_what_is_asked_for():
    pool, _ = make_pool()
    part = part_of(pool, np.array([5, 3, 9]))
    assert len(part) == 3
    assert list(part.keys) == [pool.keys[5], pool.keys[3], pool.keys[9]]
    assert np.array_equal(part.images[np.array([2, 0])], pool.images[[9, 5]])
