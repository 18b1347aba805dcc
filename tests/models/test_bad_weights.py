"""Weights that people really bring to `load_backbone`: of training scripts, of others, of one channel, or none."""

import types

import pytest
import timm
import torch
from safetensors.torch import save_file

from eyeshot.core.errors import InputError, ModelError
from eyeshot.models import load_backbone

TAG = "test_resnet.r160_in1k"


@pytest.fixture(scope="module")
def theirs():
    torch.manual_seed(3)
    return timm.create_model("test_resnet", num_classes=5)


def prefixed(network, prefix):
    return {prefix + key: value for key, value in network.state_dict().items()}


def loaded(file):
    return load_backbone(TAG, weights=file, size=32)


def same(backbone, network):
    state = network.state_dict()
    return all(torch.equal(value, state[key]) for key, value in backbone.module.state_dict().items())


@pytest.mark.parametrize("prefix", ["module.", "model.", "ema.", "ema_model.module.", "module.backbone."])
def test_prefixes_of_wrappers_are_taken_off_and_told(tmp_path, theirs, prefix):
    save_file(prefixed(theirs, prefix), tmp_path / "w.safetensors")
    backbone = loaded(tmp_path / "w.safetensors")
    assert same(backbone, theirs)
    assert f"prefix '{prefix}' taken off" in backbone.reason


def test_a_lightning_checkpoint_gives_the_model_and_leaves_the_rest_out(tmp_path, theirs):
    state = prefixed(theirs, "model.") | {"criterion.weight": torch.ones(5), "val_accuracy.tp": torch.zeros(5)}
    checkpoint = {
        "epoch": 4, "global_step": 500, "pytorch-lightning_version": "2.5.0", "state_dict": state,
        "loops": {"fit_loop": {"state_dict": {}}}, "callbacks": {"ModelCheckpoint": {"best_score": torch.tensor(1)}},
        "optimizer_states": [{"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 1e-3}]}],
        "lr_schedulers": [], "hparams_name": "kwargs", "hyper_parameters": {"lr": 1e-3},
    }  # fmt: skip
    torch.save(checkpoint, tmp_path / "last.ckpt")
    backbone = loaded(tmp_path / "last.ckpt")
    assert same(backbone, theirs)
    assert "part 'state_dict' of the file" in backbone.reason
    assert "criterion.weight, val_accuracy.tp" in backbone.reason


def test_a_lightning_checkpoint_with_averaged_weights_beside_gives_one_of_both_whole_and_says_which(tmp_path, theirs):
    torch.manual_seed(4)
    averaged = timm.create_model("test_resnet", num_classes=5)
    state = prefixed(theirs, "model.") | prefixed(averaged, "ema_model.module.")
    torch.save({"pytorch-lightning_version": "2.5.0", "state_dict": state}, tmp_path / "last.ckpt")
    backbone = loaded(tmp_path / "last.ckpt")
    assert same(backbone, averaged)
    assert "prefix 'ema_model.module.' taken off" in backbone.reason


class Hyper(types.SimpleNamespace):
    """Settings of a training script, of a class of its own."""


def test_a_checkpoint_that_would_run_code_is_refused_with_the_class_and_the_line_that_helps(tmp_path, theirs):
    torch.save({"state_dict": theirs.state_dict(), "hyper_parameters": Hyper(lr=1)}, tmp_path / "w.ckpt")
    with pytest.raises(ModelError, match=r"would run code \(.*Hyper.*torch\.save\(model\.state_dict\(\)"):
        loaded(tmp_path / "w.ckpt")


def test_a_pickled_network_is_refused_and_said_why(tmp_path, theirs):
    torch.save(theirs, tmp_path / "model.pth")
    with pytest.raises(ModelError, match=r"must hold plain weights, but reading it would run code .*Save it again"):
        loaded(tmp_path / "model.pth")


def test_weights_of_one_channel_are_refused_and_said_why(tmp_path):
    torch.save(timm.create_model("test_resnet", in_chans=1).state_dict(), tmp_path / "grey.pth")
    with pytest.raises(ModelError, match=r"reads images of 1 channel, .*RGB"):
        loaded(tmp_path / "grey.pth")


def test_weights_of_another_size_of_the_same_line_are_refused_with_counts(tmp_path):
    torch.save(timm.create_model("test_resnet").state_dict(), tmp_path / "small.pth")
    with pytest.raises(ModelError, match=r"of the architecture 'resnet18.*\d+ of its \d+ tensors fit.*Give --model"):
        load_backbone("resnet18.a1_in1k", weights=tmp_path / "small.pth", size=32)


@pytest.mark.parametrize("model", ["test_maxvit", "coatnet_1_224"])
def test_a_tag_that_timm_has_without_weights_is_told_with_what_helps(model):
    with pytest.raises(ModelError, match=r"timm has no weights for .*--weights FILE.*--from-scratch"):
        load_backbone(model)


@pytest.mark.parametrize("size", [96, 320])
def test_a_network_of_one_size_names_it_for_any_other(size):
    """EfficientFormer's attention has one bias for each pair of positions, and timm cannot resample them."""
    with pytest.raises(InputError, match=rf"`size` {size} is not possible for efficientformer_l1.* own size is 224"):
        load_backbone("efficientformer_l1.snap_dist_in1k", from_scratch=True, size=size)


def test_weights_of_a_vision_transformer_load_at_another_size_or_name_the_nearest(tmp_path):
    torch.save(timm.create_model("test_vit").state_dict(), tmp_path / "vit.pth")
    assert load_backbone("test_vit.r160_in1k", weights=tmp_path / "vit.pth", size=96).geometry.size == 96
    with pytest.raises(InputError, match=r"must be a multiple of 16 .*Nearest: 96 and 112"):
        load_backbone("test_vit.r160_in1k", weights=tmp_path / "vit.pth", size=100)


def test_a_model_of_timm_without_pooled_features_is_told_with_what_helps(monkeypatch):
    create = timm.create_model
    monkeypatch.setattr(timm, "create_model", lambda name, **more: create(name, **more, global_pool=""))
    with pytest.raises(ModelError, match=r"features of shape \(n, D\), got \(1, 96, .*package.module:function"):
        load_backbone(TAG, from_scratch=True, size=64)
