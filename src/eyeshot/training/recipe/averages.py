"""Averages of the weights, which validate better than the weights of one step, and BatchNorm's averages for them."""

from __future__ import annotations

import copy
from collections.abc import Iterable

import torch
from timm.utils import ModelEmaV3
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from eyeshot.training.classifier import Classifier

WARM_UP_STEPS = 10.0


def moving_average(model: Classifier, decay: float) -> ModelEmaV3:
    """An exponential moving average of weights and buffers; its `update` takes the model and the steps done.

    After t steps the decay is at most t / (t + 10), as TensorFlow's `ExponentialMovingAverage` has it: otherwise the
    start weights would still weigh in after a short run.
    """
    return ModelEmaV3(model, decay=decay, use_warmup=True, warmup_gamma=WARM_UP_STEPS, warmup_power=1.0)


def schedule_free_average(model: Classifier, optimizer: torch.optim.Optimizer) -> Classifier:
    """A copy with the weights that a schedule-free optimizer stands for; the model keeps those it is trained at.

    The optimizer's own `eval()` and `train()` move the weights there and back, and round on the way, so that a run
    that is validated more often would end in other weights.
    """
    averaged = copy.deepcopy(model)
    copies = dict(zip(model.parameters(), averaged.parameters(), strict=True))
    with torch.no_grad():
        for group in optimizer.param_groups:
            for weight in group["params"]:
                if "z" in optimizer.state[weight]:
                    copies[weight].lerp_(optimizer.state[weight]["z"], 1 - 1 / group["betas"][0])
    return averaged


@torch.no_grad()
def estimate_norms(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Set the running averages of BatchNorm to the mean over some batches, in place; leaves it in evaluation mode.

    Averaged weights give activations that no training step has seen (Izmailov et al. 2018, "Averaging weights leads to
    wider optima", section 3.2).

    Args:
        model: in any mode.
        batches: normalised images float32 (n, 3, S, S).
    """
    norms = [layer for layer in model.modules() if isinstance(layer, _BatchNorm) and layer.track_running_stats]
    model.eval()
    if not norms:
        return
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.reset_running_stats()
        layer.momentum = None  # a plain mean over all batches
        layer.train()
    for images in batches:
        model(images)
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum
        layer.eval()
