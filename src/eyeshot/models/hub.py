"""Weights from the hub: looked up in the local cache, or downloaded if the hub answers within a few seconds."""

from __future__ import annotations

import os
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import huggingface_hub
import torch
from huggingface_hub import constants

from eyeshot.core import ModelError

WAIT_S = 3.0
FILES = (
    "model.safetensors",
    "pytorch_model.bin",
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.bin",
)


def cached_file(config: Any) -> Path | None:
    """The weights file of a timm configuration if this machine already has it; otherwise None.

    Two caches are searched: the hub's, and that of torch.hub, which timm uses for older weights.
    """
    if config.hf_hub_id:
        repository, _, revision = str(config.hf_hub_id).partition("@")
        for name in (config.hf_hub_filename,) if config.hf_hub_filename else FILES:
            cached = huggingface_hub.try_to_load_from_cache(
                repository, name, cache_dir=constants.HF_HUB_CACHE, revision=revision or None
            )
            if isinstance(cached, str) and Path(cached).is_file():
                return Path(cached)
    if config.url:
        file = Path(torch.hub.get_dir()) / "checkpoints" / str(config.url).rsplit("/", 1)[-1]
        if file.is_file():
            return file
    return None


def require_hub(model: str, config: Any) -> None:
    """Check that the hub answers.

    Raises:
        ModelError: it does not answer within a few seconds; the message names the alternatives.
    """
    if constants.HF_HUB_OFFLINE:
        raise ModelError(ways_on(model, config, "HF_HUB_OFFLINE is set"))
    address = constants.ENDPOINT if config.hf_hub_id else str(config.url)
    failure = connection_failure(address)
    if failure:
        raise ModelError(ways_on(model, config, f"{address} cannot be reached: {failure}"))


def connection_failure(address: str, *, wait_s: float = WAIT_S) -> str:
    """Why `address` does not answer; "" if it does. Proxies set in the environment are used."""
    outcome = [f"no answer in {wait_s:.0f} s"]

    def ask() -> None:
        try:
            request = urllib.request.Request(address, method="HEAD")
            with urllib.request.urlopen(request, timeout=wait_s):
                outcome[0] = ""
        except urllib.error.HTTPError:
            outcome[0] = ""  # An error status is still an answer; the download itself reports the details.
        except (OSError, ValueError) as error:
            outcome[0] = str(getattr(error, "reason", error)) or type(error).__name__

    # In a thread, because the wait for a silent name server has no time limit.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(wait_s + 0.5)
    return outcome[0]


def ways_on(model: str, config: Any, why: str) -> str:
    """The message for weights that cannot be downloaded, with the alternatives."""
    if config.hf_hub_id:
        source = f"https://huggingface.co/{config.hf_hub_id}"
        folder = constants.HF_HUB_CACHE
        holds = "models--" + str(config.hf_hub_id).partition("@")[0].replace("/", "--")
    else:
        source = str(config.url)
        folder = os.fspath(Path(torch.hub.get_dir()) / "checkpoints")
        holds = source.rsplit("/", 1)[-1]
    return (
        f"The weights of {model} are not on this machine and {why}. Three ways on: "
        f"(1) --weights FILE with a file from {source}; "
        f"(2) copy {holds!r} from a machine that has it into the cache folder {folder!r}; "
        "(3) --from-scratch, which trains a baseline of this architecture here."
    )
