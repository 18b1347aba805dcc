"""A model without its classifier, together with the pictures that it wants to see."""

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
        geometry: the size, crop and interpolation that its images need.
        mean, std: per channel of RGB, for images in 0-1.
        feature_count: D.
        pretrained: whether its weights come from a training; False for a fresh initialisation.
        fingerprint: 32 hexadecimal digits, of the weights and of how images are prepared.
        reason: what was chosen or found on the way, in sentences to print.
        head: name of the linear classifier in the plain network (timm's, or the user's own) that reads just these
            features; None where there is none. `own_prefix` of the module is what stands before the other names.
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

    @property
    def own_prefix(self) -> str:
        """What stands in the module's names before those of the plain network; empty for timm's."""
        return str(getattr(self.module, "own_prefix", ""))

    def with_module(self, module: nn.Module, *, pretrained: bool, reason: str) -> Backbone:
        """The same preparation of images in front of other weights, for instance trained ones."""
        fingerprint = fingerprint_of(module, self.name, self.geometry, self.mean, self.std)
        return replace(self, module=module, pretrained=pretrained, reason=reason, fingerprint=fingerprint)


def fingerprint_of(
    module: nn.Module, name: str, geometry: Geometry, mean: tuple[float, ...], std: tuple[float, ...]
) -> str:
    """Hash of weights and preparation: 32 hexadecimal digits that change when a feature could."""
    digest = xxhash.xxh3_128(repr((name, geometry.fingerprint, mean, std)).encode())
    for key, value in sorted(module.state_dict().items()):
        digest.update(f"{key} {value.dtype} {tuple(value.shape)}".encode())
        # Bytes, since numpy has no bfloat16.
        data = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        digest.update(np.ascontiguousarray(data.numpy()).data)
    return digest.hexdigest()


def count_features(module: nn.Module, size: int) -> int:
    """D, from one black image.

    Raises:
        ModelError: the module gives something else than (n, D).
    """
    device = next((value.device for value in module.parameters()), torch.device("cpu"))
    module.eval()
    with torch.inference_mode():
        found = module(torch.zeros(1, 3, size, size, device=device))
    if not isinstance(found, Tensor) or found.ndim != 2:
        shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise ModelError(f"A model must give features of shape (n, D), got {shape} for one image.")
    return found.shape[1]
