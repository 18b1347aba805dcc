import itertools

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
import torch
from torchvision.transforms.v2 import functional

from eyeshot.augment import stack
from eyeshot.augment.ops.colour import (
    CHANNEL_DROPOUT,
    CHANNEL_SHUFFLE,
    Jitter,
    adjust_sharpness,
    equalize,
    invert,
    posterize,
    remove_colour,
    solarize,
    stretch,
    turn_hue,
)

from ..helpers import applied, drawn, largest_difference, textured

EXTREMES = torch.cat(
    [
        textured(),
        torch.zeros(1, 3, 32, 32, dtype=torch.uint8),
        torch.full((1, 3, 32, 32), 255, dtype=torch.uint8),
        torch.arange(1024).view(1, 1, 32, 32).remainder(256).to(torch.uint8).repeat(1, 3, 1, 1),
        (textured(1, seed=3) // 16) + 100,
    ]
)


def test_grey_is_that_of_torchvision():
    expected = functional.rgb_to_grayscale(EXTREMES, num_output_channels=3)
    assert largest_difference(remove_colour(EXTREMES), expected) <= 1  # torchvision rounds down


def test_invert_is_that_of_torchvision():
    assert torch.equal(invert(EXTREMES), functional.invert(EXTREMES))


@pytest.mark.parametrize("threshold", [0, 1, 128, 255])
def test_solarize_is_that_of_torchvision(threshold):
    assert torch.equal(solarize(EXTREMES, threshold), functional.solarize(EXTREMES, threshold))


@pytest.mark.parametrize("bits", range(1, 9))
def test_posterize_is_that_of_torchvision(bits):
    assert torch.equal(posterize(EXTREMES, bits), functional.posterize(EXTREMES, bits))


def test_equalize_is_that_of_pillow_and_torchvision():
    ours = equalize(EXTREMES)
    assert torch.equal(ours, functional.equalize(EXTREMES))
    for image, result in zip(EXTREMES, ours, strict=True):
        picture = PIL.Image.fromarray(image.permute(1, 2, 0).numpy())
        assert np.array_equal(np.asarray(PIL.ImageOps.equalize(picture)), result.permute(1, 2, 0).numpy())


def test_autocontrast_is_that_of_torchvision():
    assert largest_difference(stretch(EXTREMES), functional.autocontrast(EXTREMES)) <= 1


def test_autocontrast_reaches_black_and_white_and_leaves_constant_channels_alone():
    narrow = (textured(1) // 8) + 90
    stretched = stretch(narrow)
    assert stretched.amin((2, 3)).tolist() == [[0, 0, 0]]
    assert stretched.amax((2, 3)).tolist() == [[255, 255, 255]]
    constant = torch.full((1, 3, 4, 4), 77, dtype=torch.uint8)
    assert torch.equal(stretch(constant), constant)


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("size", [(32, 32), (2, 9), (3, 3)])
def test_sharpness_is_that_of_torchvision(factor, size):
    images = textured(height=size[0], width=size[1])
    expected = functional.adjust_sharpness(images, factor)
    assert largest_difference(adjust_sharpness(images, factor), expected) <= 1


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 1, 0, 2), (2, 3, 1, 0)])
def test_jitter_is_that_of_torchvision_in_any_order(order):
    amounts = np.array([1.25, 0.7, 1.4, -0.07], dtype=np.float32)
    steps = [
        functional.adjust_brightness, functional.adjust_contrast, functional.adjust_saturation,
        functional.adjust_hue,
    ]  # fmt: skip
    expected = EXTREMES.float() / 255
    for number in order:
        expected = steps[number](expected, float(amounts[number]))
    jitter = Jitter(0.4, 0.4, 0.4, 0.1)
    ours = applied(jitter, EXTREMES, amounts=amounts, order=np.array(order))
    assert largest_difference(ours, (expected * 255).round().to(torch.uint8)) <= 2


def test_jitter_treats_each_image_by_its_own_order_and_amounts():
    images, jitter = textured(24), Jitter(0.4, 0.4, 0.4, 0.1)
    draws = drawn(jitter, images)
    for number, order in enumerate(itertools.permutations(range(4))):
        draws[number]["order"] = np.array(order)
    together = jitter.apply(images, stack(draws))
    for number in range(24):
        alone = jitter.apply(images[number : number + 1], stack(draws[number : number + 1]))
        assert largest_difference(alone[0], together[number]) <= 1


def test_jitter_draws_fill_their_range():
    draws = [Jitter(0.4, 0.3, 0.2, 0.1).draw(np.random.default_rng(n), (4, 4))["amounts"] for n in range(800)]
    low, high = np.min(draws, axis=0), np.max(draws, axis=0)
    assert np.allclose(low, [0.6, 0.7, 0.8, -0.1], atol=0.01)
    assert np.allclose(high, [1.4, 1.3, 1.2, 0.1], atol=0.01)


def test_a_full_turn_of_the_hue_changes_nothing():
    pixels = EXTREMES.float()
    turns = torch.ones(len(pixels))
    assert torch.allclose(turn_hue(pixels, turns), pixels, atol=0.01)
    assert torch.allclose(turn_hue(pixels, 0 * turns), pixels, atol=0.01)


def test_a_third_of_a_turn_takes_red_to_green():
    red = torch.tensor([200.0, 10.0, 10.0]).view(1, 3, 1, 1)
    green = turn_hue(red, torch.tensor([1 / 3])).flatten()
    assert torch.allclose(green, torch.tensor([10.0, 200.0, 10.0]), atol=0.01)


DRAWS = 3000


def test_shuffled_channels_are_those_of_torchvision():
    images = textured()
    for order in ((0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)):
        ours = applied(CHANNEL_SHUFFLE, images, order=np.array(order))
        assert torch.equal(ours, functional.permute_channels(images, list(order)))


def test_every_order_but_the_images_own_is_as_likely():
    orders = [tuple(CHANNEL_SHUFFLE.draw(np.random.default_rng(n), (8, 8))["order"]) for n in range(DRAWS)]
    counts = np.array([orders.count(order) for order in set(orders)])
    assert len(counts) == 5
    assert (0, 1, 2) not in orders
    assert ((counts - DRAWS / 5) ** 2 / (DRAWS / 5)).sum() < 18.5  # chi-square, 4 degrees of freedom, 0.1 %


def test_one_or_two_channels_are_black_each_as_likely_and_the_rest_is_untouched():
    draws = [CHANNEL_DROPOUT.draw(np.random.default_rng(n), (8, 8)) for n in range(DRAWS)]
    kept = np.array([draw["kept"] for draw in draws])
    assert set(kept.sum(1)) == {1, 2}
    assert abs((kept.sum(1) == 1).mean() - 0.5) < 0.04
    assert (abs(kept.mean(0) - 0.5) < 0.04).all()
    images = textured().clamp(min=1)
    parameters = stack(drawn(CHANNEL_DROPOUT, images))
    result = CHANNEL_DROPOUT.apply(images, parameters)
    for image, before, mask in zip(result, images, parameters["kept"].bool(), strict=True):
        assert torch.equal(image[mask], before[mask])
        assert int(image[~mask].max()) == 0
