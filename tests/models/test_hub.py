import os
import socket
import subprocess
import sys
import time

import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from eyeshot.core.errors import ModelError
from eyeshot.models import hub, load_backbone

TAG = "test_resnet.r160_in1k"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty hub cache and a hub that refuses connections."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "torch"))
    return tmp_path / "hub"


def lay_out(cache, state, *, tag=TAG, name="model.safetensors"):
    """Write weights where the hub's library looks for them."""
    repository = cache / f"models--timm--{tag}"
    file = repository / "snapshots" / "0123abc" / name
    file.parent.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0123abc")
    save_file(state, file) if name.endswith("safetensors") else torch.save(state, file)
    return file


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_weights_in_the_cache_are_used_without_the_network(cache, name):
    theirs = timm.create_model("test_resnet", pretrained=False)
    lay_out(cache, theirs.state_dict(), name=name)
    backbone = load_backbone(TAG)
    assert backbone.pretrained
    assert torch.equal(backbone.module.conv1[0].weight, theirs.conv1[0].weight)
    assert "from the cache" in backbone.reason


def test_weights_of_another_network_in_the_cache_are_a_model_error_that_names_the_file(cache):
    file = lay_out(cache, timm.create_model("test_vit", pretrained=False).state_dict())
    with pytest.raises(ModelError, match=r"do not load into test_resnet.*Delete the file") as error:
        load_backbone(TAG)
    assert str(file) in str(error.value)


def test_a_truncated_file_in_the_cache_is_a_model_error(cache):
    file = lay_out(cache, timm.create_model("test_resnet", pretrained=False).state_dict())
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(ModelError, match="Delete the file to fetch it again"):
        load_backbone(TAG)


def test_an_unreachable_hub_is_told_at_once_with_the_three_ways_on(cache):
    begin = time.monotonic()
    with pytest.raises(ModelError) as error:
        load_backbone(TAG)
    assert time.monotonic() - begin < 5
    for way in ("--weights FILE", str(cache), "models--timm--test_resnet.r160_in1k", "--from-scratch"):
        assert way in str(error.value)


def test_offline_mode_of_the_hub_is_respected_without_a_connection(cache, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hub, "connection_failure", lambda *_: pytest.fail("asked the network"))
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE is set"):
        load_backbone(TAG)


def test_a_hub_that_never_answers_is_given_up_after_the_wait():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        begin = time.monotonic()
        failure = hub.connection_failure(f"http://127.0.0.1:{silent.getsockname()[1]}", wait_s=0.3)
        assert time.monotonic() - begin < 2
    assert failure


def test_a_name_server_that_never_answers_is_given_up_after_the_wait(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(1) or [])
    begin = time.monotonic()
    assert "no answer" in hub.connection_failure("http://nowhere.example", wait_s=0.2)
    assert time.monotonic() - begin < 2


def test_a_download_that_fails_half_way_is_a_model_error_with_the_ways_on(cache, monkeypatch):
    monkeypatch.setattr(hub, "connection_failure", lambda *_: "")

    def fail(*_, **__):
        raise OSError("connection reset")

    monkeypatch.setattr(timm, "create_model", fail)
    with pytest.raises(ModelError, match=r"downloading them failed \(OSError: connection reset\).*--from-scratch"):
        load_backbone(TAG)


def test_weights_that_timm_does_not_offer_are_a_model_error():
    with pytest.raises(ModelError, match="timm has no weights for 'test_maxvit"):
        load_backbone("test_maxvit")


@pytest.mark.slow
def test_the_cache_folder_of_the_environment_is_the_one_that_is_printed(tmp_path):
    code = f"from eyeshot.models import load_backbone; load_backbone({TAG!r})"
    environment = os.environ | {"HF_HOME": str(tmp_path / "elsewhere"), "HF_ENDPOINT": "http://127.0.0.1:9"}
    environment.pop("HF_HUB_CACHE", None)
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert str(tmp_path / "elsewhere" / "hub") in result.stderr
