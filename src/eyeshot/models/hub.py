"""Weights from the hub: looked up in the local cache, or downloaded if the hub answers within a few seconds."""

from __future__ import annotations

import os
import threading
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import huggingface_hub
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
        names = (config.hf_hub_filename,) if config.hf_hub_filename else FILES
        if file := cached_in_hub(str(config.hf_hub_id), names):
            return file
    if config.url:
        file = torch_file(config)
        if file.is_file():
            return file
    return None


def cached_in_hub(repository: str, names: Sequence[str] = FILES) -> Path | None:
    """The first of the files that the hub's cache holds of a repository, "owner/name" or "owner/name@revision"."""
    repository, _, revision = repository.partition("@")
    for name in names:
        cached = huggingface_hub.try_to_load_from_cache(
            repository, name, cache_dir=constants.HF_HUB_CACHE, revision=revision or None
        )
        if isinstance(cached, str) and Path(cached).is_file():
            return Path(cached)
    return None


def cached_weights(tag: str) -> Path | None:
    """The file of timm's own weights of a tag in the hub's cache, found without importing timm or torch."""
    return cached_in_hub(f"timm/{tag}")


def torch_file(config: Any) -> Path:
    """Where torch.hub, and so timm, keeps weights that have an address instead of a repository of the hub."""
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints" / str(config.url).rsplit("/", 1)[-1]


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
        file = torch_file(config)
        source, folder, holds = str(config.url), os.fspath(file.parent), file.name
    return (
        f"The weights of {model} are not on this machine and {why}. Three ways on: "
        f"(1) --weights FILE with a file from {source}; "
        f"(2) copy {holds!r} from a machine that has it into the cache folder {folder!r}; "
        "(3) --from-scratch, which trains a baseline of this architecture here."
    )
