"""What is trained: a backbone with a linear head."""

from __future__ import annotations

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from eyeshot.augment import Pool
from eyeshot.models import Backbone, normalise, place, to_batch


class Classifier(nn.Module):
    """A backbone with a linear head: float (n, 3, S, S) -> class scores (n, C)."""

    def __init__(self, backbone: Backbone, class_count: int) -> None:
        super().__init__()
        self.backbone = copy.deepcopy(backbone.module)
        self.head = nn.Linear(backbone.feature_count, class_count)
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Class scores of a batch."""
        scores: Tensor = self.head(self.backbone(images))
        return scores

    def no_weight_decay(self) -> set[str]:
        """Names of parameters that the architecture wants to keep from weight decay; timm asks for them."""
        ask = getattr(self.backbone, "no_weight_decay", None)
        return {f"backbone.{name}" for name in ask()} if callable(ask) else set()


def predict(
    model: nn.Module,
    backbone: Backbone,
    pool: Pool,
    rows: NDArray[np.int64],
    *,
    class_count: int,
    device: torch.device,
    batch_size: int,
) -> NDArray[np.float32]:
    """Class probabilities of clean images: float32 (n, C)."""
    model, layout = place(model, device)
    model.eval()
    found = np.empty((len(rows), class_count), np.float32)
    with torch.inference_mode():
        for start in range(0, len(rows), batch_size):
            batch = to_batch(pool.images[rows[start : start + batch_size]])
            images = normalise(batch, backbone, device=device, layout=layout)
            found[start : start + batch_size] = model(images).float().softmax(1).cpu().numpy()
    return found
