import numpy as np
import PIL.Image
import pytest
import torch

from eyeshot.augment import stack
from eyeshot.augment.resolution import Downscale

from .helpers import applied, drawn, largest_difference, textured


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
