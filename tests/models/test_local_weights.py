import numpy as np
import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from eyeshot.core.errors import InputError, ModelError
from eyeshot.models import load_backbone, weights_at_hand
from eyeshot.models.local_weights import weights_in_folder

TAG = "test_resnet.r160_in1k"
FACTORY = """
import timm

def small():
    network = timm.create_model("test_resnet", num_classes=7)
    network.pretrained_cfg = {"input_size": (3, 40, 40), "mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6),
                              "crop_pct": 0.8, "interpolation": "bicubic"}
    return network
"""


@pytest.fixture
def no_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "torch"))
    return tmp_path / "hub"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "weights").mkdir()
    return tmp_path / "weights"


def save(file, seed=0, architecture="test_resnet", **options):
    torch.manual_seed(seed)
    network = timm.create_model(architecture, **options)
    file.parent.mkdir(parents=True, exist_ok=True)
    state = network.state_dict()
    save_file(state, file) if file.suffix == ".safetensors" else torch.save(state, file)
    return network


@pytest.mark.parametrize("name", [f"{TAG}.safetensors", f"{TAG}.pth", f"{TAG}.bin", f"{TAG}.pth.tar"])
def test_a_file_named_by_the_tag_is_taken_and_told(folder, name):
    network = save(folder / name)
    save(folder / "test_vit.r160_in1k.safetensors", architecture="test_vit")
    backbone = load_backbone(TAG, weights=folder, size=32)
    assert torch.equal(backbone.module.conv1[0].weight, network.conv1[0].weight)
    assert f"{folder / name} is named by the tag" in backbone.reason


def test_safetensors_come_before_files_that_may_hold_code(folder):
    safe = save(folder / f"{TAG}.safetensors", seed=1)
    save(folder / f"{TAG}.bin", seed=2)
    backbone = load_backbone(TAG, weights=folder, size=32)
    assert torch.equal(backbone.module.conv1[0].weight, safe.conv1[0].weight)


@pytest.mark.parametrize("place", [TAG, f"models--timm--{TAG}/snapshots/0123abc"])
def test_a_downloaded_folder_of_the_tag_is_looked_into(folder, place):
    save(folder / place / "model.safetensors")
    file, why = weights_in_folder(TAG, folder)
    assert file == folder / place / "model.safetensors"
    assert "folder named by the tag" in why


@pytest.mark.parametrize("name", ["test_resnet.pth", "test_resnet-mine.safetensors"])
def test_the_only_file_of_the_architecture_is_taken_and_told(folder, name):
    save(folder / name)
    assert "only file of the architecture test_resnet" in load_backbone(TAG, weights=folder, size=32).reason


def test_a_file_of_another_tag_of_the_architecture_is_never_taken(folder):
    save(folder / "resnet18.a2_in1k.safetensors", architecture="resnet18")
    with pytest.raises(ModelError, match=r"resnet18\.a1_in1k.*it holds resnet18\.a2_in1k\.safetensors"):
        load_backbone("resnet18.a1_in1k", weights=folder)


def test_two_files_of_the_architecture_are_ambiguous(folder):
    save(folder / "test_resnet-mine.pth")
    save(folder / "test_resnet-yours.pth")
    with pytest.raises(InputError, match=r"has 2 of its architecture: test_resnet-mine\.pth and test_resnet-yours"):
        load_backbone(TAG, weights=folder)


def test_a_folder_without_the_tag_lists_what_it_holds(folder):
    for number in range(10):
        (folder / f"other{number}.pth").write_bytes(b"")
    (folder / "README.md").write_text("notes")
    with pytest.raises(ModelError, match=r"as test_resnet\.r160_in1k with one of .safetensors.*and 2 more") as error:
        load_backbone(TAG, weights=folder)
    assert "README" not in str(error.value)


def test_an_empty_folder_says_so(folder):
    with pytest.raises(ModelError, match="it holds no file with one of the endings"):
        load_backbone(TAG, weights=folder)


def test_weights_of_another_architecture_under_the_tag_are_refused_with_counts(folder):
    save(folder / f"{TAG}.safetensors", architecture="test_vit")
    with pytest.raises(ModelError, match=r"of the architecture 'test_resnet.*0 of its \d+ tensors fit"):
        load_backbone(TAG, weights=folder)


