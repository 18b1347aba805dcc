"""Checks what a user's transform returns, and names the step at fault."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import PIL.Image
import torch
from torch import Tensor

HALF_A_LEVEL = 0.5 / 255  # floats this little outside 0 to 1 still round to a level within


@dataclass(frozen=True)
class Fault:
    """Why a result is not an augmented sample.

    Attributes:
        kind: what is wrong.
        rule: what the transform must return.
        got: what it returned.
    """

    kind: Literal["type", "channels", "size", "dtype", "range", "finite"]
    rule: str
    got: str


def as_levels(result: Any, size: tuple[int, int]) -> Tensor | Fault:
    """A result as uint8 (3, H, W), or the fault in it.

    Args:
        result: a PIL image in RGB, or a tensor (3, H, W), uint8 0-255 or float 0-1, which is rounded to levels.
        size: height and width that it must have.
    """
    if isinstance(result, PIL.Image.Image):
        if result.mode != "RGB":
            return Fault("channels", "RGB images, 3 channels", f"a PIL image in mode {result.mode}")
        result = torch.from_numpy(np.array(result)).permute(2, 0, 1)
    if not isinstance(result, Tensor):
        return Fault("type", "a PIL image or a tensor (3, H, W)", type(result).__name__)
    pixels = result.detach().as_subclass(Tensor).cpu()
    if pixels.ndim != 3 or pixels.shape[0] != 3:
        return Fault("channels", "RGB images, 3 channels first", f"a tensor {tuple(pixels.shape)}")
    if tuple(pixels.shape[1:]) != size:
        rule = f"images of the size that it is given, {size[1]} x {size[0]}"
        return Fault("size", rule, f"{pixels.shape[2]} x {pixels.shape[1]}")
    if pixels.dtype == torch.uint8:
        return pixels.contiguous()
    if not pixels.is_floating_point():
        return Fault("dtype", "uint8 (0-255) or float (0-1) images", str(pixels.dtype).removeprefix("torch."))
    low, high = (float(limit) for limit in pixels.aminmax())
    if not (math.isfinite(low) and math.isfinite(high)):
        return Fault("finite", "finite values", "NaN or infinite ones")
    if low < -HALF_A_LEVEL or high > 1 + HALF_A_LEVEL:
        return Fault("range", "float images between 0 and 1", f"values from {low:.3g} to {high:.3g}")
    return (pixels.float() * 255).round_().clamp_(0, 255).to(torch.uint8).contiguous()


def explain_fault(fault: Fault, function: Callable[..., Any], image: Any, size: tuple[int, int]) -> str:
    """The rest of a message that begins with the transform's name; its steps are run again to find the one at fault.

    Args:
        fault: of the whole transform.
        function: the transform; the global generators must be seeded as they were.
        image: its input.
        size: height and width of the input.
    """
    steps = steps_of(function)
    names = _steps_at_fault(fault, steps, image, size) if len(steps) > 1 else []
    after = f", after {' and '.join(names)}" if names else ""
    return f"must return {fault.rule}; got {fault.got}{after}. {_advice(fault, names, size)}"


def steps_of(function: Any) -> list[Any]:
    """The steps of a torchvision Compose or a Sequential, nested ones in their place; else the function itself."""
    kinds = {
        base.__name__ for base in type(function).__mro__ if base.__module__.startswith(("torchvision", "torch.nn"))
    }
    if "Compose" in kinds:
        return [inner for step in function.transforms for inner in steps_of(step)]
    if "Sequential" in kinds:
        return [inner for step in function for inner in steps_of(step)]
    return [function]


def step_name(step: Any) -> str:
    """A step's class, or a function's name."""
    return str(getattr(step, "__qualname__", None) or type(step).__name__)


def _steps_at_fault(fault: Fault, steps: list[Any], image: Any, size: tuple[int, int]) -> list[str]:
    """For a wrong size, every step that changed it; for other faults, the first step after which they stay."""
    names: list[str] = []
    shape = size
    for step in steps:
        try:
            image = step(image)
        except Exception:  # a fault that does not repeat cannot be traced
            return names
        step_shape = _shape(image)
        if fault.kind == "size":
            if step_shape is not None and step_shape != shape:
                names.append(f"{step_name(step)} ({step_shape[1]} x {step_shape[0]})")
                shape = step_shape
            continue
        levels = as_levels(image, step_shape or size)
        if isinstance(levels, Tensor) or levels.kind != fault.kind:
            names = []
        elif not names:
            names = [step_name(step)]
    return names


def _shape(image: Any) -> tuple[int, int] | None:
    if isinstance(image, PIL.Image.Image):
        return image.height, image.width
    return (image.shape[-2], image.shape[-1]) if isinstance(image, Tensor) and image.ndim >= 2 else None


def _advice(fault: Fault, names: list[str], size: tuple[int, int]) -> str:
    culprits = " and ".join(name.partition(" (")[0] for name in names) or "the step that does it"
    if fault.kind == "size":
        return (
            f"Images are at the model's size already: leave {culprits} out, set its size to {size[0]}, "
            f"or give --size {fault.got.split(' x ')[1]}."
        )
    if fault.kind == "range":
        if "Normalize" in names:
            return "Leave Normalize out: the model's mean and std are applied afterwards."
        return f"Scale to 0-1 after {culprits} (v2.ToDtype(torch.float32, scale=True)), or clamp."
    return {
        "channels": f"Let {culprits} give 3 channels, as Grayscale(num_output_channels=3) does, or convert to RGB.",
        "dtype": f"Convert with v2.ToDtype(torch.uint8, scale=True) after {culprits}.",
        "finite": f"Guard against division by zero in {culprits}: constant images occur.",
        "type": "Return the image alone, for instance PIL.Image.fromarray(array).",
    }[fault.kind]
