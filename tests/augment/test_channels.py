import numpy as np
import torch
from torchvision.transforms.v2 import functional

from eyeshot.augment import stack
from eyeshot.augment.channels import ChannelDropout, ChannelShuffle

from .helpers import applied, drawn, textured

DRAWS = 3000


def test_shuffled_channels_are_those_of_torchvision():
    images = textured()
    for order in ((0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)):
        ours = applied(ChannelShuffle(), images, order=np.array(order))
        assert torch.equal(ours, functional.permute_channels(images, list(order)))


def test_every_order_but_the_images_own_is_as_likely():
    orders = [tuple(ChannelShuffle().draw(np.random.default_rng(n), (8, 8))["order"]) for n in range(DRAWS)]
    counts = np.array([orders.count(order) for order in set(orders)])
    assert len(counts) == 5
    assert (0, 1, 2) not in orders
    assert ((counts - DRAWS / 5) ** 2 / (DRAWS / 5)).sum() < 18.5  # chi-square, 4 degrees of freedom, 0.1 %


def test_one_or_two_channels_are_black_each_as_likely_and_the_rest_is_untouched():
    draws = [ChannelDropout().draw(np.random.default_rng(n), (8, 8)) for n in range(DRAWS)]
    kept = np.array([draw["kept"] for draw in draws])
    assert set(kept.sum(1)) == {1, 2}
    assert abs((kept.sum(1) == 1).mean() - 0.5) < 0.04
    assert (abs(kept.mean(0) - 0.5) < 0.04).all()
    images = textured().clamp(min=1)
    parameters = stack(drawn(ChannelDropout(), images))
    result = ChannelDropout().apply(images, parameters)
    for image, before, mask in zip(result, images, parameters["kept"].bool(), strict=True):
        assert torch.equal(image[mask], before[mask])
        assert int(image[~mask].max()) == 0
