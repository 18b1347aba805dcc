import json
import os
import stat
import sys

import numpy as np
import pytest
import timm
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from eyeshot.core.errors import ModelError
from eyeshot.models import extract, load_backbone, normalise, to_batch
from eyeshot.training import load_classifier, train
from eyeshot.training.baseline import load_trained
from eyeshot.training.result import read_validation

from .helpers import CLASSES, SETTINGS, make_pool, run, tiny_backbone

SHORT = SETTINGS.model_copy(update={"epochs": 2})
NETWORK = """
from torch import nn

class Net(nn.Module):
    def __init__(self, classes=7):
        super().__init__()
        self.body = nn.Conv2d(3, 6, 3, padding=1)
        self.head = nn.Sequential(nn.Dropout(0.1), nn.Linear(6, classes))
    def forward_features(self, images):
        return self.body(images).relu().permute(0, 2, 3, 1)
    def forward(self, images):
        return self.head(self.forward_features(images).mean((1, 2)))

def make():
    return Net()

class Normed(Net):  # its classifier reads something else than its features
    def forward(self, images):
        return self.head(2 * self.forward_features(images).mean((1, 2)) + 1)

def normed():
    return Normed()
"""


@pytest.fixture
def own_networks(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "trained_networks.py").write_text(NETWORK, encoding="utf-8")
    yield tmp_path
    sys.modules.pop("trained_networks", None)


def probabilities(network, backbone):
    """Of the validation images, by a network that gives scores."""
    pool, _ = make_pool()
    network.eval()
    with torch.inference_mode():
        return network(normalise(to_batch(pool.images[42:]), backbone, device=torch.device("cpu"))).softmax(1).numpy()


def metadata(folder):
    with safe_open(folder / "weights.safetensors", "pt") as opened:
        return opened.metadata()


@pytest.mark.parametrize(
    ("tag", "size"),
    [
        ("test_resnet.r160_in1k", 16), ("test_vit.r160_in1k", 160), ("test_convnext.r160_in1k", 32),
        ("test_efficientnet.r160_in1k", 32), ("mobilenetv4_conv_small.e2400_r224_in1k", 32),
    ],
)  # fmt: skip
@pytest.mark.parametrize("pretrained", [True, False])
def test_weights_of_a_run_load_into_plain_timm_and_give_the_probabilities_that_were_kept(
    tmp_path, tag, size, pretrained
):
    backbone = load_backbone(tag, from_scratch=True, size=size)
    if pretrained:  # begins at the best head on standardised features
        backbone = backbone.with_module(backbone.module, pretrained=True, reason="")
    result = run(tmp_path, SHORT, backbone=backbone, data=make_pool(size=size))
    network = timm.create_model(tag, num_classes=3)
    network.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert result.weights["layout"] == "network"
    assert result.weights["network"] == f"timm.create_model({tag!r}, num_classes=3)"
    pool, _ = make_pool(size=size)
    network.eval()
    with torch.inference_mode():
        images = normalise(to_batch(pool.images[42:]), backbone, device=torch.device("cpu"))
        found = network(images).softmax(1).numpy()
    assert np.allclose(found, read_validation(tmp_path).probabilities, atol=1e-3)  # stored as float16


def test_weights_at_another_size_name_it_in_the_line_that_makes_the_network(tmp_path):
    backbone = load_backbone("test_vit.r160_in1k", from_scratch=True, size=32)
    line = run(tmp_path, SHORT, backbone=backbone, data=make_pool(size=32)).weights["network"]
    assert line == "timm.create_model('test_vit.r160_in1k', num_classes=3, img_size=32)"
    network = timm.create_model("test_vit.r160_in1k", num_classes=3, img_size=32)
    network.load_state_dict(load_file(tmp_path / "weights.safetensors"))


