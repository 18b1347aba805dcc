import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torchvision.transforms.v2 import functional

from eyeshot.augment import augmentation, stack
from eyeshot.augment.ops.warp import Elastic

from ..helpers import applied, drawn, largest_difference, textured

ELASTIC = augmentation("elastic").operation


def fields(operation, shape, count):
    """Moves of so many images, (count, 2, H, W)."""
    steps = stack(drawn(operation, torch.empty(count, 3, *shape)))["steps"]
    return operation.moves(steps, shape).double()


@pytest.mark.parametrize("size", [(40, 40), (37, 52)])
def test_pixels_come_from_where_torchvision_takes_them_given_the_same_moves(size):
    images = textured(4, *size)
    parameters = stack(drawn(ELASTIC, images))
    ours = ELASTIC.apply(images, parameters)
    moves = ELASTIC.moves(parameters["steps"], size)
    assert float(moves.abs().max()) > 2
    displacement = moves.permute(0, 2, 3, 1) * torch.tensor([2 / size[1], 2 / size[0]])
    for number in range(4):
        one = displacement[number : number + 1]
        expected = functional.elastic(images[number], one)
        seen = functional.elastic(torch.full_like(images[number], 255), one) == 255
        assert float(seen.float().mean()) > 0.5
        assert largest_difference(ours[number][seen], expected[seen]) <= 1


@pytest.mark.parametrize("shape", [(28, 28), (50, 36)])
def test_moves_have_the_stated_size_everywhere_and_are_as_smooth_as_a_gaussian_makes_them(shape):
    operation = Elastic(reach=0.05, smoothness=1 / 7)
    moves = fields(operation, shape, 600)
    expected = 0.05 * min(shape)
    assert abs(float(moves.mean())) < 0.05 * expected
    deviations = moves.square().mean((0, 1)).sqrt()
    assert float(deviations.min()) > 0.88 * expected  # at the edges as in the middle
    assert float(deviations.max()) < 1.12 * expected
    sigma = min(shape) / 7
    for distance in (2, 4, 8):
        # White noise smoothed by a Gaussian: correlation exp(-d^2 / 4 sigma^2).
        correlation = (moves[..., distance:] * moves[..., :-distance]).mean() / moves.square().mean()
        assert float(correlation) == pytest.approx(math.exp(-(distance**2) / (4 * sigma**2)), abs=0.04)


def test_the_catalogues_strength_is_that_of_the_paper():
    random = np.random.default_rng(0)
    # alpha 34 and sigma 4 on 28 pixels; a large field, so that its edges do not count.
    simard = 34 * gaussian_filter(random.uniform(-1, 1, (600, 600)), 4)
    assert ELASTIC.reach * 28 == pytest.approx(simard.std(), rel=0.06)
    assert ELASTIC.smoothness * 28 == pytest.approx(4)


def test_moves_of_nothing_change_nothing():
    images = textured()
    operation = Elastic(reach=0.0, smoothness=1 / 7)
    assert largest_difference(operation.apply(images, stack(drawn(operation, images))), images) == 0


def test_equal_steps_shift_the_image():
    images = textured(2, 36, 36)
    _, height, width = ELASTIC.draw(np.random.default_rng(0), (36, 36))["steps"].shape
    steps = np.zeros((2, height, width), dtype=np.float32)
    steps[0] = 1.0
    operation = Elastic(reach=1.0, smoothness=1 / 7)
    scale = float(operation.moves(torch.from_numpy(steps)[None], (36, 36))[0, 0].mean())
    shifted = applied(Elastic(reach=3 / scale, smoothness=1 / 7), images, steps=steps)
    assert largest_difference(shifted[..., 1:-4], images[..., 4:-1]) <= 2
