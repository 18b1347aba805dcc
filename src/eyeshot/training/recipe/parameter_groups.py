"""Parameters of a classifier in groups: which are trained, which decay, and how fast each layer learns."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

from timm.models import group_parameters
from timm.optim import param_groups_weight_decay
from torch import nn

from eyeshot.training.config import TrainConfig

PARAMETERS_A_LAYER = 12
"""Where a network does not say what its layers are; timm's own number."""


def parameter_groups(model: nn.Module, config: TrainConfig, *, fallback: bool = False) -> list[dict[str, Any]]:
    """Groups of the parameters that are trained, for any optimizer.

    Biases, norms and what `model.no_weight_decay()` names do not decay. With `layer_decay`, the parameters of each
    layer have an `lr_scale` of it to the power of the number of layers above.

    Args:
        model: a `Classifier`, or any network.
        config: weight decay and layer decay.
        fallback: mark what Muon leaves to AdamW: the head, the first layer, and what does not decay by its name.
    """
    kept: set[str] = getattr(model, "no_weight_decay", set)()
    patterns = [*_ends(model), *kept] if fallback else []
    if config.layer_decay is None:
        groups: list[dict[str, Any]] = param_groups_weight_decay(
            model, weight_decay=config.weight_decay, no_weight_decay_list=kept, fallback_list=patterns
        )
        return groups
    layers = layer_numbers(model)
    last = max(layers.values())
    by_key: dict[tuple[int, bool, bool], dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        decays = (
            parameter.ndim > 1
            and not name.endswith(".bias")
            and not any(fnmatchcase(name, pattern) for pattern in kept)
        )
        falls_back = any(fnmatchcase(name, pattern) for pattern in patterns)
        key = (layers[name], decays, falls_back)
        if key not in by_key:
            by_key[key] = {
                "params": [],
                "weight_decay": config.weight_decay if decays else 0.0,
                "lr_scale": config.layer_decay ** (last - layers[name]),
                **({"use_fallback": True} if falls_back else {}),
            }
        by_key[key]["params"].append(parameter)
    return list(by_key.values())


def layer_numbers(model: nn.Module, *, coarse: bool = False) -> dict[str, int]:
    """The number of the layer of each parameter, from the first (0) to the head.

    timm's networks say themselves what their layers are. For other networks the parameters of the body are taken in
    order, twelve to a layer, as timm does for networks that name their classifier.

    Args:
        model: a `Classifier`, with `backbone` and `head`.
        coarse: stages instead of blocks.
    """
    body: nn.Module = model.backbone  # type: ignore[assignment]
    ask = getattr(body, "group_matcher", None)
    if callable(ask):
        numbers: dict[str, int] = group_parameters(body, ask(coarse=coarse), reverse=True)
    else:
        numbers = {name: place // PARAMETERS_A_LAYER for place, (name, _) in enumerate(body.named_parameters())}
    top = max(numbers.values(), default=-1) + 1
    return {f"backbone.{name}": number for name, number in numbers.items()} | {
        f"head.{name}": top
        for name, _ in model.head.named_parameters()  # type: ignore[union-attr]
    }


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _ends(model: nn.Module) -> list[str]:
    """Names of the weights of the head and of the first layer."""
    names = [name for name, parameter in model.named_parameters() if parameter.ndim > 1]
    config = getattr(getattr(model, "backbone", None), "pretrained_cfg", None) or {}
    first = config.get("first_conv") if isinstance(config, dict) else None
    firsts = [first] if isinstance(first, str) else list(first or [])
    stems = [f"backbone.{name}.weight" for name in firsts] or names[:1]
    return [*stems, "head.weight"]
