"""Any timm model by its tag, prepared as its weights were trained."""

from __future__ import annotations

import difflib
from typing import Any

import timm
import torch
from timm.data import resolve_data_config
from torch import nn

from eyeshot.errors import ModelError


def resolve_tag(model: str) -> tuple[str, Any, str]:
    """The full tag, its timm configuration, and what was guessed.

    Raises:
        ModelError: timm has no such model; the nearest tags are named.
    """
    architecture, _, tag = model.partition(".")
    known = timm.is_model(architecture)
    if not known or (tag and model not in timm.list_pretrained(f"{architecture}.*")):
        pool = timm.list_pretrained() if tag or not known else timm.list_models()
        if known:
            near = timm.list_pretrained(f"{architecture}.*")[:5]
        else:
            near = difflib.get_close_matches(model, [*timm.list_models(), *pool], n=5, cutoff=0.4)
        raise ModelError(
            f"timm has no model {model!r}. Nearest: {', '.join(near) or 'none'}. "
            "All tags: python -c 'import timm; print(timm.list_pretrained())'"
        )
    config = timm.get_pretrained_cfg(model, allow_unregistered=False)
    if tag or config is None or not config.tag:
        return model, config, ""
    full = f"{architecture}.{config.tag}"
    return full, config, f"{model} names no weights; timm's default for it is {full}."


def build(model: str, *, pretrained: bool, **arguments: Any) -> nn.Module:
    """The network without its classifier; the same initialisation every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return timm.create_model(model, pretrained=pretrained, num_classes=0, **arguments)


def preparation(module: nn.Module) -> dict[str, Any]:
    """timm's own size, crop, mean, std and interpolation for the weights of `module`."""
    return dict(resolve_data_config({}, model=module))
