"""Optimizers by name, as timm builds them."""

from __future__ import annotations

import torch
from timm.optim import create_optimizer_v2
from torch import nn

from eyeshot.training.config import TrainConfig


def make_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """The optimizer of a run.

    timm keeps weight decay from biases, norms and what `model.no_weight_decay()` names.
    """
    optimizer: torch.optim.Optimizer = create_optimizer_v2(
        model, opt=config.optimizer, lr=config.learning_rate, weight_decay=config.weight_decay
    )
    return optimizer


def load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, object]) -> None:
    """Take over a state; its averages get the memory layout of their weights, whatever file they come from.

    A step computes in the order that values lie in memory, so a run continues bit for bit only in the same layout.
    """
    optimizer.load_state_dict(state)
    for parameter, averages in optimizer.state.items():
        for name, value in averages.items():
            if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                averages[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
