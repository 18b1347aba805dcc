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
    with pytest.raises(ModelError, match=r"two calls gave different weights.*--weights FILE.*--from-scratch"):
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
        ("my_network:torch", "must be a function that returns a network, got module"),
        ("my_network.py:no_network", "must return a torch.nn.Module, got int"),
        ("my_network:no_network", "must return a torch.nn.Module, got int"),
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


class Maps(torch.nn.Module):
    """A patch embedding whose map has its channels last or first; square places, or a strip."""

    def __init__(self, channels, *, last, stride=4, num_features=None):
        super().__init__()
        self.patch = torch.nn.Conv2d(3, channels, 4, stride)
        self.last = last
        if num_features is not None:
            self.num_features = num_features

    def forward_features(self, images):
        found = self.patch(images)
        return found.permute(0, 2, 3, 1) if self.last else found

    def forward(self, images):
        return self.forward_features(images)


def pooled_features(network, images, channels=()):
    module, _ = take_features(network, find_classifier(network))
    return PooledFeatures(module, name="maps", channels=channels)(images)


@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("channels", [2, 5, 48])
def test_a_map_is_averaged_over_its_places_wherever_its_channels_are(last, channels):
    torch.manual_seed(0)
    network, images = Maps(channels, last=last), torch.randn(3, 3, 32, 32)
    wanted = network.patch(images).mean((2, 3))
    assert torch.allclose(pooled_features(network, images), wanted, atol=1e-6)


@pytest.mark.parametrize("last", [True, False])
def test_a_map_that_is_not_square_is_averaged_by_the_number_of_channels_that_the_network_names(last):
    torch.manual_seed(0)
    network, images = Maps(5, last=last, stride=(4, 8)), torch.randn(3, 3, 32, 32)
    wanted = network.patch(images).mean((2, 3))
    assert torch.allclose(pooled_features(network, images, channels=[5]), wanted, atol=1e-6)


@pytest.mark.parametrize(("channels", "named", "stride"), [(8, [8], 4), (8, [], 4), (5, [], (4, 8)), (5, [7], (4, 8))])
def test_a_map_whose_axes_cannot_be_told_apart_is_a_model_error_with_the_next_step(channels, named, stride):
    with pytest.raises(
        ModelError, match=r"channel axis is ambiguous\. Give another --size, or let the network average"
    ):
        pooled_features(Maps(channels, last=True, stride=stride), torch.randn(2, 3, 32, 32), channels=named)


def test_a_map_of_one_place_and_one_channel_needs_no_telling():
    assert pooled_features(Maps(1, last=True, stride=32), torch.randn(2, 3, 32, 32)).shape == (2, 1)


@pytest.mark.parametrize("transposed", [True, False])
def test_tokens_are_averaged_over_places_wherever_the_channels_are(transposed):
    tokens = torch.randn(2, 16, 6)
    given = tokens.transpose(1, 2) if transposed else tokens

    class Tokens(torch.nn.Module):
        def forward(self, images):
            return given

    found = PooledFeatures(Tokens(), name="tokens", channels=[6])(torch.zeros(2, 3, 8, 8))
    assert torch.equal(found, tokens.mean(1))


SWIN_LIKE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 48, 4, 4)
        self.norm = nn.LayerNorm(48)
        self.cls = nn.Linear(48, 2)
    def forward_features(self, images):
        return self.norm(self.patch(images).permute(0, 2, 3, 1))
    def forward(self, images):
        return self.cls(self.forward_features(images).mean((1, 2)))

class Dead(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 8, 3)
    def forward(self, images):
        return self.patch(images).mean((2, 3)) * 0 + 1

def make():
    torch.manual_seed(0)
    return Net()

def dead():
    torch.manual_seed(0)
    return Dead()
"""


@pytest.fixture
def swin_like(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "swin_like.py").write_text(SWIN_LIKE, encoding="utf-8")
    yield
    sys.modules.pop("swin_like", None)


def different_images(count, size=32):
    levels = np.random.default_rng(0).integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
    return levels.repeat(size // 4, axis=1).repeat(size // 4, axis=2)


def test_channels_last_features_of_an_own_network_differ_between_images(swin_like):
    backbone = load_backbone("swin_like:make", size=32)
    features = extract(backbone, different_images(20))
    assert features.shape == (20, 48)
    assert features.std(0).max() > 0.05


def test_features_that_are_the_same_for_all_images_are_a_model_error(swin_like):
    backbone = load_backbone("swin_like:dead", size=32)
    with pytest.raises(ModelError, match=r"swin_like:dead gave the same for all 16 images\. Check its weights"):
        extract(backbone, different_images(16))


def test_a_few_images_or_the_same_ones_may_have_the_same_features(swin_like):
    dead = load_backbone("swin_like:dead", size=32)
    assert extract(dead, different_images(15)).std(0).max() == 0
    alive = load_backbone("swin_like:make", size=32)
    assert extract(alive, different_images(1).repeat(16, axis=0)).shape == (16, 48)


MORE_KINDS = """
import torch
from torch import nn


class Small(nn.Module):
    def __init__(self, channels=3):
        super().__init__()
        self.features = nn.Conv2d(channels, 8, 3)
        self.fc = nn.Linear(8, 2)

    def forward(self, images):
        return self.fc(self.features(images).mean((2, 3)))


class Failing(Small):
    def forward(self, images):
        if len(images) > 10:
            raise ValueError("too many")
        return super().forward(images)


class OneRow(Small):
    def forward(self, images):
        return super().forward(images).mean(0, keepdim=True)


class Nothing(Small):
    def forward(self, images):
        return super().forward(images)[:, :0]


def failing():
    torch.manual_seed(0)
    return Failing()


def one_row():
    torch.manual_seed(0)
    return OneRow()


def nothing():
    torch.manual_seed(0)
    return Nothing()


def not_finite():
    torch.manual_seed(0)
    network = Small()
    network.features.weight.data.fill_(float("nan"))
    return network


def ends():
    raise SystemExit(7)


def half():
    torch.manual_seed(0)
    return Small().half()


def grey():
    torch.manual_seed(0)
    return Small(channels=1)


def script():
    torch.manual_seed(0)
    return torch.jit.script(Small())
"""


@pytest.fixture
def more_kinds(tmp_path, monkeypatch):
    (tmp_path / "more_kinds.py").write_text(MORE_KINDS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("more_kinds")
def test_a_network_in_half_precision_is_converted_and_that_is_told():
    backbone = load_backbone("more_kinds:half", size=16)
    assert backbone.feature_count == 8
    assert "not in single precision" in backbone.reason


@pytest.mark.usefixtures("more_kinds")
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize(
    ("name", "words"), [("grey", r"3 channels .* reads 1\. .*in_chans=3"), ("script", "got TorchScript")]
)
def test_networks_that_cannot_be_used_are_told_for_what_they_are(name, words):
    with pytest.raises(ModelError, match=words):
        load_backbone(f"more_kinds:{name}", size=16)


@pytest.mark.usefixtures("more_kinds")
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("failing", r"cannot read 12 images of 16 px \(ValueError: too many; .*more_kinds\.py, line"),
        ("one_row", "a row for each image, got shape .1, 8. for 12 images"),
        ("nothing", "at least one feature for an image, got none"),
        ("not_finite", "Features must be finite"),
        ("ends", "failed .SystemExit: 7"),
    ],
)
def test_a_network_that_fails_on_a_batch_is_a_model_error(name, words):
    images = np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3), dtype=np.uint8)
    with pytest.raises(ModelError, match=words):
        extract(load_backbone(f"more_kinds:{name}", size=16), images)
