"""Fetching from a small server that answers as the hub does: sizes in headers, ranges, a redirect-free download."""

import hashlib
import http.server
import os
import subprocess
import sys
import threading
import time

import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import save

from eyeshot.core.errors import InputError, ModelError, StorageError
from eyeshot.models import download, load_backbone, plan_downloads
from eyeshot.models.fetching import fetch_models

TAG = "test_resnet.r160_in1k"
OLD = "legacy_seresnet18.in1k"
"""Its weights have an address and no repository of the hub."""


class Hub(http.server.BaseHTTPRequestHandler):
    """Serves `files` of the server by path; breaks off at byte `broken` where that is set."""

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self._answer(body=False)

    def do_GET(self):
        self._answer(body=True)

    def _answer(self, *, body):
        server = self.server
        server.asked.append((self.command, self.path, self.headers.get("Range")))
        content = server.files.get(self.path)
        if self.path == "/":
            content = b"hub"
        if content is None:
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        begin = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").split("-")[0])
        self.send_response(206 if begin else 200)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("Accept-Ranges", "bytes")
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - begin))
        self.end_headers()
        if body and self.path != "/":
            self.wfile.write(content[begin : server.broken])
            if server.broken is not None:
                self.wfile.flush()
                self.close_connection = True


@pytest.fixture
def server():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.files, server.asked, server.broken = {}, [], None
    server.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def hub(server, tmp_path, monkeypatch):
    """The hub's library, told that this server is the hub and that its cache is empty."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", server.address)
    template = server.address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "torch"))
    return server


def offer(server, tag=TAG, name="model.safetensors", seed=0):
    """Put weights of a tag on the server."""
    torch.manual_seed(seed)
    network = timm.create_model(tag, pretrained=False)
    content = save(network.state_dict())
    server.files[f"/timm/{tag}/resolve/main/{name}"] = content
    return network, content


def gets(server):
    """Files that were downloaded; the hub's library asks for other things too."""
    return [path for method, path, _ in server.asked if method == "GET" and not path.startswith("/api")]


def test_a_plan_names_size_licence_and_destination_and_downloads_nothing(hub, tmp_path):
    _, content = offer(hub)
    (plan,) = plan_downloads(["test_resnet"])
    assert (plan.tag, plan.bytes, plan.file) == (TAG, len(content), None)
    assert plan.licence == timm.get_pretrained_cfg(TAG).license == "apache-2.0"
    assert plan.destination == tmp_path / "hub" / f"models--timm--{TAG}"
    assert plan.source == f"{hub.address}/timm/{TAG}/resolve/main/model.safetensors"
    assert not gets(hub)
    assert not plan.destination.exists()


def test_fetched_weights_lie_in_the_cache_and_load_without_the_network(hub, monkeypatch):
    network, content = offer(hub)
    told = []

    class Told:
        def __call__(self, done, total, text=""):
            told.append((done, total))

        def sub(self, text):
            return self

    (fetched,) = fetch_models(TAG, progress=Told())
    assert fetched.file.read_bytes() == content
    assert told[-1] == (len(content), len(content))
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    backbone = load_backbone(TAG)
    assert torch.equal(backbone.module.conv1[0].weight, network.conv1[0].weight)
    assert fetch_models(TAG, progress=False)[0].file == fetched.file  # at hand: the hub is not asked


def test_several_files_are_fetched_and_those_at_hand_are_left_alone(hub):
    offer(hub)
    offer(hub, "test_vit.r160_in1k", "pytorch_model.bin")
    first = fetch_models(TAG, progress=False)
    hub.asked.clear()
    both = fetch_models(TAG, "test_vit", TAG, progress=False)
    assert [plan.tag for plan in both] == [TAG, "test_vit.r160_in1k"]
    assert both[0].file == first[0].file
    assert gets(hub) == ["/timm/test_vit.r160_in1k/resolve/main/pytorch_model.bin"]


def test_a_download_that_broke_off_continues_where_it_stopped(hub):
    _, content = offer(hub)
    hub.broken = len(content) // 3
    with pytest.raises(ModelError, match=r"broke off .*The same command continues it"):
        fetch_models(TAG, progress=False)
    hub.broken = None
    hub.asked.clear()
    (fetched,) = fetch_models(TAG, progress=False)
    assert fetched.file.read_bytes() == content
    ranges = [asked for method, path, asked in hub.asked if method == "GET" and path.endswith("model.safetensors")]
    assert ranges == [f"bytes={len(content) // 3}-"]
    assert not list(fetched.destination.rglob("*.part"))


