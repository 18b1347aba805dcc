"""Which weights of a classifier are trained."""

from __future__ import annotations

from collections import Counter

from torch import nn

from eyeshot.training.config import TrainConfig
from eyeshot.training.recipe.parameter_groups import layer_numbers

LEAST_SHARE = 0.01
"""A last stage has at least this share of the body's weights: a norm after the last stage is none."""


def trained_names(model: nn.Module, config: TrainConfig, epoch: int) -> set[str]:
    """Names of the parameters that are trained in an epoch.

    Args:
        model: a `Classifier`.
        config: `freeze` and `head_epochs`.
        epoch: its number, from 0.
    """
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    head = {name for name in sizes if name.startswith("head.")}
    if config.freeze == "head" or (config.freeze == "head-first" and epoch < config.head_epochs):
        return head
    if config.freeze != "last-stage":
        return set(sizes)
    stages = layer_numbers(model, coarse=True)
    counts: Counter[int] = Counter()
    for name, size in sizes.items():
        if name not in head:
            counts[stages[name]] += size
    taken: set[int] = set()
    for stage in sorted(counts, reverse=True):
        taken.add(stage)
        if sum(counts[number] for number in taken) >= LEAST_SHARE * counts.total():
            break
    return head | {name for name in sizes if name not in head and stages[name] in taken}


def freeze(model: nn.Module, names: set[str]) -> None:
    """Train the named parameters alone; in place, for a model in training mode.

    Frozen parts are left in evaluation mode, so that BatchNorm's averages stay those of the weights they belong to.
    """
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in names)
    for module in model.modules():
        parameters = list(module.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            module.eval()
