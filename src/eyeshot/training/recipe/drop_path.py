"""Stochastic depth in a network that was made without it."""

from __future__ import annotations

import timm
import torch
from timm.layers import DropPath
from torch import nn

from eyeshot.core import InputError
from eyeshot.models import Backbone


def drop_path_rates(backbone: Backbone, rate: float) -> dict[str, float]:
    """The chance of each residual branch to be left out, by the name of its module, as timm's factory sets them.

    timm builds the layers for it only where `drop_path_rate` is given, and each architecture has its own rule, so the
    rates are read from the same architecture without weights.

    Raises:
        InputError: the network is not timm's, or has no such branches.
    """
    rule = "`drop_path` needs a network of timm's with residual branches"
    architecture = backbone.name.partition(".")[0]
    if not timm.is_model(architecture):
        raise InputError(f"{rule}, got {backbone.name}. Leave drop_path out.")
    try:
        with torch.device("meta"):
            twin = timm.create_model(architecture, pretrained=False, num_classes=0, drop_path_rate=rate)
    except TypeError:  # the architecture does not know the setting
        raise InputError(f"{rule}; {backbone.name} has none. Leave drop_path out.") from None
    rates = {name: float(part.drop_prob) for name, part in twin.named_modules() if isinstance(part, DropPath)}
    if not rates:
        raise InputError(f"{rule}; {backbone.name} has none. Leave drop_path out.")
    return rates


def set_drop_path(body: nn.Module, rates: dict[str, float]) -> None:
    """Put the layers in place; they have no weights and do nothing outside of training."""
    for name, rate in rates.items():
        parent, _, attribute = name.rpartition(".")
        setattr(body.get_submodule(parent), attribute, DropPath(rate))
