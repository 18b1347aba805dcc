import numpy as np
import pytest
import timm
import torch

from eyeshot.core.errors import InputError, ModelError
from eyeshot.models import DEFAULT_MODEL, DEFAULT_MODEL_REASON, extract, load_backbone


def test_the_default_model_is_a_tag_with_weights_and_a_reason():
    assert DEFAULT_MODEL in timm.list_pretrained()
    assert "laptop" in DEFAULT_MODEL_REASON


@pytest.mark.parametrize("tag", ["resnet18.a1_in1k", "test_vit.r160_in1k", "mobilenetv3_small_100.lamb_in1k"])
def test_a_tag_brings_its_own_size_crop_mean_std_and_interpolation(tag):
    config = timm.get_pretrained_cfg(tag)
    backbone = load_backbone(tag, from_scratch=True)
    assert backbone.geometry.size == config.input_size[-1]
    assert backbone.geometry.crop_share == config.crop_pct
    assert backbone.geometry.interpolation == config.interpolation
    assert (backbone.mean, backbone.std) == (config.mean, config.std)


def test_features_are_pooled_and_without_the_classifier():
    backbone = load_backbone("test_resnet.r160_in1k", from_scratch=True, size=64)
    features = extract(backbone, np.zeros((2, 64, 64, 3), np.uint8))
    assert features.shape == (2, backbone.feature_count) == (2, backbone.module.num_features)


def test_a_tag_without_weights_takes_timms_default_and_says_so():
    backbone = load_backbone("test_resnet", from_scratch=True, size=32)
    assert backbone.name == "test_resnet.r160_in1k"
    assert "timm's default for it is test_resnet.r160_in1k" in backbone.reason


@pytest.mark.parametrize(
    ("tag", "near"),
    [
        ("resnet81", "resnet18"),
        ("resnet18.a1_in2k", "resnet18.a1_in1k"),
        ("vit_base_patch16_clip_224.openia", "vit_base_patch16_clip_224.openai"),
        ("test_resnt.r160_in1k", "test_resnet.r160_in1k"),
    ],
)
def test_an_unknown_tag_is_a_model_error_with_the_nearest_tags(tag, near):
    with pytest.raises(ModelError, match=r"Nearest: .*") as error:
        load_backbone(tag, from_scratch=True)
    assert near in str(error.value)


@pytest.mark.parametrize("prefix", ["timm/", "hf-hub:timm/"])
def test_a_tag_may_be_written_as_the_hub_does(prefix):
    backbone = load_backbone(f"{prefix}test_resnet.r160_in1k", from_scratch=True, size=32)
    assert backbone.name == "test_resnet.r160_in1k"


def test_a_file_as_model_is_sent_to_weights():
    with pytest.raises(ModelError, match="weights file with --weights"):
        load_backbone("runs/best.safetensors")


def test_a_tag_like_nothing_else_is_a_model_error_too():
    with pytest.raises(ModelError, match="No tag is similar"):
        load_backbone("??????", from_scratch=True)


def test_a_convolutional_network_takes_any_size():
    assert load_backbone("test_resnet.r160_in1k", from_scratch=True, size=33).geometry.size == 33


def test_a_vision_transformer_takes_a_size_that_its_patches_fill():
    backbone = load_backbone("test_vit.r160_in1k", from_scratch=True, size=64)
    assert extract(backbone, np.zeros((1, 64, 64, 3), np.uint8)).shape == (1, 64)


def test_a_size_that_patches_do_not_fill_is_an_input_error_with_the_nearest():
    with pytest.raises(InputError, match=r"multiple of 16 .*got 100. Nearest: 96 and 112; its own size is 160"):
        load_backbone("test_vit.r160_in1k", from_scratch=True, size=100)


def test_a_size_that_is_too_small_for_the_network_is_an_input_error_with_one_that_is_not():
    with pytest.raises(InputError, match=r"`size` 8 is not possible for test_efficientnet|`size` 40 .* about 96"):
        load_backbone("inception_v3.tv_in1k", from_scratch=True, size=40)


def test_an_architecture_of_fixed_size_names_its_size(monkeypatch):
    create = timm.create_model

    def fixed(name, **arguments):
        if "img_size" in arguments:
            raise TypeError("unexpected keyword argument 'img_size'")
        return create(name, **arguments)

    monkeypatch.setattr(timm, "create_model", fixed)
    with pytest.raises(InputError, match="`size` must be 160, the fixed size of test_vit"):
        load_backbone("test_vit.r160_in1k", from_scratch=True, size=64)


def test_a_model_that_reads_no_squares_is_an_input_error():
    with pytest.raises(InputError, match="3 channels of 1024 x 768"):
        load_backbone("vit_base_patch16_sapiens2.fb")


@pytest.mark.parametrize("size", [0, -3])
def test_a_size_below_one_is_an_input_error(size):
    with pytest.raises(InputError, match="at least 1 pixel"):
        load_backbone("test_resnet", from_scratch=True, size=size)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"mean": [123.7, 116.3, 103.5]}, "Divide by 255"),
        ({"mean": [0.5, 0.5]}, "one value or three values"),
        ({"std": [0.2, 0.0, 0.2]}, "above 0"),
        ({"interpolation": "cubic"}, "one of bilinear, bicubic, nearest, lanczos"),
    ],
)
def test_preparation_out_of_range_is_an_input_error(options, match):
    with pytest.raises(InputError, match=match):
        load_backbone("test_resnet", from_scratch=True, size=32, **options)


def test_one_value_of_mean_and_std_counts_for_all_channels():
    backbone = load_backbone("test_resnet", from_scratch=True, size=32, mean=[0.5], std=[0.25])
    assert (backbone.mean, backbone.std) == ((0.5,) * 3, (0.25,) * 3)


def test_preparation_that_is_given_replaces_the_models_own():
    backbone = load_backbone("test_resnet", from_scratch=True, size=32, interpolation="nearest", fit="pad")
    assert (backbone.geometry.interpolation, backbone.geometry.fit) == ("nearest", "pad")


def test_weights_and_from_scratch_together_are_an_input_error(tmp_path):
    with pytest.raises(InputError, match="exclude each other"):
        load_backbone("test_resnet", weights=tmp_path / "w.pt", from_scratch=True)


def test_untrained_weights_follow_from_the_seed_and_leave_the_global_generator_alone():
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    first = load_backbone("test_resnet", from_scratch=True, size=32, seed=1)
    assert torch.equal(torch.rand(3), wanted)
    assert first.fingerprint == load_backbone("test_resnet", from_scratch=True, size=32, seed=1).fingerprint
    assert first.fingerprint != load_backbone("test_resnet", from_scratch=True, size=32, seed=2).fingerprint


def test_a_models_own_checkpoint_gives_the_features_of_the_model_without_its_head(tmp_path):
    network = timm.create_model("test_resnet", pretrained=False, num_classes=7).eval()
    torch.save({"state_dict_ema": {f"module.{k}": v for k, v in network.state_dict().items()}}, tmp_path / "w.pth")
    backbone = load_backbone("test_resnet.r160_in1k", weights=tmp_path / "w.pth", size=64, mean=[0], std=[1])
    image = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)
    tensor = torch.from_numpy(image).permute(0, 3, 1, 2) / 255
    with torch.inference_mode():
        wanted = network.forward_head(network.forward_features(tensor), pre_logits=True)
    assert np.allclose(extract(backbone, image), wanted, atol=1e-4)


def test_a_full_stop_at_the_end_of_an_architecture_is_no_tag():
    with pytest.raises(ModelError, match=r"Nearest: test_resnet\.r160_in1k"):
        load_backbone("test_resnet.")
