"""Where a network looks: a map for any image classifier, convolutional or not, without naming a layer."""

from __future__ import annotations

from math import isqrt
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

LEAST_SIDE = 4
"""Cells along a side from which on a map says where: of 2 x 2 cells each holds a quarter of the image."""
MOST_PREFIX = 8
"""Tokens before those of the patches: a class token, a distillation token, registers."""
TINY = 1e-30


def saliency(network: nn.Module, images: Tensor, classes: NDArray[np.int64]) -> NDArray[np.float32]:
    """Which parts of images matter for a class: gradient times activation on the network's last spatial feature map.

    The layer is found by watching a forward pass: the last one whose output has the shape of a map (n, C, h, w),
    (n, h, w, C), or of patch tokens (n, prefix + h * w, C), with at least 4 x 4 cells where there is one, and on which
    the score depends in every image. So the last block of a transformer that reads its class token alone, of which the
    patches no longer matter, is passed over.

    On maps the product is summed over channels and cut off below 0: what speaks for the class. That is HiResCAM
    (Draelos and Carin 2020, arXiv 2011.08891), equal to Grad-CAM (Selvaraju et al. 2017) where mean pooling and a
    linear layer follow. On tokens, and where nothing speaks for the class, it is the length of the product over
    channels: in two small ViTs trained to tell coloured squares, it is larger on the square than elsewhere in every
    image of 5 of 6 classes, and the sum is of 2 of 6. A network without such a layer gets the product of input and
    gradient.

    Args:
        network: float (n, 3, S, S) -> scores (n, K), in evaluation mode. Its parameters keep their gradients.
        images: float (n, 3, S, S), normalised, on the device of the network.
        classes: int64 (n,), the class of each image that is asked about.

    Returns:
        float32 (n, S, S), 0 to 1, the largest value of each map 1; all 0 where no part matters.
    """
    outputs: list[Tensor] = []

    def watch(module: nn.Module, inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.requires_grad and as_map(output, prefix, side) is not None:
            outputs.append(output)

    side = images.shape[-1]
    counts = [getattr(module, "num_prefix_tokens", None) for module in network.modules()]
    prefix = next((count for count in counts if isinstance(count, int)), None)
    hooks = [module.register_forward_hook(watch) for module in network.modules()]
    try:
        with torch.enable_grad():
            inputs = images.detach().clone().requires_grad_()
            scores = network(inputs)
            # Softmax knows differences of scores only: without the mean, a class with a low score has no map at all.
            centred = scores - scores.mean(1, keepdim=True)
            picked = centred.gather(1, torch.as_tensor(classes, device=scores.device)[:, None]).sum()
            outputs = list({id(output): output for output in outputs}.values())
            gradients = torch.autograd.grad(picked, [*outputs, inputs], allow_unused=True)
    finally:
        for hook in hooks:
            hook.remove()
    products = [
        (output * gradient).detach()
        for output, gradient in zip(outputs, gradients, strict=False)
        if gradient is not None
    ]
    cells = _last(products, prefix, side)
    if cells is None:
        gradient = gradients[-1]
        cells = torch.zeros_like(images[:, 0]) if gradient is None else (images * gradient).sum(1).clamp(min=0)
    values = functional.interpolate(cells[:, None].float(), size=(side, side), mode="bilinear", align_corners=False)
    values = values[:, 0] / values.flatten(1).amax(1).clamp(min=TINY)[:, None, None]
    return values.cpu().numpy().astype(np.float32)


def _last(products: list[Tensor], prefix: int | None, side: int) -> Tensor | None:
    """What the last spatial layer says, float (n, h, w), not negative; None where no layer is spatial."""
    best: Tensor | None = None
    for product in reversed(products):
        lengths = as_map(product.square(), prefix, side)
        if lengths is None or not bool(lengths.flatten(1).amax(1).gt(0).all()):
            continue
        cells = lengths.sqrt()
        if product.ndim == 4:
            signed = as_map(product, prefix, side)
            assert signed is not None
            speaks = signed.flatten(1).amax(1).gt(0)[:, None, None]
            cells = torch.where(speaks, signed.clamp(min=0), cells)
        if min(cells.shape[1:]) >= LEAST_SIDE:
            return cells
        best = cells if best is None else best
    return best


def as_map(values: Tensor, prefix: int | None, side: int) -> Tensor | None:
    """Sum over channels of what may be a spatial map: float (n, h, w); None where it is none.

    Args:
        values: output of a layer.
        prefix: tokens before those of the patches; None: as few as leave a square.
        side: of the images; a map is square and at most as large.
    """
    if values.ndim == 4 and 1 < values.shape[2] == values.shape[3] <= side:
        return values.sum(1)
    if values.ndim == 4 and 1 < values.shape[1] == values.shape[2] <= side:
        return values.sum(3)
    if values.ndim != 3:
        return None
    for first in range(MOST_PREFIX + 1) if prefix is None else [prefix]:
        count = values.shape[1] - first
        cells = isqrt(max(0, count))
        if 1 < cells <= side and cells * cells == count:
            return values[:, first:].sum(2).reshape(-1, cells, cells)
    return None
