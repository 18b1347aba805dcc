"""`weights.safetensors` of a run: written so that other programs load it, and read back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from eyeshot.core import ModelError, describe_versions, replacing
from eyeshot.models import Backbone, is_factory, network_with_classifier
from eyeshot.training.classifier import Classifier, State

WEIGHTS_FILE = "weights.safetensors"
NETWORK, PARTS = "network", "backbone and head"
CLOSE = 1e-3
"""Scores of the plain network may differ by this share of the largest, since its head is folded in float32."""


def save_weights(model: Classifier, backbone: Backbone, classes: Sequence[str], folder: Path) -> dict[str, str]:
    """Write the weights with the head's standardisation folded into one linear layer.

    Where the plain network has a linear classifier on these features, the names are the network's own
    (layout "network"): `timm.create_model(tag, num_classes=C).load_state_dict(load_file(...))`, or the user's own
    network with C classes. That a timm network then gives the same scores is tried out here. Else (layout "backbone
    and head") the names are `backbone.*` with the network's own names, `head.weight` (C, D) and `head.bias` (C,) of a
    linear layer on its pooled features.

    Args:
        model: the trained classifier.
        backbone: what it was made of.
        classes: names of the C classes.
        folder: gets `weights.safetensors`, with the permissions of the process's umask.

    Returns:
        the layout, the name of the head and how a network for the file is made: part of the file's metadata, like
        the model, classes, size, mean, std, interpolation, crop and eyeshot's version.

    Raises:
        StorageError: the disk is full or the folder cannot be written.
    """
    weight, bias = _folded_head(model)
    inner = {name: value.detach().cpu().clone() for name, value in model.backbone.state_dict().items()}
    body = {name.removeprefix(backbone.own_prefix): value for name, value in inner.items()}
    layout, head, how = PARTS, "head", f"{backbone.name} without its classifier, and torch.nn.Linear on its features"
    state = {f"backbone.{name}": value for name, value in body.items()}
    if backbone.head is not None:
        plain = body | {f"{backbone.head}.weight": weight, f"{backbone.head}.bias": bias}
        line = f"{backbone.name} with {len(classes)} classes" if is_factory(backbone.name) else ""
        line = line or _line_for_timm(model, backbone, plain, len(classes))
        if line:
            layout, head, how, state = NETWORK, backbone.head, line, plain
    state |= {f"{head}.weight": weight, f"{head}.bias": bias}
    described = {"layout": layout, "head": head, "network": how}
    geometry = backbone.geometry
    metadata = described | {
        "format": "pt",
        "model": backbone.name,
        "classes": json.dumps(list(classes), ensure_ascii=False),
        "size": str(geometry.size),
        "mean": json.dumps(backbone.mean),
        "std": json.dumps(backbone.std),
        "interpolation": geometry.interpolation,
        "fit": geometry.fit,
        "crop_share": str(geometry.crop_share),
        "eyeshot": describe_versions()["eyeshot"],
    }
    with replacing(folder / WEIGHTS_FILE) as temporary:
        # save_file would make a file that only its owner can read.
        temporary.write_bytes(save({name: value.contiguous() for name, value in state.items()}, metadata))
    return described


def load_classifier(backbone: Backbone, folder: Path, class_count: int) -> State:
    """Weights of a `Classifier` from the file that `save_weights` left in `folder`.

    Args:
        backbone: the one that was trained, or one of the same architecture.
        folder: of the run.
        class_count: C.

    Raises:
        ModelError: the file is of another architecture, has other classes or is damaged.
    """
    file = folder / WEIGHTS_FILE
    try:
        with safe_open(file, "pt") as opened:
            metadata = opened.metadata() or {}
        stored = load_file(file)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{str(file)!r} cannot be read ({error}). Delete the run to train it again.") from error
    head = metadata.get("head", "head")
    weight, bias = stored.pop(f"{head}.weight", None), stored.pop(f"{head}.bias", None)
    outer = "backbone." if metadata.get("layout", PARTS) == PARTS else ""
    model = Classifier(backbone, class_count)
    state = {f"backbone.{backbone.own_prefix}{name.removeprefix(outer)}": value for name, value in stored.items()}
    expected = model.state_dict()
    shapes = {name: tuple(value.shape) for name, value in expected.items() if name.startswith("backbone.")}
    if (
        weight is None or bias is None or weight.shape != expected["head.weight"].shape
        or {name: tuple(value.shape) for name, value in state.items()} != shapes
    ):  # fmt: skip
        raise ModelError(
            f"{str(file)!r} does not hold {backbone.name} with {class_count} classes. Delete the run to train it again."
        )
    return expected | state | {"head.weight": weight, "head.bias": bias}


def _folded_head(model: Classifier) -> tuple[Tensor, Tensor]:
    """Weight (C, D) and bias (C,) for features as they are; float32, computed in float64."""
    weight, bias, shift, scale = (
        value.detach().cpu().double() for value in (model.head.weight, model.head.bias, model.shift, model.scale)
    )
    weight = weight / scale
    return weight.float(), (bias - weight @ shift).float()


def _line_for_timm(model: Classifier, backbone: Backbone, state: State, class_count: int) -> str:
    """How timm makes the network that takes `state` and gives the model's scores; empty where it makes none."""
    size = backbone.geometry.size
    try:
        network, line = network_with_classifier(backbone.name, size, class_count)
        network.load_state_dict(state)
    except (RuntimeError, ModelError):  # other names or shapes: a classifier of several layers
        return ""
    device = model.head.weight.device
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0)).to(device)
    expected, scores = _scores(model, images), _scores(network.to(device), images)
    close = expected.shape == scores.shape and torch.allclose(
        scores, expected, rtol=CLOSE, atol=CLOSE * float(expected.abs().max())
    )
    return line if close else ""


def _scores(network: nn.Module, images: Tensor) -> Tensor:
    network.eval()
    with torch.inference_mode():
        scores: Tensor = network(images)
    return scores
