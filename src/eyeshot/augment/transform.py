"""Operations as modules of a torchvision pipeline."""

from __future__ import annotations

from typing import Any

import numpy as np
import PIL.Image
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eyeshot.augment.operation import Mixing, Operation, apply_to_rows, stack
from eyeshot.augment.random import stream
from eyeshot.core import InputError


class AugmentationTransform(nn.Module):
    """Applies an operation to single images or batches; put it before Normalize.

    Takes a PIL image, or a tensor (C, H, W) or (N, C, H, W) of 1 or 3 channels: uint8 0-255, or float 0-1,
    which is rounded to 256 levels. Returns the same kind; an image on which the operation fails is returned as it was.
    Further arguments (a label) are passed on. Random choices follow torch's seed, so DataLoader workers differ and
    `torch.manual_seed` repeats them.

    Args:
        operation: what to apply; one without partners.
        name: of the augmentation; seeds the random streams.
        probability: share of images that are changed.
    """

    def __init__(self, operation: Operation, *, name: str, probability: float) -> None:
        super().__init__()
        self.operation = operation
        self.name = name
        self.probability = probability

    def forward(self, image: Any, *arguments: Any) -> Any:
        """The augmented image, followed by the further arguments if there are any."""
        if isinstance(image, PIL.Image.Image):
            result: Any = self._picture(image)
        elif isinstance(image, Tensor):
            result = _as_batch(image, self._batch)
        else:
            raise InputError(
                f"{self.name} needs a PIL image or a tensor, got {type(image).__name__}. "
                "Put it before conversions to other types."
            )
        return (result, *arguments) if arguments else result

    def extra_repr(self) -> str:
        """Name and probability."""
        return f"{self.name}, probability={self.probability}"

    def _picture(self, image: PIL.Image.Image) -> PIL.Image.Image:
        mode = image.mode if image.mode in ("L", "RGB") else "RGB"
        pixels = np.array(image.convert(mode))
        tensor = torch.from_numpy(pixels.reshape(*pixels.shape[:2], -1)).permute(2, 0, 1)
        result = _as_batch(tensor, self._batch).permute(1, 2, 0).squeeze(2).numpy()
        return PIL.Image.fromarray(np.ascontiguousarray(result))

    def _batch(self, images: Tensor) -> Tensor:
        chosen, generators = _toss(self.name, len(images), self.probability)
        operation, shape = self.operation, (images.shape[2], images.shape[3])
        parameters = [operation.draw(generator, shape) for generator in generators]
        return apply_to_rows(operation, images, chosen, parameters)[0]


