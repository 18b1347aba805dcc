"""Optimizers by name, as timm and optional packages build them, and their state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from timm.optim import create_optimizer_v2
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from eyeshot.core import require
from eyeshot.training.config import TrainConfig
from eyeshot.training.recipe.optimizer_catalogue import OPTIMIZERS
from eyeshot.training.recipe.parameter_groups import parameter_groups

SAM_RADIUS = 0.05


def make_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """The optimizer of a run.

    timm keeps weight decay from biases, norms and what `model.no_weight_decay()` names. Groups of parameters carry
    `lr_scale` where layers learn by different rates.

    Raises:
        MissingExtraError: the package that it comes from is not installed.
    """
    record = OPTIMIZERS[config.optimizer]
    if record.package == "own":
        base = make_optimizer(model, config.model_copy(update={"optimizer": record.base}))
        return Sam(base, radius=SAM_RADIUS)
    groups = parameter_groups(model, config, fallback=config.optimizer == "muon")
    if record.package == "timm":
        more: dict[str, Any] = {} if config.momentum is None else {"momentum": config.momentum}
        optimizer: torch.optim.Optimizer = create_optimizer_v2(
            groups, opt=record.maker or record.name, lr=config.learning_rate, weight_decay=0.0, **more
        )
        return optimizer
    package = require(record.package, extra=record.extra)
    made: torch.optim.Optimizer = getattr(package, record.maker)(groups, lr=config.learning_rate, weight_decay=0.0)
    return made


class Sam(torch.optim.Optimizer):
    """Sharpness-aware minimisation around another optimizer (Foret et al. 2021, arXiv 2010.01412).

    `step` takes a closure that computes loss and gradients anew: at the weights plus `radius` times the gradient's
    direction. It has no state of its own.
    """

    def __init__(self, base: torch.optim.Optimizer, *, radius: float) -> None:
        self.base, self.radius = base, radius
        self.param_groups, self.defaults, self.state = base.param_groups, base.defaults, base.state

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """One step, after gradients were computed at the present weights."""
        if closure is None:
            raise TypeError("SAM needs a closure that computes the gradients once more.")
        weights = [weight for group in self.param_groups for weight in group["params"] if weight.grad is not None]
        norm = torch.stack([weight.grad.norm() for weight in weights]).norm()
        kept = [weight.clone() for weight in weights]
        for weight in weights:
            weight.add_(weight.grad * (self.radius / (norm + 1e-12)))
        with torch.enable_grad():
            closure()
        for weight, before in zip(weights, kept, strict=True):
            weight.copy_(before)
        self.base.step()

    def zero_grad(self, set_to_none: bool = True) -> None:
        """As the base's."""
        self.base.zero_grad(set_to_none)

    def state_dict(self) -> dict[str, Any]:
        """That of the base."""
        return self.base.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a state of the base."""
        self.base.load_state_dict(state)
        self.param_groups, self.state = self.base.param_groups, self.base.state


@contextmanager
def norm_averages_kept(model: nn.Module) -> Iterator[None]:
    """Passes of a batch that has passed before leave the running averages of BatchNorm alone."""
    norms = [(layer, layer.momentum) for layer in model.modules() if isinstance(layer, _BatchNorm)]
    for layer, _ in norms:
        layer.momentum = 0.0
    try:
        yield
    finally:
        for layer, momentum in norms:
            layer.momentum = momentum


def load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, object]) -> None:
    """Take over a state; its averages get the memory layout of their weights, whatever file they come from.

    A step computes in the order that values lie in memory, so a run continues bit for bit only in the same layout.
    """
    optimizer.load_state_dict(state)
    for parameter, averages in optimizer.state.items():
        for name, value in averages.items():
            if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                averages[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