def test_a_file_that_is_not_what_the_hub_names_is_deleted_and_told(hub):
    _, content = offer(hub)
    hub.broken = 1000
    with pytest.raises(ModelError, match="broke off"):
        fetch_models(TAG, progress=False)
    (part,) = (plan_downloads([TAG])[0].destination / "blobs").glob("*.part")
    part.write_bytes(b"\0" * 1000)
    hub.broken = None
    with pytest.raises(ModelError, match=r"its hash is not the one .*The same command continues it"):
        fetch_models(TAG, progress=False)
    assert fetch_models(TAG, progress=False)[0].file.read_bytes() == content


def test_weights_with_an_address_go_to_the_cache_of_torch_hub_and_continue_too(hub, monkeypatch, tmp_path):
    content = os.urandom(3_000_000)
    config = timm.get_pretrained_cfg(OLD)
    monkeypatch.setattr(config, "url", f"{hub.address}/weights/old.pth")
    monkeypatch.setattr(timm, "get_pretrained_cfg", lambda name: config)
    hub.files["/weights/old.pth"] = content
    hub.broken = 1_500_000
    with pytest.raises(ModelError, match=r"broke off .*The same command continues it"):
        fetch_models(OLD, progress=False)
    part = tmp_path / "torch" / "checkpoints" / "old.pth.part"
    assert 0 < part.stat().st_size < len(content)
    hub.broken = None
    (fetched,) = fetch_models(OLD, progress=False)
    assert fetched.file == tmp_path / "torch" / "checkpoints" / "old.pth"
    assert fetched.file.read_bytes() == content
    assert hub.asked[-1][2].startswith("bytes=1")
    assert not part.exists()


def test_a_hub_that_cannot_be_reached_is_told_within_seconds_with_three_ways_on(hub, monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    begin = time.monotonic()
    with pytest.raises(ModelError, match=r"cannot be reached: .*Three ways on: \(1\) --weights FILE"):
        plan_downloads([TAG])
    assert time.monotonic() - begin < 8


def test_a_repository_without_weights_and_one_that_is_closed_are_told(hub):
    with pytest.raises(ModelError, match=r"holds none of model.safetensors.*Three ways on"):
        plan_downloads([TAG])


@pytest.mark.parametrize(
    ("tags", "error", "match"),
    [
        ((), InputError, "at least one tag"),
        (("resnet81",), ModelError, r"Nearest: .*resnet18"),
        (("test_maxvit",), ModelError, r"must have weights to be fetched, got 'test_maxvit\.untrained'.*'test\*'"),
        (("resnet18.a1_in2k",), ModelError, r"Nearest: .*resnet18\.a1_in1k"),
    ],
)
def test_tags_that_cannot_be_fetched_are_refused_before_the_hub_is_asked(hub, tags, error, match):
    with pytest.raises(error, match=match):
        plan_downloads(list(tags))
    assert hub.asked == []


def test_a_disk_without_room_is_told_before_the_download(hub, monkeypatch):
    offer(hub)
    plans = plan_downloads([TAG])
    monkeypatch.setattr("eyeshot.models.fetching.shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(StorageError, match=r"which has 1 kB. Free some, or set HF_HOME"):
        download(plans)
    assert not gets(hub)


@pytest.mark.slow
def test_a_killed_download_is_continued_by_the_same_command(server, tmp_path):
    content = os.urandom(3_000_000)
    server.files[f"/timm/{TAG}/resolve/main/model.safetensors"] = content
    server.broken = len(content) // 2
    environment = os.environ | {"HF_HOME": str(tmp_path / "home"), "HF_ENDPOINT": server.address, "HF_HUB_OFFLINE": "0"}
    environment.pop("HF_HUB_CACHE", None)
    command = [sys.executable, "-m", "eyeshot", "models", "fetch", TAG, "--yes"]
    first = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert first.returncode == 3, first.stderr
    assert "The same command continues it" in first.stderr
    server.broken = None
    second = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert second.returncode == 0, second.stderr
    assert f"{len(content):,} bytes" in second.stdout
    (file,) = (tmp_path / "home" / "hub").rglob("model.safetensors")
    assert file.read_bytes() == content