class MixingTransform(nn.Module):
    """Mixes the images of a batch and their labels; use it on batches, as torchvision's MixUp and CutMix.

    Takes uint8 or float images (N, C, H, W) as `AugmentationTransform` does, and labels: class numbers (N,)
    or probabilities (N, K). Returns images of the same kind and label probabilities, float32 (N, K).

    Args:
        operation: what mixes.
        name: of the augmentation; seeds the random streams.
        probability: share of images that are mixed.
        class_count: number of classes, K; needed for class numbers.
    """

    def __init__(self, operation: Mixing, *, name: str, probability: float, class_count: int | None = None) -> None:
        super().__init__()
        self.operation = operation
        self.name = name
        self.probability = probability
        self.class_count = class_count

    def forward(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Mixed images and label probabilities."""
        if not isinstance(images, Tensor) or images.dim() != 4 or len(images) != len(labels):
            raise InputError(
                f"{self.name} mixes a batch: it needs images (N, C, H, W) and as many labels. "
                "Call it on the DataLoader's batches, not on single images."
            )
        targets = self._probabilities(labels)
        mixed: list[Tensor] = []

        def change(batch: Tensor) -> Tensor:
            result, weights = self._mix(batch, targets)
            mixed.append(weights)
            return result

        return _as_batch(images, change), mixed[0]

    def extra_repr(self) -> str:
        """Name, number of classes and probability."""
        return f"{self.name}, class_count={self.class_count}, probability={self.probability}"

    def _probabilities(self, labels: Tensor) -> Tensor:
        if labels.dim() == 2:
            return labels.float()
        if self.class_count is None:
            raise InputError(
                f"{self.name} mixes labels: it needs the number of classes. "
                f'Use eyeshot.augmentation("{self.name}").as_transform(class_count=...).'
            )
        return F.one_hot(labels.long(), self.class_count).float()

    def _mix(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        operation = self.operation
        chosen, generators = _toss(self.name, len(images), self.probability)
        if not len(chosen):
            return images, targets
        shape = (images.shape[2], images.shape[3])
        rows = torch.from_numpy(chosen).to(images.device)
        partner_rows = [
            (number + 1 + generator.integers(0, max(1, len(images) - 1), operation.partners)) % len(images)
            for number, generator in zip(chosen, generators, strict=True)
        ]
        partners = torch.from_numpy(np.stack(partner_rows)).to(images.device)
        parameters = stack([operation.draw(generator, shape) for generator in generators], images.device)
        result, mixed = images.clone(), targets.clone()
        result[rows] = operation.mix(images[rows], images[partners], parameters)
        weights = operation.weights(parameters, shape).to(targets.device)
        sources = torch.cat([rows.unsqueeze(1), partners], dim=1).to(targets.device)
        mixed[rows.to(targets.device)] = (weights.unsqueeze(2) * targets[sources]).sum(1)
        return result, mixed


def make_transform(
    operation: Operation, *, name: str, probability: float, class_count: int | None = None
) -> AugmentationTransform | MixingTransform:
    """The module that applies `operation` under the name of its augmentation to a share of the images."""
    if isinstance(operation, Mixing):
        return MixingTransform(operation, name=name, probability=probability, class_count=class_count)
    return AugmentationTransform(operation, name=name, probability=probability)


def _toss(name: str, count: int, probability: float) -> tuple[np.ndarray[Any, Any], list[np.random.Generator]]:
    """Which of `count` images are changed, and a generator for each of those, from torch's random state."""
    seed = int(torch.randint(2**62, ()))
    coins = [stream(seed, name, 0, str(number), purpose="coin").random() for number in range(count)]
    chosen = np.flatnonzero(np.array(coins) < probability)
    return chosen, [stream(seed, name, 0, str(number)) for number in chosen]


def _as_batch(image: Tensor, change: Any) -> Tensor:
    """Applies `change`, which maps uint8 (n, 3, H, W) to the same, to any kind of tensor that pipelines hold."""
    if image.dim() not in (3, 4) or image.shape[-3] not in (1, 3):
        raise InputError(
            "Augmentations need tensors (C, H, W) or (N, C, H, W) with 1 or 3 channels, got "
            f"{tuple(image.shape)}. Put them before any change of the layout."
        )
    plain = image.as_subclass(Tensor)
    batch = plain if image.dim() == 4 else plain.unsqueeze(0)
    channels = batch.shape[1]
    if image.is_floating_point():
        if batch.numel() and (batch.min() < 0 or batch.max() > 1):
            raise InputError(
                f"Augmentations need float images between 0 and 1, got {float(batch.min()):.3g} to "
                f"{float(batch.max()):.3g}. Put them before Normalize."
            )
        levels = (batch * 255).round().to(torch.uint8)
    elif image.dtype == torch.uint8:
        levels = batch
    else:
        raise InputError(f"Augmentations need uint8 or float images, got {image.dtype}. Convert them with v2.ToDtype.")
    changed = change(levels.expand(-1, 3, -1, -1).contiguous().clone()) if batch.numel() else levels
    changed = changed[:, :channels]
    if image.is_floating_point():
        changed = changed.to(image.dtype) / 255
    result = changed if image.dim() == 4 else changed[0]
    return _like(result, image)


def _like(result: Tensor, image: Tensor) -> Tensor:
    """`result` as torchvision's Image type if `image` has that type."""
    if type(image) is Tensor:
        return result
    from torchvision import tv_tensors

    wrapped: Tensor = tv_tensors.wrap(result, like=image) if isinstance(image, tv_tensors.TVTensor) else result
    return wrapped
