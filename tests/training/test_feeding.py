import threading
from functools import partial

import numpy as np
import pytest
import torch

from eyeshot.augment import Pool, augmentation, custom_augmentation
from eyeshot.core.errors import InputError
from eyeshot.training.feeding import Feed, bring_to_device, choose_ahead, ready_batch

from .helpers import make_pool, tiny_backbone

CPU = torch.device("cpu")
SIZE = 6


def rows_of(step):
    epoch, number = divmod(step, 10)
    return np.random.default_rng([0, epoch]).permutation(60)[number * SIZE : (number + 1) * SIZE], epoch


def make_feed(ahead, *, make=None, names=("crop-mild", "cutmix")):
    pool, labels = make_pool()
    usual = partial(
        ready_batch,
        pool=pool, labels=torch.from_numpy(labels), augmentations=[augmentation(name) for name in names],
        epochs=3, backbone=tiny_backbone(), class_count=3, seed=0, device=CPU,
    )  # fmt: skip
    return Feed(make or usual, device=CPU, ahead=ahead)


def feeding_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("eyeshot-feed")]


def test_batches_made_ahead_are_those_made_when_needed_bit_for_bit():
    ahead, plain = make_feed(3), make_feed(0)
    for step in range(25):
        first, second = ahead.batch(step, 25, rows_of), plain.batch(step, 25, rows_of)
        assert torch.equal(first[0], second[0])
        assert torch.equal(first[1], second[1])
        assert first[2] == second[2]
    ahead.close()


def test_the_thread_makes_a_bounded_number_of_batches_and_none_after_the_end():
    made = []

    def make(rows, epoch):
        made.append(len(made))
        return torch.zeros(1), torch.zeros(1), 0

    feed = make_feed(3, make=make)
    feed.batch(0, 5, rows_of)
    feed._thread.submit(int).result()  # the thread works in order, so all that was asked for is made
    assert len(made) == 3
    for step in range(1, 5):
        feed.batch(step, 5, rows_of)
    feed.close()
    assert len(made) == 5


def test_a_jump_to_another_step_gives_that_steps_batch():
    feed, plain = make_feed(3), make_feed(0)
    feed.batch(0, 30, rows_of)
    assert torch.equal(feed.batch(17, 30, rows_of)[0], plain.batch(17, 30, rows_of)[0])
    assert torch.equal(feed.batch(18, 30, rows_of)[0], plain.batch(18, 30, rows_of)[0])
    feed.close()


def test_what_fails_in_the_thread_is_raised_for_the_step_that_it_belongs_to():
    def make(rows, epoch):
        if epoch:
            raise InputError("no such image")
        return torch.zeros(1), torch.zeros(1), 0

    feed = make_feed(3, make=make)
    for step in range(10):
        feed.batch(step, 20, rows_of)
    with pytest.raises(InputError, match="no such image"):
        feed.batch(10, 20, rows_of)
    feed.close()


def test_the_thread_ends_with_the_feed_closed_or_forgotten():
    before = len(feeding_threads())
    closed = make_feed(2)
    closed.batch(0, 9, rows_of)
    assert len(feeding_threads()) == before + 1
    closed.close()
    assert len(feeding_threads()) == before
    forgotten = make_feed(2)
    forgotten.batch(0, 9, rows_of)
    (thread,) = feeding_threads()[before:]
    del forgotten
    thread.join(timeout=20)
    assert not thread.is_alive()


def test_the_wait_for_a_slow_batch_is_counted_and_one_made_in_time_is_not():
    slow, done = threading.Event(), threading.Event()

    def make(rows, epoch):
        slow.wait(0.2)
        done.set()
        return torch.zeros(1), torch.zeros(1), 0

    feed = make_feed(2, make=make)
    feed.batch(0, 2, rows_of)
    assert feed.waited_s() >= 0.19
    feed._thread.submit(int).result()  # the second batch is made now
    before = feed.waited_s()
    feed.batch(1, 2, rows_of)
    assert feed.waited_s() - before < 0.1
    feed.close()


@custom_augmentation()
def noisy(image):
    return torch.rand(image.shape).mul(255).to(torch.uint8)


def test_a_users_function_that_draws_from_the_process_is_not_run_beside_the_training():
    gpu = torch.device("cuda")
    assert choose_ahead(gpu, [augmentation("mirror")])[0] > 0
    ahead, reason = choose_ahead(gpu, [augmentation("mirror"), noisy])
    assert ahead == 0
    assert "noisy sets the random state" in reason
    assert choose_ahead(CPU, [augmentation("mirror")])[0] == 0


def test_images_on_a_device_give_the_same_batches_as_images_read_from_the_store():
    pool, labels = make_pool()
    moved = Pool(torch.from_numpy(pool.images), pool.keys)
    options = {
        "labels": torch.from_numpy(labels), "augmentations": [augmentation("mirror"), augmentation("mixup")],
        "epochs": 3, "backbone": tiny_backbone(), "class_count": 3, "seed": 0, "device": CPU,
    }  # fmt: skip
    rows, epoch = rows_of(13)
    first, second = (ready_batch(rows, epoch, pool=images, **options) for images in (pool, moved))
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])


@pytest.mark.parametrize(
    ("free", "reads", "moved", "says"),
    [
        (10**6, 600, True, "all images lie on the GPU"),
        (10**5, 600, False, "at most 25% is used"),
        (10**6, 59, False, "does not read all of them"),
    ],
)
def test_all_images_go_to_the_gpu_where_they_fit_and_are_read(monkeypatch, free, reads, moved, says):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, free))
    monkeypatch.setattr("eyeshot.training.feeding._copied", lambda pool, device: torch.from_numpy(pool.images))
    pool, _ = make_pool()  # 60 images of 768 bytes
    result, reason = bring_to_device(pool, torch.device("cuda"), image_reads=reads)
    assert isinstance(result.images, torch.Tensor) is moved
    assert says in reason
    assert list(result.keys) == list(pool.keys)


def test_on_a_cpu_images_stay_where_they_are():
    pool, _ = make_pool()
    assert bring_to_device(pool, CPU, image_reads=10**6)[0] is pool


def test_a_copy_in_parts_is_the_whole_set(monkeypatch):
    monkeypatch.setattr("eyeshot.training.feeding.COPIED_BYTES", 5000)  # six images at a time
    from eyeshot.training.feeding import _copied

    pool, _ = make_pool()
    assert np.array_equal(_copied(pool, CPU).numpy(), pool.images)