def test_a_factory_finds_its_file_by_its_own_name_and_brings_its_preparation(folder, tmp_path, monkeypatch):
    (tmp_path / "own_small.py").write_text(FACTORY)
    monkeypatch.chdir(tmp_path)
    save(folder / "small-mine.safetensors", num_classes=7)
    backbone = load_backbone("own_small:small", weights=folder)
    assert (backbone.mean, backbone.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert (backbone.geometry.size, backbone.geometry.crop_share) == (40, 0.8)
    assert backbone.geometry.interpolation == "bicubic"
    assert "those of its pretrained_cfg" in backbone.reason
    assert load_backbone("own_small:small", weights=folder, size=32, mean=(0.5,)).mean == (0.5, 0.5, 0.5)


def test_what_is_at_hand_is_told_for_each_model_with_the_ways_to_the_rest(folder, no_cache, tmp_path):
    save(folder / f"{TAG}.safetensors")
    save(no_cache / "models--timm--test_vit.r160_in1k/snapshots/0123abc/model.safetensors", architecture="test_vit")
    (no_cache / "models--timm--test_vit.r160_in1k/refs").mkdir()
    (no_cache / "models--timm--test_vit.r160_in1k/refs/main").write_text("0123abc")
    rows = weights_at_hand(
        [TAG, "test_vit", "resnet18.a1_in1k", "test_maxvit", "torchvision.models:alexnet", "own:small"], folder
    )
    assert [name for name, _, _ in rows][:3] == [TAG, "test_vit.r160_in1k", "resnet18.a1_in1k"]
    assert rows[0][1:] == (folder / f"{TAG}.safetensors", "")
    assert rows[1][1] is not None
    assert rows[1][2] == ""
    assert [row[1] for row in rows[2:]] == [None] * 4
    assert rows[2][2].startswith("eyeshot models fetch resnet18.a1_in1k, or --weights DIR with a file resnet18.a1")
    assert rows[3][2].startswith("timm has no weights for test_maxvit")
    assert rows[4][1:] == (None, "")


def test_a_folder_that_is_none_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="must be a folder"):
        weights_at_hand([TAG], tmp_path / "nowhere")


def test_an_unknown_tag_is_refused_before_anything_else(folder):
    with pytest.raises(ModelError, match=r"Nearest: .*resnet18"):
        weights_at_hand(["resnet81"], folder)


@pytest.mark.shared
def test_all_shared_weights_load_from_one_folder_with_their_own_preparation(shared):
    from benchmarks.shared_models import MODELS

    widths = []
    for model in MODELS:
        backbone = load_backbone(model, weights=shared / "weights", size=64)
        widths.append(backbone.feature_count)
        assert backbone.pretrained
        assert backbone.mean == ((0.4824, 0.4588, 0.4078) if "squeezenet" in model else (0.5, 0.5, 0.5))
    assert widths == [1280, 1280, 512, 1280, 1280]


@pytest.mark.shared
def test_the_folded_mobilenet_knows_elephants_at_its_own_preparation(shared):
    """Top-1 among ImageNet's elephants (101, 385, 386): a wrong mean, padding or norm would lose most of them."""
    from benchmarks.shared_models import tf2_mobilenetv2_100
    from safetensors.torch import load_file

    from eyeshot.data import Geometry, decode

    network = tf2_mobilenetv2_100().eval()
    network.load_state_dict(load_file(shared / "weights" / "tf2_mobilenetv2_100-imagenet.safetensors"), strict=False)
    files = sorted((shared / "data" / "pacs" / "photo" / "elephant").iterdir())[:16]
    geometry = Geometry(size=224, crop_share=0.875, interpolation="bicubic")
    images = torch.from_numpy(np.stack([decode(file, geometry) for file in files])).permute(0, 3, 1, 2) / 255
    network.train()  # the norms are frozen: training must not change what they do
    with torch.inference_mode():
        best = network((images.float() - 0.5) / 0.5).argmax(1)
    assert sum(int(number) in (101, 385, 386) for number in best) >= 13
