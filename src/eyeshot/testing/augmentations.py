"""The rules that every augmentation must keep, as tests.

In your own test file::

    from eyeshot.testing import AugmentationContract

    class TestMyAugmentation(AugmentationContract):
        augmentation = my_augmentation

pytest then runs every test below on it, and on a GPU too if there is one.
"""

from __future__ import annotations

import pickle
import unittest

import numpy as np
import PIL.Image
import torch
from numpy.typing import NDArray

from eyeshot.augment import Augmentation, AugmentedSamples, Pool, make_samples, sample_keys, sample_labels, stack

ROUNDING = 1  # grey levels: batches of another size may sum floats in another order
ON_GPU = 2.0  # grey levels, on average: another device rounds sampling positions differently


class AugmentationContract:
    """Tests of one augmentation; subclass it and set `augmentation`."""

    augmentation: Augmentation
    """The augmentation to test."""

    size = (24, 24)
    """Height and width of the images that most tests use."""

    def pool(self, size: tuple[int, int] | None = None) -> Pool:
        """Textures, shapes and constant images, all with keys of their own."""
        height, width = size or self.size
        images = sample_images(height, width)
        return Pool(images, [f"{number:032x}" for number in range(len(images))])

    def samples(self, pool: Pool, rows: list[int] | None = None, *, draw: int = 0, seed: int = 0) -> AugmentedSamples:
        """Augmented samples of `rows` of the pool, of all by default."""
        positions = list(range(len(pool))) if rows is None else rows
        return make_samples(self.augmentation, pool, positions, seed=seed, draw=draw)

    def test_samples_have_the_shape_and_type_of_the_images(self) -> None:
        """Samples are uint8 (n, 3, H, W), whatever the draw."""
        pool = self.pool()
        for draw in range(3):
            images = self.samples(pool, draw=draw).images
            assert images.shape == (len(pool), 3, *pool.shape), tuple(images.shape)
            assert images.dtype == torch.uint8, images.dtype

    def test_any_size_is_accepted(self) -> None:
        """Down to one pixel, square or not."""
        for size in ((1, 1), (1, 5), (2, 2), (3, 8), (17, 9), (32, 33)):
            pool = self.pool(size)
            assert self.samples(pool).images.shape == (len(pool), 3, *size), size

    def test_no_image_and_one_image_are_accepted(self) -> None:
        """Empty batches happen at the end of a run."""
        pool = self.pool()
        assert self.samples(pool, []).images.shape == (0, 3, *pool.shape)
        assert self.samples(pool, [2]).images.shape == (1, 3, *pool.shape)

    def test_the_same_key_seed_and_draw_give_the_same_sample(self) -> None:
        """Nothing else affects the sample."""
        pool = self.pool()
        assert torch.equal(self.samples(pool, draw=3).images, self.samples(pool, draw=3).images)

    def test_batch_size_and_order_change_nothing(self) -> None:
        """An image's sample is the same alone, in a batch and in a reversed batch."""
        pool = self.pool()
        together = self.samples(pool, draw=1)
        backwards = self.samples(pool, list(range(len(pool)))[::-1], draw=1)
        assert _distance(together.images, backwards.images.flip(0)) <= ROUNDING
        for row in range(len(pool)):
            alone = self.samples(pool, [row], draw=1)
            assert _distance(alone.images[0], together.images[row]) <= ROUNDING
            assert bool(alone.success[0]) == bool(together.success[row])
            assert torch.equal(alone.sources[0], together.sources[row])
            assert torch.equal(alone.weights[0], together.weights[row])

    def test_parameters_are_exactly_the_same_for_the_same_stream(self) -> None:
        """Drawing twice from equal generators gives equal parameters, of equal names, shapes and types."""
        draws = [
            self.augmentation.operation.draw(np.random.Generator(np.random.Philox(key=5)), self.size) for _ in range(2)
        ]
        first, second = stack(draws[:1]), stack(draws[1:])
        assert first.keys() == second.keys()
        for name in first:
            assert torch.equal(first[name], second[name]), name

    def test_other_images_in_the_pool_change_nothing_unless_they_are_mixed(self) -> None:
        """Samples follow from the image's key, not from its place."""
        pool = self.pool()
        if self.augmentation.operation.partners:
            return
        rest = Pool(pool.images[2:], pool.keys[2:])
        assert _distance(self.samples(rest).images, self.samples(pool).images[2:]) <= ROUNDING

    def test_the_pool_is_not_modified(self) -> None:
        """Images are shared by all candidates."""
        pool = self.pool()
        before = pool.images.copy()
        self.samples(pool)
        assert np.array_equal(pool.images, before)

    def test_the_given_tensor_is_not_modified(self) -> None:
        """`apply` returns new images."""
        operation, pool = self.augmentation.operation, self.pool()
        images = pool.take(np.arange(len(pool)))
        before = images.clone()
        generator = np.random.Generator(np.random.Philox(key=1))
        parameters = stack([operation.draw(generator, pool.shape) for _ in range(len(pool))])
        if not self.augmentation.operation.partners:
            operation.apply(images, parameters)
        assert torch.equal(images, before)

    def test_draws_differ_unless_the_operation_says_that_they_do_not(self) -> None:
        """`deterministic` must then be true: samples of such operations are computed once."""
        pool = self.pool()
        images = [self.samples(pool, draw=draw).images for draw in range(8)]
        same = all(torch.equal(images[0], samples) for samples in images[1:])
        assert same == self.augmentation.deterministic

    def test_label_weights_sum_to_one_and_sources_lie_in_the_pool(self) -> None:
        """The image itself is the first source."""
        pool = self.pool()
        samples = self.samples(pool, draw=2)
        width = 1 + self.augmentation.operation.partners
        assert samples.sources.shape == samples.weights.shape == (len(pool), width)
        assert samples.sources[:, 0].tolist() == list(range(len(pool)))
        assert int(samples.sources.min()) >= 0
        assert int(samples.sources.max()) < len(pool)
        assert float(samples.weights.min()) >= 0
        assert torch.allclose(samples.weights.sum(1), torch.ones(len(pool)), atol=1e-5)

    def test_labels_are_known_without_making_samples(self) -> None:
        """Features come from a cache, their labels do not."""
        pool = self.pool()
        rows = list(range(len(pool)))
        samples = self.samples(pool, draw=2)
        sources, weights = sample_labels(self.augmentation, pool, rows, seed=0, draw=2)
        assert torch.equal(sources, samples.sources)
        assert torch.equal(weights, samples.weights)

    def test_failed_samples_are_counted_and_stay_clean(self) -> None:
        """The success mask has one entry per image."""
        pool = self.pool()
        samples = self.samples(pool)
        assert samples.success.shape == (len(pool),)
        assert samples.success.dtype == torch.bool
        clean = pool.take(np.arange(len(pool)))
        assert torch.equal(samples.images[~samples.success], clean[~samples.success])

    def test_training_changes_some_images_with_the_same_parameters(self) -> None:
        """Each training sample is the clean image or the cloud's sample of the same draw."""
        pool = self.pool()
        rows = list(range(len(pool)))
        clean = pool.take(np.arange(len(pool)))
        for draw in range(3):
            cloud = self.samples(pool, draw=draw)
            training = make_samples(self.augmentation, pool, rows, seed=0, draw=draw, always=False)
            for row in rows:
                to_clean = _distance(training.images[row], clean[row])
                to_cloud = _distance(training.images[row], cloud.images[row])
                assert min(to_clean, to_cloud) <= ROUNDING

    def test_keys_tell_samples_apart(self) -> None:
        """32 hexadecimal digits, different for each image and, where the samples differ, for each draw and seed."""
        pool = self.pool()
        rows = list(range(len(pool)))
        keys = sample_keys(self.augmentation, pool, rows, seed=0, draw=0)
        assert all(len(key) == 32 and int(key, 16) >= 0 for key in keys)
        assert len(set(keys)) == len(keys)
        assert keys == sample_keys(self.augmentation, pool, rows, seed=0, draw=0)
        for seed, draw in ((0, 1), (1, 0)):
            changed = sample_keys(self.augmentation, pool, rows, seed=seed, draw=draw)
            assert (keys == changed) == self.augmentation.deterministic

    def test_it_survives_the_way_to_another_process(self) -> None:
        """Workers are spawned, so augmentations are pickled."""
        copy = pickle.loads(pickle.dumps(self.augmentation))
        assert copy.fingerprint == self.augmentation.fingerprint

    def test_the_transform_gives_back_the_kind_of_image_that_it_got(self) -> None:
        """PIL images and tensors, square or not."""
        pixels = sample_images(15, 22)
        if self.augmentation.operation.partners:
            batch = torch.from_numpy(pixels).permute(0, 3, 1, 2)
            labels = torch.arange(len(batch))
            transform = self.augmentation.as_transform(class_count=len(batch), always=True)
            images, targets = transform(batch, labels)
            assert images.shape == batch.shape
            assert torch.allclose(targets.sum(1), torch.ones(len(batch)), atol=1e-5)
            return
        transform = self.augmentation.as_transform(always=True)
        picture = transform(PIL.Image.fromarray(pixels[0]))
        assert isinstance(picture, PIL.Image.Image)
        assert picture.size == (22, 15)
        tensor = transform(torch.from_numpy(pixels[0]).permute(2, 0, 1))
        assert tensor.shape == (3, 15, 22)
        assert tensor.dtype == torch.uint8

    def test_a_gpu_gives_the_same_samples_but_for_rounding(self) -> None:
        """Skips where there is none."""
        if not torch.cuda.is_available():
            raise unittest.SkipTest("no CUDA device")
        pool = self.pool()
        on_gpu = make_samples(self.augmentation, pool, list(range(len(pool))), seed=0, draw=0, device="cuda")
        on_cpu = self.samples(pool)
        assert on_gpu.images.device.type == "cuda"
        difference = (on_gpu.images.cpu().float() - on_cpu.images.float()).abs().mean()
        assert float(difference) <= ON_GPU


def sample_images(height: int, width: int) -> NDArray[np.uint8]:
    """Eight images, uint8 (8, H, W, 3): noise, gradients, shapes, and constant black, white and grey."""
    random = np.random.Generator(np.random.Philox(key=2026))
    down, along = np.mgrid[0:height, 0:width]
    images = np.zeros((8, height, width, 3), dtype=np.uint8)
    images[0] = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
    images[1, ..., 0] = along * 255 // max(1, width - 1)
    images[1, ..., 1] = down * 255 // max(1, height - 1)
    ring = np.hypot(down - height / 2, along - width / 3)
    images[2][(ring > width / 6) & (ring < width / 4)] = (250, 240, 20)
    images[3] = 255 - images[2] // 2
    images[4] = random.integers(90, 110, (height, width, 3), dtype=np.uint8)
    images[4, height // 4 : height // 2] += 100
    images[6] = 255
    images[7] = (128, 127, 129)
    return images


def _distance(images: torch.Tensor, references: torch.Tensor) -> int:
    """Greatest difference in grey levels."""
    if images.numel() == 0:
        return 0
    return int((images.int() - references.int()).abs().max())
