import io

import numpy as np
import PIL.Image
import pytest
import scipy.ndimage
import scipy.stats
import torch
from torchvision.transforms.v2 import functional

from eyeshot.augment import stack
from eyeshot.augment.ops.blur_noise import Downscale, GaussianBlur, GaussianNoise, Jpeg, MotionBlur, dilate, erode

from ..helpers import applied, drawn, largest_difference, textured


@pytest.mark.parametrize("sigma", [0.1, 0.7, 2.0])
def test_gaussian_blur_is_that_of_torchvision(sigma):
    images = textured(height=40, width=26)
    expected = functional.gaussian_blur(images, kernel_size=[13, 13], sigma=[sigma, sigma])
    assert largest_difference(applied(GaussianBlur((0.1, 2.0)), images, sigma=sigma), expected) <= 1


@pytest.mark.parametrize("sigma", [0.5, 1.3])
def test_gaussian_blur_is_that_of_scipy(sigma):
    images = textured(2)
    expected = scipy.ndimage.gaussian_filter(
        images.numpy().astype(float), (0, 0, sigma, sigma), mode="mirror", radius=(0, 0, 6, 6)
    )
    blurred = applied(GaussianBlur((0.1, 2.0)), images, sigma=sigma)
    assert np.abs(blurred.numpy() - expected).max() <= 0.6


def test_motion_blur_keeps_the_mean_and_blurs_along_its_direction_only():
    images = torch.zeros(1, 3, 33, 33, dtype=torch.uint8)
    images[..., 16, 16] = 255
    for angle, along, across in ((0.0, 3, 2), (np.pi / 2, 2, 3)):
        blurred = applied(MotionBlur((3.0, 7.0)), images, length=7.0, angle=angle)[0, 0].float()
        assert float(blurred.sum()) == pytest.approx(255, abs=8)
        assert int((blurred.sum(1 - (along - 2)) > 5).sum()) == 7
        assert int((blurred.sum(1 - (across - 2)) > 5).sum()) == 1


def test_motion_blur_leaves_constant_images_alone():
    images = torch.full((2, 3, 9, 9), 131, dtype=torch.uint8)
    assert torch.equal(applied(MotionBlur((3.0, 7.0)), images, length=5.5, angle=0.6), images)


def test_gaussian_noise_has_the_given_deviation():
    images = torch.full((4, 3, 64, 64), 128, dtype=torch.uint8)
    operation = GaussianNoise(0.1)
    noise = operation.apply(images, stack(drawn(operation, images))).double() - 128
    assert float(noise.mean()) == pytest.approx(0, abs=0.5)
    assert float(noise.std()) == pytest.approx(25.5, rel=0.02)
    # Kolmogorov-Smirnov against the rounded normal distribution, at the levels themselves.
    levels = np.arange(-90, 91)
    found = (noise.flatten().numpy()[:, None] <= levels).mean(0)
    assert np.abs(found - scipy.stats.norm.cdf(levels + 0.5, scale=25.5)).max() < 1.63 / np.sqrt(noise.numel())


def test_strong_noise_does_not_wrap_around():
    images = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 3, 40, 40)
    noisy = GaussianNoise(0.5).apply(images, stack(drawn(GaussianNoise(0.5), images)))
    assert 0.4 < float((noisy[0] == 0).float().mean()) < 0.6
    assert 0.4 < float((noisy[1] == 255).float().mean()) < 0.6


@pytest.mark.parametrize("quality", [5, 30, 95])
def test_jpeg_is_that_of_pillow(quality):
    images = textured(2, height=24, width=37)
    compressed = applied(Jpeg((5, 95)), images, quality=quality)
    for image, result in zip(images, compressed, strict=True):
        file = io.BytesIO()
        PIL.Image.fromarray(image.permute(1, 2, 0).numpy()).save(file, "JPEG", quality=quality)
        assert np.array_equal(np.asarray(PIL.Image.open(file)), result.permute(1, 2, 0).numpy())


def test_jpeg_draws_both_ends_of_its_range():
    drawn_qualities = {Jpeg((5, 8)).draw(np.random.default_rng(n), (8, 8))["quality"] for n in range(100)}
    assert drawn_qualities == {5, 6, 7, 8}


@pytest.mark.parametrize(
    ("size", "reach"), [((1, 1), 1), ((5, 70), 1), ((64, 64), 1), ((128, 140), 2), ((224, 224), 4)]
)
def test_erosion_and_dilation_are_those_of_scipy(size, reach):
    images = textured(2, *size)
    window = (1, 1, 2 * reach + 1, 2 * reach + 1)
    expected = scipy.ndimage.grey_dilation(images.numpy(), size=window, mode="nearest")
    assert np.array_equal(dilate(images, 1 / 64).numpy(), expected)
    expected = scipy.ndimage.grey_erosion(images.numpy(), size=window, mode="nearest")
    assert np.array_equal(erode(images, 1 / 64).numpy(), expected)


def test_dilation_thickens_bright_strokes_and_erosion_dark_ones():
    bright = torch.zeros(1, 3, 21, 21, dtype=torch.uint8)
    bright[..., 10] = 255
    assert int((dilate(bright, 1 / 64)[0, 0, 5] > 127).sum()) == 3
    assert int((erode(255 - bright, 1 / 64)[0, 0, 5] < 128).sum()) == 3
    assert int((erode(bright, 1 / 64) > 0).sum()) == 0


@pytest.mark.parametrize(("size", "small"), [((32, 32), (8, 8)), ((40, 28), (17, 12)), ((33, 47), (13, 19))])
def test_it_shrinks_and_enlarges_as_pillow_does(size, small):
    images = textured(3, *size)
    ours = applied(Downscale((0.25, 0.5)), images, size=np.array(small))
    for image, result in zip(images, ours, strict=True):
        picture = PIL.Image.fromarray(image.permute(1, 2, 0).numpy())
        shrunk = picture.resize(small[::-1], PIL.Image.Resampling.BILINEAR)
        expected = shrunk.resize(size[::-1], PIL.Image.Resampling.BILINEAR)
        # Each rounds twice, and not always the same way.
        assert largest_difference(result, torch.from_numpy(np.array(expected)).permute(2, 0, 1)) <= 2


def test_sizes_span_the_stated_range_and_keep_the_ratio():
    sizes = np.array([Downscale((0.25, 0.5)).draw(np.random.default_rng(n), (200, 100))["size"] for n in range(400)])
    assert sizes[:, 0].min() in range(50, 53)
    assert sizes[:, 0].max() in range(98, 101)
    assert abs(sizes[:, 0].mean() - 75) < 3
    assert (abs(sizes[:, 0] - 2 * sizes[:, 1]) <= 1).all()


def test_images_of_several_sizes_do_not_mix_up():
    images, operation = textured(20), Downscale((0.25, 0.5))
    draws = drawn(operation, images)
    assert len({tuple(draw["size"]) for draw in draws}) > 3
    together = operation.apply(images, stack(draws))
    for number in range(20):
        alone = operation.apply(images[number : number + 1], stack(draws[number : number + 1]))
        assert largest_difference(alone[0], together[number]) <= 1


def test_the_factor_1_changes_nothing():
    images, operation = textured(), Downscale((1.0, 1.0))
    assert torch.equal(operation.apply(images, stack(drawn(operation, images))), images)
