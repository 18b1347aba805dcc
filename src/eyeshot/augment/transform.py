"""Any augmentation as a module in a torchvision pipeline."""

from __future__ import annotations

from typing import Any

import numpy as np
import PIL.Image
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eyeshot.augment.candidate import Augmentation
from eyeshot.augment.operation import Mixing, stack
from eyeshot.augment.random import stream
from eyeshot.augment.views import apply_to
from eyeshot.errors import InputError


class AugmentationTransform(nn.Module):
    """Applies an augmentation of the catalogue; put it before Normalize.

    Takes a PIL image, or a tensor (C, H, W) or (N, C, H, W) of 1 or 3 channels: uint8 0-255, or float 0-1,
    which is rounded to 256 levels. Gives the same kind back; a failed image comes back as it was. Whatever is
    given beside the image (a label) is passed on. Random choices follow torch's seed, so DataLoader workers
    differ and `torch.manual_seed` repeats them.

    Args:
        augmentation: what to apply.
        always: to every image; otherwise each image with the augmentation's probability.
    """

    def __init__(self, augmentation: Augmentation, *, always: bool = False) -> None:
        super().__init__()
        self.augmentation = augmentation
        self.probability = 1.0 if always else augmentation.probability

    def forward(self, image: Any, *others: Any) -> Any:
        """The augmented image, followed by `others` if there are any."""
        if isinstance(image, PIL.Image.Image):
            result: Any = self._picture(image)
        elif isinstance(image, Tensor):
            result = _as_batch(image, self._batch)
        else:
            raise InputError(
                f"{self.augmentation.name} needs a PIL image or a tensor, got {type(image).__name__}. "
                "Put it before conversions to other types."
            )
        return (result, *others) if others else result

    def extra_repr(self) -> str:
        """Name and probability."""
        return f"{self.augmentation.name}, probability={self.probability}"

    def _picture(self, image: PIL.Image.Image) -> PIL.Image.Image:
        mode = image.mode if image.mode in ("L", "RGB") else "RGB"
        pixels = np.array(image.convert(mode))
        tensor = torch.from_numpy(pixels.reshape(*pixels.shape[:2], -1)).permute(2, 0, 1)
        result = _as_batch(tensor, self._batch).permute(1, 2, 0).squeeze(2).numpy()
        return PIL.Image.fromarray(np.ascontiguousarray(result))

    def _batch(self, images: Tensor) -> Tensor:
        chosen, generators = _toss(self.augmentation.name, len(images), self.probability)
        operation, shape = self.augmentation.operation, (images.shape[2], images.shape[3])
        parameters = [operation.draw(generator, shape) for generator in generators]
        return apply_to(operation, images, chosen, parameters)[0]


class MixingTransform(nn.Module):
    """Mixes the images of a batch and their labels; use it on batches, as torchvision's MixUp and CutMix.

    Takes uint8 or float images (N, C, H, W) as `AugmentationTransform` does, and labels: class numbers (N,)
    or probabilities (N, K). Gives images of the same kind and label probabilities, float32 (N, K).

    Args:
        augmentation: one whose views need other images.
        class_count: number of classes, K; needed for class numbers.
        always: mix every image; otherwise each with the augmentation's probability.
    """

    def __init__(self, augmentation: Augmentation, *, class_count: int | None = None, always: bool = False) -> None:
        super().__init__()
        self.augmentation = augmentation
        self.class_count = class_count
        self.probability = 1.0 if always else augmentation.probability

    def forward(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Mixed images and label probabilities."""
        if not isinstance(images, Tensor) or images.dim() != 4 or len(images) != len(labels):
            raise InputError(
                f"{self.augmentation.name} mixes a batch: it needs images (N, C, H, W) and as many labels. "
                "Call it on what the DataLoader gives, not on single images."
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
        return f"{self.augmentation.name}, class_count={self.class_count}, probability={self.probability}"

    def _probabilities(self, labels: Tensor) -> Tensor:
        if labels.dim() == 2:
            return labels.float()
        if self.class_count is None:
            raise InputError(
                f"{self.augmentation.name} mixes labels: it needs their number. "
                f'Use eyeshot.augmentation("{self.augmentation.name}").as_transform(class_count=...).'
            )
        return F.one_hot(labels.long(), self.class_count).float()

    def _mix(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        operation = self.augmentation.operation
        if not isinstance(operation, Mixing):
            raise TypeError(f"{type(operation).__name__} is not a Mixing operation")
        chosen, generators = _toss(self.augmentation.name, len(images), self.probability)
        if not len(chosen):
            return images, targets
        shape = (images.shape[2], images.shape[3])
        rows = torch.from_numpy(chosen).to(images.device)
        others = [
            (number + 1 + generator.integers(0, max(1, len(images) - 1), operation.partners)) % len(images)
            for number, generator in zip(chosen, generators, strict=True)
        ]
        partners = torch.from_numpy(np.stack(others)).to(images.device)
        parameters = stack([operation.draw(generator, shape) for generator in generators], images.device)
        result, mixed = images.clone(), targets.clone()
        result[rows] = operation.mix(images[rows], images[partners], parameters)
        weights = operation.weights(parameters, shape).to(targets.device)
        sources = torch.cat([rows.unsqueeze(1), partners], dim=1).to(targets.device)
        mixed[rows.to(targets.device)] = (weights.unsqueeze(2) * targets[sources]).sum(1)
        return result, mixed


def make_transform(augmentation: Augmentation, *, class_count: int | None = None, always: bool = False) -> nn.Module:
    """The module of an augmentation."""
    if augmentation.operation.partners:
        return MixingTransform(augmentation, class_count=class_count, always=always)
    return AugmentationTransform(augmentation, always=always)


def _toss(name: str, count: int, probability: float) -> tuple[np.ndarray[Any, Any], list[np.random.Generator]]:
    """Which of `count` images are changed, and a generator for each of those, from torch's random state."""
    seed = int(torch.randint(2**62, ()))
    coins = [stream(seed, name, 0, str(number), purpose="coin").random() for number in range(count)]
    chosen = np.flatnonzero(np.array(coins) < probability)
    return chosen, [stream(seed, name, 0, str(number)) for number in chosen]


def _as_batch(image: Tensor, change: Any) -> Tensor:
    """Applies `change`, from and to uint8 (n, 3, H, W), to a tensor of any kind that pipelines hold."""
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
    """`result` as torchvision's Image type if that is what came."""
    if type(image) is Tensor:
        return result
    from torchvision import tv_tensors

    wrapped: Tensor = tv_tensors.wrap(result, like=image) if isinstance(image, tv_tensors.TVTensor) else result
    return wrapped
