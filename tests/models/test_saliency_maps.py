"""Maps without naming a layer: equal to CAM where that is defined, on the object for convolutions and transformers."""

import numpy as np
import pytest
import timm
import torch
from torch import nn

from eyeshot.models import saliency
from eyeshot.models.saliency_maps import as_map


class Pooled(nn.Module):
    """A convolution, mean pooling and a linear layer: class activation maps (Zhou et al. 2016) are defined for it."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(3, 8, 4, stride=4)
        self.head = nn.Linear(8, 3)

    def forward(self, images):
        return self.head(self.convolution(images).relu().mean((2, 3)))


def test_it_equals_the_class_activation_map_where_mean_pooling_and_a_linear_layer_follow():
    torch.manual_seed(0)
    network, images = Pooled().eval(), torch.randn(4, 3, 32, 32)
    classes = np.array([0, 1, 2, 1])
    with torch.no_grad():
        cells = network.convolution(images)
        weights = network.head.weight - network.head.weight.mean(0)
        # relu is no module here: the map is that of the convolution, times the slope of the relu.
        expected = torch.einsum("nchw,nc->nhw", cells.relu(), weights[classes]).clamp(min=0)
        expected = nn.functional.interpolate(expected[:, None], size=(32, 32), mode="bilinear")[:, 0]
        expected = expected / expected.flatten(1).amax(1)[:, None, None]
    assert np.allclose(saliency(network, images, classes), expected.numpy(), atol=1e-4)


@pytest.mark.parametrize("name", ["test_resnet.r160_in1k", "test_vit.r160_in1k", "test_convnext.r160_in1k"])
def test_convolutions_and_transformers_have_maps_and_keep_their_weights_and_gradients(name):
    torch.manual_seed(0)
    network = timm.create_model(name, num_classes=4).eval()
    images = torch.randn(3, 3, 160, 160)
    maps = saliency(network, images, np.array([0, 1, 2]))
    assert maps.shape == (3, 160, 160)
    assert (maps.min() >= 0, maps.max()) == (True, 1)
    assert (maps.std((1, 2)) > 0.01).all()
    assert all(value.grad is None for value in network.parameters())
    assert not any(module._forward_hooks for module in network.modules())


def squares(count, random):
    """Images with a square in one of three channels, its class, or without one; and where it is."""
    images = torch.randn(count, 3, 96, 96) * 0.1
    labels, inside = random.integers(0, 4, count), np.zeros((count, 96, 96), bool)
    for row, label in enumerate(labels):
        top, left = (16 * random.integers(0, 5, 2)).tolist()
        if label < 3:
            images[row, label, top : top + 32, left : left + 32] += 2.0
        inside[row, top : top + 32, left : left + 32] = True
    return images, labels, inside


@pytest.mark.slow
@pytest.mark.parametrize(("name", "seeds"), [("test_resnet.r160_in1k", [0]), ("test_vit.r160_in1k", [0, 1])])
def test_trained_networks_look_where_the_object_is(name, seeds):
    """A small ViT may spread what it saw over all tokens for a single class, so that not every class must be found."""
    right = []
    for seed in seeds:
        torch.manual_seed(seed)
        random = np.random.default_rng(seed)
        network = timm.create_model(name, num_classes=4, **({"img_size": 96} if "vit" in name else {}))
        optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
        for _ in range(60):
            images, labels, _ = squares(24, random)
            loss = nn.functional.cross_entropy(network(images), torch.as_tensor(labels))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        network.eval()
        images, labels, inside = squares(40, random)
        with torch.no_grad():
            assert (network(images).argmax(1).numpy() == labels).mean() > 0.9
        there = labels < 3
        maps = saliency(network, images[there], labels[there])
        right += [
            values[mask].mean() > 2 * values[~mask].mean() for values, mask in zip(maps, inside[there], strict=True)
        ]
    assert np.mean(right) > 0.75


def test_a_network_without_a_spatial_layer_gets_input_times_gradient():
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 2)).eval()
    images = torch.rand(1, 3, 8, 8)
    weight = (network[1].weight[1] - network[1].weight.mean(0)).view(3, 8, 8)
    expected = (images[0] * weight).sum(0).clamp(min=0).detach()
    assert np.allclose(saliency(network, images, np.array([1]))[0], (expected / expected.max()).numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "prefix", "expected"),
    [
        ((2, 5, 7, 7), None, (2, 7, 7)),
        ((2, 7, 7, 5), None, (2, 7, 7)),
        ((2, 50, 8), None, (2, 7, 7)),
        ((2, 54, 8), 5, (2, 7, 7)),
        ((2, 54, 8), 1, None),
        ((2, 3, 17, 4), None, None),  # heads of attention
        ((2, 8), None, None),
        ((2, 5, 1, 1), None, None),
    ],
)
def test_maps_are_told_by_their_shape(shape, prefix, expected):
    found = as_map(torch.ones(shape), prefix, 64)
    assert (None if found is None else tuple(found.shape)) == expected