@pytest.mark.parametrize(
    "tag", ["test_resnet.r160_in1k", "levit_conv_128s.fb_dist_in1k", "deit_tiny_distilled_patch16_224.fb_in1k"]
)
def test_the_weights_that_a_run_leaves_are_taken_by_the_option_for_weights(tmp_path, tag):
    size = 16 if tag.startswith("test") else 224
    backbone = load_backbone(tag, from_scratch=True, size=size)
    settings = SHORT.model_copy(update={"epochs": 1, "batch_size": 4})
    pool, labels = make_pool(12, size=size)
    rows = np.arange(12)
    result = train(
        backbone, pool, labels, rows[:8], rows[8:], classes=CLASSES, settings=settings, folder=tmp_path, command=""
    )
    trained, head = load_trained(backbone, tmp_path, result)
    loaded = load_backbone(tag, weights=tmp_path / "weights.safetensors", size=size)
    assert "classifier left out" in loaded.reason or "outside of it, left out" in loaded.reason
    assert loaded.fingerprint == trained.fingerprint
    features = extract(trained, pool.images[8:])
    assert np.allclose(head.predict_proba(features), read_validation(tmp_path).probabilities, atol=1e-3)


def test_a_network_of_ones_own_keeps_its_names_where_its_head_reads_the_features(own_networks):
    backbone = load_backbone("trained_networks:make", from_scratch=True, size=16)
    result = run(own_networks / "run", SHORT, backbone=backbone)
    assert result.weights["layout"] == "network"
    assert result.weights["head"] == "head.1"
    sys.path.insert(0, str(own_networks))
    try:
        from trained_networks import Net

        network = Net(classes=3)
    finally:
        sys.path.remove(str(own_networks))
    network.load_state_dict(load_file(own_networks / "run" / "weights.safetensors"))
    kept = read_validation(own_networks / "run").probabilities
    assert np.allclose(probabilities(network, backbone), kept, atol=1e-3)
    loaded = load_backbone("trained_networks:make", weights=own_networks / "run" / "weights.safetensors", size=16)
    assert loaded.fingerprint == load_trained(backbone, own_networks / "run", result)[0].fingerprint


def test_a_network_whose_head_cannot_be_named_is_kept_as_backbone_and_head(own_networks):
    backbone = load_backbone("trained_networks:normed", from_scratch=True, size=16)
    result = run(own_networks / "run", SHORT, backbone=backbone)
    assert (result.weights["layout"], result.weights["head"]) == ("backbone and head", "head")
    state = load_file(own_networks / "run" / "weights.safetensors")
    assert {"backbone.body.weight", "backbone.body.bias", "head.weight", "head.bias"} <= set(state)
    assert state["head.weight"].shape == (3, 6)
    file = own_networks / "run" / "weights.safetensors"
    loaded = load_backbone("trained_networks:normed", weights=file, size=16)
    assert loaded.fingerprint == load_trained(backbone, own_networks / "run", result)[0].fingerprint


def test_the_file_says_what_it_is_and_how_images_are_prepared(tmp_path):
    backbone = load_backbone("test_resnet.r160_in1k", from_scratch=True, size=16)
    result = run(tmp_path, SHORT, backbone=backbone)
    found = metadata(tmp_path)
    assert found["model"] == "test_resnet.r160_in1k"
    assert json.loads(found["classes"]) == list(CLASSES)
    assert (found["size"], found["interpolation"]) == ("16", backbone.geometry.interpolation)
    assert tuple(json.loads(found["mean"])) == backbone.mean
    assert tuple(json.loads(found["std"])) == backbone.std
    assert found["head"] == "fc"
    assert found["eyeshot"] == result.versions["eyeshot"]
    assert (result.size, result.mean, result.std) == (16, backbone.mean, backbone.std)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no umask")
@pytest.mark.parametrize("mask", [0o022, 0o002])
def test_all_files_of_a_run_have_the_mode_that_the_umask_allows(tmp_path, mask):
    usual = os.umask(mask)
    try:
        run(tmp_path, SHORT)
    finally:
        os.umask(usual)
    for name in ("weights.safetensors", "result.json", "validation.npz"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o666 & ~mask, name


def test_weights_of_another_architecture_are_a_model_error(tmp_path):
    run(tmp_path, SHORT)
    with pytest.raises(ModelError, match="does not hold tiny with 3 classes"):
        load_classifier(tiny_backbone(features=5), tmp_path, 3)
    with pytest.raises(ModelError, match="with 4 classes"):
        load_classifier(tiny_backbone(), tmp_path, 4)


def test_damaged_weights_are_told(tmp_path):
    backbone, folder = tiny_backbone(), tmp_path
    (folder / "weights.safetensors").write_bytes(b"\x10" * 40)
    with pytest.raises(ModelError, match=r"cannot be read .* Delete the run to train it again"):
        load_classifier(backbone, folder, 2)
