"""A model without its classifier, together with the image preparation that it needs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
import xxhash
from torch import Tensor, nn

from eyeshot.core import ModelError
from eyeshot.data import Geometry


@dataclass(frozen=True, eq=False)
class Backbone:
    """A network that turns images into pooled features.

    Attributes:
        name: the timm tag or "package.module:factory".
        module: float (n, 3, S, S), normalised -> float (n, D).
        geometry: size, crop and interpolation of its input images.
        mean, std: per channel of RGB, for images in 0-1.
        feature_count: D.
        pretrained: whether its weights are trained; False for a fresh initialisation.
        fingerprint: hash of the weights and the image preparation, 32 hexadecimal digits.
        reason: what was chosen automatically and why, in sentences to print.
        head: name of the linear classifier in the plain network (timm's, or the user's own) that reads exactly these
            features; None if there is none. `own_prefix` of the module is the prefix of the other names.
        own_normalisation: mean and std that the weights were trained with; None where that is not known, as of weights
            from a file.
    """

    name: str
    module: nn.Module
    geometry: Geometry
    mean: tuple[float, ...]
    std: tuple[float, ...]
    feature_count: int
    pretrained: bool
    fingerprint: str
    reason: str
    head: str | None = None
    own_normalisation: tuple[tuple[float, ...], tuple[float, ...]] | None = None

    @property
    def own_prefix(self) -> str:
        """Prefix of the plain network's names in this module; empty for timm's models."""
        return str(getattr(self.module, "own_prefix", ""))

    @property
    def has_batch_norm(self) -> bool:
        """Whether a part of it normalises over batches in training mode."""
        return any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in self.module.modules())

    def with_module(self, module: nn.Module, *, pretrained: bool, reason: str) -> Backbone:
        """The same image preparation with other weights, for instance trained weights."""
        fingerprint = fingerprint_of(module, self.name, self.geometry, self.mean, self.std)
        return replace(self, module=module, pretrained=pretrained, reason=reason, fingerprint=fingerprint)


def fingerprint_of(
    module: nn.Module, name: str, geometry: Geometry, mean: tuple[float, ...], std: tuple[float, ...]
) -> str:
    """Hash of weights and preparation, 32 hexadecimal digits; it changes whenever a feature could change."""
    digest = xxhash.xxh3_128(repr((name, geometry.fingerprint, mean, std)).encode())
    for key, value in sorted(module.state_dict().items()):
        digest.update(f"{key} {value.dtype} {tuple(value.shape)}".encode())
        # Viewed as bytes, because numpy has no bfloat16.
        data = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        digest.update(np.ascontiguousarray(data.numpy()).data)
    return digest.hexdigest()


def count_features(module: nn.Module, size: int) -> int:
    """The number of features D, found by running one black image.

    Raises:
        ModelError: the output does not have shape (n, D), or D is 0.
    """
    device = next((value.device for value in module.parameters()), torch.device("cpu"))
    module.eval()
    with torch.inference_mode():
        features = module(torch.zeros(1, 3, size, size, device=device))
    if not isinstance(features, Tensor) or features.ndim != 2:
        shape = tuple(features.shape) if isinstance(features, Tensor) else type(features).__name__
        raise ModelError(
            f"A model must give features of shape (n, D), got {shape} for one image. Let a function of your own return "
            "it, and give --model package.module:function: maps and tokens of such a network are averaged."
        )
    if not features.shape[1]:
        raise ModelError("A model must give at least one feature for an image, got none: its output is empty.")
    return features.shape[1]
