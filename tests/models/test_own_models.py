import dataclasses
import sys

import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import load_file

from eyeshot.core.errors import InputError, ModelError
from eyeshot.data import decode
from eyeshot.models import extract, load_backbone
from eyeshot.models.own_models import PooledFeatures, find_classifier, take_features
from eyeshot.models.weights import load_weights

from .helpers import make_backbone

SQUEEZENET = "torchvision.models:squeezenet1_0"
FILE = "squeezenet1_0-imagenet.safetensors"
MEAN, STD = (0.4824, 0.4588, 0.4078), (1 / 255, 1 / 255, 1 / 255)

NETWORK = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, classes=4):
        super().__init__()
        self.body = nn.Conv2d(3, 5, 3, padding=1)
        self.head = nn.Linear(5, classes)
    def forward(self, images):
        return self.head(self.body(images).mean((2, 3)))

def trained():
    net = Net()
    with torch.no_grad():
        for value in net.parameters():
            value.copy_(torch.linspace(-1, 1, value.numel()).view_as(value))
    return net

def fresh():
    return Net()

def with_new_head():
    net = trained()
    net.head = nn.Linear(5, 2)
    return net

def needs_something(classes):
    return Net(classes)

def no_network():
    return 3

def gives_a_tuple():
    return nn.Sequential(nn.Flatten(2), nn.LSTM(64, 8))
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_network.py").write_text(NETWORK, encoding="utf-8")
    yield tmp_path
    sys.modules.pop("my_network", None)


@pytest.mark.parametrize(
    ("name", "width"),
    [
        ("resnet18", 512), ("squeezenet1_1", 512), ("mobilenet_v3_small", 1024), ("shufflenet_v2_x0_5", 1024),
        ("mnasnet0_5", 1280), ("efficientnet_b0", 1280), ("densenet121", 1024), ("alexnet", 4096),
        ("regnet_y_400mf", 440), ("vit_b_32", 768), ("googlenet", 1024),
    ],
)  # fmt: skip
def test_features_of_torchvision_networks_are_what_their_classifier_reads(name, width):
    options = {"init_weights": False} if name == "googlenet" else {}
    network = getattr(torchvision.models, name)(weights=None, **options).eval()
    module, _ = take_features(network, find_classifier(network))
    with torch.inference_mode():
        assert PooledFeatures(module, name=name)(torch.zeros(2, 3, 224, 224)).shape == (2, width)


def test_squeezenet_gives_the_average_of_its_last_feature_map():
    torch.manual_seed(0)
    network = torchvision.models.squeezenet1_0(weights=None).eval()
    images = torch.randn(2, 3, 96, 96)
    with torch.inference_mode():
        wanted = network.features(images).mean((2, 3))
        module, _ = take_features(network, find_classifier(network))
        assert torch.allclose(PooledFeatures(module, name="")(images), wanted, atol=1e-5)


def test_a_factory_in_the_current_folder_is_found(here):
    backbone = load_backbone("my_network:trained", size=16)
    assert backbone.feature_count == 5
    assert backbone.pretrained
    assert "'head'" in backbone.reason
    assert str(here) not in sys.path


def test_a_factory_in_a_file_elsewhere_is_found(here, monkeypatch, tmp_path_factory):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert load_backbone(f"{here / 'my_network.py'}:trained", size=16).feature_count == 5


def test_what_was_assumed_is_told_and_what_was_given_is_not(here):
    reason = load_backbone("my_network:trained", mean=[0.5], std=[0.5]).reason
    assert "size 224" in reason
    assert "bilinear" in reason
    assert "mean" not in reason


def test_a_factory_with_untrained_weights_is_a_model_error(here):
    with pytest.raises(ModelError, match=r"two calls give different ones.*--weights FILE.*--from-scratch"):
        load_backbone("my_network:fresh", size=16)


def test_trained_weights_under_a_new_head_are_trained(here):
    assert load_backbone("my_network:with_new_head", size=16).feature_count == 5


def test_untrained_weights_are_the_same_for_a_seed(here):
    first, second, other = (
        load_backbone("my_network:fresh", from_scratch=True, size=16, seed=seed) for seed in (1, 1, 2)
    )
    assert first.fingerprint == second.fingerprint != other.fingerprint
    assert not first.pretrained


def test_weights_of_the_whole_network_with_another_head_are_taken(here):
    file = here / "w.pt"
    body = {"body.weight": torch.ones(5, 3, 3, 3), "body.bias": torch.zeros(5)}
    head = {"head.weight": torch.zeros(9, 5), "head.bias": torch.zeros(9)}
    torch.save({"state_dict": body | head}, file)
    backbone = load_backbone("my_network:fresh", weights=file, size=16, mean=[0], std=[1])
    white = np.full((1, 16, 16, 3), 255, np.uint8)
    wanted = 3 * (14 * 14 * 9 + 4 * 14 * 6 + 4 * 4) / 256  # ones summed over a 3 x 3 window, zeros outside
    assert np.allclose(extract(backbone, white), wanted, rtol=1e-5)


@pytest.mark.parametrize(
    ("model", "match"),
    [
        ("my_network:freesh", r"my_network\.py\) has nothing called 'freesh'\. Nearest: fresh"),
        ("my_netwrok:fresh", "cannot be imported"),
        ("my_network:torch", "must be a function that makes a network, got module"),
        ("my_network.py:no_network", "must give a torch.nn.Module, got int"),
        ("my_network:no_network", "must give a torch.nn.Module, got int"),
    ],
)
def test_a_factory_that_is_none_is_an_input_error(here, model, match):
    with pytest.raises(InputError, match=match):
        load_backbone(model)


def test_a_factory_that_needs_arguments_is_a_model_error(here):
    with pytest.raises(ModelError, match=r"calling it without arguments failed \(TypeError"):
        load_backbone("my_network:needs_something")


def test_a_network_that_gives_no_tensor_is_a_model_error(here):
    with pytest.raises(ModelError, match=r"must give one tensor .* got tuple"):
        load_backbone("my_network:gives_a_tuple", from_scratch=True, size=8)


def test_a_size_that_the_own_network_cannot_read_is_a_model_error(here):
    with pytest.raises(ModelError, match=r"cannot read an image of 16 x 16: .* Try another --size"):
        load_backbone("my_network:gives_a_tuple", from_scratch=True, size=16)


@pytest.mark.shared
def test_squeezenet_with_real_weights_gives_512_features(shared):
    backbone = load_backbone(
        SQUEEZENET, weights=shared / "weights" / FILE, size=128, mean=MEAN, std=STD, interpolation="bilinear"
    )
    assert backbone.feature_count == 512
    assert "50 of 50 tensors" in backbone.reason
    assert backbone.geometry.size == 128


@pytest.mark.shared
def test_squeezenet_with_real_weights_knows_elephants(shared):
    network = torchvision.models.squeezenet1_0(weights=None).eval()
    load_weights(network, shared / "weights" / FILE, name=SQUEEZENET)
    whole = dataclasses.replace(make_backbone(network, size=224, features=1000), mean=MEAN, std=STD)
    files = sorted((shared / "data" / "pacs" / "photo" / "elephant").iterdir())[:24]
    scores = extract(whole, np.stack([decode(file, whole.geometry) for file in files]))
    names = torchvision.models.SqueezeNet1_0_Weights.DEFAULT.meta["categories"]
    said = [names[number] for number in scores.argmax(1)]
    assert sum(name in ("African elephant", "Indian elephant", "tusker") for name in said) >= 16, said


@pytest.mark.shared
def test_the_safetensors_file_is_that_of_torchvisions_whole_network(shared):
    keys = set(load_file(shared / "weights" / FILE))
    assert keys == set(torchvision.models.squeezenet1_0(weights=None).state_dict())
